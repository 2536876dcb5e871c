//! Bulk appends: against a bare io_uring loop over the same device, and against memcpy + CRC of the same bytes.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use thalweg::{Durability, Engine, Options, Record, Target, Topic, TopicOptions};
use thalweg_bench::{BareFile, Prepared, memcpy_crc, report, scratch};

/// Payload of one round of a bulk bench. Bytes.
const ROUND: u64 = 256 << 20;
/// Records of one round of a small-record bench.
const SMALL: u64 = 1_000_000;

fn engine(dir: &std::path::Path) -> Engine {
    Engine::open(dir, Options::default().shards(1).memory_budget(256 << 20)).expect("a scratch store opens")
}

/// Appends `count` records one per call, and waits until the last is durable.
fn append_each(topic: &Topic, record: &Record<'_>, count: u64, durability: Durability) {
    let options = thalweg::AppendOptions::default().durability(durability);
    let mut last = None;
    for _ in 0..count {
        last = Some(topic.submit(Target::Partition(0), std::slice::from_ref(record), options).expect("an append"));
    }
    last.expect("a count above zero").wait(None).expect("the last append");
}

/// The same in batches of 100.
fn append_batches(topic: &Topic, record: &Record<'_>, count: u64, durability: Durability) {
    let batch = vec![*record; 100];
    let options = thalweg::AppendOptions::default().durability(durability);
    let mut last = None;
    for _ in 0..count / 100 {
        last = Some(topic.submit(Target::Partition(0), &batch, options).expect("an append"));
    }
    last.expect("a count above zero").wait(None).expect("the last append");
}

fn bulk(c: &mut Criterion) {
    let dir = scratch();
    let mut group = c.benchmark_group("bulk-1KiB-durable");
    group.sample_size(10).measurement_time(Duration::from_secs(8)).throughput(Throughput::Bytes(ROUND));
    for (prepared, name) in [(Prepared::Written, "bare-written"), (Prepared::Reserved, "bare-fresh")] {
        for block in [64 << 10, 256 << 10, 1 << 20] {
            for depth in [1, 4, 16] {
                group.bench_function(BenchmarkId::new(name, format!("{}KiB-depth{depth}", block >> 10)), |b| {
                    b.iter_custom(|rounds| {
                        let mut time = Duration::ZERO;
                        for _ in 0..rounds {
                            let path = dir.path().join("bare");
                            let mut bare =
                                BareFile::new(&path, ROUND, block, depth, prepared, false).expect("a bare file");
                            let start = Instant::now();
                            bare.write(ROUND, true, false).expect("bare writes");
                            time += start.elapsed();
                        }
                        time
                    });
                });
            }
        }
    }
    let value = vec![0x5a; 1024];
    let record = Record::new(&value);
    group.bench_function("thalweg-fresh", |b| {
        b.iter_custom(|rounds| {
            let mut time = Duration::ZERO;
            for round in 0..rounds {
                let dir = scratch();
                let engine = engine(dir.path());
                let topic = engine.create_topic("bulk", TopicOptions::default()).expect("a topic");
                append_each(&topic, &record, 1, Durability::Durable);
                let start = Instant::now();
                append_each(&topic, &record, ROUND / 1024, Durability::Durable);
                time += start.elapsed();
                drop((round, engine));
            }
            time
        });
    });
    group.finish();
    report("bulk-1KiB-durable", "bare-written/1024KiB-depth4", 1e6, "ms / 256 MiB");
}

fn small(c: &mut Criterion) {
    let dir = scratch();
    let value = vec![0x5a; 100];
    let record = Record::new(&value);
    let mut group = c.benchmark_group("small-100B");
    group.sample_size(10).measurement_time(Duration::from_secs(4)).throughput(Throughput::Elements(SMALL));
    let mut memory = vec![0; 1 << 20];
    group.bench_function("memcpy-crc", |b| b.iter(|| memcpy_crc(&value, &mut memory, SMALL)));
    let engine = engine(dir.path());
    for durability in [Durability::Durable, Durability::LoseOnKill] {
        let name = format!("small-{durability:?}");
        let topic = engine.create_topic(&name, TopicOptions::default().durability(durability)).expect("a topic");
        group.bench_function(BenchmarkId::new("thalweg-each", format!("{durability:?}")), |b| {
            b.iter(|| append_each(&topic, &record, SMALL, durability));
        });
        group.bench_function(BenchmarkId::new("thalweg-batches-of-100", format!("{durability:?}")), |b| {
            b.iter(|| append_batches(&topic, &record, SMALL, durability));
        });
        engine.delete_topic(&name).expect("the topic goes");
    }
    group.finish();
    report("small-100B", "memcpy-crc", SMALL as f64, "ns / record");
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    small(&mut criterion);
    bulk(&mut criterion);
    criterion.final_summary();
}
