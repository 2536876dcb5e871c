//! What is done with the engine alone. A file for each: its cases, and how one is carried out.

mod append;
mod catchup;
mod durable;
mod ffi;
mod partitions;
mod reopen;
mod slow_consumer;
mod tail;

use crate::error::Result;
use crate::latency::{Latency, LatencySummary};
use crate::measured::{Outcome, check};
use crate::meter::Meter;
use crate::payload::Payload;
use crate::plan::{Case, Plan, Workload};
use crate::producer::Drive;
use crate::store::Store;

pub(crate) use reopen::fill as fill_to_be_reopened;

/// All cases of a workload. `data`: what is in a store that is read or opened again.
pub(crate) fn cases(workload: Workload, data: u64) -> Vec<Case> {
    match workload {
        Workload::Append => append::cases(),
        Workload::Durable => durable::cases(),
        Workload::Partitions => partitions::cases(),
        Workload::Tail => tail::cases(),
        Workload::Catchup => catchup::cases(data),
        Workload::SlowConsumer => slow_consumer::cases(data),
        Workload::Reopen => reopen::cases(data),
        Workload::Ffi => ffi::cases(),
    }
}

/// Carries out a plan.
pub(crate) fn run(plan: &Plan) -> Result<Outcome> {
    let meter = Meter::new(plan);
    match plan.workload {
        Workload::Append | Workload::Durable | Workload::Partitions => produce(plan, &meter),
        Workload::Tail => tail::run(plan, &meter),
        Workload::Catchup => catchup::run(plan, &meter),
        Workload::SlowConsumer => slow_consumer::run(plan, &meter),
        Workload::Reopen => reopen::run(plan, &meter),
        Workload::Ffi => ffi::run(plan, &meter),
    }
}

/// Appends, and nothing else.
fn produce(plan: &Plan, meter: &Meter) -> Result<Outcome> {
    let store = Store::create(plan)?;
    let payload = Payload::new(plan.record_size, plan.case.batch as usize);
    let mut producers = store.producers(plan, &payload);
    let drive = Drive::new(plan);
    // Every partition once: what the first append to one costs is the same as elsewhere, and not what is asked here.
    let warm = drive.warm_up(u64::from(plan.case.partitions)).run(&mut producers, meter)?;
    let before = store.durable_writes();
    let (produced, timed) = meter.time(&[std::process::id()], || drive.run(&mut producers, meter));
    let produced = produced?;
    let durable_writes = Some(store.durable_writes() - before);
    let found = store.records()?;
    check(found, warm.records + produced.records)?;
    drop(producers);
    store.engine.close()?;
    let latency = acknowledged(&produced.latency, plan);
    Ok(Outcome { records: produced.records, found, latency, timed, durable_writes, figures: Vec::new() })
}

/// The latency of appends.
fn acknowledged(latency: &Latency, plan: &Plan) -> LatencySummary {
    let paced = plan.rate().is_some();
    let from = if paced { "when the append was due" } else { "the call" };
    latency.summary(format!("from {from} to its acknowledgement"), paced)
}
