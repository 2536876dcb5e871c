//! End to end: from when an append is due to when a consumer at the tail has the record.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use thalweg::{AppendOptions, ConsumerOptions, Record, Start, Target};

use crate::Busy;
use crate::error::Result;
use crate::latency::Latency;
use crate::measured::{Outcome, check};
use crate::meter::Meter;
use crate::pace::{Pace, sleep_until};
use crate::plan::{Case, Length, Plan};
use crate::store::Store;

/// Records for each second, unless the user asks for another rate. Flat-out, latency is the length of a queue.
const RATE: f64 = 5000.0;

/// How long a consumer waits for what it has not got before it is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// 1 to 8 consumers, on an idle machine and with busy cores.
pub(super) fn cases() -> Vec<Case> {
    let case = |(busy, consumers)| Case { consumers, busy, rate: Some(RATE), ..Case::default() };
    [false, true].into_iter().flat_map(|busy| [1, 2, 4, 8].map(|consumers| (busy, consumers))).map(case).collect()
}

pub(super) fn run(plan: &Plan, meter: &Meter) -> Result<Outcome> {
    let store = Store::create(plan)?;
    let _busy = plan.case.busy.then(Busy::all_cores);
    let warm = match plan.length {
        Length::Records(records) => Length::Records(records.div_ceil(10)),
        Length::Seconds(seconds) => Length::Seconds(seconds / 10.0),
    };
    let (warm, _) = round(plan, &store, warm, meter)?;
    let before = store.durable_writes();
    let (round, timed) = meter.time(&[std::process::id()], || round(plan, &store, plan.length, meter));
    let (records, latency) = round?;
    let durable_writes = Some(store.durable_writes() - before);
    let found = store.records()?;
    check(found, warm + records)?;
    store.engine.close()?;
    let latency = latency.summary("from when the append was due to its arrival at a consumer", true);
    Ok(Outcome { records, found, latency, timed, durable_writes, figures: Vec::new() })
}

/// Appends for so long, while all consumers read it; how many records, and when they arrived.
fn round(plan: &Plan, store: &Store, length: Length, meter: &Meter) -> Result<(u64, Latency)> {
    let start = Instant::now();
    // The offset at which consumers are done, once it is known.
    let end = AtomicU64::new(u64::MAX);
    let offset = store.topic.next_offset(0)?;
    std::thread::scope(|scope| {
        let consume = || consume(plan, store, offset, start, &end);
        let consumers: Vec<_> = (0..plan.case.consumers).map(|_| scope.spawn(consume)).collect();
        let produced = produce(plan, store, length, start, meter);
        let records = *produced.as_ref().unwrap_or(&0);
        end.store(offset + records, Ordering::Release);
        let mut latency = Latency::new();
        for consumer in consumers {
            let (count, seen) = consumer.join().expect("consumers answer errors")?;
            check(count, produced.as_ref().map_or(count, |records| *records))?;
            latency.add(&seen);
        }
        Ok((produced?, latency))
    })
}

/// Appends records that say when they were due.
fn produce(plan: &Plan, store: &Store, length: Length, start: Instant, meter: &Meter) -> Result<u64> {
    let mut value = vec![0x5a; plan.record_size];
    let mut pace = Pace::new(plan.rate(), 1, 0, 1);
    let (mut count, mut last) = (0, None);
    loop {
        let due = pace.next().expect("this workload has a rate");
        match length {
            Length::Records(records) if count == records => break,
            Length::Seconds(seconds) if due.duration_since(start).as_secs_f64() >= seconds => break,
            _ => {}
        }
        sleep_until(due);
        value[..8].copy_from_slice(&(due.saturating_duration_since(start).as_nanos() as u64).to_le_bytes());
        last = Some(store.topic.submit(Target::Partition(0), &[Record::new(&value)], AppendOptions::default())?);
        count += 1;
        meter.advance(1);
    }
    if let Some(last) = last {
        last.wait(None)?;
    }
    Ok(count)
}

/// Reads until the end; how many records, and how long after they were due.
fn consume(plan: &Plan, store: &Store, from: u64, start: Instant, end: &AtomicU64) -> Result<(u64, Latency)> {
    let mut consumer = store.engine.consumer(ConsumerOptions::default())?;
    consumer.assign(&store.topic, 0, Some(Start::Offset(from)))?;
    let (mut latency, mut count, mut arrived) = (Latency::new(), 0, Instant::now());
    while from + count < end.load(Ordering::Acquire) {
        let Some(polled) = consumer.next(1 << 20, Some(Duration::from_millis(10)))? else {
            if arrived.elapsed() > PATIENCE {
                return Err(format!("a consumer got {count} records and no more for {PATIENCE:?}").into());
            }
            continue;
        };
        arrived = Instant::now();
        let now = arrived.duration_since(start);
        for record in &polled.batch {
            let value = record.value.ok_or("a record has no value")?;
            check(value.len() as u64, plan.record_size as u64)?;
            let due: [u8; 8] = value[..8].try_into().expect("eight bytes are eight bytes");
            latency.record(now.saturating_sub(Duration::from_nanos(u64::from_le_bytes(due))));
            count += 1;
        }
    }
    Ok((count, latency))
}
