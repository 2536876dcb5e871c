//! A cold backlog, read alone and while a producer runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thalweg::Start;

use crate::error::Result;
use crate::latency::Latency;
use crate::measured::{Figure, Outcome, check};
use crate::meter::Meter;
use crate::payload::Payload;
use crate::plan::{Case, Length, Plan};
use crate::producer::{Drive, Produced};
use crate::store::Store;
use crate::{evict, sum};

/// Appends that the producer has under way.
const IN_FLIGHT: u32 = 64;

pub(super) fn cases(data: u64) -> Vec<Case> {
    let case = |producing| Case { consumers: 1, in_flight: IN_FLIGHT, producing, data, ..Case::default() };
    [false, true].map(case).to_vec()
}

pub(super) fn run(plan: &Plan, meter: &Meter) -> Result<Outcome> {
    let filled = {
        let store = Store::create(plan)?;
        let filled = store.fill(plan.backlog(), plan.record_size)?;
        store.engine.close()?;
        filled
    };
    evict(&plan.dir)?;
    let store = Store::open(plan)?;
    let mut latency = Latency::new();
    let before = store.durable_writes();
    let (answer, timed) = meter.time(&[std::process::id()], || {
        if plan.case.producing {
            beside(plan, &store, filled, meter, &mut latency)
        } else {
            read(&store, filled, meter, &mut latency)?;
            Ok(None)
        }
    });
    let produced = answer?;
    let durable_writes = Some(store.durable_writes() - before);
    let mut figures = Vec::new();
    let mut appended = 0;
    if let Some((produced, seconds)) = produced {
        appended = produced.records;
        // In the same store, right after: what the reader costs the producer.
        let (alone, alone_seconds) = produce(plan, &store, seconds, None)?;
        appended += alone.records;
        for (who, produced, seconds) in [("beside the reader", produced, seconds), ("alone", alone, alone_seconds)] {
            let name = format!("producer {who}");
            figures.push(Figure::new(&name, produced.records as f64 / seconds, "records/s"));
            figures.push(Figure::new(&format!("{name}, p99"), produced.latency.percentile(99.0), "us"));
        }
    }
    let found = store.records()?;
    check(found, filled + appended)?;
    store.engine.close()?;
    let latency = latency.summary("from the call of a read to its batch", false);
    Ok(Outcome { records: filled, found, latency, timed, durable_writes, figures })
}

/// Reads so many records, each byte of them.
fn read(store: &Store, records: u64, meter: &Meter, latency: &mut Latency) -> Result<()> {
    let mut reader = store.topic.reader(0, Start::Earliest)?;
    let mut total = 0_u64;
    while reader.offset() < records {
        let (begun, from) = (Instant::now(), reader.offset());
        let batch = reader.next(1 << 20, Some(Duration::from_secs(30)))?;
        latency.record(begun.elapsed());
        if batch.is_empty() {
            return Err(format!("nothing at offset {from} of {records}").into());
        }
        for record in &batch {
            total = total.wrapping_add(sum(record.value.ok_or("a record has no value")?));
        }
        meter.advance(reader.offset() - from);
    }
    std::hint::black_box(total);
    Ok(())
}

/// What a producer did, and in how many seconds.
type Production = (Produced, f64);

/// Reads the backlog while a producer appends.
fn beside(
    plan: &Plan,
    store: &Store,
    records: u64,
    meter: &Meter,
    latency: &mut Latency,
) -> Result<Option<Production>> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| produce(plan, store, f64::from(u32::MAX), Some(&over)));
        let read = read(store, records, meter, latency);
        over.store(true, Ordering::Relaxed);
        let produced = producer.join().expect("producers answer errors")?;
        read.map(|()| Some(produced))
    })
}

/// Appends for so long, or until it is over.
fn produce(plan: &Plan, store: &Store, seconds: f64, over: Option<&AtomicBool>) -> Result<Production> {
    let payload = Payload::new(plan.record_size, 1);
    let drive = Drive { length: Length::Seconds(seconds), over, ..Drive::new(plan) };
    let start = Instant::now();
    // What is shown is what the reader does.
    let produced = drive.run(&mut store.producers(plan, &payload), &Meter::new(plan))?;
    Ok((produced, start.elapsed().as_secs_f64()))
}
