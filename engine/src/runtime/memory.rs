//! Memory that devices write to.

use core::ptr::NonNull;

use crate::buffer::MemorySource;

/// Memory mapped from the kernel, which a forked child does not get: while the device reads into it, a child's copy
/// on write could take the page from under the transfer. A child that touches lent memory dies.
pub(crate) struct DeviceMemory;

impl MemorySource for DeviceMemory {
    fn map(&self, size: usize) -> Option<NonNull<u8>> {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new private mapping that replaces none.
        let start = unsafe { libc::mmap(core::ptr::null_mut(), size, access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the range was just mapped. A kernel that refuses leaves it as it is.
        unsafe { libc::madvise(start, size, libc::MADV_DONTFORK) };
        NonNull::new(start.cast())
    }

    unsafe fn unmap(&self, at: NonNull<u8>, size: usize) {
        // SAFETY: the caller gives back one whole mapping that nobody uses any more.
        unsafe { libc::munmap(at.as_ptr().cast(), size) };
    }
}
