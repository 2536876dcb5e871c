//! One owner per store: a lock that the kernel holds for as long as anything of the owner can still write.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use super::fork::{GuardedFd, StoreClaim};
use super::os::{OsDisk, check, check_size};
use super::signal::FileSizeShield;
use crate::error::{Error, ErrorKind, Result};

pub(crate) const NAME: &str = "LOCK";
/// The holder's process number, in a record of fixed size: rewriting it needs no space on a full device.
const RECORD_SIZE: usize = 24;

/// How long opening waits for the last writes of an owner that was killed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// The lock on a store. Its descriptor is registered in every ring, so that the kernel keeps the lock until the last
/// operation in flight is over, even if the process is killed.
#[derive(Debug)]
pub(crate) struct StoreLock {
    fd: GuardedFd,
    /// The store's directory, locked as well: whoever removes the lock's file does not let a second owner in.
    directory: GuardedFd,
    /// None for one that is shared.
    _claim: Option<StoreClaim>,
}

/// How a store is locked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nobody else has it.
    Own,
    /// Others may have it so too, and nobody writes.
    Share,
}

impl StoreLock {
    /// Takes the lock, waiting up to `patience` for a dead owner's last writes.
    pub(crate) fn acquire(disk: &OsDisk, patience: Duration) -> Result<StoreLock> {
        StoreLock::take(disk, patience, Mode::Own)
    }

    /// Takes a lock that excludes those who write, and is shared with those who only read. Writes nothing.
    pub(crate) fn acquire_shared(disk: &OsDisk, patience: Duration) -> Result<StoreLock> {
        StoreLock::take(disk, patience, Mode::Share)
    }

    fn take(disk: &OsDisk, patience: Duration, mode: Mode) -> Result<StoreLock> {
        let begin = Instant::now();
        let mut pause = Duration::from_millis(2);
        let mut removed = false;
        loop {
            let cannot = |e: io::Error| Error::os(format_args!("cannot lock the store {}", disk.path().display()), &e);
            let fd = GuardedFd::open(|| open_lock_file(disk, mode)).map_err(cannot)?;
            let store = identity(fd.raw()).map_err(cannot)?;
            let claim = (mode == Mode::Own).then(|| StoreClaim::take(store));
            if claim.as_ref().is_some_and(Option::is_none) {
                return Err(held(disk, &format!("this process ({})", std::process::id())));
            }
            let how = if mode == Mode::Own { libc::LOCK_EX } else { libc::LOCK_SH };
            // SAFETY: no memory is handed over.
            match check(unsafe { libc::flock(fd.raw(), how | libc::LOCK_NB) }) {
                Ok(_) if still_named(disk, store).map_err(cannot)? => {
                    let open = || disk.open_fd("", libc::O_RDONLY | libc::O_DIRECTORY);
                    let directory = GuardedFd::open(open).map_err(cannot)?;
                    removed = !lock_directory(directory.raw(), how);
                    if !removed {
                        if mode == Mode::Own {
                            write_holder(fd.raw());
                        }
                        return Ok(StoreLock { fd, directory, _claim: claim.flatten() });
                    }
                }
                // Somebody replaced the file: the lock is on one that no other engine would see.
                Ok(_) => {}
                Err(e) if matches!(e.raw_os_error(), Some(libc::EWOULDBLOCK | libc::EINTR)) => {}
                Err(e) => return Err(cannot(e)),
            }
            if begin.elapsed() >= patience {
                if removed {
                    return Err(held(disk, &format!("an engine whose file {NAME} was removed or replaced")));
                }
                let by = readers(fd.raw(), store).unwrap_or_else(|| holder(fd.raw()));
                return Err(held(disk, &by));
            }
            drop((fd, claim));
            std::thread::sleep(pause.min(patience.saturating_sub(begin.elapsed())));
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// The descriptor that carries the lock, for registration in rings.
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.fd.raw()
    }

    /// Gives the lock up at once, though a ring that is still being taken down may hold its descriptor. Only for an
    /// owner that knows that nothing is in flight; merely dropping the lock leaves that to the kernel.
    pub(crate) fn release(self) {
        if !self.fd.forked() {
            // SAFETY: no memory is handed over. In a child the descriptor is no longer ours; in the parent it is.
            unsafe {
                libc::flock(self.directory.raw(), libc::LOCK_UN);
                libc::flock(self.fd.raw(), libc::LOCK_UN);
            }
        }
    }
}

fn open_lock_file(disk: &OsDisk, mode: Mode) -> io::Result<OwnedFd> {
    if mode == Mode::Share {
        return disk.open_fd(NAME, libc::O_RDONLY | libc::O_NONBLOCK);
    }
    match disk.open_fd(NAME, libc::O_RDWR | libc::O_NONBLOCK) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => match disk.create_fd(NAME, libc::O_RDWR) {
            // Another opener was faster.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => disk.open_fd(NAME, libc::O_RDWR | libc::O_NONBLOCK),
            result => result,
        },
        result => result,
    }
}

