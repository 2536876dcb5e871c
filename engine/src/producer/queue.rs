//! Completions of many appends in one place, for programs that do not want a thread for each wait.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Appended;
use crate::error::{Error, ErrorKind, Result};
use crate::gate::forked;
use crate::io::EventFd;
use crate::io::fork::ForkGuard;

/// One append that is over.
#[derive(Clone, Debug)]
pub struct Completed {
    /// What the caller passed to [`Topic::submit_to`](crate::Topic::submit_to).
    pub token: u64,
    /// Where the batch is, or why it is not acknowledged.
    pub result: Result<Appended>,
}

/// Where appends report that they are acknowledged, in any number and from any number of topics and partitions.
///
/// A thread sleeps in [`wait`](CompletionQueue::wait), or an event loop watches [`eventfd`](CompletionQueue::eventfd)
/// and calls [`poll`](CompletionQueue::poll) when it is readable. Handles are cheap to clone and may be used from any
/// thread; a completion is delivered once, to whichever call takes it. Completions come in no particular order.
///
/// The queue may be dropped while appends are under way: they stay as durable as they would have been.
///
/// ```
/// # fn main() -> thalweg::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// use thalweg::{AppendOptions, CompletionQueue, Engine, Options, Record, Target, TopicOptions};
/// let engine = Engine::open(dir.path(), Options::default())?;
/// let topic = engine.create_topic("orders", TopicOptions::default())?;
/// let queue = CompletionQueue::new()?;
/// for token in 0..3 {
///     topic.submit_to(&queue, token, Target::Partition(0), &[Record::new(b"paid")], AppendOptions::default())?;
/// }
/// let mut done = Vec::new();
/// while done.len() < 3 {
///     queue.wait(None)?;
///     queue.poll(&mut done);
/// }
/// assert!(done.iter().all(|c| c.result.is_ok()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CompletionQueue {
    shared: Arc<Shared>,
}

struct Shared {
    /// The completions arrive in the process that made the queue. A forked child touches neither the lock, which a
    /// thread that it does not have may hold, nor the descriptor, which is its parent's.
    process: ForkGuard,
    capacity: usize,
    event: EventFd,
    ready: Condvar,
    state: Mutex<State>,
}

struct State {
    done: VecDeque<Completed>,
    /// Appends that will report here, and have not.
    under_way: usize,
    /// Somebody watches the descriptor, so that it has to follow `done`.
    watched: bool,
    /// Threads in `wait`.
    sleepers: usize,
}

impl CompletionQueue {
    /// Appends that may be under way or not yet taken, unless [`with_capacity`](CompletionQueue::with_capacity) says
    /// otherwise.
    pub const CAPACITY_DEFAULT: usize = 65_536;

    /// A queue with room for [`CAPACITY_DEFAULT`](CompletionQueue::CAPACITY_DEFAULT) appends.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the process has no descriptor left.
    pub fn new() -> Result<CompletionQueue> {
        CompletionQueue::with_capacity(CompletionQueue::CAPACITY_DEFAULT)
    }

