//! What an engine reports of itself.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{DamagedRange, Place};
use crate::ids::TopicId;
use crate::manifest::DamagedCopy;
use crate::recovery::Recovered;

/// How an engine works, and why so. Made by [`Engine::info`](crate::Engine::info).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Info {
    /// The store's directory, as it was given to open.
    pub path: PathBuf,
    /// The store's identity: chosen at random when it was created.
    pub store_id: u64,
    /// What moves the bytes: `"uring"` or `"posix"`.
    pub runtime: &'static str,
    /// Why that one.
    pub runtime_reason: String,
    /// Memory that is registered with io_uring, so that writes from it cost less. Counts as locked (RLIMIT_MEMLOCK);
    /// where the limit forbids it everything works without. Bytes.
    pub registered_memory: u64,
    /// Why so much.
    pub registered_reason: String,
    /// Threads that write and read the device.
    pub shards: u32,
    /// How a write is made durable: `"durable write"` (RWF_DSYNC) or `"write then sync"` (fdatasync).
    pub durable_primitive: &'static str,
    /// Why so.
    pub durable_reason: String,
    /// What transfers are aligned to. Bytes.
    pub alignment: u64,
    /// Whether transfers go past the page cache.
    pub direct_io: bool,
    /// How alignment and the way past the page cache were found.
    pub direct_io_reason: String,
    /// All memory that grows with load. Bytes.
    pub memory_budget: u64,
    /// Segment files that stay open at most, beside those in use at the moment.
    pub open_files: u32,
    /// Whether the store is only read.
    pub read_only: bool,
    /// Bytes that the store can still grow by, if the file system says, until the engine is closed.
    pub free_space: Option<u64>,
    /// What opening found.
    pub recovery: RecoveryReport,
}

/// What opening found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The store had been closed cleanly, or is new.
    pub clean: bool,
    /// How long it took to make the store ready.
    pub duration: Duration,
    /// Partitions that hold records.
    pub partitions: usize,
    /// Partitions that were being written when the process ended, and whose ends were found by reading. Appends that were
    /// under way in them may have been cut off; none of them had been acknowledged.
    pub tails: usize,
    /// Acknowledged records that are missing or damaged. These partitions take no appends; the rest of them can be
    /// read.
    pub damaged: Vec<DamagedRange>,
    /// Partitions whose files refused to be made durable, and why. They take no appends until the store is opened
    /// again.
    pub unavailable: Vec<String>,
    /// Journals in which durable writes cannot be read, or that were given up.
    pub damaged_journals: Vec<String>,
    /// Places of the files that say what the store consists of (`MANIFEST` and its log) that cannot be read: file and
    /// bytes. What stood there was taken from its second copy, so nothing is lost; an open that may write has written
    /// both anew. In `MANIFEST` it may also be a write that a loss of power has torn.
    pub damaged_copies: Vec<String>,
}

impl RecoveryReport {
    pub(super) fn new(
        found: &Recovered,
        copies: &[DamagedCopy],
        duration: Duration,
        name: impl Fn(TopicId) -> String,
    ) -> RecoveryReport {
        let damaged = found.partitions.iter().flat_map(|(id, partition)| {
            partition.damaged.iter().map(|damage| DamagedRange {
                topic: name(id.topic),
                partition: id.partition,
                start: damage.start,
                end: damage.end,
            })
        });
        let unavailable = found.partitions.iter().filter_map(|(id, partition)| {
            let error = partition.unavailable.as_ref()?;
            Some(format!("{}: {error}", Place(&name(id.topic), id.partition)))
        });
        RecoveryReport {
            clean: found.clean,
            duration,
            partitions: found.partitions.values().filter(|partition| !partition.segments.is_empty()).count(),
            tails: found.tails,
            damaged: damaged.collect(),
            unavailable: unavailable.collect(),
            damaged_journals: found.damaged_journals.iter().map(ToString::to_string).collect(),
            damaged_copies: copies.iter().map(ToString::to_string).collect(),
        }
    }
}
