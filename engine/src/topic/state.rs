//! A topic inside the engine: its partitions, made when they are first used.

use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::describe::{PartitionDescription, TopicDescription};
use super::slots::Slots;
use super::totals::Totals;
use crate::durability::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::events::Events;
use crate::gate::Gate;
use crate::ids::{PartitionId, TopicId};
use crate::io::Environment;
use crate::manifest::{MetaDone, MetaOrder};
use crate::partition::{Partition, PartitionStart, Seat};
use crate::producer::RoundRobin;
use crate::reader::Lender;
use crate::segment::Chain;
use crate::shard::{Message, ShardHandle};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, WaitQueue};
use crate::tail::{Tail, TailStart};

/// Changes to the store's metadata; each is durable when the call returns.
pub(crate) trait Metadata: Send + Sync {
    fn order(&self, order: MetaOrder) -> Result<MetaDone>;
}

/// Whoever keeps places in partitions.
pub(crate) trait Followers: Send + Sync {
    /// A log is about to be cut: places beyond `offset` go back to it. Durable when it returns.
    fn go_back(&self, partition: PartitionId, offset: u64) -> Result<()>;
}

/// What everything in one engine shares.
pub(crate) struct Common {
    pub(crate) gate: Arc<Gate>,
    pub(crate) environment: std::sync::Arc<dyn Environment>,
    pub(crate) lender: Arc<Lender>,
    pub(crate) shards: Vec<Arc<ShardHandle>>,
    pub(crate) metadata: OnceLock<Box<dyn Metadata>>,
    pub(crate) followers: OnceLock<Box<dyn Followers>>,
    cuts: RwLock<()>,
    /// Of topics that were deleted. Held while one leaves the others, so that whoever adds all up counts it once.
    pub(crate) deleted: Mutex<Totals>,
    pub(crate) events: Events,
}

impl Common {
    pub(crate) fn new(
        gate: Gate,
        environment: std::sync::Arc<dyn Environment>,
        lender: Arc<Lender>,
        shards: Vec<Arc<ShardHandle>>,
        events: Events,
    ) -> Common {
        Common {
            gate: Arc::new(gate),
            environment,
            lender,
            shards,
            metadata: OnceLock::new(),
            followers: OnceLock::new(),
            cuts: RwLock::new(()),
            deleted: Mutex::default(),
            events,
        }
    }

    /// While this lives no log is cut: what a place was looked up by still holds when it has been made durable.
    pub(crate) fn without_cuts(&self) -> RwLockReadGuard<'_, ()> {
        self.cuts.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// While this lives no place in a partition changes, but those that go back before the cut.
    pub(super) fn cutting(&self) -> RwLockWriteGuard<'_, ()> {
        self.cuts.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn order(&self, order: MetaOrder) -> Result<MetaDone> {
        let metadata = self.metadata.get().expect("the engine gives its topics the metadata before anybody has one");
        metadata.order(order)
    }

    /// The shard that a partition belongs to while this engine is open.
    pub(crate) fn shard_of(&self, partition: PartitionId) -> &Arc<ShardHandle> {
        let number = (partition.topic.0 as usize).wrapping_add(partition.partition as usize);
        &self.shards[number % self.shards.len()]
    }
}

/// A topic.
pub(crate) struct TopicState {
    pub(crate) id: TopicId,
    pub(crate) name: std::sync::Arc<str>,
    pub(crate) durability: Durability,
    pub(crate) turns: RoundRobin,
    pub(crate) common: Arc<Common>,
    slots: Slots<Arc<Seat>>,
    deleted: AtomicBool,
    /// Who waits for a number of partitions, or for the end of the topic.
    shape: WaitQueue,
    /// One change of its shape at a time.
    pub(super) changing: Mutex<()>,
}

impl TopicState {
    pub(crate) fn new(
        id: TopicId,
        name: &str,
        durability: Durability,
        partitions: u32,
        common: &Arc<Common>,
    ) -> TopicState {
        let name = name.into();
        common.events.name(id, &name);
        TopicState {
            id,
            name,
            durability,
            turns: RoundRobin::default(),
            common: Arc::clone(common),
            slots: Slots::new(partitions),
            deleted: AtomicBool::new(false),
            shape: WaitQueue::new(),
            changing: Mutex::new(()),
        }
    }

