//! What everybody does in a comparison.

use std::time::Instant;

use super::{Peer, Way, entry};
use crate::error::Result;
use crate::evict;
use crate::latency::Latency;
use crate::measured::{Outcome, check};
use crate::meter::Meter;
use crate::payload::Payload;
use crate::plan::{Plan, Workload};
use crate::producer::{Boxed, Drive, append_all, filling};
use crate::sum;

/// Carries out a plan with the peer of this name.
pub(crate) fn run(name: &str, plan: &Plan) -> Result<Outcome> {
    let open = match entry(name)?.way {
        Way::Open(open) => open,
        Way::Run(run) => return run(plan),
    };
    let meter = Meter::new(plan);
    match plan.workload {
        Workload::Catchup => read(plan, &meter, open),
        _ => append(plan, &meter, open(plan)?.as_ref()),
    }
}

fn append(plan: &Plan, meter: &Meter, peer: &dyn Peer) -> Result<Outcome> {
    let payload = Payload::new(plan.record_size, plan.case.batch as usize);
    let producer = |_| peer.producer(&payload);
    let mut producers: Vec<Boxed<'_>> = (0..plan.case.threads).map(producer).collect::<Result<_>>()?;
    let drive = Drive::new(plan);
    let warm = drive.warm_up(1).run(&mut producers, meter)?;
    let before = peer.durable_writes();
    let (produced, timed) = meter.time(&peer.processes(), || drive.run(&mut producers, meter));
    let produced = produced?;
    let durable_writes = peer.durable_writes().zip(before).map(|(after, before)| after - before);
    let found = peer.records()?;
    check(found, warm.records + produced.records)?;
    let paced = plan.rate().is_some();
    let from = if paced { "when the append was due" } else { "the call" };
    let latency = produced.latency.summary(format!("from {from} to its acknowledgement"), paced);
    Ok(Outcome { records: produced.records, found, latency, timed, durable_writes, figures: Vec::new() })
}

/// Reads what it has written, closed, and opened again, without the help of the page cache.
fn read(plan: &Plan, meter: &Meter, open: fn(&Plan) -> Result<Box<dyn Peer>>) -> Result<Outcome> {
    let filled = {
        let peer = open(plan)?;
        for (payload, count) in filling(plan.backlog(), plan.record_size) {
            append_all(peer.producer(&payload)?.as_mut(), count)?;
        }
        peer.records()?
    };
    check(filled, plan.backlog())?;
    evict(&plan.dir)?;
    let peer = open(plan)?;
    let mut total = 0_u64;
    // There is no call that all peers have in common: the time between two records, where a read lies between them.
    let (mut latency, mut before) = (Latency::new(), Instant::now());
    let (read, timed) = meter.time(&peer.processes(), || {
        peer.read(&mut |value| {
            total = total.wrapping_add(sum(value));
            meter.advance(1);
            let now = Instant::now();
            latency.record(now - before);
            before = now;
        })
    });
    std::hint::black_box(total);
    let records = read?;
    check(records, filled)?;
    let latency = latency.summary("from one record to the next", false);
    Ok(Outcome { records, found: filled, latency, timed, durable_writes: None, figures: Vec::new() })
}
