//! Gathering what is counted all over the engine.

use super::Positions;
use super::core::Core;
use crate::error::Result;
use crate::metrics::{
    Appends, EngineMetrics, Histogram, Lag, Memory, Metrics, PartitionMetrics, Reads, ShardMetrics, Share,
    TopicMetrics, Written,
};
use crate::partition::{Partition, ReadTotals};
use crate::reader::Lender;
use crate::shard::{Latency, ShardHandle};
use crate::sync::Counter;
use crate::tail::AppendTotals;
use crate::topic::{Topic, Totals};

impl Core {
    /// What is counted now.
    pub(super) fn metrics(&self, runtime: &'static str) -> Metrics {
        if self.common().gate.is_forked() {
            return Metrics::none(runtime);
        }
        let (lags, lags_error) = match self.lags() {
            Ok(lags) => (lags, None),
            Err(error) => (Vec::new(), Some(error.message().to_owned())),
        };
        let shards: Vec<ShardMetrics> =
            self.common().shards.iter().enumerate().map(|(number, handle)| shard(number, handle)).collect();
        let (topics, totals) = self.topic_metrics();
        let written = written(&shards, self.written());
        let payload = totals.appends.bytes;
        Metrics {
            engine: EngineMetrics {
                runtime,
                events_dropped: self.common().events.dropped(),
                open_seconds: self.age().as_secs_f64(),
                appends: totals.appends.into(),
                reads: totals.reads.into(),
                memory: memory(&self.common().lender),
                device_bytes_per_payload_byte: (payload > 0).then(|| written.total() as f64 / payload as f64),
                written,
            },
            shards,
            topics,
            lags,
            lags_error,
        }
    }

    /// The users' topics, and what happened to all topics together.
    fn topic_metrics(&self) -> (Vec<TopicMetrics>, Totals) {
        // No topic leaves while these are held: none is counted twice, or not at all.
        let topics = self.by_name();
        let deleted = self.common().deleted.lock();
        let mut totals = *deleted;
        totals.add(self.internal_totals());
        let metrics = topics.values().map(|topic| {
            let (metrics, of_topic) = topic_metrics(topic);
            totals.add(of_topic);
            metrics
        });
        let metrics = metrics.collect();
        (metrics, totals)
    }

    fn lags(&self) -> Result<Vec<Lag>> {
        let positions = Positions::new(self).list(None)?.into_iter().map(|position| Lag {
            consumer: position.consumer,
            topic: position.topic,
            partition: position.partition,
            offset: position.offset,
            high_watermark: position.high_watermark,
            lag: position.lag,
        });
        Ok(positions.collect())
    }
}

fn topic_metrics(topic: &Topic) -> (TopicMetrics, Totals) {
    let (mut totals, mut used) = (Totals::default(), Vec::new());
    for partition in topic.state().used() {
        let of_partition = Totals { appends: partition.tail().appended(), reads: partition.reads().totals() };
        totals.add(of_partition);
        used.push(partition_metrics(&partition, of_partition.appends));
    }
    let metrics = TopicMetrics {
        topic: topic.name().to_owned(),
        partitions: topic.partitions(),
        appends: totals.appends.into(),
        reads: totals.reads.into(),
        used,
    };
    (metrics, totals)
}

fn partition_metrics(partition: &Partition, appends: AppendTotals) -> PartitionMetrics {
    PartitionMetrics {
        partition: partition.id().partition,
        appends: appends.into(),
        log_start: partition.log_start(),
        high_watermark: partition.watermark().high(),
        size: partition.size(),
        segments: u32::try_from(partition.chain().segments().len()).unwrap_or(u32::MAX),
        failed: partition.watermark().failure().is_some(),
    }
}

fn shard(number: usize, handle: &ShardHandle) -> ShardMetrics {
    let counts = handle.counts();
    let latency = counts.durable_writes.totals();
    let buckets = latency.buckets.iter().enumerate().map(|(at, count)| (Latency::bound(at), *count));
    ShardMetrics {
        shard: u32::try_from(number).expect("an engine has at most 64 shards"),
        durable_writes: Histogram::new(buckets, latency.sum),
        queue_depth: counts.queue.get(),
        queue_depth_max: counts.queue_most.get(),
        written_journal: counts.journal.get(),
        written_direct: counts.direct.get(),
        written_destaged: counts.destaged.get(),
        device_reads: counts.reads.get(),
        device_read_bytes: counts.read_bytes.get(),
        io_errors: counts.errors.get(),
    }
}

fn written(shards: &[ShardMetrics], metadata: &crate::manifest::Written) -> Written {
    let sum = |part: fn(&ShardMetrics) -> u64| shards.iter().map(part).sum();
    let [metadata, journal_files] = [&metadata.metadata, &metadata.journal_files].map(Counter::get);
    Written {
        journal: sum(|shard| shard.written_journal),
        direct: sum(|shard| shard.written_direct),
        destaged: sum(|shard| shard.written_destaged),
        metadata,
        journal_files,
    }
}

fn memory(lender: &Lender) -> Memory {
    let pool = lender.pool();
    let (usage, limits) = (pool.usage(), pool.budget().limits());
    let (copies, indexes) = (lender.copied(), lender.indexed());
    let share = |used, limit| Share { used: used as u64, limit: limit as u64 };
    Memory {
        budget: pool.budget().total as u64,
        reserve: share(usage.reserve, limits.reserve),
        appenders: share(usage.appenders, limits.appenders),
        cache: share(usage.cache, limits.cache),
        pins: share(usage.pins, limits.pins),
        idle: usage.idle as u64,
        copies: share(copies.0, copies.1),
        indexes: share(indexes.0, indexes.1),
    }
}

impl From<AppendTotals> for Appends {
    fn from(totals: AppendTotals) -> Appends {
        Appends { appends: totals.appends, records: totals.records, bytes: totals.bytes }
    }
}

impl From<ReadTotals> for Reads {
    fn from(totals: ReadTotals) -> Reads {
        let ReadTotals { from_appenders, from_cache, from_device, bytes } = totals;
        Reads { from_appenders, from_cache, from_device, bytes }
    }
}
