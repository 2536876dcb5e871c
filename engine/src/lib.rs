//! Embedded stream storage: partitioned, durable, append-only logs with consumers, as a library.

#![cfg_attr(loom, allow(dead_code, unused_imports, reason = "the model checker's builds leave out what uses them"))]

#[cfg(not(target_os = "linux"))]
compile_error!("thalweg needs Linux: it stands on io_uring, direct I/O and Linux's file locks");
#[cfg(not(all(target_pointer_width = "64", target_endian = "little")))]
compile_error!("thalweg needs a 64-bit little-endian target, such as x86_64 or aarch64: its format is read in place");

pub mod error;
pub mod limits;

mod checksum;
mod durability;
mod ids;
mod sync;

mod buffer;
#[cfg(not(loom))]
mod events;
mod format;
mod io;
mod segment;
mod tail;

// The model checker's builds (`--cfg loom`) end here: what stands above meets other threads only through these.
#[cfg(not(loom))]
mod journal;
#[cfg(not(loom))]
mod manifest;
#[cfg(not(loom))]
mod recovery;
#[cfg(not(loom))]
mod shard;

#[cfg(not(loom))]
mod runtime;

#[cfg(not(loom))]
mod consumer;
#[cfg(not(loom))]
mod engine;
#[cfg(not(loom))]
mod gate;
#[cfg(not(loom))]
mod internal;
#[cfg(not(loom))]
mod metrics;
#[cfg(not(loom))]
mod partition;
#[cfg(not(loom))]
mod producer;
#[cfg(not(loom))]
mod reader;
#[cfg(not(loom))]
mod topic;

#[cfg(all(not(loom), any(test, feature = "sim")))]
pub mod fuzz;
#[cfg(all(not(loom), any(test, feature = "sim")))]
pub mod sim;
#[cfg(all(not(loom), not(any(test, feature = "sim"))))]
mod sim;
// The levels that the model checker sees ask whether a bug is planted; nobody plants one there.
#[cfg(loom)]
mod sim {
    pub(crate) mod bugs;
}

#[cfg(not(loom))]
pub use consumer::{Consumer, ConsumerOptions, ConsumerPosition, OutOfRange, Polled, Polling, Position};
pub use durability::Durability;
#[cfg(not(loom))]
pub use engine::{Engine, Info, NamedPosition, Options, Positions, RecoveryReport, Runtime, VerifyReport};
pub use error::{DamagedRange, Error, ErrorKind, Result};
#[cfg(not(loom))]
pub use events::{Event, EventKind, Events, Fallback};
pub use format::record::{Headers, Record, RecordHeader, RecordView};
#[cfg(not(loom))]
pub use internal::{KeyValue, KeyValues, Write};
#[cfg(not(loom))]
pub use metrics::{
    Appends, Bucket, EngineMetrics, Histogram, Lag, Memory, Metrics, PartitionMetrics, Reads, ShardMetrics, Share,
    TopicMetrics, Written,
};
#[cfg(not(loom))]
pub use producer::{AppendOptions, Appended, Completed, CompletionQueue, Target, Ticket, murmur2};
#[cfg(not(loom))]
pub use reader::{Batch, Reader, Records, Start};
#[cfg(not(loom))]
pub use topic::{FrameInfo, PartitionDescription, Topic, TopicDescription, TopicOptions};
