//! A ticket: what an append that was not waited for is asked about later.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::Appended;
use super::queue::Place;
use crate::durability::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::partition::Partition;
use crate::sync::{Arc, Mutex, Notify, WaitKey, Waiter};

/// An append that is in memory and has its offsets, and whose acknowledgement is on its way.
///
/// Ask it ([`is_durable`](Ticket::is_durable)), wait for it ([`wait`](Ticket::wait), [`wait_all`](Ticket::wait_all)),
/// or `await` it: it is a [`Future`] that needs no particular executor. Dropping it changes nothing: the append stays
/// and becomes as durable as was asked for. A ticket may be used from any thread and outlive topic and engine; after
/// the engine is closed it tells what became of the append until then.
///
/// # Wakers
/// A task's [`Waker`](core::task::Waker) is called on the thread that has the news: one of the engine's, or one that
/// closes the engine or ends the partition. It should do what executors' do, and only note that the task is ready.
/// It may submit, poll, ask tickets and drop anything. It must not call what waits for the engine, which would wait
/// for itself: blocking appends and reads, [`wait`](Ticket::wait), commits and changes of topics. While it runs, other
/// appends of the shard are not acknowledged. A panic in it ends there.
///
/// ```
/// # fn main() -> thalweg::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// use thalweg::{AppendOptions, Engine, Options, Record, Target, Ticket, TopicOptions};
/// let engine = Engine::open(dir.path(), Options::default())?;
/// let topic = engine.create_topic("orders", TopicOptions::default())?;
/// let mut tickets = Vec::new();
/// for value in ["paid", "packed", "sent"] {
///     tickets.push(topic.submit(Target::Partition(0), &[Record::new(value)], AppendOptions::default())?);
/// }
/// for result in Ticket::wait_all(&tickets, None) {
///     result?;
/// }
/// assert!(tickets[2].is_durable()?);
/// assert_eq!(tickets[2].appended().base_offset, 2);
/// # Ok(())
/// # }
/// ```
#[must_use = "without its ticket an append is not known to be durable"]
pub struct Ticket {
    partition: Arc<Partition>,
    durability: Durability,
    appended: Appended,
    /// Where the task that polled last is registered.
    registration: Option<WaitKey>,
}

impl Ticket {
    pub(crate) fn new(partition: Arc<Partition>, durability: Durability, appended: Appended) -> Ticket {
        Ticket { partition, durability, appended, registration: None }
    }

    /// Another ticket for the same append.
    pub(crate) fn again(&self) -> Ticket {
        Ticket::new(Arc::clone(&self.partition), self.durability, self.appended)
    }

    /// Where the batch stands. Known from the beginning; nothing is promised by it.
    pub fn appended(&self) -> Appended {
        self.appended
    }

    /// Whether the append is acknowledged: as durable as its topic, or its own options, ask for. Never waits.
    ///
    /// # Errors
    /// [`PartitionFailed`](ErrorKind::PartitionFailed) and its like if it never will be: the device refused an earlier
    /// or this write, or the engine was closed before. [`Forked`](ErrorKind::Forked) in a forked child, which is never
    /// told; that holds for every way to ask.
    pub fn is_durable(&self) -> Result<bool> {
        Ok(self.outcome().transpose()?.is_some())
    }

    /// Waits until the append is acknowledged, or `timeout` has passed (`None`: without end).
    ///
    /// # Errors
    /// [`TimedOut`](ErrorKind::TimedOut); the ticket can be asked again. Otherwise as
    /// [`is_durable`](Ticket::is_durable).
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Appended> {
        self.wait_until(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// Waits until all are acknowledged, or `timeout` has passed for all of them together. Answers in the order of the
    /// tickets, each as [`wait`](Ticket::wait) would.
    pub fn wait_all(tickets: &[Ticket], timeout: Option<Duration>) -> Vec<Result<Appended>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        tickets.iter().map(|ticket| ticket.wait_until(deadline)).collect()
    }

    fn wait_until(&self, deadline: Option<Instant>) -> Result<Appended> {
        if self.partition.wait_acknowledged(self.durability, self.appended.next_offset(), deadline)? {
            return Ok(self.appended);
        }
        let message = format!("{}: offset {} is not acknowledged yet", self.partition, self.appended.base_offset);
        Err(Error::new(ErrorKind::TimedOut, message))
    }

    /// What became of the append, if it is known.
    fn outcome(&self) -> Option<Result<Appended>> {
        let known = self.partition.acknowledged(self.durability, self.appended.next_offset())?;
        Some(known.map(|()| self.appended))
    }

    /// Reports to a completion queue instead.
    pub(crate) fn report_to(self, place: Place) {
        let queued = std::sync::Arc::new(Queued { place: Mutex::new(Some(place)), ticket: self });
        let waiters = queued.ticket.partition.watermark().mark(queued.ticket.durability).waiters();
        let notify: std::sync::Arc<dyn Notify> = queued.clone();
        let key = waiters.register(queued.ticket.appended.next_offset(), Waiter::Entry(notify, 0));
        // It may have been reached before the registration; whoever is first takes the place.
        if queued.ticket.outcome().is_some() {
            waiters.cancel(key);
            queued.notify(0);
        }
    }

    fn unregister(&mut self) {
        // A forked child leaves its parent's lists alone: their locks may be held by threads that it does not have.
        if let Some(key) = self.registration.take()
            && !self.partition.is_forked()
        {
            self.partition.watermark().mark(self.durability).waiters().cancel(key);
        }
    }
}

impl Future for Ticket {
    type Output = Result<Appended>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Appended>> {
        self.unregister();
        if let Some(outcome) = self.outcome() {
            return Poll::Ready(outcome);
        }
        let waiters = self.partition.watermark().mark(self.durability).waiters();
        let key = waiters.register(self.appended.next_offset(), Waiter::Task(context.waker().clone()));
        self.registration = Some(key);
        match self.outcome() {
            Some(outcome) => {
                self.unregister();
                Poll::Ready(outcome)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.unregister();
    }
}

impl core::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Ticket { partition, appended, durability, .. } = self;
        write!(f, "Ticket({partition} offsets {}..{}, {durability})", appended.base_offset, appended.next_offset())
    }
}

/// A ticket that reports to a completion queue.
struct Queued {
    place: Mutex<Option<Place>>,
    ticket: Ticket,
}

impl Notify for Queued {
    fn notify(&self, _token: u64) {
        let Some(outcome) = self.ticket.outcome() else { return };
        let place = self.place.lock().take();
        if let Some(place) = place {
            place.complete(outcome);
        }
    }
}
