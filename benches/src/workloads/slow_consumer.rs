//! Memory over time, while a consumer falls behind at half the producer's speed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use thalweg::Start;

use super::acknowledged;
use crate::error::Result;
use crate::measured::{Figure, Outcome, check};
use crate::meter::Meter;
use crate::payload::Payload;
use crate::plan::{Case, Length, Plan};
use crate::producer::Drive;
use crate::store::Store;
use crate::sum;

pub(super) fn cases(data: u64) -> Vec<Case> {
    vec![Case { in_flight: 0, consumers: 1, data, ..Case::default() }]
}

pub(super) fn run(plan: &Plan, meter: &Meter) -> Result<Outcome> {
    let store = Store::create(plan)?;
    let payload = Payload::new(plan.record_size, 1);
    let mut producers = store.producers(plan, &payload);
    let drive = Drive { length: Length::Records(plan.backlog()), ..Drive::new(plan) };
    let before = store.durable_writes();
    let (read, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (answer, timed) = meter.time(&[std::process::id()], || {
        std::thread::scope(|scope| {
            let consumer = scope.spawn(|| consume(&store, meter, &read, &over));
            let produced = drive.run(&mut producers, meter);
            over.store(true, Ordering::Relaxed);
            consumer.join().expect("consumers answer errors")?;
            produced
        })
    });
    let produced = answer?;
    let durable_writes = Some(store.durable_writes() - before);
    let found = store.records()?;
    check(found, produced.records)?;
    let read = read.into_inner();
    let budget = plan.memory_budget as f64;
    let figures = vec![
        Figure::new("records read meanwhile", read as f64, "records"),
        Figure::new("backlog at the end", (produced.records - read) as f64, "records"),
        Figure::new("peak memory beside the budget", timed.peak as f64 / budget, "x"),
    ];
    drop(producers);
    store.engine.close()?;
    let latency = acknowledged(&produced.latency, plan);
    Ok(Outcome { records: produced.records, found, latency, timed, durable_writes, figures })
}

/// Reads, never more than half of what is there.
fn consume(store: &Store, meter: &Meter, read: &AtomicU64, over: &AtomicBool) -> Result<()> {
    let mut reader = store.topic.reader(0, Start::Earliest)?;
    let mut total = 0_u64;
    while !over.load(Ordering::Relaxed) {
        let written = store.records()?;
        meter.set_backlog(written - reader.offset());
        if reader.offset() * 2 >= written {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        let batch = reader.next(1 << 20, Some(Duration::from_millis(10)))?;
        for record in &batch {
            total = total.wrapping_add(sum(record.value.ok_or("a record has no value")?));
        }
        read.store(reader.offset(), Ordering::Relaxed);
    }
    std::hint::black_box(total);
    Ok(())
}
