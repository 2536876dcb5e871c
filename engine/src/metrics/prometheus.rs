//! Metrics as Prometheus scrapes them: text exposition format, version 0.0.4.

use core::fmt::Display;

use super::{Histogram, Metrics};

/// The families written so far.
#[derive(Default)]
struct Text(String);

type Labels<'a> = &'a [(&'a str, &'a str)];

pub(super) fn text(metrics: &Metrics) -> String {
    let mut text = Text::default();
    engine(&mut text, metrics);
    memory(&mut text, metrics);
    shards(&mut text, metrics);
    topics(&mut text, metrics);
    partitions(&mut text, metrics);
    lags(&mut text, metrics);
    text.0
}

fn engine(text: &mut Text, metrics: &Metrics) {
    let engine = &metrics.engine;
    text.family("thalweg_info", "gauge", "The version, and what moves the bytes; always 1");
    text.sample("thalweg_info", &[("version", env!("CARGO_PKG_VERSION")), ("runtime", engine.runtime)], 1);
    text.one("thalweg_open_seconds", "gauge", "Time since the engine was opened", engine.open_seconds);
    let what = "Events that nobody took in time";
    text.one("thalweg_events_dropped_total", "counter", what, engine.events_dropped);
    let appends = "Batches appended, to all topics, for positions and for key-values";
    text.one("thalweg_appends_total", "counter", appends, engine.appends.appends);
    text.one("thalweg_appended_records_total", "counter", "Records appended, to all topics", engine.appends.records);
    let what = "Bytes of keys, values and headers appended, to all topics";
    text.one("thalweg_appended_bytes_total", "counter", what, engine.appends.bytes);
    let what = "Bytes of batches read, from all topics";
    text.one("thalweg_read_bytes_total", "counter", what, engine.reads.bytes);
    let name = "thalweg_written_bytes_total";
    text.family(name, "counter", "Bytes written to the device, by what they are");
    let written = &engine.written;
    for (kind, bytes) in [
        ("journal", written.journal),
        ("direct", written.direct),
        ("destaged", written.destaged),
        ("metadata", written.metadata),
        ("journal_files", written.journal_files),
    ] {
        text.sample(name, &[("kind", kind)], bytes);
    }
    if let Some(ratio) = engine.device_bytes_per_payload_byte {
        let what = "Bytes written to the device for each byte of keys, values and headers appended";
        text.one("thalweg_device_bytes_per_payload_byte", "gauge", what, ratio);
    }
}

fn memory(text: &mut Text, metrics: &Metrics) {
    let memory = &metrics.engine.memory;
    text.one("thalweg_memory_budget_bytes", "gauge", "The memory budget", memory.budget);
    let shares = [
        ("reserve", memory.reserve),
        ("appenders", memory.appenders),
        ("cache", memory.cache),
        ("pins", memory.pins),
        ("copies", memory.copies),
        ("indexes", memory.indexes),
    ];
    text.family("thalweg_memory_used_bytes", "gauge", "Memory in use, by kind; pins is what readers hold");
    for (kind, share) in shares {
        text.sample("thalweg_memory_used_bytes", &[("kind", kind)], share.used);
    }
    text.sample("thalweg_memory_used_bytes", &[("kind", "idle")], memory.idle);
    text.family("thalweg_memory_limit_bytes", "gauge", "The most memory that a kind can have");
    for (kind, share) in shares {
        text.sample("thalweg_memory_limit_bytes", &[("kind", kind)], share.limit);
    }
}

fn shards(text: &mut Text, metrics: &Metrics) {
    let numbers: Vec<String> = metrics.shards.iter().map(|shard| shard.shard.to_string()).collect();
    let shards = || metrics.shards.iter().zip(&numbers);
    let name = "thalweg_shard_durable_write_seconds";
    text.family(name, "histogram", "Durable writes and flushes, from decision to answer");
    for (shard, number) in shards() {
        text.histogram(name, ("shard", number), &shard.durable_writes);
    }
    let mut each = |name: &str, kind: &str, help: &str, value: fn(&super::ShardMetrics) -> u64| {
        text.family(name, kind, help);
        shards().for_each(|(shard, number)| text.sample(name, &[("shard", number)], value(shard)));
    };
    each("thalweg_shard_queue_depth", "gauge", "Operations waiting or under way", |shard| shard.queue_depth);
    let help = "The most operations that were waiting or under way at once";
    each("thalweg_shard_queue_depth_max", "gauge", help, |shard| shard.queue_depth_max);
    each("thalweg_shard_device_reads_total", "counter", "Reads from the device", |shard| shard.device_reads);
    let help = "Bytes read from the device";
    each("thalweg_shard_device_read_bytes_total", "counter", help, |shard| shard.device_read_bytes);
    let help = "Reads, writes and flushes that the device refused";
    each("thalweg_shard_io_errors_total", "counter", help, |shard| shard.io_errors);
    let name = "thalweg_shard_written_bytes_total";
    text.family(name, "counter", "Bytes written to journal and segments, by shard and kind");
    for (shard, number) in shards() {
        let kinds = [
            ("journal", shard.written_journal),
            ("direct", shard.written_direct),
            ("destaged", shard.written_destaged),
        ];
        for (kind, bytes) in kinds {
            text.sample(name, &[("shard", number), ("kind", kind)], bytes);
        }
    }
}

