//! The descriptors of a store: so many segment files stay open, the least recently used give way, and one is kept
//! spare.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use super::beneath::Root;
use super::{check, probe};
use crate::io::{OpKind, no_descriptor};
use crate::limits::OPEN_FILES_MIN;

/// What is kept open when no option says: a quarter of what the process may open, as the rest of the program needs
/// descriptors too, and never more than this.
const DEFAULT_MOST: u64 = 4096;

/// Descriptors that this process may have open (the soft RLIMIT_NOFILE).
pub(crate) fn open_files_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live value that the call fills.
    match check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }) {
        Ok(_) => limit.rlim_cur,
        Err(_) => 1024,
    }
}

/// The most segment files that are kept open when no option says.
pub(crate) fn open_files_default() -> u32 {
    let most = (open_files_limit() / 4).clamp(u64::from(OPEN_FILES_MIN), DEFAULT_MOST);
    u32::try_from(most).expect("clamped to less")
}

/// An open descriptor, and whether writes through it wait for a flush. As long as they do it stays open: a descriptor
/// that is opened again later may not be told that one of them failed.
pub(super) struct Open {
    fd: OwnedFd,
    /// Used since the last look at it; such a descriptor does not give way next.
    used: AtomicBool,
    /// Writes that were begun without being durable, and how many of them a flush has covered.
    written: AtomicU64,
    flushed: AtomicU64,
}

impl Open {
    pub(super) fn new(fd: OwnedFd) -> Arc<Open> {
        let (written, flushed) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Open { fd, used: AtomicBool::new(true), written, flushed })
    }

    fn waits_for_flush(&self) -> bool {
        self.written.load(Ordering::Acquire) != self.flushed.load(Ordering::Acquire)
    }
}

/// A descriptor in use by one operation. It stays open for as long as this lives.
pub(crate) struct Descriptor {
    open: Arc<Open>,
    /// Writes that a flush covers.
    mark: u64,
}

impl Descriptor {
    pub(super) fn new(open: Arc<Open>, kind: OpKind) -> Descriptor {
        open.used.store(true, Ordering::Relaxed);
        let mark = match kind {
            OpKind::Write { durable: false } => open.written.fetch_add(1, Ordering::AcqRel) + 1,
            _ => open.written.load(Ordering::Acquire),
        };
        Descriptor { open, mark }
    }

    /// One of a file that nobody counts the writes of.
    #[cfg(test)]
    pub(crate) fn of(fd: OwnedFd) -> Descriptor {
        Descriptor { open: Open::new(fd), mark: 0 }
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.open.fd.as_raw_fd()
    }

    /// The flush that this was taken for has succeeded.
    pub(crate) fn flushed(&self) {
        self.open.flushed.fetch_max(self.mark, Ordering::AcqRel);
    }
}

/// One of the files that a store has many of.
pub(super) struct Place {
    path: String,
    flags: i32,
    direct: bool,
    /// Device and inode: another file that has got the name since is not taken for it.
    identity: (u64, u64),
    open: Mutex<Option<Arc<Open>>>,
}

/// The descriptors of one store.
pub(super) struct Descriptors {
    /// None once the store is closed.
    root: Mutex<Option<Arc<Root>>>,
    most: AtomicUsize,
    /// Places that are open, the one that was opened or looked at longest ago first.
    places: Mutex<VecDeque<Weak<Place>>>,
    /// Given up when descriptors run out, so that what frees descriptors or space can still open a file.
    spare: Mutex<Option<OwnedFd>>,
}

/// The values behind these locks are whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn identity(fd: RawFd) -> io::Result<(u64, u64)> {
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut facts: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: `facts` is a live value that the call fills.
    check(unsafe { libc::fstat64(fd, &raw mut facts) })?;
    Ok((facts.st_dev, facts.st_ino))
}

impl Descriptors {
    pub(super) fn new(root: Arc<Root>) -> Descriptors {
        let most = AtomicUsize::new(open_files_default() as usize);
        let descriptors =
            Descriptors { root: Mutex::new(Some(root)), most, places: Mutex::default(), spare: Mutex::new(None) };
        descriptors.keep_spare();
        descriptors
    }

    /// How many segment files stay open at most, beside those that are being read and written at the moment and those
    /// with writes that wait for a flush.
    pub(super) fn set_most(&self, most: u32) {
        self.most.store(most as usize, Ordering::Relaxed);
    }

