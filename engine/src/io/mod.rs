//! The only door to the kernel.
//!
//! Everything that outlives the process is reached through [`Disk`] and [`File`]; everything that a test must be
//! able to repeat comes from an [`Environment`]. The operating system implements them in [`os`]; the simulator
//! implements them over a disk that crashes, tears and lies. Short transfers are results, not errors: the code that
//! resumes them stands above this line, so that the simulator exercises it.

#[cfg(test)]
pub(crate) mod child;
mod eventfd;
pub(crate) mod fork;
pub(crate) mod lock;
mod op;
pub(crate) mod os;
mod read_only;
pub(crate) mod signal;
#[cfg(test)]
mod tests;

pub(crate) use eventfd::EventFd;
pub(crate) use op::{Completion, InFlight, Op, OpKind, Progress};
pub(crate) use os::Descriptor;
pub(crate) use read_only::ReadOnlyDisk;

use std::io;
use std::sync::Arc;

use crate::limits::SECTOR;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenMode {
    /// Must exist; reads only, past the page cache where the file system can.
    Read,
    /// Must exist; reads and writes, likewise.
    Write,
    /// Must not exist; otherwise as `Write`.
    CreateNew,
}

/// What can be asked of a directory tree. Paths are relative to the store, parts divided by `/`; none may leave it or
/// follow a symbolic link.
pub(crate) trait Disk: Send + Sync {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// As [`open`](Disk::open), for one of the files that a store has many of and that are not renamed while they are
    /// open: while nobody reads or writes it, its descriptor may be closed, and opened again later.
    fn open_one_of_many(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.open(path, mode)
    }
    /// Creates one directory. An existing one is `AlreadyExists`.
    fn create_dir(&self, path: &str) -> io::Result<()>;
    /// Names in a directory, sorted; `""` is the store itself.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
    /// Replaces `to` if it exists.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &str) -> io::Result<()>;
    /// Makes creations, renames and removals in this directory durable.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
    /// Bytes that can still be written, if the file system says.
    fn free_space(&self) -> io::Result<u64>;
}

/// An open file. Positions, sizes and addresses of transfers are multiples of the sector wherever the file was
/// opened for writing.
pub(crate) trait File: Send + Sync {
    /// Reads up to `into.len()` bytes; fewer at the end of the file or by the kernel's choice; 0 at the end.
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Writes up to `from.len()` bytes. With `durable`, what the result counts is on the medium.
    fn write_at(&self, position: u64, from: &[u8], durable: bool) -> io::Result<usize>;
    /// Makes all completed writes durable (fdatasync). After a failure nothing may be assumed, nor tried again.
    fn sync(&self) -> io::Result<()>;
    /// Reserves space so that writes below `size` cannot fail for want of it; the file's size becomes at least `size`.
    fn reserve(&self, size: u64) -> io::Result<()>;
    /// Cuts or extends the file.
    fn set_size(&self, size: u64) -> io::Result<()>;
    fn size(&self) -> io::Result<u64>;
    /// The descriptor, for one operation of this kind through a ring. Unsupported where there is none (simulation).
    fn descriptor(&self, _kind: OpKind) -> io::Result<Descriptor> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Time and chance, injected.
pub(crate) trait Environment: Send + Sync {
    /// Wall clock, ms since 1970. May go backwards.
    fn now_ms(&self) -> i64;
    /// Monotone clock, ns.
    fn monotonic_ns(&self) -> u64;
    /// Unguessable 64 bits (never 0).
    fn random(&self) -> u64;
}

/// Whether a file could not be opened, or opened again, because the process or the system has no descriptor left. What
/// was asked of it has not begun; no transfer and no flush answers this.
pub(crate) fn no_descriptor(os_code: Option<i32>) -> bool {
    matches!(os_code, Some(libc::EMFILE | libc::ENFILE))
}

/// Reads from a sector on as much of `into` as the file has, resuming short reads; how much that is.
pub(crate) fn read_up_to(file: &dyn File, position: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(position + done as u64, &mut into[done..]) {
            Ok(0) => break,
            Ok(n) => {
                done += n;
                let within = done % SECTOR as usize;
                if within > 0 && done < into.len() {
                    if file.size()? <= position + done as u64 {
                        break;
                    }
                    // Direct I/O reads on from whole sectors only.
                    done -= within;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// As [`read_up_to`], all of `into`; `false` if the file ends before.
pub(crate) fn read_full(file: &dyn File, position: u64, into: &mut [u8]) -> io::Result<bool> {
    Ok(read_up_to(file, position, into)? == into.len())
}

/// Writes all of `from`, resuming short writes.
pub(crate) fn write_full(file: &dyn File, mut position: u64, from: &[u8], durable: bool) -> io::Result<()> {
    let mut done = 0;
    while done < from.len() {
        match file.write_at(position, &from[done..], durable) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                done += n;
                position += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
