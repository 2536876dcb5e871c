//! `thalweg topic list|describe|delete`.

use serde::Serialize;
use thalweg::TopicDescription;

use crate::args::Global;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::size;
use crate::store::{self, Missing};

#[derive(Serialize)]
struct TopicRow {
    topic: String,
    partitions: usize,
    durability: &'static str,
    /// Offsets from the log start to the high watermark, over all partitions.
    offsets: u64,
    bytes: u64,
    damaged: usize,
}

#[derive(Serialize)]
struct TopicDetails {
    topic: String,
    durability: &'static str,
    partitions: Vec<PartitionRow>,
}

#[derive(Serialize)]
struct PartitionRow {
    partition: u32,
    log_start: u64,
    high_watermark: u64,
    bytes: u64,
    segments: u32,
    damaged: Vec<Damage>,
    /// Why it takes no appends, if it does not.
    failed: Option<String>,
}

#[derive(Serialize)]
struct Damage {
    start: u64,
    end: u64,
}

pub(crate) fn list(global: &Global, output: &mut Output) -> Result<(), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    let rows: Vec<TopicRow> = engine.topics()?.into_iter().map(TopicRow::from).collect();
    output.report(&rows, |rows| {
        let cells: Vec<Vec<String>> = rows.iter().map(TopicRow::cells).collect();
        table(&["topic", "partitions", "durability", "offsets", "size", "damaged"], &cells)
    })
}

pub(crate) fn describe(global: &Global, name: &str, output: &mut Output) -> Result<(), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    let topic = store::topic(&engine, name)?;
    output.report(&TopicDetails::from(topic.describe()?), |details| {
        let cells: Vec<Vec<String>> = details.partitions.iter().map(PartitionRow::cells).collect();
        let partitions = if cells.len() == 1 { "1 partition".into() } else { format!("{} partitions", cells.len()) };
        let head = format!("topic {}, {partitions}, {}\n", details.topic, details.durability);
        head + &table(&["partition", "log start", "high watermark", "size", "segments", "damaged", "appends"], &cells)
    })
}

pub(crate) fn delete(global: &Global, name: &str, output: &mut Output) -> Result<(), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    store::topic(&engine, name)?;
    engine.delete_topic(name)?;
    output.report(&serde_json::json!({ "deleted": name }), |_| format!("deleted topic {name}\n"))
}

impl From<TopicDescription> for TopicRow {
    fn from(topic: TopicDescription) -> TopicRow {
        TopicRow {
            partitions: topic.partitions.len(),
            durability: topic.durability.as_str(),
            offsets: topic.partitions.iter().map(|p| p.high_watermark - p.log_start).sum(),
            bytes: topic.partitions.iter().map(|p| p.size).sum(),
            damaged: topic.partitions.iter().filter(|p| !p.damaged.is_empty()).count(),
            topic: topic.name,
        }
    }
}

impl TopicRow {
    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.partitions.to_string(),
            self.durability.to_string(),
            self.offsets.to_string(),
            size::show(self.bytes),
            self.damaged.to_string(),
        ]
    }
}

impl From<TopicDescription> for TopicDetails {
    fn from(topic: TopicDescription) -> TopicDetails {
        let partitions = topic.partitions.into_iter().map(|p| PartitionRow {
            partition: p.partition,
            log_start: p.log_start,
            high_watermark: p.high_watermark,
            bytes: p.size,
            segments: p.segments,
            damaged: p.damaged.iter().map(|range| Damage { start: range.start, end: range.end }).collect(),
            failed: p.failed,
        });
        TopicDetails { durability: topic.durability.as_str(), partitions: partitions.collect(), topic: topic.name }
    }
}

impl PartitionRow {
    fn cells(&self) -> Vec<String> {
        let damaged: Vec<String> = self.damaged.iter().map(|range| format!("{}..{}", range.start, range.end)).collect();
        let damaged = if damaged.is_empty() { "no".into() } else { damaged.join(" ") };
        let appends = self.failed.as_ref().map_or("yes".into(), |why| format!("no: {why}"));
        vec![
            self.partition.to_string(),
            self.log_start.to_string(),
            self.high_watermark.to_string(),
            size::show(self.bytes),
            self.segments.to_string(),
            damaged,
            appends,
        ]
    }
}
