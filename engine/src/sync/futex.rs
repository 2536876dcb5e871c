//! A 32-bit word that threads can sleep on.

use std::time::Instant;

use super::AtomicU32;

/// An atomic word with the kernel's wait queue behind it. Waiting and waking order nothing but themselves: whoever
/// uses the word chooses its orderings.
#[derive(Debug)]
pub(crate) struct Futex {
    pub(crate) word: AtomicU32,
    #[cfg(loom)]
    sleepers: loom::sync::Mutex<()>,
    #[cfg(loom)]
    awoken: loom::sync::Condvar,
}

#[cfg(not(loom))]
impl Futex {
    pub(crate) const fn new(value: u32) -> Futex {
        Futex { word: AtomicU32::new(value) }
    }

    /// Sleeps while the word is `expected`, at the latest until `deadline`. May return early.
    pub(crate) fn wait(&self, expected: u32, deadline: Option<Instant>) {
        let timeout = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
            Some(left) if left.is_zero() => return,
            Some(left) => Some(libc::timespec {
                tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }),
            None => None,
        };
        let timeout = timeout.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        // SAFETY: the word and the time live until the call returns; the kernel reads them and writes nothing.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                expected,
                timeout,
            );
        }
    }

    /// Wakes one sleeper.
    pub(crate) fn wake_one(&self) {
        // SAFETY: the kernel takes the address as a name only.
        unsafe {
            libc::syscall(libc::SYS_futex, self.word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1);
        }
    }
}

#[cfg(loom)]
impl Futex {
    pub(crate) fn new(value: u32) -> Futex {
        Futex { word: AtomicU32::new(value), sleepers: loom::sync::Mutex::new(()), awoken: loom::sync::Condvar::new() }
    }

    /// As the kernel: the look at the word and the falling asleep are one step against a wake. Time never passes.
    pub(crate) fn wait(&self, expected: u32, _deadline: Option<Instant>) {
        let guard = self.sleepers.lock().expect("nothing panics in this section");
        if self.word.load(super::Ordering::Relaxed) == expected {
            drop(self.awoken.wait(guard));
        }
    }

    pub(crate) fn wake_one(&self) {
        let _guard = self.sleepers.lock().expect("nothing panics in this section");
        self.awoken.notify_one();
    }
}