fn topics(text: &mut Text, metrics: &Metrics) {
    let mut each = |name: &str, kind: &str, help: &str, value: fn(&super::TopicMetrics) -> u64| {
        text.family(name, kind, help);
        metrics.topics.iter().for_each(|topic| text.sample(name, &[("topic", &topic.topic)], value(topic)));
    };
    each("thalweg_topic_partitions", "gauge", "Partitions", |topic| u64::from(topic.partitions));
    each("thalweg_topic_appends_total", "counter", "Batches appended", |topic| topic.appends.appends);
    each("thalweg_topic_appended_records_total", "counter", "Records appended", |topic| topic.appends.records);
    let help = "Bytes of keys, values and headers appended";
    each("thalweg_topic_appended_bytes_total", "counter", help, |topic| topic.appends.bytes);
    each("thalweg_topic_read_bytes_total", "counter", "Bytes of batches read", |topic| topic.reads.bytes);
    each("thalweg_topic_size_bytes", "gauge", "Bytes of the frames that are kept, padding counted", |topic| {
        topic.used.iter().map(|partition| partition.size).sum()
    });
    each("thalweg_topic_segments", "gauge", "Segment files", |topic| {
        topic.used.iter().map(|partition| u64::from(partition.segments)).sum()
    });
    each("thalweg_topic_failed_partitions", "gauge", "Partitions that take no appends", |topic| {
        topic.used.iter().filter(|partition| partition.failed).count() as u64
    });
    let name = "thalweg_topic_reads_total";
    text.family(name, "counter", "Batches read, by where they were: what came from the device was waited for");
    for topic in &metrics.topics {
        let reads = &topic.reads;
        for (source, count) in
            [("appenders", reads.from_appenders), ("cache", reads.from_cache), ("device", reads.from_device)]
        {
            text.sample(name, &[("topic", &topic.topic), ("source", source)], count);
        }
    }
}

fn partitions(text: &mut Text, metrics: &Metrics) {
    let mut each = |name: &str, help: &str, value: fn(&super::PartitionMetrics) -> u64| {
        text.family(name, "gauge", help);
        for topic in &metrics.topics {
            for partition in &topic.used {
                let labels = [("topic", topic.topic.as_str()), ("partition", &partition.partition.to_string())];
                text.sample(name, &labels, value(partition));
            }
        }
    };
    let help = "The offset of the oldest record that is kept";
    each("thalweg_partition_log_start_offset", help, |partition| partition.log_start);
    let help = "The offset after the last record that readers see";
    each("thalweg_partition_high_watermark_offset", help, |partition| partition.high_watermark);
}

fn lags(text: &mut Text, metrics: &Metrics) {
    let mut each = |name: &str, help: &str, value: fn(&super::Lag) -> u64| {
        text.family(name, "gauge", help);
        for lag in &metrics.lags {
            let partition = lag.partition.to_string();
            let labels =
                [("consumer", lag.consumer.as_str()), ("topic", lag.topic.as_str()), ("partition", &partition)];
            text.sample(name, &labels, value(lag));
        }
    };
    each("thalweg_consumer_lag_offsets", "Offsets from the committed position to the high watermark", |lag| lag.lag);
    each("thalweg_consumer_position_offset", "The offset at which the consumer goes on", |lag| lag.offset);
}

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        debug_assert!(!help.contains(['\\', '\n']), "help would have to be escaped");
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A family of one sample.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            self.0.push_str(&format!("{before}{label}=\"{}\"", escaped(value)));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.0.push_str(&format!("{end} {value}\n"));
    }

    /// Buckets that count those before them too, up to the one without an end.
    fn histogram(&mut self, name: &str, label: (&str, &str), histogram: &Histogram) {
        let mut count = 0;
        for bucket in &histogram.buckets {
            count += bucket.count;
            let bound = bucket.seconds.map_or("+Inf".into(), |seconds| seconds.to_string());
            self.sample(&format!("{name}_bucket"), &[label, ("le", &bound)], count);
        }
        self.sample(&format!("{name}_sum"), &[label], histogram.sum_seconds);
        self.sample(&format!("{name}_count"), &[label], histogram.count);
    }
}

/// The value of a label between its quotation marks.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Text::default();
        text.sample("a", &[("b", "c\"d\\e\nf"), ("g", "ä")], 1.5);
        text.sample("a", &[], 2);
        assert_eq!(text.0, "a{b=\"c\\\"d\\\\e\\nf\",g=\"ä\"} 1.5\na 2\n");
    }

    #[test]
    fn buckets_count_those_before_them() {
        let histogram = Histogram::new([(Some(500_000_000), 2), (Some(1_000_000_000), 0), (None, 3)].into_iter(), 1);
        let mut text = Text::default();
        text.histogram("a", ("b", "c"), &histogram);
        let expected = "a_bucket{b=\"c\",le=\"0.5\"} 2\na_bucket{b=\"c\",le=\"1\"} 2\na_bucket{b=\"c\",le=\"+Inf\"} 5\n\
                        a_sum{b=\"c\"} 0.000000001\na_count{b=\"c\"} 5\n";
        assert_eq!(text.0, expected);
    }
}
