//! Embedded stream storage: partitioned, durable, append-only logs with consumers, as a library.

pub mod error;
pub mod limits;

mod checksum;
mod durability;
mod ids;
mod sync;

mod buffer;
mod format;
mod io;
mod journal;
mod manifest;
mod recovery;
mod segment;
mod shard;
mod tail;

mod runtime;

mod engine;
mod gate;
mod partition;
mod producer;
mod reader;
mod topic;

#[cfg(any(test, feature = "sim"))]
pub mod sim;
#[cfg(not(any(test, feature = "sim")))]
mod sim;

pub use durability::Durability;
pub use engine::{Options, Runtime};
pub use error::{DamagedRange, Error, ErrorKind, Result};
pub use format::record::{Headers, Record, RecordHeader, RecordView};
pub use producer::{AppendOptions, Appended, Completed, CompletionQueue, Target, murmur2};
pub use reader::{Batch, Reader, Records, Start};
pub use topic::TopicOptions;
