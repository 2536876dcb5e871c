//! Signals: engine threads take none, and a file size limit is an error, not a death.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    static ALL_BLOCKED: Cell<bool> = const { Cell::new(false) };
}

fn empty_set() -> libc::sigset_t {
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut set = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a live value that the call fills.
    unsafe { libc::sigemptyset(&raw mut set) };
    set
}

fn change_mask(how: libc::c_int, set: &libc::sigset_t) -> libc::sigset_t {
    let mut before = empty_set();
    // SAFETY: both sets are live values. The call fails only for an unknown `how`.
    let answer = unsafe { libc::pthread_sigmask(how, set, &raw mut before) };
    assert_eq!(answer, 0, "the ways to change a mask are all known");
    before
}

/// Blocks every signal of the calling thread until dropped; threads started meanwhile inherit that for their life.
/// Faults of the thread itself stay open, so that the host's crash reporter sees them.
pub(crate) struct AllBlocked {
    before: libc::sigset_t,
    /// The mask belongs to the thread that changed it.
    _thread: PhantomData<*const ()>,
}

impl AllBlocked {
    pub(crate) fn new() -> AllBlocked {
        let mut all = empty_set();
        // SAFETY: `all` is a live set.
        unsafe { libc::sigfillset(&raw mut all) };
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS] {
            // SAFETY: `all` is a live set and the signal exists.
            unsafe { libc::sigdelset(&raw mut all, fault) };
        }
        AllBlocked { before: change_mask(libc::SIG_SETMASK, &all), _thread: PhantomData }
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        change_mask(libc::SIG_SETMASK, &self.before);
    }
}

/// Notes that the calling thread was started under [`AllBlocked`], so that shields cost nothing on it.
pub(crate) fn thread_takes_no_signals() {
    ALL_BLOCKED.set(true);
}

/// While it lives, a write beyond RLIMIT_FSIZE on this thread is `EFBIG` and no signal: the default action of SIGXFSZ
/// would end the host program.
pub(crate) struct FileSizeShield {
    before: Option<libc::sigset_t>,
    _thread: PhantomData<*const ()>,
}

impl FileSizeShield {
    pub(crate) fn new() -> FileSizeShield {
        let before = (!ALL_BLOCKED.get()).then(|| {
            let mut set = empty_set();
            // SAFETY: `set` is a live set and the signal exists.
            unsafe { libc::sigaddset(&raw mut set, libc::SIGXFSZ) };
            change_mask(libc::SIG_BLOCK, &set)
        });
        FileSizeShield { before, _thread: PhantomData }
    }
}

impl Drop for FileSizeShield {
    fn drop(&mut self) {
        let Some(before) = self.before else { return };
        // SAFETY: `before` is a live set.
        if unsafe { libc::sigismember(&raw const before, libc::SIGXFSZ) } == 0 {
            let mut set = empty_set();
            let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: the sets and the time are live values; what is pending on this thread was raised by our write.
            unsafe {
                libc::sigaddset(&raw mut set, libc::SIGXFSZ);
                libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const none);
            }
        }
        change_mask(libc::SIG_SETMASK, &before);
    }
}
