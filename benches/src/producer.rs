//! Threads that append, whoever takes what they append.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::latency::Latency;
use crate::meter::Meter;
use crate::pace::{Pace, sleep_until};
use crate::payload::Payload;
use crate::plan::{Length, Plan};

/// One thread's way to append, to the engine or to a peer.
pub(crate) trait Producer {
    /// Appends a batch of the payload, and tells of each append whose acknowledgement it takes meanwhile, this one's or
    /// an earlier one's, when that had begun. One without a beginning is not told of.
    fn append(&mut self, batch: usize, begun: Option<Instant>, acknowledged: &mut dyn FnMut(Instant)) -> Result<()>;

    /// Takes acknowledgements until then; `None`: until none is left to come.
    fn settle(&mut self, until: Option<Instant>, acknowledged: &mut dyn FnMut(Instant)) -> Result<()>;
}

/// A producer of a peer or of the engine, for a thread.
pub(crate) type Boxed<'a> = Box<dyn Producer + Send + 'a>;

/// When one thread has appended enough.
enum Share {
    Appends(u64),
    Until(Instant),
}

impl Share {
    fn new(length: Length, batch: u32, index: u32, threads: u32) -> Share {
        match length {
            Length::Records(records) => {
                let (all, threads) = (records.div_ceil(u64::from(batch)), u64::from(threads));
                Share::Appends(all / threads + u64::from(u64::from(index) < all % threads))
            }
            Length::Seconds(seconds) => Share::Until(Instant::now() + Duration::from_secs_f64(seconds)),
        }
    }
}

/// What fills a log with so many records, as fast as one thread does: payloads, and how many batches of each.
pub(crate) fn filling(records: u64, record_size: usize) -> [(Payload, u64); 2] {
    let batch = (MIB / record_size).clamp(1, 1000);
    let (batches, rest) = (records / batch as u64, records % batch as u64);
    [(Payload::new(record_size, batch), batches), (Payload::new(record_size, 1), rest)]
}

/// Appends so many batches, and waits for all of them.
pub(crate) fn append_all(producer: &mut dyn Producer, count: u64) -> Result<()> {
    for number in 0..count {
        producer.append(number as usize, None, &mut |_| {})?;
    }
    producer.settle(None, &mut |_| {})
}

/// What one append carries at most, where nothing but filling is the aim. Bytes.
const MIB: usize = 1 << 20;

/// What all threads together did.
pub(crate) struct Produced {
    pub(crate) records: u64,
    pub(crate) latency: Latency,
}

/// How a thread goes about it.
#[derive(Clone, Copy)]
pub(crate) struct Drive<'a> {
    pub(crate) length: Length,
    pub(crate) rate: Option<f64>,
    pub(crate) batch: u32,
    /// Every how many appends one is timed.
    pub(crate) every: u64,
    /// Set by whoever wants it to end earlier.
    pub(crate) over: Option<&'a AtomicBool>,
}

impl<'a> Drive<'a> {
    /// As the plan says. Where appends take less than it takes to look at the clock, one of many is timed.
    pub(crate) fn new(plan: &Plan) -> Drive<'a> {
        let fast = plan.case.in_flight == 0 && plan.rate().is_none();
        let every = if fast { 64_u64.div_ceil(u64::from(plan.case.batch)) } else { 1 };
        Drive { length: plan.length, rate: plan.rate(), batch: plan.case.batch, every, over: None }
    }

    /// A tenth of it, but so many appends at least: it warms up what is to be measured.
    pub(crate) fn warm_up(self, least: u64) -> Drive<'a> {
        let least = least * u64::from(self.batch);
        let length = match self.length {
            Length::Seconds(seconds) if least == u64::from(self.batch) => Length::Seconds(seconds / 10.0),
            Length::Seconds(_) => Length::Records(least),
            Length::Records(records) => Length::Records(records.div_ceil(10).max(least)),
        };
        Drive { length, rate: None, ..self }
    }

    /// Appends with all of these, each in a thread of its own, until all is acknowledged.
    pub(crate) fn run(self, producers: &mut [Boxed<'_>], meter: &Meter) -> Result<Produced> {
        let threads = producers.len() as u32;
        let results: Vec<Result<Produced>> = std::thread::scope(|scope| {
            let handles: Vec<_> = producers
                .iter_mut()
                .enumerate()
                .map(|(index, producer)| {
                    scope.spawn(move || self.run_one(producer.as_mut(), index as u32, threads, meter))
                })
                .collect();
            handles.into_iter().map(|handle| handle.join().expect("producers answer errors")).collect()
        });
        let mut all = Produced { records: 0, latency: Latency::new() };
        for produced in results {
            let produced = produced?;
            all.records += produced.records;
            all.latency.add(&produced.latency);
        }
        Ok(all)
    }

    fn run_one(self, producer: &mut dyn Producer, index: u32, threads: u32, meter: &Meter) -> Result<Produced> {
        let mut latency = Latency::new();
        let mut acknowledged = |begun: Instant| latency.record(begun.elapsed());
        let mut pace = Pace::new(self.rate, self.batch, index, threads);
        let share = Share::new(self.length, self.batch, index, threads);
        let (mut appends, mut shown, batch) = (0, 0, u64::from(self.batch));
        loop {
            let timed = appends % self.every == 0;
            let due = pace.next();
            match share {
                Share::Appends(all) if appends == all => break,
                Share::Until(end) if timed && due.unwrap_or_else(Instant::now) >= end => break,
                _ if timed && self.over.is_some_and(|over| over.load(Ordering::Relaxed)) => break,
                _ => {}
            }
            if let Some(due) = due {
                producer.settle(Some(due), &mut acknowledged)?;
                sleep_until(due);
            }
            let begun = timed.then(|| due.unwrap_or_else(Instant::now));
            producer.append(appends as usize, begun, &mut acknowledged)?;
            appends += 1;
            if timed {
                meter.advance((appends - shown) * batch);
                shown = appends;
            }
        }
        producer.settle(None, &mut acknowledged)?;
        meter.advance((appends - shown) * batch);
        Ok(Produced { records: appends * batch, latency })
    }
}
