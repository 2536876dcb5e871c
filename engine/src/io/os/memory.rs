//! Page-aligned memory that devices read and write.

use std::io;
use std::ptr::NonNull;

/// Maps zeroed memory that a forked child does not get: while the device transfers, a child's copy on write could take
/// the page from under it. A child that touches such memory dies.
pub(crate) fn map(size: usize) -> io::Result<NonNull<u8>> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new private mapping that replaces none.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), size, access, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the range was just mapped. A kernel that refuses leaves it as it is, which is only less strict.
    unsafe { libc::madvise(start, size, libc::MADV_DONTFORK) };
    Ok(NonNull::new(start.cast()).expect("a mapping does not begin at address zero"))
}

/// # Safety
/// `start` and `size` are those of one earlier [`map`], and nobody uses the memory any more.
pub(crate) unsafe fn unmap(start: NonNull<u8>, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(start.as_ptr().cast(), size) };
}

/// Mapped memory with an owner.
pub(crate) struct AlignedMemory {
    start: NonNull<u8>,
    size: usize,
}

impl AlignedMemory {
    pub(crate) fn new(size: usize) -> io::Result<AlignedMemory> {
        Ok(AlignedMemory { start: map(size)?, size })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping has `size` readable bytes and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.size) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the mapping has `size` writable bytes, lives as long as `self`, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.size) }
    }
}

impl Drop for AlignedMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no borrow of it outlives `self`.
        unsafe { unmap(self.start, self.size) };
    }
}

// SAFETY: the memory belongs to this value alone, like a boxed slice.
unsafe impl Send for AlignedMemory {}
// SAFETY: shared access only reads.
unsafe impl Sync for AlignedMemory {}