    pub(super) fn most(&self) -> u32 {
        u32::try_from(self.most.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    /// Opens a path. When the process or the system has no descriptor left, one of a segment file gives way, then the
    /// spare one.
    pub(super) fn open(&self, path: &str, flags: i32, mode: u32) -> io::Result<OwnedFd> {
        let root = self.root()?;
        let open = || root.open_at(path, flags, mode);
        let mut result = open();
        let none_left = |result: &io::Result<OwnedFd>| result.as_ref().is_err_and(|e| no_descriptor(e.raw_os_error()));
        if none_left(&result) && self.give_way(0) {
            result = open();
        }
        if none_left(&result) {
            let spare = lock(&self.spare).take();
            if spare.is_some() {
                drop(spare);
                result = open();
            }
        } else {
            self.keep_spare();
        }
        result
    }

    /// The store's directory.
    pub(super) fn root(&self) -> io::Result<Arc<Root>> {
        lock(&self.root).clone().ok_or_else(|| io::Error::other("the store is closed"))
    }

    /// Closes all descriptors but those in use, and opens none any more.
    pub(super) fn close(&self) {
        let root = lock(&self.root).take();
        let places = std::mem::take(&mut *lock(&self.places));
        for place in places.iter().filter_map(Weak::upgrade) {
            drop(lock(&place.open).take());
        }
        drop((root, lock(&self.spare).take()));
    }

    fn keep_spare(&self) {
        let mut spare = lock(&self.spare);
        if spare.is_none()
            && let Ok(root) = self.root()
        {
            *spare = root.open_at("", libc::O_PATH | libc::O_DIRECTORY, 0).ok();
        }
    }

    /// Makes an open file, which must not be renamed from now on, one of the many.
    pub(super) fn adopt(&self, path: &str, flags: i32, direct: bool, fd: OwnedFd) -> io::Result<Arc<Place>> {
        let identity = identity(fd.as_raw_fd())?;
        let open = Mutex::new(Some(Open::new(fd)));
        let place = Arc::new(Place { path: path.to_owned(), flags, direct, identity, open });
        self.note(&place);
        Ok(place)
    }

    fn note(&self, place: &Arc<Place>) {
        let most = self.most.load(Ordering::Relaxed);
        let full = {
            let mut places = lock(&self.places);
            places.push_back(Arc::downgrade(place));
            if places.len() > most {
                places.retain(|place| place.strong_count() > 0);
            }
            places.len() > most
        };
        if full {
            self.give_way(most);
        }
    }

    /// The place's descriptor, opened again if it had to give way.
    pub(super) fn of(&self, place: &Arc<Place>) -> io::Result<Arc<Open>> {
        let mut open = lock(&place.open);
        if let Some(open) = &*open {
            return Ok(Arc::clone(open));
        }
        let fd = self.open(&place.path, place.flags, 0)?;
        if identity(fd.as_raw_fd())? != place.identity {
            return Err(io::Error::from_raw_os_error(libc::ESTALE));
        }
        if place.direct {
            probe::set_direct(fd.as_raw_fd())?;
        }
        let opened = Open::new(fd);
        *open = Some(Arc::clone(&opened));
        drop(open);
        self.note(place);
        Ok(opened)
    }

    /// Closes descriptors that nobody uses, the least recently used first, until `most` are open; 0 is one fewer than
    /// now. Whether any was closed.
    fn give_way(&self, most: usize) -> bool {
        let mut places = lock(&self.places);
        let goal = if most == 0 { places.len().saturating_sub(1) } else { most };
        let mut closed = false;
        // Once round to take the marks of use off, once more to close.
        for _ in 0..2 * places.len() {
            if places.len() <= goal {
                break;
            }
            let Some(weak) = places.pop_front() else { break };
            let Some(place) = weak.upgrade() else { continue };
            // Whoever holds the lock is about to use it.
            let mut open = match place.open.try_lock() {
                Ok(open) => open,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    places.push_back(weak);
                    continue;
                }
            };
            let stays = open.as_ref().is_some_and(|open| {
                open.used.swap(false, Ordering::Relaxed) || Arc::strong_count(open) > 1 || open.waits_for_flush()
            });
            if stays {
                places.push_back(weak);
            } else {
                closed |= open.take().is_some();
            }
        }
        closed
    }
}
