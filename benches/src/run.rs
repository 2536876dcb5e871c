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

const COLUMNS: [&str; 13] = [
    "workload, case",
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

fn row(measured: &Measured) -> Vec<String> {
    let latency = &measured.latency;
    let mut row = vec![
        format!("{}, {}", measured.plan.workload.as_str(), measured.name),
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
    let mut table = Table::new(&COLUMNS);
    for plan in plans {
        let scratch = scratch_in(&dir)?;
        let measured = child::measure(&Plan { dir: scratch.path().to_owned(), ..plan })?;
        let mut line = Table::new(&[]);
        line.push(row(&measured));
        eprint!("{}", line.to_string().trim_start());
        table.push(row(&measured));
        document.measured.push(measured);
    }
    println!("\n{table}");
    for measured in &document.measured {
        for figure in &measured.figures {
            let (name, value) = (row(measured)[0].clone(), number(figure.value));
            let size = size::exact(measured.plan.record_size as u64);
            println!("{name}, {size}: {}: {value} {}", figure.name, figure.unit);
        }
    }
    settings.json.as_ref().map_or(Ok(()), |path| document.write(path))
}
