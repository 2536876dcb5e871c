//! Lock and wait queue with real threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Wake, Waker as TaskWaker};
use std::time::{Duration, Instant};

use super::{AppendLock, Notify, WaitQueue, Waiter};

#[test]
fn the_append_lock_excludes() {
    let lock = AppendLock::new((0_u64, 0_u64));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let mut both = lock.lock();
                    both.0 += 1;
                    both.1 += 1;
                    assert_eq!(both.0, both.1);
                }
            });
        }
    });
    assert_eq!(lock.lock().0, 160_000);
}

#[test]
fn the_append_lock_survives_a_panic_inside() {
    let lock = AppendLock::new(1);
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = lock.lock();
        panic!("inside");
    }));
    assert!(unwound.is_err());
    assert_eq!(*lock.lock(), 1);
}

/// Counts its notifications.
#[derive(Default)]
struct Counts {
    tokens: std::sync::Mutex<Vec<u64>>,
    woken: AtomicUsize,
}

impl Notify for Counts {
    fn notify(&self, token: u64) {
        self.tokens.lock().expect("no test panics inside").push(token);
    }
}

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_wake_visits_those_whose_target_is_reached_in_order() {
    let queue = WaitQueue::new();
    let counts = Arc::new(Counts::default());
    for target in [30, 10, 20, 10] {
        let counts: Arc<dyn Notify> = Arc::clone(&counts) as _;
        queue.register(target, Waiter::Entry(counts, target));
    }
    queue.register(15, Waiter::Task(TaskWaker::from(Arc::clone(&counts))));
    queue.wake(9);
    assert_eq!(queue.len(), 5);
    queue.wake(20);
    assert_eq!(*counts.tokens.lock().expect("no test panics inside"), [10, 10, 20]);
    assert_eq!(counts.woken.load(Ordering::Relaxed), 1);
    queue.wake(29);
    assert_eq!(queue.len(), 1);
    queue.wake_all();
    assert_eq!(queue.len(), 0);
}

#[test]
fn a_cancelled_waiter_is_not_woken() {
    let queue = WaitQueue::new();
    let counts = Arc::new(Counts::default());
    let entry = |token| Waiter::Entry(Arc::clone(&counts) as Arc<dyn Notify>, token);
    let first = queue.register(5, entry(1));
    let second = queue.register(5, entry(2));
    assert!(queue.cancel(first));
    assert!(!queue.cancel(first));
    queue.wake(5);
    assert!(!queue.cancel(second), "it has been woken");
    assert_eq!(*counts.tokens.lock().expect("no test panics inside"), [2]);
}

#[test]
fn who_is_told_is_told_once_unless_it_is_reached_already() {
    let queue = WaitQueue::new();
    let counts = Arc::new(Counts::default());
    let tokens = || counts.tokens.lock().expect("no test panics inside").clone();
    assert!(queue.tell(5, Waiter::Entry(counts.clone(), 1), || true));
    assert!(!queue.tell(5, Waiter::Entry(counts.clone(), 2), || false));
    queue.wake(4);
    assert_eq!(tokens(), []);
    queue.wake(5);
    queue.wake(6);
    assert_eq!((tokens(), queue.len()), (vec![2], 0));
}

#[test]
fn waiting_ends_at_the_deadline() {
    let queue = WaitQueue::new();
    let start = Instant::now();
    assert!(!queue.wait(1, Some(start + Duration::from_millis(20)), || false));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(queue.len(), 0);
    assert!(!queue.wait(1, Some(start), || false), "a deadline in the past does not wait");
    assert!(queue.wait(1, Some(start), || true));
}

#[test]
fn the_largest_target_can_be_waited_for() {
    let queue = WaitQueue::new();
    let counts = Arc::new(Counts::default());
    queue.register(u64::MAX, Waiter::Entry(Arc::clone(&counts) as Arc<dyn Notify>, 7));
    queue.wake(u64::MAX - 2);
    assert_eq!(queue.len(), 1);
    queue.wake(u64::MAX);
    assert_eq!(queue.len(), 0);
}

#[test]
fn every_waiting_thread_is_woken_once_its_target_is_reached() {
    let queue = WaitQueue::new();
    let value = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..16_u64 {
            let (queue, value) = (&queue, &value);
            scope.spawn(move || {
                for round in 0..200 {
                    let target = round * 16 + thread + 1;
                    let reached = || value.load(Ordering::Acquire) >= target;
                    let deadline = Instant::now() + Duration::from_secs(30);
                    assert!(queue.wait(target, Some(deadline), reached), "the wake for {target} was lost");
                }
            });
        }
        for next in 1..=3200 {
            value.store(next, Ordering::Release);
            queue.wake(next);
            if next % 64 == 0 {
                std::thread::yield_now();
            }
        }
    });
    assert_eq!(queue.len(), 0);
}

#[test]
fn thousands_of_waiters_cost_the_waker_only_those_it_reaches() {
    let queue = WaitQueue::new();
    let counts = Arc::new(Counts::default());
    const MANY: u64 = 50_000;
    for target in (1..=MANY).rev() {
        queue.register(target, Waiter::Entry(Arc::clone(&counts) as Arc<dyn Notify>, target));
    }
    for value in 1..=MANY {
        queue.wake(value);
        assert_eq!(counts.tokens.lock().expect("no test panics inside").len() as u64, value);
    }
    assert!(counts.tokens.lock().expect("no test panics inside").is_sorted());
}
