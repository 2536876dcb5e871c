//! Memory that devices write to.

use core::ptr::NonNull;

use crate::buffer::MemorySource;
use crate::io::os;

/// The source of a store's pool: mapped memory, kept from forked children.
pub(crate) struct DeviceMemory;

impl MemorySource for DeviceMemory {
    fn map(&self, size: usize) -> Option<NonNull<u8>> {
        os::map(size).ok()
    }

    unsafe fn unmap(&self, at: NonNull<u8>, size: usize) {
        // SAFETY: the caller gives back one whole mapping that nobody uses any more.
        unsafe { os::unmap(at, size) };
    }
}
