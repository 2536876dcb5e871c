//! What a forked child must not inherit: the store's lock, the rings, and the belief that the engine is its own.
//!
//! A child shares its parent's open files. If it kept the lock's descriptor, the parent could die and nobody could
//! open the store; if it kept a ring, it could drive it. So the child closes both before `fork` returns in it. A page
//! that the kernel wipes in children tells every entry point that it runs in one, even where `fork` was called past
//! the C library.

use std::cell::UnsafeCell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::signal::AllBlocked;

/// Descriptors to close in a child, and the stores that this process holds (device and inode of the lock file).
struct Inherited {
    descriptors: Vec<RawFd>,
    stores: Vec<(u64, u64)>,
}

/// A mutex of the C library: unlike Rust's, it may be taken before a fork and released in both processes after it.
struct Registry {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    inherited: UnsafeCell<Inherited>,
}

// SAFETY: the contents are reached only while the mutex is held.
unsafe impl Sync for Registry {}

static REGISTRY: Registry = Registry {
    mutex: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
    inherited: UnsafeCell::new(Inherited { descriptors: Vec::new(), stores: Vec::new() }),
};

/// The page that a child finds zeroed: the number of this process's generation of engines.
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());

impl Registry {
    fn lock(&self) {
        // SAFETY: the mutex is statically initialised and never moved.
        let answer = unsafe { libc::pthread_mutex_lock(self.mutex.get()) };
        assert_eq!(answer, 0, "a plain mutex can always be locked");
    }

    fn unlock(&self) {
        // SAFETY: the mutex is held by this thread, or was by the thread that forked into this one.
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) };
    }

    /// Runs with the registry held; no fork happens meanwhile, not even out of a signal handler on this thread.
    fn with<T>(&self, run: impl FnOnce(&mut Inherited) -> T) -> T {
        struct Unlock<'a>(&'a Registry);
        impl Drop for Unlock<'_> {
            fn drop(&mut self) {
                self.0.unlock();
            }
        }
        let _signals = AllBlocked::new();
        self.lock();
        let _unlock = Unlock(self);
        // SAFETY: the mutex is held until this function returns.
        run(unsafe { &mut *self.inherited.get() })
    }
}

extern "C" fn before_fork() {
    REGISTRY.lock();
}

extern "C" fn after_fork_in_parent() {
    REGISTRY.unlock();
}

extern "C" fn after_fork_in_child() {
    // SAFETY: the mutex was taken before the fork by the thread that is the only one here.
    let inherited = unsafe { &mut *REGISTRY.inherited.get() };
    for fd in &inherited.descriptors {
        // SAFETY: registered descriptors are open, and their owners never close them in a child.
        unsafe { libc::close(*fd) };
    }
    inherited.descriptors.clear();
    inherited.stores.clear();
    if let Some(page) = page() {
        // Wiped already, unless the kernel is older than that.
        page.store(0, Ordering::Relaxed);
    }
    REGISTRY.unlock();
}

#[inline]
fn page() -> Option<&'static AtomicU64> {
    // SAFETY: null, or a page that is never unmapped and used as this type only.
    unsafe { PAGE.load(Ordering::Acquire).as_ref() }
}

/// Maps the page and registers the handlers, once per process.
fn prepare() -> &'static AtomicU64 {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a new private mapping that replaces none.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<AtomicU64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let page = if start == libc::MAP_FAILED {
            // Then the handlers alone have to do.
            NonNull::from(Box::leak(Box::new(AtomicU64::new(0))))
        } else {
            // SAFETY: the page was just mapped. A kernel that refuses leaves it to the handlers.
            unsafe { libc::madvise(start, size_of::<AtomicU64>(), libc::MADV_WIPEONFORK) };
            NonNull::new(start.cast()).expect("a mapping does not begin at address zero")
        };
        PAGE.store(page.as_ptr(), Ordering::Release);
        // SAFETY: the handlers are functions of this program; in the child they only close, clear and unlock.
        let answer =
            unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork_in_parent), Some(after_fork_in_child)) };
        assert_eq!(answer, 0, "there is memory for three handlers");
    });
    page().expect("the page was just set")
}

