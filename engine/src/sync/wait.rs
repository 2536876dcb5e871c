//! Waiting for a number to be reached: threads, tasks and completion queues in one queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use super::{AtomicU64, Futex, Guard, Mutex, Ordering, callback, fence, held};

/// Nobody waits. Also the value that wakes everybody.
const NOBODY: u64 = u64::MAX;

/// Told once when its target is reached; the token says which of its entries is meant.
pub(crate) trait Notify: Send + Sync {
    fn notify(&self, token: u64);
}

/// Who waits.
pub(crate) enum Waiter {
    Thread(Arc<Parker>),
    Task(Waker),
    Entry(Arc<dyn Notify>, u64),
}

impl Waiter {
    fn wake(self) {
        match self {
            Waiter::Thread(parker) => parker.unpark(),
            Waiter::Task(waker) => callback(|| waker.wake()),
            Waiter::Entry(queue, token) => queue.notify(token),
        }
    }
}

/// One thread's bed. Woken at most once.
pub(crate) struct Parker {
    woken: Futex,
}

impl Parker {
    pub(crate) fn new() -> Parker {
        Parker { woken: Futex::new(0) }
    }

    /// Sleeps until woken or `deadline`; whether it was woken.
    fn park(&self, deadline: Option<Instant>) -> bool {
        loop {
            if self.woken.word.load(Ordering::Acquire) != 0 {
                return true;
            }
            if deadline.is_some_and(|at| at <= Instant::now()) {
                return false;
            }
            self.woken.wait(0, deadline);
        }
    }

    fn unpark(&self) {
        self.woken.word.store(1, Ordering::Release);
        self.woken.wake_one();
    }
}

/// Names a registration, to cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaitKey {
    target: u64,
    id: u64,
}

/// Waiters of one number that only grows, ordered by what they wait for. The number itself is kept by the owner.
///
/// No wake-up is lost: a waiter registers, fences, and looks at the number again; whoever advances the number stores
/// it, fences, and looks at the least target. One of the two sees the other. A wake visits only those whose target is
/// reached, and is one load when there are none.
pub(crate) struct WaitQueue {
    /// The least target, or [`NOBODY`]; written under the mutex.
    least: AtomicU64,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    by_target: BTreeMap<WaitKey, Waiter>,
    next_id: u64,
}

impl Waiters {
    fn least(&self) -> u64 {
        self.by_target.first_key_value().map_or(NOBODY, |(key, _)| key.target)
    }
}

impl WaitQueue {
    pub(crate) fn new() -> WaitQueue {
        WaitQueue { least: AtomicU64::new(NOBODY), waiters: Mutex::new(Waiters::default()) }
    }

    /// Registers a waiter. The caller must look at the number again afterwards, and [`cancel`](WaitQueue::cancel) if
    /// it has been reached meanwhile.
    pub(crate) fn register(&self, target: u64, waiter: Waiter) -> WaitKey {
        let mut waiters = self.waiters.lock();
        let key = WaitKey { target: target.min(NOBODY - 1), id: waiters.next_id };
        waiters.next_id += 1;
        waiters.by_target.insert(key, waiter);
        self.least.store(waiters.least(), Ordering::Relaxed);
        drop(waiters);
        if held(Guard::WaiterFences) {
            fence(Ordering::SeqCst);
        }
        key
    }

    /// Takes a registration back. `false`: it has been woken, or is being woken now.
    pub(crate) fn cancel(&self, key: WaitKey) -> bool {
        let mut waiters = self.waiters.lock();
        let found = waiters.by_target.remove(&key);
        self.least.store(waiters.least(), Ordering::Relaxed);
        drop(waiters);
        found.is_some()
    }

    /// Wakes whoever waits for `value` or less. To be called after the number has been stored.
    #[inline]
    pub(crate) fn wake(&self, value: u64) {
        if held(Guard::WakerFences) {
            fence(Ordering::SeqCst);
        }
        self.wake_fenced(value);
    }

    /// As [`WaitQueue::wake`], for a caller that has just fenced for several queues at once.
    #[inline]
    pub(crate) fn wake_fenced(&self, value: u64) {
        let least = self.least.load(Ordering::Relaxed);
        if least <= value && least != NOBODY {
            self.wake_reached(value);
        }
    }

    /// Wakes everybody, whatever they wait for.
    pub(crate) fn wake_all(&self) {
        self.wake(NOBODY);
    }

    #[cold]
    fn wake_reached(&self, value: u64) {
        let mut reached = Vec::new();
        let mut waiters = self.waiters.lock();
        while let Some(first) = waiters.by_target.first_entry() {
            if first.key().target > value {
                break;
            }
            reached.push(first.remove());
        }
        self.least.store(waiters.least(), Ordering::Relaxed);
        drop(waiters);
        // Outside the lock: a waker may run code of the host, which may come back here.
        for waiter in reached {
            waiter.wake();
        }
    }

    /// Blocks until `reached` holds or `deadline` has passed; whether it holds. `reached` must become true no later
    /// than the number gets to `target`.
    pub(crate) fn wait(&self, target: u64, deadline: Option<Instant>, reached: impl Fn() -> bool) -> bool {
        while !reached() {
            let parker = Arc::new(Parker::new());
            let key = self.register(target, Waiter::Thread(Arc::clone(&parker)));
            if held(Guard::WaiterRechecks) && reached() {
                self.cancel(key);
                return true;
            }
            if !parker.park(deadline) {
                self.cancel(key);
                return reached();
            }
        }
        true
    }

    /// Has a waiter woken that does not sleep here. `true`: `reached` holds, and it is not woken. `reached` must become
    /// true no later than the number gets to `target`.
    pub(crate) fn tell(&self, target: u64, waiter: Waiter, reached: impl Fn() -> bool) -> bool {
        let key = self.register(target, waiter);
        // Who cannot take it back any more is told.
        held(Guard::WaiterRechecks) && reached() && self.cancel(key)
    }

    /// Registrations at this moment.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.waiters.lock().by_target.len()
    }
}

impl core::fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("WaitQueue").field("least", &self.least.load(Ordering::Relaxed)).finish_non_exhaustive()
    }
}
