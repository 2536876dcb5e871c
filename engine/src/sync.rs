//! Everything that threads meet through: the one place where the real thing and the model checker's part ways.
//!
//! Under `cfg(loom)` the same names are loom's, so that its model checker runs the engine's own types. What the
//! standard library has and loom lacks (a futex, a swappable `Arc`) is built here once for both.

mod callback;
mod counter;
mod doorbell;
mod futex;
mod lock;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, loom))]
pub(crate) mod model;
mod swap;
#[cfg(all(test, not(loom)))]
mod tests;
mod wait;
mod weaken;

pub(crate) use callback::callback;
pub(crate) use counter::Counter;
pub(crate) use doorbell::{Bell, Doorbell};
pub(crate) use futex::Futex;
pub(crate) use lock::AppendLock;
pub(crate) use swap::Swap;
pub(crate) use wait::{Notify, WaitKey, WaitQueue, Waiter};
pub(crate) use weaken::{Guard, held, order};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
};

#[cfg(loom)]
pub(crate) use loom::sync::MutexGuard;
#[cfg(not(loom))]
pub(crate) use std::sync::MutexGuard;

#[cfg(all(test, loom))]
pub(crate) use weaken::weakened;

/// A mutex for rare, short sections. A panic inside one leaves the value as it was last written: holders only make
/// changes that are whole at every step, so a poisoned lock is taken like any other.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T> {
    #[cfg(not(loom))]
    inner: std::sync::Mutex<T>,
    #[cfg(loom)]
    inner: loom::sync::Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        #[cfg(not(loom))]
        let inner = std::sync::Mutex::new(value);
        #[cfg(loom)]
        let inner = loom::sync::Mutex::new(value);
        Mutex { inner }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Memory that one thread writes and others read once an atomic has told them to. loom checks that it has.
#[derive(Debug)]
pub(crate) struct Cell<T> {
    #[cfg(not(loom))]
    inner: core::cell::UnsafeCell<T>,
    #[cfg(loom)]
    inner: loom::cell::UnsafeCell<T>,
}

impl<T> Cell<T> {
    pub(crate) fn new(value: T) -> Cell<T> {
        #[cfg(not(loom))]
        let inner = core::cell::UnsafeCell::new(value);
        #[cfg(loom)]
        let inner = loom::cell::UnsafeCell::new(value);
        Cell { inner }
    }

    /// Runs `f` on a pointer to read through.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        #[cfg(not(loom))]
        return f(self.inner.get());
        #[cfg(loom)]
        return self.inner.with(f);
    }

    /// Runs `f` on a pointer to write through.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        #[cfg(not(loom))]
        return f(self.inner.get());
        #[cfg(loom)]
        return self.inner.with_mut(f);
    }
}
