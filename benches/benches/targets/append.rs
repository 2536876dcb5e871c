//! One thread that appends as fast as it can.

use std::time::Instant;

use thalweg::Durability;
use thalweg_bench::{BareFiles, Bench, Grid, Pair, Prepared, Sweep, Target, best_write, memcpy_crc, scratch};

use crate::store::{KIB, Store, append};

/// Records of one round of 100 B.
const SMALL: u64 = 400_000;
/// Payload of one round of 1 KiB records. Bytes.
const BULK: u64 = 256 << 20;
/// What each shape of the sweep writes. Bytes.
const SWEEP: u64 = 64 << 20;
/// What a topic takes before its segments have their full size. Bytes.
const RAMP: u64 = 96 << 20;

/// 100 B records against copying and checksumming them.
pub(crate) fn small(bench: &mut Bench) {
    let value = [0x5a; 100];
    let mut memory = vec![0; 64 << 20];
    let modes = [Durability::Durable, Durability::LoseOnKill];
    for (batch, per_record, durability) in
        [1, 100].into_iter().flat_map(|b| modes.map(|d| (b, if b == 1 { 0.0 } else { 10.0 }, d)))
    {
        let name = format!("append 100 B, {batch} per call, {durability}");
        if !bench.wants(&[&name]) {
            continue;
        }
        let store = Store::new();
        let topic = store.topic("small", 1, durability);
        append(&topic, 0, &value, batch, 2 * SMALL);
        let pair = Pair {
            name: &name,
            baseline: format!("3 x (memcpy + CRC) + 25 ns per call + {per_record} ns per record"),
            unit: "ns/record",
            target: Target::AtMost(1.0),
            payload: value.len(),
        };
        let base = || {
            let start = Instant::now();
            std::hint::black_box(memcpy_crc(&value, &mut memory, batch, SMALL));
            3.0 * start.elapsed().as_nanos() as f64 / SMALL as f64 + 25.0 / batch as f64 + per_record
        };
        bench.pair(pair, base, || append(&topic, 0, &value, batch, SMALL), || store.stored(&topic));
    }
}

/// 1 KiB records against the best bare loop, in steady state and in a fresh directory.
pub(crate) fn bulk(bench: &mut Bench) {
    let names = ["bulk 1 KiB, steady state", "bulk 1 KiB, fresh directory"];
    if bench.wants(&names[..1]) {
        steady(bench, names[0]);
    }
    if bench.wants(&names[1..]) {
        fresh(bench, names[1]);
    }
}

fn bulk_pair(name: &str, baseline: String) -> Pair<'_> {
    Pair { name, baseline, unit: "ns/byte", target: Target::AtLeast(0.85), payload: KIB }
}

fn steady(bench: &mut Bench, name: &str) {
    let value = vec![0x5a; KIB];
    let dir = scratch();
    let Sweep { table, best: shape } =
        best_write(dir.path(), SWEEP, Prepared::Written, Grid::FULL).expect("a bare loop");
    println!("{table}");
    let bare = BareFiles::new(dir.path(), 1, BULK, Prepared::Written).expect("a bare file");
    let mut buffers = shape.buffers().expect("buffers");
    let store = Store::new();
    // Two rounds fill the pool: from then on every segment is a recycled file.
    let round = || {
        let topic = store.topic("bulk", 1, Durability::Durable);
        append(&topic, 0, &value, 1, RAMP / KIB as u64);
        let cost = append(&topic, 0, &value, 1, BULK / KIB as u64) / KIB as f64;
        let size = topic.describe().expect("the topic is there").partitions[0].size;
        store.engine.delete_topic("bulk").expect("the topic goes");
        (cost, size as f64 / ((RAMP + BULK) / KIB as u64) as f64)
    };
    let (_, size) = round();
    let base = || {
        let start = Instant::now();
        bare.write(&mut buffers, shape.count(BULK)).expect("bare writes");
        start.elapsed().as_nanos() as f64 / BULK as f64
    };
    bench.pair(bulk_pair(name, shape.to_string()), base, || round().0, || (size, size));
}

fn fresh(bench: &mut Bench, name: &str) {
    let value = vec![0x5a; KIB];
    let dir = scratch();
    let Sweep { table, best: shape } =
        best_write(dir.path(), SWEEP, Prepared::Reserved, Grid::FULL).expect("a bare loop");
    println!("{table}");
    let mut buffers = shape.buffers().expect("buffers");
    let base = || {
        let bare = BareFiles::new(dir.path(), 1, BULK, Prepared::Reserved).expect("a bare file");
        let start = Instant::now();
        bare.write(&mut buffers, shape.count(BULK)).expect("bare writes");
        start.elapsed().as_nanos() as f64 / BULK as f64
    };
    let stored = std::cell::Cell::new((0.0, 0.0));
    let ours = || {
        let store = Store::new();
        let topic = store.topic("bulk", 1, Durability::Durable);
        append(&topic, 0, &value, 1, 1);
        let cost = append(&topic, 0, &value, 1, BULK / KIB as u64) / KIB as f64;
        stored.set(store.stored(&topic));
        cost
    };
    bench.pair(bulk_pair(name, shape.to_string()), base, ours, || stored.get());
}
