//! The same appends from Rust, from C, and from Python.

use std::time::{Duration, Instant};

use thalweg::Record;
use thalweg_c::thalweg_engine_options;

use crate::error::{Error, Result};
use crate::latency::Latency;
use crate::measured::{Outcome, Point, check};
use crate::meter::{Meter, Timed};
use crate::pace::{Pace, sleep_until};
use crate::plan::{Caller, Case, Length, Plan};
use crate::python_caller::{has_python, python_append};
use crate::store::Store;
use crate::usage::Usage;
use crate::{CCaller, rust_append};

/// Records of one run of calls, which is timed as a whole.
const RUN: u64 = 1000;

/// All languages that are here, per call and batched.
pub(super) fn cases() -> Vec<Case> {
    let python = has_python().then_some(Caller::Python);
    let callers: Vec<Caller> = [Caller::Rust, Caller::C].into_iter().chain(python).collect();
    let case = |(batch, caller)| Case { batch, caller, in_flight: 0, ..Case::default() };
    [1, 100].into_iter().flat_map(|batch| callers.iter().map(move |caller| (batch, *caller))).map(case).collect()
}

pub(super) fn run(plan: &Plan, meter: &Meter) -> Result<Outcome> {
    let value = vec![0x5a; plan.record_size];
    let batch = plan.case.batch as usize;
    let (all, records, latency, timed) = match plan.case.caller {
        Caller::Rust => {
            let store = Store::create(plan)?;
            let settle = || store.topic.append(&Record::new(&value)).map(drop).map_err(Error::from);
            measure(plan, meter, |calls| rust_append(&store.topic, &value, batch, calls), settle)?
        }
        Caller::C => {
            let adjust = |options: &mut thalweg_engine_options| {
                options.memory_budget = plan.memory_budget;
                options.runtime = plan.runtime.c();
            };
            let caller = CCaller::new(&plan.dir, &value, plan.durability.engine(), adjust);
            let settle = || {
                caller.settle();
                Ok(())
            };
            measure(plan, meter, |calls| caller.append(batch, calls), settle)?
        }
        Caller::Python => python(plan)?,
    };
    let found = Store::open(plan)?.records()?;
    check(found, all)?;
    let paced = plan.rate().is_some();
    let from = if paced { ", from when the first was due" } else { "" };
    let latency = latency.summary(format!("a call, the mean of {} in a row{from}", calls(plan)), paced);
    Ok(Outcome { records, found, latency, timed, durable_writes: None, figures: Vec::new() })
}

/// Calls of one run.
fn calls(plan: &Plan) -> u64 {
    RUN / u64::from(plan.case.batch)
}

/// Records of the warm-up and the measurement, those of the second, what a call took, and what all took.
type Calls = (u64, u64, Latency, Timed);

/// What a Python program says of itself: the clock and the account are its own.
fn python(plan: &Plan) -> Result<Calls> {
    let done = python_append(plan, RUN)?;
    let mut latency = Latency::new();
    for seconds in done.runs {
        latency.record(Duration::from_secs_f64(seconds / calls(plan) as f64));
    }
    let usage = Usage { cpu: Duration::from_secs_f64(done.cpu), written: done.written };
    // It does not say how it went in between.
    let end = Point { seconds: done.seconds, records: done.records, memory: done.peak, backlog: 0 };
    let timed = Timed { seconds: done.seconds, usage, peak: done.peak, series: vec![end] };
    Ok((done.all, done.records, latency, timed))
}

/// Appends before and while the clock runs.
fn measure(plan: &Plan, meter: &Meter, mut append: impl FnMut(u64), settle: impl Fn() -> Result<()>) -> Result<Calls> {
    let calls = calls(plan);
    let mut run = |length, latency: &mut Latency| -> Result<u64> {
        let (start, mut records) = (Instant::now(), 0);
        let mut pace = Pace::new(plan.rate(), RUN as u32, 0, 1);
        loop {
            let due = pace.next();
            match length {
                Length::Records(all) if records >= all => break,
                Length::Seconds(seconds) if start.elapsed().as_secs_f64() >= seconds => break,
                _ => {}
            }
            if let Some(due) = due {
                sleep_until(due);
            }
            let begun = due.unwrap_or_else(Instant::now);
            append(calls);
            latency.record(begun.elapsed() / calls as u32);
            records += RUN;
            meter.advance(RUN);
        }
        // It waits for itself, and so for all before it.
        settle()?;
        Ok(records + 1)
    };
    let warm = run(Length::Records(RUN), &mut Latency::new())?;
    let mut latency = Latency::new();
    let (records, timed) = meter.time(&[std::process::id()], || run(plan.length, &mut latency));
    let records = records?;
    Ok((warm + records, records, latency, timed))
}
