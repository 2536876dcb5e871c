//! `compare`: the engine and its peers in turns, at the same durability.

use crate::args::{Compare, Settings};
use crate::child;
use crate::document::Document;
use crate::error::Result;
use crate::measured::Measured;
use crate::peers::{self, Profile};
use crate::plan::{Case, Durability, Plan, Workload};
use crate::scratch::scratch_in;
use crate::size;
use crate::spread::Spread;
use crate::table::{Table, number};

/// The cases of a workload that all peers can do.
fn cases(workload: Workload, data: u64) -> Vec<Case> {
    match workload {
        Workload::Durable => [1, 16, 64].map(|threads| Case { threads, ..Case::default() }).to_vec(),
        // Whoever makes each call durable before it returns does better with larger ones.
        Workload::Append => [100, 1000].map(|batch| Case { batch, in_flight: 0, ..Case::default() }).to_vec(),
        _ => vec![Case { consumers: 1, data, ..Case::default() }],
    }
}

/// What is compared, apart from by whom.
struct Subject {
    workload: Workload,
    case: Case,
    record_size: usize,
}

impl Subject {
    fn all(args: &Compare) -> Vec<Subject> {
        let settings = &args.settings;
        let mut subjects = Vec::new();
        for (workload, record_size) in
            args.workload.iter().flat_map(|w| settings.record_size.iter().map(move |s| (*w, *s)))
        {
            let wanted = |case: &Case| settings.case.as_ref().is_none_or(|part| case.name(workload).contains(part));
            let cases = cases(workload, settings.data(record_size)).into_iter().filter(wanted);
            subjects.extend(cases.map(|case| Subject { workload, case, record_size: record_size as usize }));
        }
        subjects
    }

    fn name(&self) -> String {
        let size = size::exact(self.record_size as u64);
        format!("{}, {}, values of {size}", self.workload.as_str(), self.case.name(self.workload))
    }

    fn plan(&self, settings: &Settings, peer: &Profile) -> Plan {
        Plan {
            workload: self.workload,
            case: self.case.clone(),
            record_size: self.record_size,
            durability: Durability::Durable,
            length: settings.length(),
            rate: settings.rate,
            memory_budget: settings.memory_budget,
            runtime: settings.runtime,
            dir: settings.dir(),
            peer: Some(peer.name.clone()),
        }
    }
}

/// Compares everything that is asked for.
pub(crate) fn compare(args: &Compare) -> Result<()> {
    if args.list {
        peers::list().iter().for_each(|line| println!("{line}"));
        return Ok(());
    }
    let peers = peers::find(&args.peers)?;
    if args.syncs {
        return crate::syncs::count(args, &peers);
    }
    let subjects = Subject::all(args);
    if subjects.is_empty() {
        return Err(format!("no case's name contains {:?}", args.settings.case.as_deref().unwrap_or_default()).into());
    }
    let mut document = Document::new("compare", &args.settings.dir(), peers)?;
    for (name, value) in document.lines() {
        println!("{name}: {value}");
    }
    for peer in &document.peers {
        let hop = peer.hop.as_ref().map(|hop| format!(", {hop}")).unwrap_or_default();
        println!("{} {}{hop}: {}", peer.name, peer.version, peer.durability);
    }
    for subject in &subjects {
        let measured = rounds(args, subject, &document.peers)?;
        let mut table = Table::new(&COLUMNS);
        rows(&measured.iter().collect::<Vec<_>>(), &document.peers).into_iter().for_each(|row| table.push(row));
        println!("\n{}; medians of {} rounds\n{table}", subject.name(), args.rounds);
        document.measured.extend(measured);
        // What is measured is kept, also if a later measurement fails.
        if let Some(path) = &args.settings.json {
            document.write(path)?;
        }
    }
    Ok(())
}

/// Everybody once, then everybody once more, and so on.
fn rounds(args: &Compare, subject: &Subject, peers: &[Profile]) -> Result<Vec<Measured>> {
    let mut measured = Vec::new();
    for round in 0..args.rounds {
        for peer in peers.iter().filter(|peer| peer.reads || subject.workload != Workload::Catchup) {
            let scratch = scratch_in(&args.settings.dir())?;
            let plan = Plan { dir: scratch.path().to_owned(), ..subject.plan(&args.settings, peer) };
            measured.push(Measured { round, ..child::measure(&plan)? });
        }
    }
    Ok(measured)
}

/// What the cells of a row are.
pub(crate) const COLUMNS: [&str; 11] = [
    "who",
    "records/s",
    "lowest..highest",
    "ours / theirs",
    "lowest..highest",
    "p50 us",
    "p99 us",
    "CPU s/M",
    "dev B/B",
    "memory",
    "",
];

/// A row for each peer, of all rounds of one subject. Medians, and what lies around them.
pub(crate) fn rows(measured: &[&Measured], peers: &[Profile]) -> Vec<Vec<String>> {
    let of = |name: &str| -> Vec<&&Measured> {
        measured.iter().filter(|measured| measured.plan.peer.as_deref() == Some(name)).collect()
    };
    let ours = of(&peers[0].name);
    let row = |peer: &Profile| {
        let theirs = of(&peer.name);
        let spread = |value: fn(&Measured) -> f64| Spread::of(theirs.iter().map(|measured| value(measured)));
        // Of each round: what else the machine did then met both.
        let pairs = ours.iter().zip(&theirs).map(|(ours, theirs)| ours.records_per_second / theirs.records_per_second);
        let (rate, ratio) = (spread(|measured| measured.records_per_second), Spread::of(pairs));
        vec![
            peer.name.clone(),
            number(rate.median),
            format!("{}..{}", number(rate.lowest), number(rate.highest)),
            number(ratio.median),
            format!("{}..{}", number(ratio.lowest), number(ratio.highest)),
            number(spread(|measured| measured.latency.p50_us).median),
            number(spread(|measured| measured.latency.p99_us).median),
            number(spread(|measured| measured.cpu_seconds_per_million_records).median),
            number(spread(|measured| measured.device_bytes_per_payload_byte).median),
            size::about(spread(|measured| measured.peak_memory_bytes as f64).median as u64),
            note(peer),
        ]
    };
    peers.iter().filter(|peer| !of(&peer.name).is_empty()).map(row).collect()
}

/// What makes a comparison with it unequal.
pub(crate) fn note(peer: &Profile) -> String {
    let weaker = (!peer.same_durability).then_some("weaker durability");
    [peer.hop.as_deref(), weaker].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
