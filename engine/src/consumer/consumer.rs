//! The handle of a consumer: what it reads, and from where.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::BorrowedFd;

use super::options::ConsumerOptions;
use super::signal::Signal;
use super::slot::Slot;
use super::wakeup::Wakeup;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{PartitionId, TopicId};
use crate::internal::{OpenName, PositionStore};
use crate::reader::{Holder, Source, Start};
use crate::sync::{Arc, Notify, WaitKey, Waiter};
use crate::topic::{Common, Topic};

/// Marks the token of a topic; others are those of partitions.
pub(super) const TOPIC: u64 = 1 << 63;

/// Reads any number of topics and partitions as one, in turns, and remembers under a name where it was.
///
/// [`subscribe`](Consumer::subscribe) reads all partitions of a topic, also those that are added later, from their
/// beginning. [`assign`](Consumer::assign) reads one. [`poll`](Consumer::poll) waits for records without a thread of
/// its own and without looking again and again; [`poll_async`](Consumer::poll_async) does as a `Future` that needs no
/// particular executor, so that thousands of consumers can wait. Within a partition records come in order; between
/// partitions there is no order, and none is kept waiting by another that has more.
///
/// With a name, [`commit`](Consumer::commit) makes durable where to go on, over all partitions at once: a consumer of
/// that name begins there, whatever crashed. Records that were handled after the last commit come again: commit after
/// handling to lose none. A name is open once at a time.
///
/// A topic that is deleted ends: the next poll answers [`Deleted`](ErrorKind::Deleted), once, and the ones after it go
/// on with the other topics. Its committed positions mean nothing any more; a new topic of the same name has none.
///
/// ```
/// # fn main() -> thalweg::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// use std::time::Duration;
/// use thalweg::{ConsumerOptions, Engine, Options, Record, TopicOptions};
/// let engine = Engine::open(dir.path(), Options::default())?;
/// let orders = engine.create_topic("orders", TopicOptions::default().partitions(4))?;
/// orders.append(&Record::new("two lamps").key("ann"))?;
///
/// let mut billing = engine.consumer(ConsumerOptions::default().name("billing"))?;
/// billing.subscribe(&orders)?;
/// for polled in billing.poll(1 << 20, Some(Duration::from_secs(1)))? {
///     for record in &polled.batch {
///         println!("{} {} {}: {:?}", polled.topic, polled.partition, record.offset, record.value);
///     }
/// }
/// billing.commit()?;
/// # Ok(())
/// # }
/// ```
pub struct Consumer {
    pub(super) common: Arc<Common>,
    pub(super) store: Arc<PositionStore>,
    pub(super) name: Option<OpenName>,
    pub(super) options: ConsumerOptions,
    /// By token. None is given twice: news may come of what is no longer read.
    pub(super) slots: BTreeMap<u64, Slot>,
    pub(super) by_partition: BTreeMap<PartitionId, u64>,
    /// By token, without the mark.
    pub(super) subscriptions: BTreeMap<u64, Subscription>,
    next_token: u64,
    /// Slots to look at, in turns.
    pub(super) queue: VecDeque<u64>,
    /// Those in the queue.
    pub(super) queued: BTreeSet<u64>,
    /// Slots of which the device was asked.
    pub(super) asked: usize,
    /// To be told by the next poll.
    pub(super) errors: VecDeque<Error>,
    pub(super) signal: Arc<Signal>,
    /// Its partitions copy as one.
    holder: Holder,
}

/// A topic of which all partitions are read.
pub(super) struct Subscription {
    pub(super) topic: Topic,
    /// Partitions that are read already.
    known: u32,
    /// Where the signal is registered for more of them.
    waiting: Option<WaitKey>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(key) = self.waiting.take() {
            self.topic.state().shape().cancel(key);
        }
    }
}

impl Consumer {
    pub(crate) fn new(common: &Arc<Common>, store: &Arc<PositionStore>, options: ConsumerOptions) -> Result<Consumer> {
        common.gate.check()?;
        options.check()?;
        let name = options.name.as_deref().map(|name| store.open(name)).transpose()?;
        Ok(Consumer {
            common: Arc::clone(common),
            store: Arc::clone(store),
            name,
            options,
            slots: BTreeMap::new(),
            by_partition: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            next_token: 0,
            queue: VecDeque::new(),
            queued: BTreeSet::new(),
            asked: 0,
            errors: VecDeque::new(),
            signal: Arc::default(),
            holder: Holder::default(),
        })
    }

