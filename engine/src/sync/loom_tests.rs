//! Lock and wait queue under the model checker.

use loom::thread;

use super::model::{model, needs};
use super::{AppendLock, Arc, AtomicU64, Notify, Ordering, WaitQueue, Waiter};

fn lock_excludes() {
    let lock = Arc::new(AppendLock::new(0));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || *lock.lock() += 1)
        })
        .collect();
    *lock.lock() += 1;
    for thread in threads {
        thread.join().expect("no thread panics");
    }
    assert_eq!(*lock.lock(), 3);
}

#[test]
fn loom_the_append_lock_excludes_and_wakes() {
    model(3, lock_excludes);
}

needs!(loom_the_append_lock_needs_its_release: lock_excludes without UnlockReleases, 3);

needs!(loom_the_append_lock_needs_its_exclusion: lock_excludes without LockExcludes, 3);

needs!(loom_the_append_lock_needs_its_wake: lock_excludes without UnlockWakes, 3);

/// A number, and those who wait for it.
struct Counter {
    value: AtomicU64,
    waiters: WaitQueue,
}

impl Counter {
    fn new() -> Arc<Counter> {
        Arc::new(Counter { value: AtomicU64::new(0), waiters: WaitQueue::new() })
    }

    fn wait(&self, target: u64) {
        assert!(self.waiters.wait(target, None, || self.value.load(Ordering::Acquire) >= target));
    }

    fn advance(&self, value: u64) {
        self.value.store(value, Ordering::Release);
        self.waiters.wake(value);
    }
}

fn no_wake_is_lost() {
    let counter = Counter::new();
    let waiter = {
        let counter = Arc::clone(&counter);
        thread::spawn(move || counter.wait(1))
    };
    counter.advance(1);
    waiter.join().expect("no thread panics");
    assert_eq!(counter.waiters.len(), 0);
}

#[test]
fn loom_no_wake_is_lost() {
    model(3, no_wake_is_lost);
}

needs!(loom_the_waiter_must_look_again: no_wake_is_lost without WaiterRechecks, 3);

needs!(loom_the_waiter_must_fence: no_wake_is_lost without WaiterFences, 3);

needs!(loom_the_waker_must_fence: no_wake_is_lost without WakerFences, 3);

struct Told(AtomicU64);

impl Notify for Told {
    fn notify(&self, _token: u64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn who_does_not_find_it_is_told_once() {
    let counter = Counter::new();
    let told = std::sync::Arc::new(Told(AtomicU64::new(0)));
    let asks = {
        let (counter, waiter) = (Arc::clone(&counter), Waiter::Entry(told.clone(), 0));
        thread::spawn(move || counter.waiters.tell(1, waiter, || counter.value.load(Ordering::Acquire) >= 1))
    };
    counter.advance(1);
    let found = asks.join().expect("no thread panics");
    assert_eq!(u64::from(found) + told.0.load(Ordering::Relaxed), 1);
}

#[test]
fn loom_who_does_not_find_it_is_told_once() {
    model(3, who_does_not_find_it_is_told_once);
}

needs!(loom_who_is_told_must_look_again: who_does_not_find_it_is_told_once without WaiterRechecks, 3);

needs!(loom_who_is_told_must_fence: who_does_not_find_it_is_told_once without WaiterFences, 3);

needs!(loom_who_tells_must_fence: who_does_not_find_it_is_told_once without WakerFences, 3);

#[test]
fn loom_waiters_of_two_targets_are_woken_by_two_advances() {
    model(2, || {
        let counter = Counter::new();
        let waiters: Vec<_> = [2, 1]
            .map(|target| {
                let counter = Arc::clone(&counter);
                thread::spawn(move || counter.wait(target))
            })
            .into();
        counter.advance(1);
        counter.advance(2);
        for waiter in waiters {
            waiter.join().expect("no thread panics");
        }
    });
}
