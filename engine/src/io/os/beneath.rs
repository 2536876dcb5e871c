//! Opening beneath a directory: no path leaves it, and no symbolic link inside it is followed.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::check;

/// A directory that paths are relative to.
pub(super) struct Root {
    fd: OwnedFd,
    /// Whether the kernel resolves the whole path under our rules. Otherwise it is walked part by part.
    openat2: AtomicBool,
}

/// The parts of a path inside the store. Anything that could lead elsewhere is refused before the kernel sees it.
/// The directory that holds `path`, and the last part of the path.
pub(super) fn split(path: &str) -> io::Result<(&str, CString)> {
    let last = parts(path)?.pop().expect("a path has at least one part");
    Ok((path.rsplit_once('/').map_or("", |(above, _)| above), last))
}

fn parts(path: &str) -> io::Result<Vec<CString>> {
    let refused = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("path {path:?} {why}"));
    path.split('/')
        .map(|part| match part {
            "" => Err(refused("has an empty part")),
            "." | ".." => Err(refused("has a part that stands for another directory")),
            _ => CString::new(part).map_err(|_| refused("has a zero byte")),
        })
        .collect()
}

/// Close-on-exec, and without waiting: a FIFO that somebody put in a file's place must not stop whoever opens it. Files
/// know no such waiting, and a descriptor that only names a place takes no such flag.
fn completed(flags: i32) -> i32 {
    let waits = flags & libc::O_PATH == 0;
    flags | libc::O_CLOEXEC | if waits { libc::O_NONBLOCK } else { 0 }
}

/// Opens relative to a directory, close-on-exec, and never as one of the three standard descriptors: a host program
/// that closed those would otherwise print into a segment.
fn open_plain(directory: RawFd, name: &CString, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    // SAFETY: `name` is a zero-terminated string that outlives the call; no memory is handed over.
    let fd = check(unsafe { libc::openat(directory, name.as_ptr(), completed(flags), mode) })?;
    // SAFETY: the call just returned this descriptor, and nobody else has it.
    above_standard(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd);
    }
    // SAFETY: `fd` is open; the call only makes another descriptor.
    let moved = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, libc::STDERR_FILENO + 1) })?;
    // SAFETY: the call just returned this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}

/// The error of something that stands where a file should be. Its kind says that the file is lost.
fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file")
}

/// Refuses what is no regular file, and makes transfers wait again: a ring would give up where it should not.
fn regular(fd: OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut facts: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: `facts` is a live value that the call fills.
    check(unsafe { libc::fstat64(fd.as_raw_fd(), &raw mut facts) })?;
    if facts.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(not_regular());
    }
    // SAFETY: no memory is handed over.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK) })?;
    Ok(fd)
}

impl Root {
    /// Opens the directory itself. Links in the path that leads to it are the user's choice and are followed.
    pub(super) fn open(path: &Path) -> io::Result<Root> {
        use std::os::unix::ffi::OsStrExt;
        let name = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the path has a zero byte"))?;
        let fd = open_plain(libc::AT_FDCWD, &name, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
        let root = Root { fd, openat2: AtomicBool::new(true) };
        // A sandbox that does not know the call forbids it (EPERM), an old kernel has none (ENOSYS).
        let known = root.resolve(c".".to_owned(), libc::O_PATH | libc::O_DIRECTORY, 0).is_ok();
        root.openat2.store(known, Ordering::Relaxed);
        Ok(root)
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    #[cfg(test)]
    pub(super) fn walk_by_parts(&self) {
        self.openat2.store(false, Ordering::Relaxed);
    }

    /// Opens the file or directory at `path`; `""` is the root itself. What is opened as a file is a regular one:
    /// anything else is refused at once, a pipe that nobody writes to as well.
    pub(super) fn open_at(&self, path: &str, flags: i32, mode: u32) -> io::Result<OwnedFd> {
        if path.is_empty() {
            return open_plain(self.raw_fd(), &c".".to_owned(), flags, mode);
        }
        if flags & (libc::O_DIRECTORY | libc::O_PATH) != 0 {
            return self.open_any(path, flags, mode);
        }
        match self.open_any(path, flags | libc::O_NONBLOCK, mode) {
            Ok(fd) => regular(fd),
            // What a socket answers, and a device that is not there.
            Err(e) if e.raw_os_error() == Some(libc::ENXIO) => Err(not_regular()),
            Err(e) => Err(e),
        }
    }

    fn open_any(&self, path: &str, flags: i32, mode: u32) -> io::Result<OwnedFd> {
        let mut parts = parts(path)?;
        if self.openat2.load(Ordering::Relaxed) {
            let whole = CString::new(path).expect("the parts of the path have no zero byte");
            return self.resolve(whole, flags, mode);
        }
        let last = parts.pop().expect("a path has at least one part");
        let mut directory: Option<OwnedFd> = None;
        for part in &parts {
            let at = directory.as_ref().map_or(self.raw_fd(), AsRawFd::as_raw_fd);
            directory = Some(open_plain(at, part, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)?);
        }
        let at = directory.as_ref().map_or(self.raw_fd(), AsRawFd::as_raw_fd);
        open_plain(at, &last, flags | libc::O_NOFOLLOW, mode)
    }

    fn resolve(&self, path: CString, flags: i32, mode: u32) -> io::Result<OwnedFd> {
        // SAFETY: all-zero is a valid value of this plain structure, and means no option.
        let mut how: libc::open_how = unsafe { std::mem::zeroed() };
        how.flags = u64::from(completed(flags).cast_unsigned());
        // The call refuses a mode that it would not use.
        let creates = flags & libc::O_CREAT != 0 || flags & libc::O_TMPFILE == libc::O_TMPFILE;
        how.mode = if creates { u64::from(mode) } else { 0 };
        how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
        // SAFETY: both pointers are to live values, and the size is that of the structure.
        let answer = unsafe {
            libc::syscall(libc::SYS_openat2, self.raw_fd(), path.as_ptr(), &raw const how, size_of::<libc::open_how>())
        };
        let fd = RawFd::try_from(answer).expect("a descriptor fits an int");
        // SAFETY: the call just returned this descriptor, and nobody else has it.
        above_standard(unsafe { OwnedFd::from_raw_fd(check(fd)?) })
    }
}