    /// A queue with room for `capacity` appends, 1 to 16,777,216. One more than that is refused with
    /// [`ErrorKind::WouldBlock`] until a completion is taken, so that a queue nobody reads does not grow. An append
    /// takes about 100 bytes of the heap while it counts.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] outside the range; [`ErrorKind::Io`] if the process has no descriptor left.
    pub fn with_capacity(capacity: usize) -> Result<CompletionQueue> {
        const MOST: usize = 1 << 24;
        if !(1..=MOST).contains(&capacity) {
            let message = format!("option capacity of a completion queue is {capacity}; allowed are 1 to {MOST}");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let event = EventFd::new().map_err(|e| Error::os("cannot create an eventfd", &e))?;
        let state = State { done: VecDeque::new(), under_way: 0, watched: false, sleepers: 0 };
        Ok(CompletionQueue {
            shared: Arc::new(Shared {
                process: ForkGuard::new(),
                capacity,
                event,
                ready: Condvar::new(),
                state: Mutex::new(state),
            }),
        })
    }

    /// Appends all completions that are there to `into`, and returns how many. Never waits. In a forked child there
    /// are none.
    pub fn poll(&self, into: &mut Vec<Completed>) -> usize {
        self.poll_up_to(usize::MAX, into)
    }

    /// As [`poll`](CompletionQueue::poll), but takes `most` completions at most, the oldest. Then the descriptor stays
    /// readable if there are more.
    pub fn poll_up_to(&self, most: usize, into: &mut Vec<Completed>) -> usize {
        if self.shared.process.forked() {
            return 0;
        }
        let mut state = self.shared.lock();
        let count = state.done.len().min(most);
        into.extend(state.done.drain(..count));
        if count > 0 && state.done.is_empty() && state.watched {
            self.shared.event.drain();
        }
        count
    }

    /// Sleeps until a completion is there or `timeout` has passed (`None`: without end), and says whether one is.
    /// Returns at once if nothing is under way, so that a loop over it ends.
    ///
    /// # Errors
    /// [`ErrorKind::Forked`] in a forked child, where no completion arrives.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        self.shared.check_process()?;
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        let mut state = self.shared.lock();
        state.sleepers += 1;
        while state.done.is_empty() && state.under_way > 0 {
            state = match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
                None => self.shared.ready.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => self.shared.ready.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        state.sleepers -= 1;
        Ok(!state.done.is_empty())
    }

    /// A descriptor that is readable exactly while completions are there, for epoll, asyncio and their like. Do not
    /// read from it; [`poll`](CompletionQueue::poll) makes it unreadable. It lives as long as the queue.
    pub fn eventfd(&self) -> BorrowedFd<'_> {
        if self.shared.process.forked() {
            return self.shared.event.as_fd();
        }
        let mut state = self.shared.lock();
        if !state.watched {
            state.watched = true;
            if !state.done.is_empty() {
                self.shared.event.notify();
            }
        }
        drop(state);
        self.shared.event.as_fd()
    }

    /// Appends under way: reserved, and not yet reported. None in a forked child.
    pub fn under_way(&self) -> usize {
        if self.shared.process.forked() { 0 } else { self.shared.lock().under_way }
    }

    /// Takes a place for an append that is about to begin. It comes back completed, or dropped.
    pub(crate) fn reserve(&self, token: u64) -> Result<Place> {
        self.shared.check_process()?;
        let mut state = self.shared.lock();
        if state.under_way + state.done.len() >= self.shared.capacity {
            let message =
                format!("{} appends wait in the completion queue; take their completions", self.shared.capacity);
            return Err(Error::new(ErrorKind::WouldBlock, message));
        }
        state.under_way += 1;
        drop(state);
        Ok(Place { shared: Some(Arc::clone(&self.shared)), token })
    }
}