    /// Refuses a call to a closed engine or a deleted topic.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        self.common.gate.check()?;
        if self.deleted.load(Ordering::Acquire) {
            return Err(self.gone());
        }
        Ok(())
    }

    /// As [`check`](TopicState::check), for a call that would change the topic.
    #[inline]
    pub(crate) fn check_change(&self) -> Result<()> {
        self.common.gate.check_change()?;
        self.check()
    }

    /// Waiters for a number of partitions. All are woken when the topic is deleted.
    pub(crate) fn shape(&self) -> &WaitQueue {
        &self.shape
    }

    fn gone(&self) -> Error {
        Error::new(ErrorKind::Deleted, format!("topic {:?} was deleted", self.name)).of(&self.name, None)
    }

    pub(crate) fn partitions(&self) -> u32 {
        self.slots.len()
    }

    /// A partition, made if this is its first use.
    pub(crate) fn partition(&self, index: u32) -> Result<Arc<Partition>> {
        Ok(self.seat(index)?.current())
    }

    /// Its place, where the partition is made if this is its first use.
    pub(crate) fn seat(&self, index: u32) -> Result<&Arc<Seat>> {
        match self.slots.get(index) {
            Ok(Some(slot)) => Ok(slot.get_or_init(|| Arc::new(Seat::new(self.make(index))))),
            Ok(None) => Err(self.no_partition(index)),
            Err(_) => Err(self.no_memory()),
        }
    }

    #[cold]
    fn no_partition(&self, index: u32) -> Error {
        let last = self.partitions() - 1;
        let message = format!("topic {:?} has partitions 0 to {last}, not {index}", self.name);
        Error::new(ErrorKind::NotFound, message)
    }

    #[cold]
    fn no_memory(&self) -> Error {
        let message =
            format!("the system has no memory for the {} partitions of topic {:?}", self.partitions(), self.name);
        Error::new(ErrorKind::NoMemory, message)
    }

    fn make(&self, index: u32) -> Partition {
        let partition = PartitionId { topic: self.id, partition: index };
        let start = TailStart { partition, durability: self.durability, next_offset: 0, last_time: 0 };
        let tail = Tail::new(start, Arc::clone(self.common.lender.pool()), Arc::new(Chain::new(Vec::new())));
        let shard = Arc::clone(self.common.shard_of(partition));
        let (topic, gate) = (std::sync::Arc::clone(&self.name), Arc::clone(&self.common.gate));
        let partition = Partition::new(PartitionStart { topic, gate, tail, shard, log_start: 0, damaged: Vec::new() });
        if self.deleted.load(Ordering::Acquire) {
            partition.fail(&self.gone());
        }
        partition
    }

    /// Puts in a partition that recovery found.
    pub(crate) fn install(&self, partition: Partition) {
        let slot = self.slots.get(partition.id().partition).expect("an open has memory for what it found");
        let slot = slot.expect("recovery names partitions of the topic");
        let fresh = slot.set(Arc::new(Seat::new(partition))).is_ok();
        assert!(fresh, "recovery names each partition once, before anybody uses it");
    }

    /// A partition, if it has been used.
    pub(crate) fn known(&self, index: u32) -> Option<Arc<Partition>> {
        self.slots.filled(index).map(|seat| seat.current())
    }

    /// The places of partitions that have been used.
    pub(crate) fn seats(&self) -> Vec<Arc<Seat>> {
        self.slots.iter().cloned().collect()
    }

    /// The partitions that have been used.
    pub(crate) fn used(&self) -> Vec<Arc<Partition>> {
        self.seats().iter().map(|seat| seat.current()).collect()
    }

    /// Raises the number of partitions.
    pub(crate) fn add_partitions(&self, total: u32) -> Result<()> {
        let _changing = self.changing.lock();
        self.check_change()?;
        let now = self.partitions();
        if total <= now {
            let message = format!("topic {:?} has {now} partitions; a total of {total} adds none", self.name);
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        self.common.order(MetaOrder::AddPartitions { topic: self.id, total })?;
        self.slots.grow(total);
        self.shape.wake(u64::from(total));
        Ok(())
    }

    /// Deletes the topic: refuses further calls, has the shards stop with it, removes it from the manifest, and has the
    /// shards forget it. In this order a crash leaves the whole topic or none of it.
    pub(crate) fn delete(&self) -> Result<()> {
        let _changing = self.changing.lock();
        self.check()?;
        self.deleted.store(true, Ordering::Release);
        let used = self.used();
        self.stop(&used);
        for partition in &used {
            partition.fail(&self.gone());
            for segment in partition.chain().segments().iter() {
                self.common.lender.forget(segment);
                // An open file keeps its space even when it is removed.
                segment.set_file(None);
            }
        }
        self.common.order(MetaOrder::DeleteTopic { topic: self.id })?;
        self.for_each_shard(&used, |shard, ids| shard.send(Message::Forget(ids)));
        self.common.events.forget(self.id);
        Ok(())
    }

    /// Has the shards stop with partitions, and waits until nothing of them is under way.
    fn stop(&self, partitions: &[Arc<Partition>]) {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.for_each_shard(partitions, |shard, ids| {
            let sender = sender.clone();
            let done = Box::new(move || {
                // The receiver waits below until every sender is gone.
                let _receiver_waits = sender.send(());
            });
            shard.send(Message::Stop(ids, done));
        });
        drop(sender);
        while receiver.recv().is_ok() {}
    }

    /// Calls with each shard that owns some of the partitions, and those.
    fn for_each_shard(&self, partitions: &[Arc<Partition>], mut each: impl FnMut(&ShardHandle, Vec<PartitionId>)) {
        for shard in &self.common.shards {
            let ids = partitions.iter().map(|partition| partition.id());
            let ids: Vec<_> = ids.filter(|id| Arc::ptr_eq(self.common.shard_of(*id), shard)).collect();
            if !ids.is_empty() {
                each(shard, ids);
            }
        }
    }

    pub(crate) fn describe(&self) -> Result<TopicDescription> {
        let mut partitions = Vec::new();
        let total = self.partitions();
        partitions.try_reserve_exact(total as usize).map_err(|_| self.no_memory())?;
        partitions.extend((0..total).map(|partition| {
            let empty = PartitionDescription {
                partition,
                log_start: 0,
                high_watermark: 0,
                size: 0,
                segments: 0,
                damaged: Vec::new(),
                failed: None,
            };
            match self.slots.filled(partition) {
                Some(seat) => describe(&seat.current(), empty),
                None => empty,
            }
        }));
        Ok(TopicDescription { name: self.name.to_string(), id: self.id.0, durability: self.durability, partitions })
    }
}

fn describe(partition: &Partition, empty: PartitionDescription) -> PartitionDescription {
    let segments = partition.chain().segments();
    PartitionDescription {
        log_start: partition.log_start(),
        high_watermark: partition.watermark().high(),
        size: partition.size(),
        segments: u32::try_from(segments.len()).unwrap_or(u32::MAX),
        damaged: partition.damaged().iter().map(|range| partition.damage(range.start, range.end)).collect(),
        failed: partition.watermark().failure().map(|error| error.message().to_owned()),
        ..empty
    }
}
