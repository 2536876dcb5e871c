//! The same appends from Rust and from C.

use std::time::Instant;

use thalweg::Record;

use crate::error::{Error, Result};
use crate::latency::{Latency, LatencySummary};
use crate::measured::{Outcome, check};
use crate::meter::{Meter, Timed};
use crate::pace::{Pace, sleep_until};
use crate::plan::{Caller, Case, Length, Plan};
use crate::store::Store;
use crate::{CCaller, rust_append};

/// Records of one run of calls, which is timed as a whole.
const RUN: u64 = 1000;

/// Both languages, per call and batched.
pub(super) fn cases() -> Vec<Case> {
    let callers = [Caller::Rust, Caller::C];
    let case = |(batch, caller)| Case { batch, caller, in_flight: 0, ..Case::default() };
    [1, 100].into_iter().flat_map(|batch| callers.map(|caller| (batch, caller))).map(case).collect()
}

pub(super) fn run(plan: &Plan, meter: &Meter) -> Result<Outcome> {
    let value = vec![0x5a; plan.record_size];
    let batch = plan.case.batch as usize;
    let measured = match plan.case.caller {
        Caller::Rust => {
            let store = Store::create(plan)?;
            let settle = || store.topic.append(&Record::new(&value)).map(drop).map_err(Error::from);
            measure(plan, meter, |calls| rust_append(&store.topic, &value, batch, calls), settle)?
        }
        Caller::C => {
            let caller = CCaller::new(&plan.dir, &value, plan.durability.engine(), |options| {
                options.memory_budget = plan.memory_budget;
            });
            let settle = || {
                caller.settle();
                Ok(())
            };
            measure(plan, meter, |calls| caller.append(batch, calls), settle)?
        }
    };
    let (all, records, latency, timed) = measured;
    let found = Store::open(plan)?.records()?;
    check(found, all)?;
    Ok(Outcome { records, found, latency, timed, durable_writes: None, figures: Vec::new() })
}

/// Appends before and while the clock runs: records of both, those of the second, and what a call took.
fn measure(
    plan: &Plan,
    meter: &Meter,
    mut append: impl FnMut(u64),
    settle: impl Fn() -> Result<()>,
) -> Result<(u64, u64, LatencySummary, Timed)> {
    let calls = RUN / u64::from(plan.case.batch);
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
    let paced = plan.rate().is_some();
    let from = if paced { ", from when the first was due" } else { "" };
    Ok((warm + records, records, latency.summary(format!("a call, the mean of {calls} in a row{from}"), paced), timed))
}
