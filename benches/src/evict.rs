//! Takes what lies in a directory out of the page cache.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::error::Result;

/// Writes back every file below, and asks the kernel to forget it, so that it is read from the device.
pub(crate) fn evict(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            evict(&entry.path())?;
        } else if kind.is_file() {
            let file = File::open(entry.path())?;
            file.sync_all()?;
            // SAFETY: a plain system call on a descriptor that is open.
            unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        }
    }
    Ok(())
}