impl Shared {
    fn check_process(&self) -> Result<()> {
        if self.process.forked() { Err(forked()) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere while it was locked does not matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reserved place in a completion queue.
pub(crate) struct Place {
    shared: Option<Arc<Shared>>,
    token: u64,
}

impl Place {
    /// Reports the append.
    pub(crate) fn complete(mut self, result: Result<Appended>) {
        if let Some(shared) = self.shared.take()
            && !shared.process.forked()
        {
            let mut state = shared.lock();
            state.under_way -= 1;
            let first = state.done.is_empty();
            state.done.push_back(Completed { token: self.token, result });
            if first && state.watched {
                shared.event.notify();
            }
            match (state.sleepers, state.under_way) {
                (0, _) => {}
                // One thread takes it; the others learn that there is nothing more to sleep for.
                (_, 0) => shared.ready.notify_all(),
                _ => shared.ready.notify_one(),
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take()
            && !shared.process.forked()
        {
            let mut state = shared.lock();
            state.under_way -= 1;
            if state.sleepers > 0 && state.under_way == 0 {
                shared.ready.notify_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appended() -> Appended {
        Appended { partition: 0, base_offset: 0, count: 1 }
    }

    fn readable(queue: &CompletionQueue) -> bool {
        queue.eventfd();
        queue.shared.event.wait(Some(Duration::ZERO)).expect("poll")
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_completions_are_there() {
        let queue = CompletionQueue::new().expect("queue");
        let places: Vec<_> = (0..3).map(|t| queue.reserve(t).expect("room")).collect();
        assert!(!readable(&queue));
        for place in places {
            place.complete(Ok(appended()));
            assert!(readable(&queue));
        }
        let mut done = Vec::new();
        assert_eq!(queue.poll(&mut done), 3);
        assert_eq!(done.iter().map(|c| c.token).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(!readable(&queue));
        assert_eq!(queue.poll(&mut done), 0);
    }

    #[test]
    fn a_part_of_the_completions_leaves_the_descriptor_readable() {
        let queue = CompletionQueue::new().expect("queue");
        (0..3).for_each(|token| queue.reserve(token).expect("room").complete(Ok(appended())));
        let mut done = Vec::new();
        assert_eq!(queue.poll_up_to(2, &mut done), 2);
        assert!(readable(&queue));
        assert_eq!(queue.poll_up_to(2, &mut done), 1);
        assert!(!readable(&queue));
        assert_eq!(done.iter().map(|c| c.token).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn completions_from_before_the_descriptor_was_asked_for_make_it_readable() {
        let queue = CompletionQueue::new().expect("queue");
        queue.reserve(7).expect("room").complete(Ok(appended()));
        assert!(readable(&queue));
    }

    #[test]
    fn capacity_counts_what_is_under_way_and_what_is_not_taken() {
        assert!(CompletionQueue::with_capacity(0).is_err());
        assert!(CompletionQueue::with_capacity((1 << 24) + 1).is_err());
        let queue = CompletionQueue::with_capacity(1).expect("queue");
        let place = queue.reserve(0).expect("room");
        assert_eq!(queue.reserve(1).err().map(|e| e.kind()), Some(ErrorKind::WouldBlock));
        place.complete(Ok(appended()));
        assert_eq!(queue.reserve(1).err().map(|e| e.kind()), Some(ErrorKind::WouldBlock));
        queue.poll(&mut Vec::new());
        drop(queue.reserve(1).expect("room"));
        queue.reserve(2).expect("a dropped place is free again");
    }

    #[test]
    fn waiting_ends_with_a_completion_with_the_time_and_when_nothing_is_under_way() {
        let queue = CompletionQueue::new().expect("queue");
        assert!(!queue.wait(None).expect("wait"));
        let place = queue.reserve(0).expect("room");
        assert!(!queue.wait(Some(Duration::from_millis(5))).expect("wait"));
        let other = queue.clone();
        let waiter = std::thread::spawn(move || other.wait(None).expect("wait"));
        std::thread::sleep(Duration::from_millis(10));
        place.complete(Ok(appended()));
        assert!(waiter.join().expect("thread"));
    }

    /// However the last completion is taken: nobody is left to sleep for one that cannot come.
    #[test]
    fn waiting_ends_for_every_thread_when_the_last_append_is_over() {
        let queue = CompletionQueue::new().expect("queue");
        let place = queue.reserve(0).expect("room");
        let (sender, ended) = std::sync::mpsc::channel();
        for _ in 0..3 {
            let (queue, sender) = (queue.clone(), sender.clone());
            std::thread::spawn(move || {
                while queue.wait(None).expect("wait") {
                    queue.poll(&mut Vec::new());
                }
                sender.send(()).expect("the test waits");
            });
        }
        while queue.shared.lock().sleepers < 3 {
            std::thread::yield_now();
        }
        place.complete(Ok(appended()));
        for _ in 0..3 {
            ended.recv_timeout(Duration::from_secs(10)).expect("a thread sleeps on, though nothing is under way");
        }
    }
}
