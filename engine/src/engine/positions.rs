//! Named positions, for whoever looks after them.

use std::collections::BTreeMap;

use super::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::TopicId;
use crate::internal::{PositionStore, Repaired, Saved, check_name};
use crate::limits::BATCH_RECORDS_MAX;
use crate::partition::Partition;
use crate::reader::Start;
use crate::sync::Arc;
use crate::topic::Topic;

/// A committed position. Made by [`Positions::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedPosition {
    /// The consumer's name.
    pub consumer: String,
    /// The topic's name.
    pub topic: String,
    /// The partition's index.
    pub partition: u32,
    /// The offset at which the consumer goes on.
    pub offset: u64,
    /// What was committed with it.
    pub metadata: Vec<u8>,
    /// The offset after the last record that readers see.
    pub high_watermark: u64,
    /// Offsets from the position to there: what the consumer has still to read.
    pub lag: u64,
}

/// The named positions of a store: to list, reset and delete. Made by [`Engine::positions`](crate::Engine::positions).
///
/// ```
/// # fn main() -> thalweg::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// use thalweg::{ConsumerOptions, Engine, Options, Record, Start, TopicOptions};
/// let engine = Engine::open(dir.path(), Options::default())?;
/// let orders = engine.create_topic("orders", TopicOptions::default())?;
/// orders.append(&Record::new("two lamps"))?;
/// engine.positions().reset("billing", &orders, None, Start::Earliest)?;
/// assert_eq!(engine.positions().list(Some("billing"))?[0].lag, 1);
/// engine.positions().delete("billing", None)?;
/// assert!(engine.positions().list(None)?.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Positions<'a> {
    core: &'a Core,
}

impl<'a> Positions<'a> {
    pub(super) fn new(core: &'a Core) -> Positions<'a> {
        Positions { core }
    }

    /// The positions of a consumer, or of all, by name, topic number and partition. Those of deleted topics are left
    /// out.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a name that no consumer can have;
    /// [`Corrupt`](ErrorKind::Corrupt) if the positions cannot be read: see [`repair`](Positions::repair).
    pub fn list(&self, consumer: Option<&str>) -> Result<Vec<NamedPosition>> {
        consumer.map_or(Ok(()), check_name)?;
        let saved = match consumer {
            Some(name) => self.core.positions().of(name)?.into_iter().map(|saved| (name.to_owned(), saved)).collect(),
            None => self.core.positions().all()?,
        };
        let topics: BTreeMap<TopicId, Topic> =
            self.core.handles().into_iter().map(|topic| (topic.state().id, topic)).collect();
        let mut listed = Vec::new();
        for (consumer, saved) in saved {
            let Some(topic) = topics.get(&saved.partition.topic) else { continue };
            // One that was never used is not made: it has nothing.
            let partition = topic.state().known(saved.partition.partition);
            let high_watermark = partition.map_or(0, |partition| partition.watermark().high());
            listed.push(NamedPosition {
                consumer,
                topic: topic.name().to_owned(),
                partition: saved.partition.partition,
                offset: saved.offset,
                metadata: saved.metadata,
                high_watermark,
                lag: high_watermark.saturating_sub(saved.offset),
            });
        }
        Ok(listed)
    }

    /// Puts a consumer at `start` in one partition of a topic, or in all of them: all or none, and durable when it
    /// returns. Only of a topic with all 65,536 partitions that it can have, the last one is a step of its own. The
    /// consumer need not exist before. Metadata is dropped.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for a partition that the topic does not have;
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a topic of another engine;
    /// [`AlreadyOpen`](ErrorKind::AlreadyOpen) while a consumer of this name is open;
    /// [`OutOfRange`](ErrorKind::OutOfRange) for an offset that is; otherwise as
    /// [`Consumer::commit`](crate::Consumer::commit).
    pub fn reset(&self, consumer: &str, topic: &Topic, partition: Option<u32>, start: Start) -> Result<()> {
        self.core.check_own(topic)?;
        let open = self.core.positions().open(consumer)?;
        let partitions = partition.map_or_else(|| (0..topic.partitions()).collect(), |partition| vec![partition]);
        let mut sources = partitions.into_iter().map(|index| topic.source(index)).collect::<Result<Vec<_>>>()?;
        let _kept = topic.state().common.without_cuts();
        let places = sources.iter_mut().map(|source| {
            let offset = source.resolve(start)?;
            Ok((source.current(), offset))
        });
        let places = places.collect::<Result<Vec<_>>>()?;
        PositionStore::keep(&places)?;
        let saved = |(partition, offset): (Arc<Partition>, u64)| Saved {
            partition: partition.id(),
            offset,
            metadata: Vec::new(),
        };
        let saved: Vec<Saved> = places.into_iter().map(saved).collect();
        // A topic with every partition that it can have has one more than a commit takes.
        for saved in saved.chunks(BATCH_RECORDS_MAX) {
            self.core.positions().commit(open.name(), saved)?;
        }
        Ok(())
    }

    /// Where damage on the device keeps the positions of all consumers from being read: goes on with those that can be
    /// read. Changes that are damaged, or that the device does not give, are lost, and the position before such a
    /// change is what is left: the consumer may read records again. The answer counts what is uncertain. Durable when
    /// it returns, all or nothing. Without damage it only rewrites the log.
    ///
    /// # Errors
    /// Those of [`Topic::append`](crate::Topic::append); and what the open was told where the device did not let the
    /// log be read to its end, as the next open may be luckier.
    pub fn repair(&self) -> Result<Repaired> {
        self.core.positions().repair()
    }

    /// Removes the positions of a consumer in one topic, or all of them. Durable when it returns.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there are none; otherwise as [`reset`](Positions::reset).
    pub fn delete(&self, consumer: &str, topic: Option<&Topic>) -> Result<()> {
        topic.map_or(Ok(()), |topic| self.core.check_own(topic))?;
        let open = self.core.positions().open(consumer)?;
        match self.core.positions().delete(open.name(), topic.map(|topic| topic.state().id))? {
            0 => Err(Error::new(ErrorKind::NotFound, format!("consumer {consumer:?} has no positions there"))),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Positions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Positions")
    }
}
