//! What an engine counts of itself, as plain values.
//!
//! Counters are since the engine was opened and only grow; gauges say what is now. Sizes are bytes, times seconds.

mod histogram;
mod prometheus;

use miniserde::Serialize;

pub use histogram::{Bucket, Histogram};

/// What an engine counts of itself. Made by [`Engine::metrics`](crate::Engine::metrics).
///
/// The numbers are read one after the other while the engine works: two that belong together may be a few operations
/// apart. Each counter by itself never falls.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Metrics {
    /// The engine as a whole.
    pub engine: EngineMetrics,
    /// Its shards, by number.
    pub shards: Vec<ShardMetrics>,
    /// Its topics, by name.
    pub topics: Vec<TopicMetrics>,
    /// What consumers have still to read, by name, topic number and partition.
    pub lags: Vec<Lag>,
    /// Why [`lags`](Metrics::lags) is empty, if the named positions cannot be read.
    pub lags_error: Option<String>,
}

/// What was appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Appends {
    /// Batches.
    pub appends: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of their keys, values and headers.
    pub bytes: u64,
}

/// What was read, by readers and consumers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reads {
    /// Batches lent from blocks that were being appended to.
    pub from_appenders: u64,
    /// Batches lent from the cache, without waiting: read ahead, read before, or written lately.
    pub from_cache: u64,
    /// Batches that waited for the device.
    pub from_device: u64,
    /// Bytes of all these batches, as they stand in memory.
    pub bytes: u64,
}

/// An engine as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EngineMetrics {
    /// What moves the bytes: `"uring"` or `"posix"`.
    pub runtime: &'static str,
    /// Since it was opened. Seconds.
    pub open_seconds: f64,
    /// Events that nobody took in time.
    pub events_dropped: u64,
    /// To all topics: those deleted since, named positions and key-values too.
    pub appends: Appends,
    /// From all topics, likewise.
    pub reads: Reads,
    /// Its memory.
    pub memory: Memory,
    /// What it wrote to the device.
    pub written: Written,
    /// Bytes written to the device for each byte of keys, values and headers that was appended. `None` before the first
    /// append.
    pub device_bytes_per_payload_byte: Option<f64>,
}

/// Memory by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Memory {
    /// The memory budget. Bytes.
    pub budget: u64,
    /// The part that is never lent: staging of the journal, and reads when nothing else is left.
    pub reserve: Share,
    /// Appended to, or waiting to be written.
    pub appenders: Share,
    /// On the device too, and dropped when others need the memory.
    pub cache: Share,
    /// Pinned by batches that readers hold.
    pub pins: Share,
    /// Kept for the next use. Bytes.
    pub idle: u64,
    /// Small batches that were copied for readers, beside the budget.
    pub copies: Share,
    /// Indexes of sealed segments, beside the budget. Beyond the limit the oldest are dropped, and read again when they
    /// are needed.
    pub indexes: Share,
}

/// One share of the memory. Shares may lend each other what is not used: their limits add up to more than the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Share {
    /// In use now. Bytes.
    pub used: u64,
    /// The most that it can have, while the others need nothing. Bytes.
    pub limit: u64,
}

/// Bytes written to the device since the engine was opened, by what they are. Padding to sectors is counted, and each
/// write once, however many transfers it took. What recovery wrote before is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Written {
    /// To the journal: small durable writes of many partitions.
    pub journal: u64,
    /// To segments, straight from the appenders' memory.
    pub direct: u64,
    /// To segments, after the journal.
    pub destaged: u64,
    /// To the manifest, and headers and indexes of segments.
    pub metadata: u64,
    /// Zeros, once for each new journal file.
    pub journal_files: u64,
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ShardMetrics {
    /// Its number.
    pub shard: u32,
    /// Durable writes and flushes: from when the shard decided on one until it had the answer.
    pub durable_writes: Histogram,
    /// Operations that are waiting or under way.
    pub queue_depth: u64,
    /// The most that there were at once.
    pub queue_depth_max: u64,
    /// Bytes written to the journal.
    pub written_journal: u64,
    /// Bytes written to segments, straight from the appenders' memory.
    pub written_direct: u64,
    /// Bytes written to segments, after the journal.
    pub written_destaged: u64,
    /// Reads from the device.
    pub device_reads: u64,
    /// Bytes that they gave.
    pub device_read_bytes: u64,
    /// Reads, writes and flushes that the device refused.
    pub io_errors: u64,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TopicMetrics {
    /// Its name.
    pub topic: String,
    /// Its partitions, also those that were never used.
    pub partitions: u32,
    /// To its partitions.
    pub appends: Appends,
    /// From its partitions.
    pub reads: Reads,
    /// Its partitions that have been used, by index. To ask for metrics makes none.
    pub used: Vec<PartitionMetrics>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartitionMetrics {
    /// Its index.
    pub partition: u32,
    /// To it.
    pub appends: Appends,
    /// The offset of the oldest record that is kept.
    pub log_start: u64,
    /// The offset after the last record that readers see.
    pub high_watermark: u64,
    /// Bytes of its frames, padding counted.
    pub size: u64,
    /// Segment files.
    pub segments: u32,
    /// It takes no appends: the device refused a write, or acknowledged records are damaged.
    pub failed: bool,
}

/// A named position, and what is to be read behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lag {
    /// The consumer's name.
    pub consumer: String,
    /// The topic's name.
    pub topic: String,
    /// The partition's index.
    pub partition: u32,
    /// The offset at which the consumer goes on.
    pub offset: u64,
    /// The offset after the last record that readers see.
    pub high_watermark: u64,
    /// Offsets from the position to there.
    pub lag: u64,
}

impl Metrics {
    /// Where nothing can be asked: a forked child.
    pub(crate) fn none(runtime: &'static str) -> Metrics {
        let engine = EngineMetrics {
            runtime,
            open_seconds: 0.0,
            events_dropped: 0,
            appends: Appends::default(),
            reads: Reads::default(),
            memory: Memory::default(),
            written: Written::default(),
            device_bytes_per_payload_byte: None,
        };
        Metrics { engine, shards: Vec::new(), topics: Vec::new(), lags: Vec::new(), lags_error: None }
    }

    /// As one line of JSON: an object with the names of the fields, in their order.
    pub fn to_json(&self) -> String {
        miniserde::json::to_string(self)
    }

    /// As Prometheus scrapes it: text exposition format, version 0.0.4. Serve it as
    /// `text/plain; version=0.0.4; charset=utf-8`. Every name begins with `thalweg_`; what concerns a topic, a shard or
    /// a consumer has it as a label. The number of series grows with the partitions that have been used.
    pub fn to_prometheus(&self) -> String {
        prometheus::text(self)
    }
}

impl Written {
    /// All of it. Bytes.
    pub fn total(&self) -> u64 {
        self.journal + self.direct + self.destaged + self.metadata + self.journal_files
    }
}

impl Reads {
    /// Batches that were there without waiting for the device, of all; `None` if there were none. 0 to 1.
    pub fn hit_rate(&self) -> Option<f64> {
        let hits = self.from_appenders + self.from_cache;
        let all = hits + self.from_device;
        (all > 0).then(|| hits as f64 / all as f64)
    }
}
