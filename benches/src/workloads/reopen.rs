//! The time to open a store, by how much is in it and how it was left.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use thalweg::{Record, Target};

use crate::child;
use crate::error::Result;
use crate::evict;
use crate::latency::Latency;
use crate::measured::{Figure, Outcome};
use crate::meter::Meter;
use crate::plan::{Case, Plan};
use crate::store::Store;

/// How often a store is opened.
const OPENS: u32 = 3;

/// How long a process appends small records until it is killed, so that the journal is full of what no segment has.
const UNTIL_KILLED: Duration = Duration::from_millis(300);

/// Both ways of leaving, by size.
pub(super) fn cases(data: u64) -> Vec<Case> {
    let sizes = [data / 16, data / 4, data];
    let case = |(killed, data)| Case { killed, data, ..Case::default() };
    [false, true].into_iter().flat_map(|killed| sizes.map(|data| (killed, data))).map(case).collect()
}

pub(super) fn run(plan: &Plan, meter: &Meter) -> Result<Outcome> {
    let (mut latency, mut recovery) = (Latency::new(), Latency::new());
    let mut open = || -> Result<Store> {
        let begun = Instant::now();
        let store = Store::open(plan)?;
        latency.record(begun.elapsed());
        let report = store.engine.info().recovery;
        recovery.record(report.duration);
        if report.clean == plan.case.killed {
            return Err(format!(
                "the store was left {}, and opened as clean: {}",
                plan.case.name(plan.workload),
                report.clean
            )
            .into());
        }
        Ok(store)
    };
    for _ in 1..OPENS {
        leave(plan)?;
        open()?.engine.close()?;
    }
    let acknowledged = leave(plan)?;
    let (store, timed) = meter.time(&[std::process::id()], open);
    let store = store?;
    let found = store.records()?;
    // Whoever was killed has appended more since.
    if found < acknowledged || found > acknowledged && !plan.case.killed {
        return Err(format!("{acknowledged} records were acknowledged, and {found} are there").into());
    }
    store.engine.close()?;
    let figures = vec![
        Figure::new("time to open, median", latency.percentile(50.0) / 1e3, "ms"),
        Figure::new("recovery in it, median", recovery.percentile(50.0) / 1e3, "ms"),
    ];
    let latency = latency.summary("from the call of open to its return", false);
    Ok(Outcome { records: found, found, latency, timed, durable_writes: None, figures })
}

/// Another process fills the store, if it is empty, and leaves it; how many records it had acknowledged then.
fn leave(plan: &Plan) -> Result<u64> {
    let mut filler = child::command("fill", plan)?.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(filler.stdout.take().expect("it is piped")).read_line(&mut line)?;
    if plan.case.killed {
        std::thread::sleep(UNTIL_KILLED);
        filler.kill()?;
    }
    let status = filler.wait()?;
    if !plan.case.killed && !status.success() {
        return Err(format!("the process that fills the store ended with {status}").into());
    }
    evict(&plan.dir)?;
    line.trim().parse().map_err(|_| format!("the process that fills the store said {line:?}").into())
}

/// That other process.
pub(crate) fn fill(plan: &Plan) -> Result<()> {
    let store = Store::create_or_open(plan)?;
    if store.records()? == 0 {
        store.fill(plan.backlog(), plan.record_size)?;
    }
    let small = [Record::new(&[0x5a; 100])];
    store.topic.append_batch(Target::Partition(0), &small)?;
    let records = store.records()?;
    if !plan.case.killed {
        store.engine.close()?;
        return say(records);
    }
    say(records)?;
    loop {
        store.topic.append_batch(Target::Partition(0), &small)?;
    }
}

fn say(records: u64) -> Result<()> {
    println!("{records}");
    Ok(std::io::stdout().flush()?)
}
