//! Memory under a growing backlog, in a process of its own.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use thalweg::{AppendOptions, Engine, Options, Record, Start, Target as To, Topic, TopicOptions};
use thalweg_bench::{Bench, Row, Target, scratch, sum};

use crate::store::KIB;

/// The budget that is held. Bytes.
const BUDGET: u64 = 64 << 20;

/// What a child measured.
struct Found {
    /// Peak resident memory. MiB.
    peak: f64,
    /// Of the writer, for one record. ns.
    cost: f64,
}

fn run(bytes: u64, reader: bool) -> Found {
    let dir = scratch();
    let mut command = Command::new(std::env::current_exe().expect("a process knows its program"));
    command.arg("child-memory").arg(dir.path()).arg(bytes.to_string()).arg(reader.to_string());
    let output = command.output().expect("the child starts");
    assert!(output.status.success(), "the child: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [peak, cost] = numbers[..] else { panic!("the child says two numbers, not {text:?}") };
    Found { peak, cost }
}

/// The child: writes `bytes` of 1 KiB records while a reader at half its speed reads behind, and says what it took.
pub(crate) fn child(arguments: &[String]) {
    let [dir, bytes, reader] = arguments else { panic!("directory, bytes, and whether to read") };
    let count = bytes.parse::<u64>().expect("a number of bytes") / KIB as u64;
    let options = Options::default().shards(1).memory_budget(BUDGET);
    let engine = Engine::open(Path::new(dir), options).expect("a scratch store opens");
    let topic = engine.create_topic("memory", TopicOptions::default()).expect("a topic");
    let (written, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let cost = std::thread::scope(|scope| {
        if reader == "true" {
            scope.spawn(|| read_behind(&topic, &written, &done));
        }
        let value = vec![0x5a; KIB];
        let start = Instant::now();
        let mut last = None;
        for number in 0..count {
            let ticket = topic.submit(To::Partition(0), &[Record::new(&value)], AppendOptions::default());
            last = Some(ticket.expect("an append"));
            written.store(number, Ordering::Relaxed);
        }
        last.expect("a count above zero").wait(None).expect("the last append");
        done.store(true, Ordering::Relaxed);
        start.elapsed().as_nanos() as f64 / count as f64
    });
    let status = std::fs::read_to_string("/proc/self/status").expect("a process has a status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    println!("{} {cost}", peak.and_then(|kb| kb.trim().parse::<f64>().ok()).expect("a peak") / 1024.0);
}

/// Reads, never more than half of what is written.
fn read_behind(topic: &Topic, written: &AtomicU64, done: &AtomicBool) {
    let mut reader = topic.reader(0, Start::Earliest).expect("a reader");
    let mut total = 0_u64;
    while !done.load(Ordering::Relaxed) {
        if reader.offset() * 2 > written.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        let batch = reader.next(1 << 20, Some(Duration::from_millis(10))).expect("a read");
        total = batch.iter().fold(total, |total, record| total.wrapping_add(sum(record.value.unwrap_or_default())));
    }
    std::hint::black_box(total);
}

/// Peak memory against the budget, the larger backlog against the smaller, the writer against itself alone.
pub(crate) fn memory(bench: &mut Bench) {
    let large = bench.settings.backlog;
    let names = [
        "memory beside the budget".to_owned(),
        format!("memory, {large} GiB beside 1 GiB"),
        "writer beside a reader at half speed".into(),
    ];
    if !bench.wants(&[&names[0], &names[1], &names[2]]) {
        return;
    }
    let mut samples = [const { Vec::new() }; 3];
    for round in 0..3 {
        let alone = run(1 << 30, false);
        let small = run(1 << 30, true);
        samples[2].push((small.cost, alone.cost));
        if round == 0 {
            let large = run(large << 30, true);
            samples[0].push((large.peak, (BUDGET >> 20) as f64 + 32.0));
            samples[1].push((large.peak, small.peak));
        }
    }
    let against = ["budget of 64 MiB + 32 MiB", "a backlog of 1 GiB", "the same writer without a reader"];
    let targets = [Target::AtMost(1.0), Target::AtMost(1.1), Target::AtLeast(0.95)];
    let units = ["MiB", "MiB", "ns/record"];
    for (at, (name, samples)) in names.into_iter().zip(samples).enumerate() {
        let (baseline, unit, target) = (against[at].into(), units[at], targets[at]);
        bench.add(Row { name, baseline, unit, target, samples, payload: KIB as f64, file: 0.0, device: 0.0 });
    }
}
