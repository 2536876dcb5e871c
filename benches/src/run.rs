//! `run`: the engine, workload by workload.

use std::path::Path;

use crate::args::Run;
use crate::child;
use crate::document::Document;
use crate::error::Result;
use crate::measured::Measured;
use crate::plan::Plan;
use crate::scratch::scratch_in;
use crate::size;
use crate::table::{Table, number};
use crate::workloads;

/// What the cells of a row are.
pub(crate) const COLUMNS: [&str; 13] = [
    "case",
    "value",
    "records/s",
    "MB/s",
    "p50 us",
    "p99 us",
    "p99.9 us",
    "p99.99 us",
    "max us",
    "CPU s/M",
    "dev B/B",
    "memory",
    "syncs",
];

/// What a table says of a measurement.
pub(crate) fn row(measured: &Measured) -> Vec<String> {
    let latency = &measured.latency;
    let mut row = vec![
        measured.name.clone(),
        size::exact(measured.plan.record_size as u64),
        number(measured.records_per_second),
        number(measured.bytes_per_second / 1e6),
    ];
    let times = [latency.p50_us, latency.p99_us, latency.p99_9_us, latency.p99_99_us, latency.max_us];
    row.extend(times.map(number));
    row.push(number(measured.cpu_seconds_per_million_records));
    row.push(number(measured.device_bytes_per_payload_byte));
    row.push(size::about(measured.peak_memory_bytes));
    row.push(measured.durable_writes.map_or("-".to_owned(), |count| number(count as f64)));
    row
}

/// What is asked for.
fn plans(args: &Run, dir: &Path) -> Vec<Plan> {
    let settings = &args.settings;
    let wanted = |name: String| settings.case.as_ref().is_none_or(|part| name.contains(part));
    let mut plans = Vec::new();
    for (workload, record_size) in
        args.workloads.iter().flat_map(|w| settings.record_size.iter().map(move |s| (*w, *s)))
    {
        let cases = workloads::cases(workload, settings.data(record_size));
        plans.extend(cases.into_iter().filter(|case| wanted(case.name(workload))).map(|case| Plan {
            workload,
            case,
            record_size: record_size as usize,
            durability: args.durability,
            length: settings.length(),
            rate: settings.rate,
            memory_budget: settings.memory_budget,
            runtime: settings.runtime,
            dir: dir.to_owned(),
            peer: None,
        }));
    }
    plans
}

/// Measures everything that is asked for.
pub(crate) fn run(args: &Run) -> Result<()> {
    let settings = &args.settings;
    let dir = settings.dir();
    let plans = plans(args, &dir);
    if plans.is_empty() {
        return Err(format!("no case's name contains {:?}", settings.case.as_deref().unwrap_or_default()).into());
    }
    let mut document = Document::new("run", &dir, Vec::new())?;
    for (name, value) in document.lines() {
        println!("{name}: {value}");
    }
    for plan in plans {
        let scratch = scratch_in(&dir)?;
        let measured = child::measure(&Plan { dir: scratch.path().to_owned(), ..plan })?;
        let rate = number(measured.records_per_second);
        eprintln!("{}, {}: {rate} records/s", measured.plan.workload.as_str(), describe(&measured));
        document.measured.push(measured);
        // What is measured is kept, also if a later measurement fails.
        if let Some(path) = &settings.json {
            document.write(path)?;
        }
    }
    document.measured.chunk_by(|a, b| a.plan.workload == b.plan.workload).for_each(print);
    Ok(())
}

fn describe(measured: &Measured) -> String {
    format!("{}, values of {}", measured.name, size::exact(measured.plan.record_size as u64))
}

/// All that was measured of one workload.
fn print(measured: &[Measured]) {
    let mut table = Table::new(&COLUMNS);
    measured.iter().for_each(|measured| table.push(row(measured)));
    println!("\n{}\n{table}", measured[0].plan.workload.as_str());
    for (measured, figure) in measured.iter().flat_map(|m| m.figures.iter().map(move |figure| (m, figure))) {
        println!("{}: {}: {} {}", describe(measured), figure.name, number(figure.value), figure.unit);
    }
}
