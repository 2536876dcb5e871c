//! `thalweg verify`: reads everything and checks every checksum and offset.

use serde::Serialize;
use thalweg::{DamagedRange, VerifyReport};

use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::store::{self, Missing};

#[derive(Serialize)]
struct Report {
    topics: u64,
    partitions: u64,
    segments: u64,
    batches: u64,
    records: u64,
    bytes: u64,
    damaged_copies: Vec<String>,
    damaged: Vec<Range>,
    unavailable: Vec<String>,
}

/// Damaged offsets.
#[derive(Serialize)]
pub(crate) struct Range {
    topic: String,
    partition: u32,
    start: u64,
    end: u64,
}

pub(crate) fn run(global: &Global, output: &mut Output) -> Result<(), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    let report = engine.verify(|_| {})?;
    output.report(&Report::from(&report), |_| text(&report))?;
    if report.damaged.is_empty() && report.damaged_copies.is_empty() && report.unavailable.is_empty() {
        return Ok(());
    }
    output.flush()?;
    Err(Failure::Damaged)
}

fn text(report: &VerifyReport) -> String {
    let mut text: String = report.damaged.iter().map(|range| format!("damaged: {range}\n")).collect();
    text.extend(report.unavailable.iter().map(|partition| format!("not read to its end: {partition}\n")));
    text.extend(report.damaged_copies.iter().map(|copy| format!("damaged copy, no record is lost: {copy}\n")));
    let some = |count: usize, one: &str, more: &str| match count {
        0 => None,
        1 => Some(format!("1 damaged {one}")),
        n => Some(format!("{n} damaged {more}")),
    };
    let found = [some(report.damaged.len(), "range", "ranges"), some(report.damaged_copies.len(), "copy", "copies")];
    let found: Vec<String> = found.into_iter().flatten().collect();
    let found = if found.is_empty() { "no damage".into() } else { found.join(", ") };
    text.push_str(&format!(
        "checked {} records in {} batches, {} bytes, {} segments of {} partitions: {found}\n",
        report.records, report.batches, report.bytes, report.segments, report.partitions
    ));
    text
}

impl From<&VerifyReport> for Report {
    fn from(report: &VerifyReport) -> Report {
        Report {
            topics: report.topics,
            partitions: report.partitions,
            segments: report.segments,
            batches: report.batches,
            records: report.records,
            bytes: report.bytes,
            damaged_copies: report.damaged_copies.clone(),
            damaged: report.damaged.iter().map(Range::from).collect(),
            unavailable: report.unavailable.clone(),
        }
    }
}

impl From<&DamagedRange> for Range {
    fn from(range: &DamagedRange) -> Range {
        Range { topic: range.topic.clone(), partition: range.partition, start: range.start, end: range.end }
    }
}
