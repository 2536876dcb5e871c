//! `thalweg stats`: what lies in a store and what is still to be read of it; and what a run of another command did.

use std::io::Write;

use serde::Serialize;
use thalweg::{Lag, Metrics, PartitionMetrics, ShardMetrics, TopicMetrics};

use crate::args::{Global, Stats};
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::size;
use crate::store::{self, Missing};

#[derive(Serialize)]
struct Report {
    path: String,
    runtime: &'static str,
    memory_budget: u64,
    topics: Vec<TopicRow>,
    lags: Vec<LagRow>,
}

#[derive(Serialize)]
struct TopicRow {
    topic: String,
    /// All of them, also those that were never used.
    partitions: u32,
    /// Offsets from the log start to the high watermark, over all partitions.
    offsets: u64,
    bytes: u64,
    segments: u64,
    used: Vec<PartitionRow>,
}

#[derive(Serialize)]
struct PartitionRow {
    partition: u32,
    log_start: u64,
    high_watermark: u64,
    bytes: u64,
    segments: u32,
    failed: bool,
}

#[derive(Serialize)]
struct LagRow {
    consumer: String,
    topic: String,
    partition: u32,
    offset: u64,
    high_watermark: u64,
    lag: u64,
}

pub(crate) fn run(global: &Global, args: &Stats, output: &mut Output) -> Result<(), Failure> {
    if args.prometheus && output.is_json() {
        return Err(Failure::Usage("--json and --prometheus are two forms of one report: name one of them".into()));
    }
    let engine = store::open(global, Missing::Refuse)?;
    let metrics = engine.metrics();
    let lags_error = metrics.lags_error.clone().map(Failure::Failed);
    if args.prometheus {
        output.bytes(metrics.to_prometheus().as_bytes())?;
        return lags_error.map_or(Ok(()), Err);
    }
    let report = Report {
        path: global.dir.display().to_string(),
        runtime: metrics.engine.runtime,
        memory_budget: metrics.engine.memory.budget,
        topics: metrics.topics.iter().map(TopicRow::from).collect(),
        lags: metrics.lags.into_iter().map(LagRow::from).collect(),
    };
    output.report(&report, Report::text)?;
    // What else there is was told.
    lags_error.map_or(Ok(()), Err)
}

/// Tells what a run did, on standard error: standard output is for its records.
pub(crate) fn tell(metrics: &Metrics, json: bool) {
    let text = if json { metrics.to_json() + "\n" } else { summary(metrics) };
    // If standard error is closed, there is nobody left to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn summary(metrics: &Metrics) -> String {
    let (engine, shards) = (&metrics.engine, &metrics.shards);
    let sum = |part: fn(&ShardMetrics) -> u64| shards.iter().map(part).sum::<u64>();
    let slowest = |part| {
        let all = shards.iter().filter(|shard| shard.durable_writes.count > 0);
        let most = all
            .map(|shard| shard.durable_writes.quantile(part))
            .max_by_key(|time| time.map_or(u128::MAX, |t| t.as_nanos()));
        most.flatten().map_or("-".into(), |time| format!("{:.2} ms", time.as_secs_f64() * 1e3))
    };
    let ratio = engine.device_bytes_per_payload_byte.map_or("-".into(), |ratio| format!("{ratio:.2}"));
    let reads = &engine.reads;
    let rows = [
        (
            "appended",
            format!(
                "{} records, {} batches, {} B",
                engine.appends.records, engine.appends.appends, engine.appends.bytes
            ),
        ),
        ("written", format!("{}, {ratio} B for each byte appended", size::show(engine.written.total()))),
        (
            "durable writes",
            format!(
                "{}, half of them in {}, 99 % in {}",
                sum(|shard| shard.durable_writes.count),
                slowest(0.5),
                slowest(0.99)
            ),
        ),
        (
            "operations",
            format!("{} at once at the most", shards.iter().map(|shard| shard.queue_depth_max).max().unwrap_or(0)),
        ),
        (
            "read",
            format!(
                "{} batches, {}: {} from the appenders, {} from the cache, {} from the device",
                reads.from_appenders + reads.from_cache + reads.from_device,
                size::show(reads.bytes),
                reads.from_appenders,
                reads.from_cache,
                reads.from_device
            ),
        ),
    ];
    rows.iter().map(|(name, value)| format!("{name:<16}{value}\n")).collect()
}

impl Report {
    fn text(&self) -> String {
        let mut text = format!(
            "{:<16}{}\n{:<16}{}\n{:<16}{}\n",
            "store",
            self.path,
            "runtime",
            self.runtime,
            "memory budget",
            size::show(self.memory_budget)
        );
        let mut add = |head: &[&str], rows: Vec<Vec<String>>| {
            if !rows.is_empty() {
                text.push('\n');
                text.push_str(&table(head, &rows));
            }
        };
        let head = ["topic", "partitions", "offsets", "size", "segments"];
        add(&head, self.topics.iter().map(TopicRow::cells).collect());
        let partitions = self.topics.iter().flat_map(|topic| topic.used.iter().map(|row| row.cells(&topic.topic)));
        let head = ["topic", "partition", "log start", "high watermark", "size", "segments", "appends"];
        add(&head, partitions.collect());
        let head = ["consumer", "topic", "partition", "offset", "high watermark", "lag"];
        add(&head, self.lags.iter().map(LagRow::cells).collect());
        text
    }
}

impl From<&TopicMetrics> for TopicRow {
    fn from(topic: &TopicMetrics) -> TopicRow {
        let used: Vec<PartitionRow> = topic.used.iter().map(PartitionRow::from).collect();
        TopicRow {
            topic: topic.topic.clone(),
            partitions: topic.partitions,
            offsets: used.iter().map(|partition| partition.high_watermark - partition.log_start).sum(),
            bytes: used.iter().map(|partition| partition.bytes).sum(),
            segments: used.iter().map(|partition| u64::from(partition.segments)).sum(),
            used,
        }
    }
}

impl TopicRow {
    fn cells(&self) -> Vec<String> {
        let numbers = [u64::from(self.partitions), self.offsets].map(|number| number.to_string());
        let [partitions, offsets] = numbers;
        vec![self.topic.clone(), partitions, offsets, size::show(self.bytes), self.segments.to_string()]
    }
}

impl From<&PartitionMetrics> for PartitionRow {
    fn from(partition: &PartitionMetrics) -> PartitionRow {
        PartitionRow {
            partition: partition.partition,
            log_start: partition.log_start,
            high_watermark: partition.high_watermark,
            bytes: partition.size,
            segments: partition.segments,
            failed: partition.failed,
        }
    }
}

impl PartitionRow {
    fn cells(&self, topic: &str) -> Vec<String> {
        vec![
            topic.to_owned(),
            self.partition.to_string(),
            self.log_start.to_string(),
            self.high_watermark.to_string(),
            size::show(self.bytes),
            self.segments.to_string(),
            if self.failed { "no" } else { "yes" }.to_owned(),
        ]
    }
}

impl From<Lag> for LagRow {
    fn from(lag: Lag) -> LagRow {
        LagRow {
            consumer: lag.consumer,
            topic: lag.topic,
            partition: lag.partition,
            offset: lag.offset,
            high_watermark: lag.high_watermark,
            lag: lag.lag,
        }
    }
}

impl LagRow {
    fn cells(&self) -> Vec<String> {
        let numbers = [u64::from(self.partition), self.offset, self.high_watermark, self.lag];
        let names = [self.consumer.clone(), self.topic.clone()];
        names.into_iter().chain(numbers.map(|number| number.to_string())).collect()
    }
}
