//! Reads: from memory against a bare walk over the same bytes, cold against a bare loop.

use std::time::{Duration, Instant};

use thalweg::{Durability, Engine, Options, Start, Topic};
use thalweg_bench::{BareFiles, Bench, Grid, Pair, Prepared, Sweep, Target, best_read, scratch, sum, walk};

use crate::store::{KIB, Store, append};

/// Records of 100 B in the tail.
const TAIL: u64 = 100_000;
/// Payload of the cold log. Bytes.
const COLD: u64 = 512 << 20;

/// Reads every byte of every record.
fn read_all(topic: &Topic) -> u64 {
    let mut reader = topic.reader(0, Start::Earliest).expect("a reader");
    let mut total = 0_u64;
    loop {
        let batch = reader.next(1 << 20, Some(Duration::ZERO)).expect("a read");
        if batch.is_empty() {
            return total;
        }
        for record in batch.iter() {
            total = total.wrapping_add(sum(record.value.expect("a value")));
        }
    }
}

/// From memory, as appended in batches of 100 and one by one.
pub(crate) fn tail(bench: &mut Bench) {
    for batch in [100, 1] {
        let names =
            [format!("tail read 100 B, batches of {batch}"), format!("tail read 100 B, batches of {batch}, walk")];
        if !bench.wants(&[&names[0], &names[1]]) {
            continue;
        }
        let bytes = vec![0x5a; TAIL as usize * 100];
        let store = Store::new();
        let topic = store.topic("tail", 1, Durability::Durable);
        append(&topic, 0, &bytes[..100], batch, TAIL);
        let ours = || {
            let start = Instant::now();
            std::hint::black_box(read_all(&topic));
            start.elapsed().as_nanos() as f64 / TAIL as f64
        };
        let walked = || {
            let start = Instant::now();
            std::hint::black_box(walk(std::hint::black_box(&bytes), 100));
            start.elapsed().as_nanos() as f64 / TAIL as f64
        };
        let pair = |name, baseline: &str, target| Pair {
            name,
            baseline: baseline.into(),
            unit: "ns/record",
            target,
            payload: 100,
        };
        let stored = || store.stored(&topic);
        bench.pair(pair(&names[0], "20 ns per record", Target::AtMost(1.0)), || 20.0, ours, stored);
        bench.pair(pair(&names[1], "a bare walk over the same bytes", Target::AtMost(2.0)), walked, ours, stored);
    }
}

/// From the device, past the page cache.
pub(crate) fn cold(bench: &mut Bench) {
    let name = "cold read 1 KiB";
    if !bench.wants(&[name]) {
        return;
    }
    let dir = scratch();
    let bare = BareFiles::new(dir.path(), 1, COLD, Prepared::Written).expect("a bare file");
    let Sweep { table, best: shape } = best_read(&bare, COLD / 8, Grid::FULL).expect("a bare loop");
    println!("{table}");
    let mut buffers = shape.buffers().expect("buffers");
    let path = dir.path().join("store");
    let options = || Options::default().shards(1).memory_budget(64 << 20);
    {
        let engine = Engine::open(&path, options()).expect("a scratch store opens");
        let topic = engine.create_topic("cold", thalweg::TopicOptions::default()).expect("a topic");
        append(&topic, 0, &vec![0x5a; KIB], 1, COLD / KIB as u64);
        engine.close().expect("a clean close");
    }
    let engine = Engine::open(&path, options()).expect("the store opens again");
    let topic = engine.topic("cold").expect("the topic");
    let size = topic.describe().expect("the topic is there").partitions[0].size as f64;
    let base = || {
        let start = Instant::now();
        bare.read(&mut buffers, shape.count(COLD)).expect("bare reads");
        start.elapsed().as_nanos() as f64 / COLD as f64
    };
    // By file bytes on both sides: what the device has to move.
    let ours = || {
        let start = Instant::now();
        std::hint::black_box(read_all(&topic));
        start.elapsed().as_nanos() as f64 / size
    };
    let pair = Pair { name, baseline: shape.to_string(), unit: "ns/byte", target: Target::AtLeast(0.85), payload: KIB };
    bench.pair(pair, base, ours, || (size / (COLD / KIB as u64) as f64, 0.0));
}
