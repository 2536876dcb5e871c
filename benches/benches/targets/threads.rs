//! Several threads on one partition, and on two.

use std::time::Instant;

use thalweg::{Durability, Topic};
use thalweg_bench::{Bench, Pair, Target};

use crate::store::{KIB, Store, append};

/// `threads` threads append `count` records together, thread `i` to partition `i % partitions`; ns for one record.
fn together(topic: &Topic, partitions: u32, value: &[u8], threads: u32, count: u64) -> f64 {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || append(topic, thread % partitions, value, 1, count / u64::from(threads)));
        }
    });
    start.elapsed().as_nanos() as f64 / count as f64
}

/// What several threads do together, beside what one does alone.
pub(crate) fn threads(bench: &mut Bench) {
    use Durability::{Durable, LoseOnKill};
    let rows = [
        ("2 threads, 1 partition, 100 B, lose_on_kill", 100, LoseOnKill, 1, 2, 0.85),
        ("16 threads, 1 partition, 100 B, lose_on_kill", 100, LoseOnKill, 1, 16, 0.75),
        ("2 threads, 1 partition, 1 KiB, durable", KIB, Durable, 1, 2, 0.95),
        ("2 threads, 2 partitions, 100 B, lose_on_kill", 100, LoseOnKill, 2, 2, 1.0),
    ];
    for (name, size, durability, partitions, threads, least) in rows {
        if !bench.wants(&[name]) {
            continue;
        }
        let value = vec![0x5a; size];
        let count = if size == KIB { 131_072 } else { 400_000 };
        let store = Store::new();
        let topic = store.topic("threads", partitions, durability);
        together(&topic, partitions, &value, threads, count);
        let target = Target::AtLeast(least);
        let pair = Pair { name, baseline: "one thread alone".into(), unit: "ns/record", target, payload: size };
        let alone = || append(&topic, 0, &value, 1, count);
        let ours = || together(&topic, partitions, &value, threads, count);
        bench.pair(pair, alone, ours, || store.stored(&topic));
    }
}
