//! Appends: which partition, when acknowledged, and how the caller learns of it.

mod partitioner;
mod queue;
mod target;

pub use partitioner::murmur2;
pub(crate) use partitioner::{RoundRobin, partition_of};
pub use queue::{Completed, CompletionQueue};
pub use target::{AppendOptions, Appended, Target};