    /// The name it was made with.
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().map(OpenName::name)
    }

    /// A descriptor that is readable while a poll has something to look at, for epoll, asyncio and their like; then call
    /// [`try_next`](Consumer::try_next) until it answers nothing. It may be readable and there is nothing. Do not read
    /// from it. It lives as long as the consumer, and is made by the first call.
    ///
    /// While polls answer [`WouldBlock`](ErrorKind::WouldBlock), or an error that does not go away by itself, it stays
    /// readable.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the process has no descriptor left; [`Forked`](ErrorKind::Forked) in a forked child.
    pub fn eventfd(&self) -> Result<BorrowedFd<'_>> {
        self.common.gate.check_process()?;
        self.signal.descriptor(self.has_more())
    }

    /// Whether a poll has something to look at of which no news will come.
    pub(super) fn has_more(&self) -> bool {
        !self.queue.is_empty() || !self.errors.is_empty()
    }

    /// What ends a poll of this consumer early, from another thread.
    pub fn wakeup(&self) -> Wakeup {
        Wakeup::new(&self.signal)
    }

    /// Reads all partitions of a topic: from the positions committed under the consumer's name, or where there is none
    /// from where the options say. Partitions that are added later are read from their committed positions, or from
    /// their beginning. Partitions that are read already stay where they are.
    ///
    /// # Errors
    /// [`Deleted`](ErrorKind::Deleted); [`InvalidArgument`](ErrorKind::InvalidArgument) for a topic of another engine;
    /// [`Corrupt`](ErrorKind::Corrupt) if the committed positions cannot be read, which are never taken for none: see
    /// [`Positions::repair`](crate::Positions::repair).
    pub fn subscribe(&mut self, topic: &Topic) -> Result<()> {
        self.check(topic)?;
        let id = topic.state().id;
        if self.subscriptions.values().any(|subscription| subscription.topic.state().id == id) {
            return Ok(());
        }
        let known = topic.partitions();
        let new = (0..known)
            .filter(|partition| !self.by_partition.contains_key(&PartitionId { topic: id, partition: *partition }));
        // Before the positions: what is cut from here on is a cut for them.
        let sources = new.map(|partition| topic.source(partition)).collect::<Result<Vec<Source>>>()?;
        let saved = self.saved(id)?;
        for mut source in sources {
            let committed = saved.get(&source.partition.id().partition).copied();
            let offset = match committed {
                Some(offset) => offset,
                None => source.resolve(self.options.start)?,
            };
            self.add(Slot::new(topic, source, offset, committed));
        }
        let token = self.take_token();
        self.subscriptions.insert(token, Subscription { topic: topic.clone(), known, waiting: None });
        self.watch(token);
        Ok(())
    }

    /// Reads one partition: from `start`, or without one as [`subscribe`](Consumer::subscribe) does. A partition that
    /// is read already goes to `start`.
    ///
    /// # Errors
    /// As [`subscribe`](Consumer::subscribe); [`NotFound`](ErrorKind::NotFound) for a partition that the topic does
    /// not have; [`OutOfRange`](ErrorKind::OutOfRange) for an offset that is.
    pub fn assign(&mut self, topic: &Topic, partition: u32, start: Option<Start>) -> Result<()> {
        self.check(topic)?;
        let mut source = topic.source(partition)?;
        if self.by_partition.contains_key(&source.partition.id()) {
            return start.map_or(Ok(()), |start| self.seek(topic, partition, start));
        }
        let committed = self.saved(topic.state().id)?.get(&partition).copied();
        let offset = match (start, committed) {
            (None, Some(offset)) => offset,
            (start, _) => source.resolve(start.unwrap_or(self.options.start))?,
        };
        self.add(Slot::new(topic, source, offset, committed));
        Ok(())
    }

    /// Stops reading a topic, all its partitions. What was committed stays.
    pub fn unsubscribe(&mut self, topic: &Topic) {
        self.remove(topic.state().id);
    }

    /// Goes somewhere else in a partition that is read. A seek to a time may ask the device.
    ///
    /// # Errors
    /// [`OutOfRange`](ErrorKind::OutOfRange) for an offset that is; [`NotFound`](ErrorKind::NotFound) for a partition
    /// that is not read. The consumer stays where it was.
    pub fn seek(&mut self, topic: &Topic, partition: u32, start: Start) -> Result<()> {
        self.check(topic)?;
        let index = self.index(topic, partition)?;
        let slot = self.slots.get_mut(&index).expect("a partition that is read has its slot");
        slot.seek(start)?;
        slot.stop_waiting();
        self.enqueue(index);
        Ok(())
    }

    /// Goes somewhere else in all partitions that are read.
    ///
    /// # Errors
    /// As [`seek`](Consumer::seek). After one, some partitions have moved and others not.
    pub fn seek_all(&mut self, start: Start) -> Result<()> {
        let read: Vec<(Topic, u32)> =
            self.slots.values().map(|slot| (slot.topic.clone(), slot.id().partition)).collect();
        read.iter().try_for_each(|(topic, partition)| self.seek(topic, *partition, start))
    }

    pub(super) fn check(&self, topic: &Topic) -> Result<()> {
        topic.state().check()?;
        if Arc::ptr_eq(&topic.state().common, &self.common) {
            return Ok(());
        }
        let message = format!("topic {:?} is of another engine than the consumer", topic.name());
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }

    pub(super) fn index(&self, topic: &Topic, partition: u32) -> Result<u64> {
        let id = PartitionId { topic: topic.state().id, partition };
        self.by_partition.get(&id).copied().ok_or_else(|| {
            let message = format!("the consumer does not read topic {:?} partition {partition}", topic.name());
            Error::new(ErrorKind::NotFound, message)
        })
    }

    /// The offsets committed under the consumer's name, by partition.
    fn saved(&self, topic: TopicId) -> Result<BTreeMap<u32, u64>> {
        let Some(name) = self.name() else { return Ok(BTreeMap::new()) };
        let saved = self.store.of(name)?;
        let of_topic = saved.into_iter().filter(|saved| saved.partition.topic == topic);
        Ok(of_topic.map(|saved| (saved.partition.partition, saved.offset)).collect())
    }

    fn add(&mut self, mut slot: Slot) {
        slot.source.hold_as(&self.holder);
        let index = self.take_token();
        self.by_partition.insert(slot.id(), index);
        self.slots.insert(index, slot);
        self.enqueue(index);
    }

    fn take_token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    pub(super) fn enqueue(&mut self, index: u64) {
        if self.queued.insert(index) {
            self.queue.push_back(index);
            self.signal.settle(true);
        }
    }

    /// Stops reading a topic.
    pub(super) fn remove(&mut self, topic: TopicId) {
        self.subscriptions.retain(|_, subscription| subscription.topic.state().id != topic);
        let of_topic = PartitionId { topic, partition: 0 }..=PartitionId { topic, partition: u32::MAX };
        let gone: Vec<(PartitionId, u64)> = self.by_partition.range(of_topic).map(|(id, at)| (*id, *at)).collect();
        for (id, index) in gone {
            self.by_partition.remove(&id);
            if self.slots.remove(&index).is_some_and(|slot| slot.asked) {
                self.asked -= 1;
            }
        }
        self.queue.retain(|index| self.slots.contains_key(index));
        self.queued.retain(|index| self.slots.contains_key(index));
    }

    /// Takes in the partitions that a topic has got, and waits for the next.
    pub(super) fn watch(&mut self, index: u64) {
        loop {
            let Some(subscription) = self.subscriptions.get_mut(&index) else { return };
            let topic = subscription.topic.clone();
            let state = topic.state();
            if let Err(error) = state.check() {
                // The end of the engine is told by every call, the end of a topic once.
                if error.kind() == ErrorKind::Deleted {
                    self.errors.push_back(error);
                    self.remove(state.id);
                }
                return;
            }
            let target = u64::from(subscription.known) + 1;
            let notify: Arc<dyn Notify> = Arc::clone(&self.signal) as Arc<dyn Notify>;
            let key = state.shape().register(target, Waiter::Entry(notify, TOPIC | index));
            if u64::from(state.partitions()) < target && state.check().is_ok() {
                subscription.waiting = Some(key);
                return;
            }
            state.shape().cancel(key);
            let total = state.partitions();
            let known = std::mem::replace(&mut subscription.known, total);
            let sources: Vec<Source> = (known..total).filter_map(|partition| topic.source(partition).ok()).collect();
            // They were read when the topic was subscribed: only a closed engine refuses them, which every call tells.
            let Ok(saved) = self.saved(state.id) else { return };
            for mut source in sources {
                if !self.by_partition.contains_key(&source.partition.id())
                    && let Ok(earliest) = source.resolve(Start::Earliest)
                {
                    let committed = saved.get(&source.partition.id().partition).copied();
                    self.add(Slot::new(&topic, source, committed.unwrap_or(earliest), committed));
                }
            }
        }
    }
}

impl core::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Consumer({:?}, {} partitions)", self.name(), self.by_partition.len())
    }
}

#[cfg(test)]
mod tests {
    use crate::{ConsumerOptions, Engine, Options, Record, Target, TopicOptions};

    #[test]
    fn what_is_no_longer_read_takes_no_memory() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let engine = Engine::open(directory.path(), Options::default()).expect("opened");
        let topic = engine.create_topic("t", TopicOptions::default().partitions(8)).expect("created");
        let mut consumer = engine.consumer(ConsumerOptions::default()).expect("made");
        for _ in 0..50 {
            topic.append_batch(Target::RoundRobin, &[Record::new("x")]).expect("appended");
            consumer.subscribe(&topic).expect("subscribed");
            consumer.poll(1, None).expect("polled");
            consumer.unsubscribe(&topic);
        }
        assert!(consumer.slots.is_empty() && consumer.subscriptions.is_empty());
        assert!(consumer.queue.is_empty() && consumer.queued.is_empty() && consumer.asked == 0);
        consumer.subscribe(&topic).expect("subscribed");
        consumer.poll(1, None).expect("polled");
    }
}
