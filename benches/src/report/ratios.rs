//! A comparison as a table of ratios, for a document.

use super::subject::subjects;
use crate::document::{Document, date};
use crate::peers::Profile;
use crate::{compare, size};

/// In Markdown: a row for each subject, a column for each peer; ours / theirs, above 1 where ours is faster.
pub(super) fn ratios(document: &Document) -> String {
    let machine = &document.machine;
    let kind = if machine.virtual_machine { "virtual machine" } else { "machine" };
    let (cores, processor, memory) = (machine.cores, &machine.processor, size::about(machine.memory));
    let mut text = format!(
        "{}; Linux {}; {kind} with {cores} cores ({processor}), {memory}; {} on {} ({}{}); load before {:.2}.",
        date(document.begun),
        machine.kernel,
        machine.file_system,
        machine.device,
        machine.write_cache,
        if machine.fua { ", FUA" } else { ", no FUA" },
        machine.load,
    );
    if let Some(limits) = &document.limits {
        let values: Vec<String> = limits.lines().iter().map(|(name, value)| format!("{name}: {value}")).collect();
        text += &format!(" {}.", values.join("; "));
    }
    let others: Vec<&Profile> = document.peers.iter().skip(1).collect();
    let names: String = others.iter().map(|peer| format!(" {} {} |", peer.name, peer.version)).collect();
    text += &format!("\n\n| ours / theirs | records/s |{names}\n|---|---|{}\n", "---|".repeat(others.len()));
    for subject in subjects(document) {
        let rows = compare::rows(&subject.measured, &document.peers);
        let cell = |name: &str| rows.iter().find(|row| row[0] == name).map_or("-".into(), |row| row[3].clone());
        let cells: String = others.iter().map(|peer| format!(" {} |", cell(&peer.name))).collect();
        let rate = rows.first().map_or("-".into(), |row| row[1].clone());
        text += &format!("| {}, {}, {} | {rate} |{cells}\n", subject.workload.as_str(), subject.name, subject.size());
    }
    let weaker: Vec<&str> = others.iter().filter(|peer| !peer.same_durability).map(|peer| peer.name.as_str()).collect();
    let remote = others.iter().filter(|peer| peer.hop.is_some()).map(|peer| peer.name.as_str());
    let remote: Vec<&str> = remote.collect();
    for (what, who) in [("Weaker durability than ours", weaker), ("Across loopback", remote)] {
        if !who.is_empty() {
            text += &format!("\n{what}: {}.", who.join(", "));
        }
    }
    text
}
