//! The names of things inside a store, as numbers.

use core::fmt;

/// A topic. Numbers are never used again, so that a deleted topic's bytes cannot pass for another's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TopicId(pub u32);

/// A partition of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PartitionId {
    /// The topic it belongs to.
    pub topic: TopicId,
    /// Its index within the topic, from 0.
    pub partition: u32,
}

impl PartitionId {
    /// The partition as one number: topic in the upper half.
    pub(crate) fn as_u64(self) -> u64 {
        (u64::from(self.topic.0) << 32) | u64::from(self.partition)
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "topic #{} partition {}", self.topic.0, self.partition)
    }
}

/// Random 64 bits of a segment or journal file. For a given (generation, position) bytes never change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Sequence number of a journal write; contiguous within a shard's journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Lsn(pub u64);

impl Lsn {
    /// The number after this one.
    pub(crate) fn next(self) -> Lsn {
        Lsn(self.0 + 1)
    }
}

/// How a store makes a write durable. Chosen when the store is created, by measuring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum DurablePrimitive {
    /// The write itself is durable when it completes (RWF_DSYNC).
    #[default]
    DurableWrite,
    /// A write, then a flush of the file (fdatasync).
    WriteThenSync,
}
