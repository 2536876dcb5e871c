//! Small batches outside the budget's pins, for readers that find those used up by others.

use crate::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The largest batch that is copied. Bytes.
pub(crate) const COPY_MAX: usize = 64 << 10;
/// All copies of an engine that are alive. Bytes.
const COPIES_MAX: usize = 1 << 20;

/// The copies of reads that no reader makes, together. Bytes.
const UNNAMED_MAX: usize = COPIES_MAX / 2;

/// The bytes that an engine's copied batches take.
#[derive(Default)]
pub(crate) struct Copies {
    used: AtomicUsize,
}

/// Who has copies: each reader or consumer, so that one which hoards leaves some to the others.
#[derive(Clone)]
pub(crate) struct Holder {
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl Holder {
    /// Stands for everybody who reads without a reader.
    pub(crate) fn unnamed() -> Holder {
        Holder { limit: UNNAMED_MAX, ..Holder::default() }
    }
}

impl Default for Holder {
    /// Another one, which has one largest copy at a time.
    fn default() -> Holder {
        Holder { used: Arc::default(), limit: COPY_MAX }
    }
}

/// One copied batch. Gives its bytes back when dropped.
pub(crate) struct Copied {
    /// In words, so that frames stand at multiples of eight as they do in blocks.
    words: Box<[u64]>,
    size: usize,
    copies: Arc<Copies>,
    holder: Holder,
}

impl Copies {
    /// Bytes of the copies that are alive, and the most that there can be.
    pub(crate) fn used(&self) -> (usize, usize) {
        (self.used.load(Ordering::Relaxed), COPIES_MAX)
    }

    /// Copies `bytes`. `None`: they are too many, or too much is held already.
    pub(crate) fn copy(self: &Arc<Copies>, holder: &Holder, bytes: &[u8]) -> Option<Copied> {
        let size = bytes.len();
        if size > COPY_MAX || !charge(&holder.used, size, holder.limit) {
            return None;
        }
        if !charge(&self.used, size, COPIES_MAX) {
            holder.used.fetch_sub(size, Ordering::Relaxed);
            return None;
        }
        let mut words = vec![0u64; size.div_ceil(8)].into_boxed_slice();
        zerocopy::IntoBytes::as_mut_bytes(&mut *words)[..size].copy_from_slice(bytes);
        Some(Copied { words, size, copies: Arc::clone(self), holder: holder.clone() })
    }
}

fn charge(used: &AtomicUsize, size: usize, limit: usize) -> bool {
    let fits = |used: usize| Some(used + size).filter(|sum| *sum <= limit);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
}

impl Copied {
    pub(crate) fn bytes(&self) -> &[u8] {
        &zerocopy::IntoBytes::as_bytes(&*self.words)[..self.size]
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        self.copies.used.fetch_sub(self.size, Ordering::Relaxed);
        self.holder.used.fetch_sub(self.size, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_bounded_one_by_one_by_holder_and_together() {
        let copies = Arc::new(Copies::default());
        let new = Holder::default;
        assert!(copies.copy(&new(), &vec![1; COPY_MAX + 1]).is_none());
        let hoards = new();
        let first = copies.copy(&hoards, &vec![1; COPY_MAX]).expect("one fits");
        assert!(copies.copy(&hoards, &[1]).is_none(), "it has its part");
        let unnamed = Holder::unnamed();
        let held: Vec<_> = (0..UNNAMED_MAX / COPY_MAX).map(|_| copies.copy(&unnamed, &vec![7; COPY_MAX])).collect();
        assert!(held.iter().all(|copy| copy.as_ref().is_some_and(|c| c.bytes() == vec![7; COPY_MAX])));
        assert!(copies.copy(&unnamed, &[1]).is_none(), "they have their part");
        let others: Vec<_> = (1..UNNAMED_MAX / COPY_MAX).map(|_| copies.copy(&new(), &vec![7; COPY_MAX])).collect();
        assert!(others.iter().all(Option::is_some));
        let late = new();
        assert!(copies.copy(&late, &[1]).is_none(), "that was all");
        drop((first, held));
        assert_eq!(copies.copy(&late, &vec![3; COPY_MAX]).map(|copy| copy.bytes().len()), Some(COPY_MAX));
        assert_eq!(copies.copy(&hoards, b"abc").as_ref().map(Copied::bytes), Some(&b"abc"[..]));
    }
}