/// Tells whether the process is still the one that made it, at the price of two loads: for those who wrap the library
/// and keep what a forked child must not touch.
///
/// ```
/// let guard = thalweg::ForkGuard::new();
/// assert!(!guard.forked());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ForkGuard {
    generation: u64,
}

impl Default for ForkGuard {
    fn default() -> ForkGuard {
        ForkGuard::new()
    }
}

impl ForkGuard {
    /// A guard of this process.
    pub fn new() -> ForkGuard {
        static GENERATIONS: AtomicU64 = AtomicU64::new(0);
        if let Some(generation) = page().map(|page| page.load(Ordering::Relaxed)).filter(|number| *number != 0) {
            return ForkGuard { generation };
        }
        let page = prepare();
        REGISTRY.with(|_| {
            if page.load(Ordering::Relaxed) == 0 {
                // A child that opens an engine of its own gets a number that none of its parent's engines has.
                page.store(GENERATIONS.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
        });
        ForkGuard { generation: page.load(Ordering::Relaxed) }
    }

    /// Whether this is a forked child of the process that made the guard.
    #[inline]
    pub fn forked(self) -> bool {
        page().is_none_or(|page| page.load(Ordering::Relaxed) != self.generation)
    }
}

/// A descriptor that children of this process close.
#[derive(Debug)]
pub(crate) struct ClosedOnFork {
    fd: RawFd,
    guard: ForkGuard,
}

impl ClosedOnFork {
    /// Registers a new descriptor, made with no fork in between: a child would otherwise keep it unnoticed.
    pub(crate) fn make<T: AsRawFd>(make: impl FnOnce() -> io::Result<T>) -> io::Result<(ClosedOnFork, T)> {
        let guard = ForkGuard::new();
        REGISTRY.with(|inherited| {
            let owner = make()?;
            let fd = owner.as_raw_fd();
            inherited.descriptors.push(fd);
            Ok((ClosedOnFork { fd, guard }, owner))
        })
    }

    pub(crate) fn forked(&self) -> bool {
        self.guard.forked()
    }

    /// Closes the descriptor by dropping what owns it, with no fork in between: a child would otherwise either keep
    /// it, or close another file that got its number. In a child the owner is leaked, as its descriptor is gone.
    pub(crate) fn close<T>(self, owner: T) {
        if self.forked() {
            std::mem::forget(owner);
            return;
        }
        REGISTRY.with(|inherited| {
            inherited.descriptors.retain(|fd| *fd != self.fd);
            drop(owner);
        });
    }
}

/// A descriptor together with its registration.
#[derive(Debug)]
pub(crate) struct GuardedFd {
    parts: Option<(ClosedOnFork, OwnedFd)>,
}

impl GuardedFd {
    pub(crate) fn open(open: impl FnOnce() -> io::Result<OwnedFd>) -> io::Result<GuardedFd> {
        Ok(GuardedFd { parts: Some(ClosedOnFork::make(open)?) })
    }

    fn parts(&self) -> &(ClosedOnFork, OwnedFd) {
        self.parts.as_ref().expect("taken only when dropped")
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.parts().1.as_raw_fd()
    }

    pub(crate) fn forked(&self) -> bool {
        self.parts().0.forked()
    }
}

impl Drop for GuardedFd {
    fn drop(&mut self) {
        if let Some((registration, fd)) = self.parts.take() {
            registration.close(fd);
        }
    }
}

/// The claim of this process on a store, so that a second open in it fails even where the file system's locks do not
/// tell its own descriptors apart.
#[derive(Debug)]
pub(crate) struct StoreClaim {
    store: (u64, u64),
    guard: ForkGuard,
}

impl StoreClaim {
    /// `None`: this process holds the store already.
    pub(crate) fn take(store: (u64, u64)) -> Option<StoreClaim> {
        let guard = ForkGuard::new();
        REGISTRY.with(|inherited| {
            if inherited.stores.contains(&store) {
                return None;
            }
            inherited.stores.push(store);
            Some(StoreClaim { store, guard })
        })
    }
}

impl Drop for StoreClaim {
    fn drop(&mut self) {
        if !self.guard.forked() {
            REGISTRY.with(|inherited| inherited.stores.retain(|store| *store != self.store));
        }
    }
}
