//! A C program beside a Rust program that does the same.

use std::time::Duration;

use thalweg::{AppendOptions, CompletionQueue, Durability, ErrorKind, Record, Start, Target as Goes, Topic};
use thalweg_bench::{Bench, CCaller, Pair, Target, rust_append, scratch, thread_time};

use crate::store::Store;

/// Records of one round: few enough for the appenders' part of the memory.
const RECORDS: u64 = 100_000;

/// As `caller_complete` does.
fn complete(topic: &Topic, queue: &CompletionQueue, value: &[u8], calls: u64) {
    let record = [Record::new(value)];
    let options = AppendOptions::default().wait_for_memory(false);
    let (mut done, mut submitted, mut taken) = (Vec::new(), 0, 0);
    while submitted < calls || taken < calls {
        let mut refused = true;
        if submitted < calls {
            match topic.submit_to(queue, submitted, Goes::Partition(0), &record, options) {
                Ok(_) => (submitted, refused) = (submitted + 1, false),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
        if !refused && submitted % 128 != 0 {
            continue;
        }
        done.clear();
        let count = queue.poll_up_to(256, &mut done) as u64;
        assert!(done.iter().all(|completed| completed.result.is_ok()), "an append");
        taken += count;
        if refused && count == 0 {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

/// As `caller_walk` does.
fn walk(topic: &Topic) -> u64 {
    let mut reader = topic.reader(0, Start::Earliest).expect("a reader");
    let mut total = 0;
    loop {
        let batch = reader.next(1 << 20, Some(Duration::ZERO)).expect("a read");
        if batch.is_empty() {
            return total;
        }
        for record in &batch {
            let value = record.value.expect("a value");
            total += u64::from(value[0]) + value.len() as u64;
        }
    }
}

/// What the calling thread itself spends: neither sleep, nor what others do meanwhile.
fn per_record(run: impl FnOnce()) -> f64 {
    let start = thread_time();
    run();
    (thread_time() - start).as_nanos() as f64 / RECORDS as f64
}

/// The row of what C may pay more, in ns for each record.
fn beside_rust<'a>(name: &'a str, more: f64, value: &[u8]) -> Pair<'a> {
    let (baseline, unit) = ("the same in Rust".into(), "ns/record");
    Pair { name, baseline, unit, target: Target::AtMostMore(more), payload: value.len() }
}

/// Appends of 100 B, one and a hundred for each call.
pub(crate) fn appends(bench: &mut Bench) {
    let value = [0x5a; 100];
    for (batch, more) in [(1, 15.0), (100, 0.5)] {
        let name = format!("C append 100 B, {batch} per call");
        if !bench.wants(&[&name]) {
            continue;
        }
        let dir = scratch();
        let c = CCaller::new(dir.path(), &value, Durability::LoseOnKill, |_| {});
        let store = Store::new();
        let topic = store.topic("rust", 1, Durability::LoseOnKill);
        let calls = RECORDS / batch as u64;
        // What waits for the device is not timed: the next round begins with memory of its own.
        let settle = || topic.append(&Record::new(&value)).map(drop).expect("an append");
        let rust = || {
            let cost = per_record(|| rust_append(&topic, &value, batch, calls));
            settle();
            cost
        };
        let ours = || {
            let cost = per_record(|| c.append(batch, calls));
            c.settle();
            cost
        };
        bench.pair(beside_rust(&name, more, &value), rust, ours, || (0.0, 0.0));
    }
}

/// Appends of 100 B, one for each call, whose completions are taken.
pub(crate) fn completions(bench: &mut Bench) {
    let name = "C append 100 B, 1 per call, completed";
    if !bench.wants(&[name]) {
        return;
    }
    let value = [0x5a; 100];
    let dir = scratch();
    let c = CCaller::new(dir.path(), &value, Durability::LoseOnKill, |_| {});
    let store = Store::new();
    let topic = store.topic("rust", 1, Durability::LoseOnKill);
    let queue = CompletionQueue::new().expect("a queue");
    let rust = || {
        let cost = per_record(|| complete(&topic, &queue, &value, RECORDS));
        topic.append(&Record::new(&value)).expect("an append");
        cost
    };
    let ours = || {
        let cost = per_record(|| c.complete(RECORDS));
        c.settle();
        cost
    };
    bench.pair(beside_rust(name, 15.0, &value), rust, ours, || (0.0, 0.0));
}

/// Walking 100 B records, as they were appended in batches of 100.
pub(crate) fn walks(bench: &mut Bench) {
    let name = "C walk 100 B, batches of 100";
    if !bench.wants(&[name]) {
        return;
    }
    let value = [0x5a; 100];
    let dir = scratch();
    let c = CCaller::new(dir.path(), &value, Durability::LoseOnKill, |_| {});
    let store = Store::new();
    let topic = store.topic("rust", 1, Durability::LoseOnKill);
    rust_append(&topic, &value, 100, RECORDS / 100);
    c.append(100, RECORDS / 100);
    topic.append(&Record::new(&value)).expect("an append");
    c.settle();
    assert_eq!(walk(&topic), c.walk(), "both read the same");
    let rust = || per_record(|| assert_ne!(std::hint::black_box(walk(&topic)), 0));
    let ours = || per_record(|| assert_ne!(std::hint::black_box(c.walk()), 0));
    bench.pair(beside_rust(name, 5.0, &value), rust, ours, || (0.0, 0.0));
}
