//! Memory that devices write to.

use core::ptr::NonNull;

use crate::buffer::MemorySource;
use crate::io::fork::ForkGuard;
use crate::io::os;

/// The source of a store's pool: mapped memory, kept from forked children.
pub(crate) struct DeviceMemory {
    guard: ForkGuard,
}

impl DeviceMemory {
    pub(crate) fn new() -> DeviceMemory {
        DeviceMemory { guard: ForkGuard::new() }
    }
}

impl MemorySource for DeviceMemory {
    fn map(&self, size: usize) -> Option<NonNull<u8>> {
        os::map(size).ok()
    }

    unsafe fn unmap(&self, at: NonNull<u8>, size: usize) {
        if self.guard.forked() {
            // It was never mapped here; by now the address may be that of something else.
            return;
        }
        // SAFETY: the caller gives back one whole mapping that nobody uses any more.
        unsafe { os::unmap(at, size) };
    }
}