/// Whether nobody else has the directory locked. A file system that cannot lock directories has only the file.
fn lock_directory(fd: RawFd, how: i32) -> bool {
    // SAFETY: no memory is handed over.
    let answer = check(unsafe { libc::flock(fd, how | libc::LOCK_NB) });
    !answer.is_err_and(|e| e.raw_os_error() == Some(libc::EWOULDBLOCK))
}

/// Device and inode.
fn identity(fd: RawFd) -> io::Result<(u64, u64)> {
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut facts: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: `facts` is a live value that the call fills.
    check(unsafe { libc::fstat64(fd, &raw mut facts) })?;
    if facts.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{NAME} is not a regular file")));
    }
    Ok((facts.st_dev, facts.st_ino))
}

fn still_named(disk: &OsDisk, store: (u64, u64)) -> io::Result<bool> {
    match disk.open_fd(NAME, libc::O_RDONLY | libc::O_NONBLOCK).and_then(|fd| identity(fd.as_raw_fd())) {
        Ok(named) => Ok(named == store),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Leaves this process's number for whoever is refused. Failing to is no reason not to open.
fn write_holder(fd: RawFd) {
    let text = format!("{:<width$}\n", std::process::id(), width = RECORD_SIZE - 1);
    let _shield = FileSizeShield::new();
    // SAFETY: pointer and length are those of a live string.
    unsafe { libc::pwrite64(fd, text.as_ptr().cast(), text.len(), 0) };
}

/// Those who have the store open to read it, if that is who holds the lock.
fn readers(fd: RawFd, store: (u64, u64)) -> Option<String> {
    // SAFETY: no memory is handed over. What it takes, the descriptor's end gives back.
    check(unsafe { libc::flock(fd, libc::LOCK_SH | libc::LOCK_NB) }).ok()?;
    let (device, file) = store;
    let name = format!("{:02x}:{:02x}:{file}", libc::major(device), libc::minor(device));
    let own = std::process::id().to_string();
    let mut numbers: Vec<String> = Vec::new();
    for line in std::fs::read_to_string("/proc/locks").unwrap_or_default().lines() {
        // Number, kind, how, READ or WRITE, process, file, and the range.
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [_, "FLOCK", _, "READ", process, of, ..] = words[..]
            && of == name
            && !numbers.iter().any(|number| number == process)
        {
            numbers.push(process.to_owned());
        }
    }
    // The lock that was just taken is in the list as well.
    if numbers.len() > 1 {
        numbers.retain(|number| *number != own);
    }
    let who = if numbers.is_empty() { String::from("others") } else { format!("process {}", numbers.join(", ")) };
    Some(format!("{who}, to be read only"))
}

/// Who holds the lock, as far as it can be told.
fn holder(fd: RawFd) -> String {
    let mut text = [0u8; RECORD_SIZE];
    // SAFETY: pointer and length are those of a live array.
    let size = check_size(unsafe { libc::pread64(fd, text.as_mut_ptr().cast(), text.len(), 0) }).unwrap_or(0);
    let number = std::str::from_utf8(&text[..size]).ok().and_then(|text| text.trim().parse::<libc::pid_t>().ok());
    let Some(number) = number.filter(|number| *number > 0) else {
        return "another process, which left no number".into();
    };
    // SAFETY: signal 0 only asks whether the process exists.
    let gone = check(unsafe { libc::kill(number, 0) }).is_err_and(|e| e.raw_os_error() == Some(libc::ESRCH));
    if gone {
        return format!("process {number}, which has ended, but whose last writes may still be on their way");
    }
    match std::fs::read_to_string(format!("/proc/{number}/comm")) {
        Ok(name) => format!("process {number} ({})", name.trim()),
        Err(_) => format!("process {number}"),
    }
}

fn held(disk: &OsDisk, by: &str) -> Error {
    let message = format!("the store {} is held by {by}", disk.path().display());
    Error::new(ErrorKind::AlreadyOpen, message).hint("try again when it has let go, or with a longer lock_timeout")
}
