//! The short lock of a partition.

use core::ops::{Deref, DerefMut};

use super::{Cell, Futex, Guard, Ordering, held, order};

/// Tries before a thread goes to sleep. Longer would only take the core from the holder: the section inside is
/// shorter than a context switch, and with as many busy threads as cores the holder may not be running at all.
const SPINS: u32 = if cfg!(loom) { 0 } else { 50 };

const FREE: u32 = 0;
const LOCKED: u32 = 1;
/// Locked, and somebody may be asleep.
const CONTENDED: u32 = 2;

/// A mutex over `T`: one compare-and-swap in, one swap out, a bounded spin, then the kernel. It does not poison: what
/// is kept under it is changed only after everything that can fail has been done.
#[derive(Debug)]
pub(crate) struct AppendLock<T> {
    futex: Futex,
    value: Cell<T>,
}

// SAFETY: the value is reached only through the guard, and one guard exists at a time.
unsafe impl<T: Send> Sync for AppendLock<T> {}
// SAFETY: the lock owns the value.
unsafe impl<T: Send> Send for AppendLock<T> {}

impl<T> AppendLock<T> {
    pub(crate) fn new(value: T) -> AppendLock<T> {
        AppendLock { futex: Futex::new(FREE), value: Cell::new(value) }
    }

    #[inline]
    pub(crate) fn lock(&self) -> AppendGuard<'_, T> {
        if self.futex.word.compare_exchange(FREE, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lock_contended();
        }
        AppendGuard { lock: self }
    }

    #[cold]
    fn lock_contended(&self) {
        if !held(Guard::LockExcludes) {
            return;
        }
        let word = &self.futex.word;
        for _ in 0..SPINS {
            match word.load(Ordering::Relaxed) {
                FREE if word.compare_exchange(FREE, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok() => return,
                CONTENDED => break,
                _ => core::hint::spin_loop(),
            }
        }
        // From here on the word says "contended" whenever this thread may sleep, so that an unlock wakes somebody.
        while word.swap(CONTENDED, Ordering::Acquire) != FREE {
            self.futex.wait(CONTENDED, None);
        }
    }

    #[inline]
    fn unlock(&self) {
        if self.futex.word.swap(FREE, order(Guard::UnlockReleases, Ordering::Release)) == CONTENDED
            && held(Guard::UnlockWakes)
        {
            self.futex.wake_one();
        }
    }
}

/// The lock, held.
pub(crate) struct AppendGuard<'a, T> {
    lock: &'a AppendLock<T>,
}

impl<T> Deref for AppendGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard is the only way to the value while the lock is held, and it is borrowed.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for AppendGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard is the only way to the value while the lock is held, and it is borrowed mutably.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for AppendGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.unlock();
    }
}
