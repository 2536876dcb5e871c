//! What a topic looks like now.

use crate::durability::Durability;
use crate::error::DamagedRange;

/// A topic as it is now. Made by [`Topic::describe`](crate::Topic::describe) and
/// [`Engine::topics`](crate::Engine::topics).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its number; never used again in this store, even after the topic is deleted.
    pub id: u32,
    /// When its appends are acknowledged and become visible, unless they ask for something else.
    pub durability: Durability,
    /// Its partitions, by index.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionDescription {
    /// Its index.
    pub partition: u32,
    /// The offset of the oldest record that is kept.
    pub log_start: u64,
    /// The offset after the last record that readers see.
    pub high_watermark: u64,
    /// Bytes of its frames, padding counted.
    pub size: u64,
    /// Segment files. 0 until the first append.
    pub segments: u32,
    /// Acknowledged offsets that recovery found damaged.
    pub damaged: Vec<DamagedRange>,
    /// Why it takes no appends, if it does not.
    pub failed: Option<String>,
}
