//! The operating system's side of the seam: a store directory, its files, its device, and the clocks.

mod beneath;
mod descriptors;
mod disk;
mod environment;
mod file;
mod memory;
mod probe;

pub(crate) use descriptors::{Descriptor, open_files_default, open_files_limit};
pub(crate) use disk::OsDisk;
pub(crate) use environment::OsEnvironment;
pub(crate) use memory::{AlignedMemory, map, unmap};
pub(crate) use probe::DurableChoice;

#[cfg(test)]
mod tests;

use std::io;

/// The result of a call that answers −1 and `errno` when it fails.
pub(crate) fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// As [`check`], for calls that count bytes.
pub(crate) fn check_size(answer: isize) -> io::Result<usize> {
    usize::try_from(answer).map_err(|_| io::Error::last_os_error())
}

/// A position or size as the kernel takes it. One that no file can have is `EFBIG`, as the kernel itself would say.
pub(crate) fn kernel_offset(position: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(position).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))
}
