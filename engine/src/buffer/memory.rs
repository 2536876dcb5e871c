//! Where memory comes from, and the raw pieces of it.

#[cfg(any(test, feature = "sim"))]
use core::alloc::Layout;
use core::ptr::NonNull;

#[cfg(any(test, feature = "sim"))]
use crate::limits::SECTOR;

/// Gives aligned memory. The runtime's source keeps it from forked children; tests use the heap.
pub(crate) trait MemorySource: Send + Sync {
    /// Initialised memory, aligned to [`SECTOR`]; `None` if the system has none. `size` is a multiple of [`SECTOR`].
    fn map(&self, size: usize) -> Option<NonNull<u8>>;

    /// # Safety
    /// `at` and `size` are those of one earlier `map`, and nobody uses the memory any more.
    unsafe fn unmap(&self, at: NonNull<u8>, size: usize);
}

/// Memory from the process's allocator, for tests and the simulator.
#[cfg(any(test, feature = "sim"))]
pub(crate) struct HeapMemory;

#[cfg(any(test, feature = "sim"))]
fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size, SECTOR as usize).ok().filter(|layout| layout.size() > 0)
}

#[cfg(any(test, feature = "sim"))]
impl MemorySource for HeapMemory {
    fn map(&self, size: usize) -> Option<NonNull<u8>> {
        let layout = layout(size)?;
        // SAFETY: the layout's size is not zero.
        NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) })
    }

    unsafe fn unmap(&self, at: NonNull<u8>, size: usize) {
        let layout = layout(size).expect("the size was accepted when it was mapped");
        // SAFETY: the caller hands back what `map` gave, which came from this allocator with this layout.
        unsafe { std::alloc::dealloc(at.as_ptr(), layout) }
    }
}

/// A piece of memory, owned by whoever holds this: the pool's free list or one [`Memory`](super::Memory).
#[derive(Debug)]
pub(super) struct Raw {
    pub at: NonNull<u8>,
    pub size: usize,
    /// Under loom each eight bytes have a cell of their own beside them, so that the model checks every access.
    #[cfg(loom)]
    shadow: std::sync::Arc<Vec<loom::cell::UnsafeCell<()>>>,
}

// SAFETY: a `Raw` owns its memory; who may touch which part of it is the business of its holder.
unsafe impl Send for Raw {}
// SAFETY: as above; a shared `Raw` gives nothing but addresses and unsafe access.
unsafe impl Sync for Raw {}

impl Raw {
    pub(super) fn new(at: NonNull<u8>, size: usize) -> Raw {
        Raw {
            at,
            size,
            #[cfg(loom)]
            shadow: std::sync::Arc::new((0..size / 8).map(|_| loom::cell::UnsafeCell::new(())).collect()),
        }
    }

    /// A second owner, for a test of what must not happen.
    #[cfg(loom)]
    pub(super) fn copy(&self) -> Raw {
        Raw { at: self.at, size: self.size, shadow: std::sync::Arc::clone(&self.shadow) }
    }

    /// # Safety
    /// Nobody writes the range while the slice lives.
    #[inline]
    pub(super) unsafe fn bytes(&self, at: usize, size: usize) -> &[u8] {
        self.check(at, size);
        #[cfg(loom)]
        self.shadow[at / 8..(at + size).div_ceil(8)].iter().for_each(|cell| cell.with(|_| ()));
        // SAFETY: the range lies inside the memory, which is initialised and lives as long as `self`.
        unsafe { core::slice::from_raw_parts(self.at.as_ptr().add(at), size) }
    }

    /// # Safety
    /// Nobody else reads or writes the range while the slice lives.
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "the range is the caller's alone, the rest is not")]
    pub(super) unsafe fn bytes_mut(&self, at: usize, size: usize) -> &mut [u8] {
        self.check(at, size);
        #[cfg(loom)]
        self.shadow[at / 8..(at + size).div_ceil(8)].iter().for_each(|cell| cell.with_mut(|_| ()));
        // SAFETY: the range lies inside the memory, which is initialised and lives as long as `self`.
        unsafe { core::slice::from_raw_parts_mut(self.at.as_ptr().add(at), size) }
    }

    #[inline]
    fn check(&self, at: usize, size: usize) {
        assert!(at <= self.size && size <= self.size - at, "the range {at}+{size} lies inside {} bytes", self.size);
    }
}
