//! Small batches outside the budget's pins, for readers that find those used up by others.

use crate::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The largest batch that is copied. Bytes.
pub(crate) const COPY_MAX: usize = 64 << 10;
/// All copies of an engine that are alive. Bytes.
const COPIES_MAX: usize = 1 << 20;

/// The bytes that an engine's copied batches take.
#[derive(Default)]
pub(crate) struct Copies {
    used: AtomicUsize,
}

/// One copied batch. Gives its bytes back when dropped.
pub(crate) struct Copied {
    /// In words, so that frames stand at multiples of eight as they do in blocks.
    words: Box<[u64]>,
    size: usize,
    copies: Arc<Copies>,
}

impl Copies {
    /// Bytes of the copies that are alive, and the most that there can be.
    pub(crate) fn used(&self) -> (usize, usize) {
        (self.used.load(Ordering::Relaxed), COPIES_MAX)
    }

    /// Copies `bytes`. `None`: they are too many, or others hold too much.
    pub(crate) fn copy(self: &Arc<Copies>, bytes: &[u8]) -> Option<Copied> {
        let size = bytes.len();
        let fits = |used: usize| Some(used + size).filter(|sum| size <= COPY_MAX && *sum <= COPIES_MAX);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        let mut words = vec![0u64; size.div_ceil(8)].into_boxed_slice();
        zerocopy::IntoBytes::as_mut_bytes(&mut *words)[..size].copy_from_slice(bytes);
        Some(Copied { words, size, copies: Arc::clone(self) })
    }
}

impl Copied {
    pub(crate) fn bytes(&self) -> &[u8] {
        &zerocopy::IntoBytes::as_bytes(&*self.words)[..self.size]
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        self.copies.used.fetch_sub(self.size, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_bounded_one_by_one_and_together() {
        let copies = Arc::new(Copies::default());
        assert!(copies.copy(&vec![1; COPY_MAX + 1]).is_none());
        let held: Vec<_> = (0..COPIES_MAX / COPY_MAX).map(|_| copies.copy(&vec![7; COPY_MAX])).collect();
        assert!(held.iter().all(|copy| copy.as_ref().is_some_and(|c| c.bytes() == vec![7; COPY_MAX])));
        assert!(copies.copy(&[1]).is_none());
        drop(held);
        assert_eq!(copies.copy(b"abc").as_ref().map(Copied::bytes), Some(&b"abc"[..]));
    }
}
