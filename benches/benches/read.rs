//! Reads: from memory against a bare walk over the same bytes, cold against a bare O_DIRECT loop.

use std::time::Duration;

use criterion::{Criterion, Throughput};
use thalweg::{Durability, Engine, Options, Record, Start, Target, TopicOptions};
use thalweg_bench::{BareFile, Prepared, report, scratch, walk};

/// Records of 100 B in the tail.
const TAIL: u64 = 100_000;
/// Payload of the cold log. Bytes.
const COLD: u64 = 512 << 20;

fn read_all(topic: &thalweg::Topic, size: usize) -> u64 {
    let mut reader = topic.reader(0, Start::Earliest).expect("a reader");
    let mut sum = 0;
    loop {
        let batch = reader.next(size, Some(Duration::ZERO)).expect("a read");
        if batch.is_empty() {
            return sum;
        }
        for record in batch.iter() {
            let value = record.value.expect("a value");
            sum += u64::from(value[0]) + u64::from(value[value.len() - 1]);
        }
    }
}

fn tail(c: &mut Criterion) {
    let dir = scratch();
    let mut group = c.benchmark_group("tail-read-100B");
    group.throughput(Throughput::Elements(TAIL));
    let bytes = vec![0x5a; TAIL as usize * 100];
    group.bench_function("bare-walk", |b| b.iter(|| walk(std::hint::black_box(&bytes), 100)));
    let engine = Engine::open(dir.path(), Options::default().shards(1)).expect("a scratch store opens");
    let topic = engine.create_topic("tail", TopicOptions::default()).expect("a topic");
    let batch = vec![Record::new(&bytes[..100]); 100];
    for _ in 0..TAIL / 100 {
        topic.append_batch(Target::Partition(0), &batch).expect("an append");
    }
    group.bench_function("thalweg", |b| b.iter(|| read_all(&topic, 1 << 20)));
    group.finish();
    report("tail-read-100B", "bare-walk", TAIL as f64, "ns / record");
}

fn cold(c: &mut Criterion) {
    let dir = scratch();
    let mut group = c.benchmark_group("cold-read-1KiB");
    group.sample_size(10).measurement_time(Duration::from_secs(6)).throughput(Throughput::Bytes(COLD));
    for depth in [1, 4] {
        let path = dir.path().join("bare");
        let mut bare = BareFile::new(&path, COLD, 1 << 20, depth, Prepared::Written, false).expect("a bare file");
        group.bench_function(format!("bare-1MiB-depth{depth}"), |b| b.iter(|| bare.read(COLD).expect("bare reads")));
    }
    let store = dir.path().join("store");
    let options = || Options::default().shards(1).memory_budget(64 << 20);
    {
        let engine = Engine::open(&store, options()).expect("a scratch store opens");
        let topic = engine.create_topic("cold", TopicOptions::default()).expect("a topic");
        let value = vec![0x5a; 1024];
        let batch = vec![Record::new(&value); 64];
        let weak = thalweg::AppendOptions::default().durability(Durability::LoseOnKill);
        for _ in 0..COLD / 1024 / 64 {
            let _closing_waits = topic.submit(Target::Partition(0), &batch, weak).expect("an append");
        }
        engine.close().expect("a clean close");
    }
    let engine = Engine::open(&store, options()).expect("the store opens again");
    let topic = engine.topic("cold").expect("the topic");
    group.bench_function("thalweg", |b| b.iter(|| read_all(&topic, 1 << 20)));
    group.finish();
    report("cold-read-1KiB", "bare-1MiB-depth4", 1e6, "ms / 512 MiB");
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    tail(&mut criterion);
    cold(&mut criterion);
    criterion.final_summary();
}
