//! Stores to measure, and what they take.

use std::time::Instant;

use thalweg::{AppendOptions, Durability, Engine, Options, Record, Target, Ticket, Topic, TopicOptions};
use thalweg_bench::{device_bytes, scratch};

/// A store in a directory of its own, which goes when it is dropped.
pub(crate) struct Store {
    pub(crate) engine: Engine,
    /// Bytes that this process had written when the store was opened.
    written: u64,
    _dir: tempfile::TempDir,
}

/// Payload of a bulk record. Bytes.
pub(crate) const KIB: usize = 1024;

impl Store {
    pub(crate) fn new() -> Store {
        let dir = scratch();
        let engine = Engine::open(dir.path(), Options::default().shards(1)).expect("a scratch store opens");
        Store { engine, written: device_bytes(), _dir: dir }
    }

    pub(crate) fn topic(&self, name: &str, partitions: u32, durability: Durability) -> Topic {
        let options = TopicOptions::default().partitions(partitions).durability(durability);
        self.engine.create_topic(name, options).expect("a topic")
    }

    /// File bytes and device bytes of one record of a topic that is the only one written since the store was opened.
    pub(crate) fn stored(&self, topic: &Topic) -> (f64, f64) {
        let partitions = topic.describe().expect("the topic is there").partitions;
        let records: u64 = partitions.iter().map(|p| p.high_watermark).sum();
        let size: u64 = partitions.iter().map(|p| p.size).sum();
        (size as f64 / records as f64, (device_bytes() - self.written) as f64 / records as f64)
    }
}

/// Submits `count` records in batches of `batch`, and waits for the last. Returns the ns that one record took.
pub(crate) fn append(topic: &Topic, partition: u32, value: &[u8], batch: usize, count: u64) -> f64 {
    let records = vec![Record::new(value); batch];
    let start = Instant::now();
    let mut last: Option<Ticket> = None;
    for _ in 0..count / batch as u64 {
        let ticket = topic.submit(Target::Partition(partition), &records, AppendOptions::default());
        last = Some(ticket.expect("an append"));
    }
    last.expect("a count above zero").wait(None).expect("the last append");
    start.elapsed().as_nanos() as f64 / count as f64
}
