//! Waiting for durability: against a loop that makes one durable 4 KiB write at a time.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use thalweg::{Engine, Options, Record, Target, TopicOptions};
use thalweg_bench::{BareFile, Prepared, report, scratch};

/// Durable appends of one sample.
const APPENDS: u64 = 4096;

fn waiting(c: &mut Criterion) {
    let dir = scratch();
    let mut group = c.benchmark_group("durable-100B");
    group.sample_size(10).measurement_time(Duration::from_secs(5)).throughput(Throughput::Elements(APPENDS));
    let mut bare =
        BareFile::new(&dir.path().join("bare"), 64 << 20, 4096, 1, Prepared::Written, false).expect("a bare file");
    group.bench_function("bare-4KiB", |b| b.iter(|| bare.write(APPENDS * 4096, true, false).expect("bare writes")));

    let engine = Engine::open(dir.path().join("store"), Options::default().shards(1)).expect("a scratch store opens");
    let topic = engine.create_topic("durable", TopicOptions::default()).expect("a topic");
    let value = [0x5a; 100];
    for callers in [1_u64, 16, 64] {
        group.bench_function(BenchmarkId::new("thalweg-callers", callers), |b| {
            b.iter_custom(|rounds| {
                let start = Instant::now();
                std::thread::scope(|scope| {
                    for _ in 0..callers {
                        scope.spawn(|| {
                            for _ in 0..APPENDS * rounds / callers {
                                topic.append_batch(Target::Partition(0), &[Record::new(&value)]).expect("an append");
                            }
                        });
                    }
                });
                start.elapsed()
            });
        });
    }
    for flight in [16_usize, 1024] {
        group.bench_function(BenchmarkId::new("thalweg-in-flight", flight), |b| {
            b.iter(|| {
                let mut tickets = std::collections::VecDeque::with_capacity(flight);
                for _ in 0..APPENDS {
                    if tickets.len() == flight {
                        let first: thalweg::Ticket = tickets.pop_front().expect("as many as the flight");
                        first.wait(None).expect("an append");
                    }
                    let ticket = topic.submit(Target::Partition(0), &[Record::new(&value)], Default::default());
                    tickets.push_back(ticket.expect("an append"));
                }
                tickets.pop_back().expect("the last").wait(None).expect("the last append");
            });
        });
    }
    group.finish();
    report("durable-100B", "bare-4KiB", APPENDS as f64 * 1e3, "us / append");
}

fn spread(c: &mut Criterion) {
    let dir = scratch();
    let mut group = c.benchmark_group("durable-256-partitions");
    group.sample_size(10).measurement_time(Duration::from_secs(5)).throughput(Throughput::Elements(APPENDS));
    let mut bare =
        BareFile::new(&dir.path().join("bare"), 64 << 20, 4096, 64, Prepared::Written, false).expect("a bare file");
    group.bench_function("bare-4KiB-depth64", |b| {
        b.iter(|| bare.write(APPENDS * 4096, true, false).expect("bare writes"))
    });
    let engine = Engine::open(dir.path().join("store"), Options::default().shards(1)).expect("a scratch store opens");
    let topic = engine.create_topic("spread", TopicOptions::default().partitions(256)).expect("a topic");
    let value = [0x5a; 100];
    group.bench_function("thalweg", |b| {
        b.iter(|| {
            let tickets: Vec<_> = (0..APPENDS)
                .map(|i| {
                    topic
                        .submit(Target::Partition((i % 256) as u32), &[Record::new(&value)], Default::default())
                        .expect("an append")
                })
                .collect();
            let results = thalweg::Ticket::wait_all(&tickets, None);
            assert!(results.iter().all(Result::is_ok), "all durable");
        });
    });
    group.finish();
    report("durable-256-partitions", "bare-4KiB-depth64", APPENDS as f64 * 1e3, "us / append");
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    waiting(&mut criterion);
    spread(&mut criterion);
    criterion.final_summary();
}
