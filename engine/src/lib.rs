//! Embedded stream storage: partitioned, durable, append-only logs with consumers, as a library.
//!
//! An [`Engine`] owns a store: a directory. It has [`Topic`]s, each a number of partitions; records are appended to a
//! partition and get offsets in it. What was acknowledged survives a kill and a loss of power, unless a topic or an
//! append asks for less ([`Durability`]); readers see only what is as durable as that.
//!
//! - **Append**: [`Topic::append`] returns when the record is durable. [`Topic::submit`] returns at once, with a
//!   [`Ticket`] to ask, to wait for or to await; [`CompletionQueue`] gathers many behind one descriptor.
//! - **Read**: [`Topic::read`] and [`Reader`] lend memory that is shared with the engine: a [`Batch`] pins it until it is
//!   dropped. [`Consumer`] reads many partitions as one, and commits how far it is under its name.
//! - **Keep small things**: [`KeyValues`] beside each topic, [`Positions`] of consumers.
//! - **Watch**: [`Engine::metrics`], [`Engine::events`], [`Engine::info`], [`Engine::verify`].
//!
//! Everything may be called from any thread. Errors are one type, [`Error`], with a [`kind`](Error::kind) to act on.
//! Limits are in [`limits`].
//!
//! ```
//! # fn main() -> thalweg::Result<()> {
//! # let dir = tempfile::tempdir().expect("a directory");
//! use thalweg::{Engine, Options, Record, TopicOptions};
//!
//! let engine = Engine::open(dir.path(), Options::default())?;
//! let topic = engine.create_topic("orders", TopicOptions::default().partitions(4))?;
//! let at = topic.append(&Record::new("paid").key("order-17"))?;
//!
//! for record in &topic.read(at.partition, at.base_offset, 1 << 20)? {
//!     println!("{}: {:?}", record.offset, record.value);
//! }
//! engine.close()
//! # }
//! ```

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
pub use consumer::{Consumer, ConsumerOptions, ConsumerPosition, OutOfRange, Polled, Polling, Position, Wakeup};
pub use durability::Durability;
#[cfg(not(loom))]
pub use engine::{Engine, Info, NamedPosition, Options, Positions, RecoveryReport, Runtime, VerifyReport};
pub use error::{DamagedRange, Error, ErrorKind, Result};
#[cfg(not(loom))]
pub use events::{Event, EventKind, Events, Fallback};
pub use format::record::{Headers, Record, RecordHeader, RecordView};
pub use format::source::{RecordList, RecordSource};
#[cfg(not(loom))]
pub use internal::{KeyValue, KeyValues, Repaired, Write};
#[cfg(not(loom))]
pub use io::fork::ForkGuard;
#[cfg(not(loom))]
pub use metrics::{
    Appends, Bucket, EngineMetrics, Histogram, Lag, Memory, Metrics, PartitionMetrics, Reads, ShardMetrics, Share,
    TopicMetrics, Written,
};
#[cfg(not(loom))]
pub use producer::{AppendOptions, Appended, Completed, CompletionQueue, Part, Target, Ticket, murmur2};
#[cfg(not(loom))]
pub use reader::{Batch, Reader, Records, Start};
#[cfg(not(loom))]
pub use topic::{FrameInfo, PartitionDescription, Topic, TopicDescription, TopicOptions};
