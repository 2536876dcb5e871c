//! Page-aligned memory for transfers past the page cache whose own memory is not aligned.

use std::io;
use std::ptr::NonNull;

/// Zeroed memory, aligned to a page, that a forked child does not get: the device may still be writing to it.
pub(crate) struct AlignedMemory {
    start: NonNull<u8>,
    size: usize,
}

impl AlignedMemory {
    pub(crate) fn new(size: usize) -> io::Result<AlignedMemory> {
        // SAFETY: a new private mapping that replaces none.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range was just mapped. A kernel that refuses leaves it as it is, which is only less strict.
        unsafe { libc::madvise(start, size, libc::MADV_DONTFORK) };
        let start = NonNull::new(start.cast()).expect("a mapping does not begin at address zero");
        Ok(AlignedMemory { start, size })
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
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}

// SAFETY: the memory belongs to this value alone, like a boxed slice.
unsafe impl Send for AlignedMemory {}
// SAFETY: shared access only reads.
unsafe impl Sync for AlignedMemory {}
