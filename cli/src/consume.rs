//! `thalweg consume`: writes the records of a topic to standard output.

use std::io::Write;

use serde::Serialize;
use thalweg::{
    Consumer, ConsumerOptions, Engine, Error, ErrorKind, PartitionDescription, Position, RecordView, Start, Topic,
};

use crate::args::{Consume, Format, From, Global};
use crate::bytes::Bytes;
use crate::failure::Failure;
use crate::output::Output;
use crate::stats;
use crate::store::{self, Missing};

/// Bytes asked for at once.
const READ_BYTES: usize = 1 << 20;
/// A position is committed at least every so many records, once they are written.
const COMMIT_RECORDS: u64 = 100_000;
/// Positions that are committed together.
const BEGUN_MAX: usize = 10_000;

/// A record as JSON. Bytes that are not UTF-8 go into the `_base64` field instead.
#[derive(Serialize)]
struct Row<'a> {
    topic: &'a str,
    partition: u32,
    offset: u64,
    timestamp: i64,
    append_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<u64>,
    #[serde(flatten)]
    key: Bytes<&'a [u8]>,
    #[serde(flatten)]
    value: Bytes<&'a [u8]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<HeaderRow<'a>>,
}

#[derive(Serialize)]
struct HeaderRow<'a> {
    name: &'a str,
    #[serde(flatten)]
    value: Bytes<&'a [u8]>,
}

pub(crate) fn run(global: &Global, args: &Consume, output: &mut Output) -> Result<(), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    let topic = store::topic(&engine, &args.topic)?;
    let partitions = topic.describe()?.partitions;
    let wanted = match args.partition {
        Some(partition) => {
            store::check_partition(&args.topic, partition, topic.partitions())?;
            &partitions[partition as usize..=partition as usize]
        }
        None => &partitions[..],
    };
    if let (From::Offset(_), [_, _, ..]) = (args.from, wanted) {
        let what = "an offset belongs to one partition: name it with --partition, or begin at earliest or latest";
        return Err(Failure::Usage(what.into()));
    }
    let format = if output.is_json() { Format::Json } else { args.format };
    let left = args.max.unwrap_or(u64::MAX);
    let positions = args.name.as_deref().map(|name| Named::open(&engine, &topic, name)).transpose()?;
    let mut consumer = Writer { topic: &topic, name: &args.topic, format, left, output, positions };
    let mut damaged = false;
    for partition in wanted {
        match consumer.partition(partition, args.from) {
            Err(Stop::There(error)) => {
                // What is whole before the damage goes out before its name, should both end in one place.
                consumer.output.flush()?;
                let way_on = way_on(args, partition.partition, &error);
                let _ = writeln!(std::io::stderr(), "thalweg: {error}; to read on: {way_on}");
                damaged = true;
            }
            Err(Stop::Failed(failure)) => return Err(failure),
            Ok(()) => {}
        }
    }
    if let Some(named) = &mut consumer.positions {
        named.commit_begun()?;
    }
    if args.stats {
        consumer.output.flush()?;
        stats::tell(&engine.metrics(), global.json);
    }
    if damaged { Err(Failure::Damaged) } else { Ok(()) }
}

/// What leads behind the place where a partition was left.
fn way_on(args: &Consume, partition: u32, error: &Error) -> String {
    let to = error.damaged().map_or_else(|| "earliest".into(), |damaged| damaged.end.to_string());
    let topic = &args.topic;
    match &args.name {
        Some(name) => format!("thalweg positions reset {name} --topic {topic} --partition {partition} --to {to}"),
        None => format!("thalweg consume --topic {topic} --partition {partition} --from {to}"),
    }
}

/// Why a partition was not read to its end.
enum Stop {
    /// Damage, or a place that the partition does not have: others can be read.
    There(Error),
    Failed(Failure),
}

impl std::convert::From<Error> for Stop {
    fn from(error: Error) -> Stop {
        let there = error.damaged().is_some() || error.kind() == ErrorKind::OutOfRange;
        if there { Stop::There(error) } else { Stop::Failed(error.into()) }
    }
}

impl std::convert::From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

/// The positions under a name.
struct Named<'a> {
    consumer: Consumer,
    topic: &'a Topic,
    committed: Vec<Option<u64>>,
    /// Partitions that nothing was read of, and where they begin: to be committed together.
    begun: Vec<(u32, u64)>,
}

impl<'a> Named<'a> {
    fn open(engine: &Engine, topic: &'a Topic, name: &str) -> Result<Named<'a>, Failure> {
        let consumer = engine.consumer(ConsumerOptions::default().name(name))?;
        let mut committed = vec![None; topic.partitions() as usize];
        for position in engine.positions().list(Some(name))? {
            if position.topic == topic.name() {
                committed[position.partition as usize] = Some(position.offset);
            }
        }
        Ok(Named { consumer, topic, committed, begun: Vec::new() })
    }

    fn commit(&mut self, partition: u32, offset: u64) -> Result<(), Failure> {
        if self.committed[partition as usize] != Some(offset) {
            let position = Position { topic: self.topic, partition, offset, metadata: &[] };
            self.consumer.commit_positions(&[position])?;
            self.committed[partition as usize] = Some(offset);
        }
        Ok(())
    }

    /// Commits where the partitions begin that nothing was read of.
    fn commit_begun(&mut self) -> Result<(), Failure> {
        let topic = self.topic;
        let position = |(partition, offset): (u32, u64)| Position { topic, partition, offset, metadata: &[] };
        for begun in std::mem::take(&mut self.begun).chunks(BEGUN_MAX) {
            let positions: Vec<Position<'_>> = begun.iter().copied().map(position).collect();
            self.consumer.commit_positions(&positions)?;
        }
        Ok(())
    }
}

struct Writer<'a> {
    topic: &'a Topic,
    name: &'a str,
    format: Format,
    /// Records that may still be written.
    left: u64,
    output: &'a mut Output,
    positions: Option<Named<'a>>,
}

impl Writer<'_> {
    /// Writes a partition up to the watermark that it had at the start, and commits how far that got.
    fn partition(&mut self, about: &PartitionDescription, from: From) -> Result<(), Stop> {
        let committed = self.positions.as_ref().and_then(|named| named.committed[about.partition as usize]);
        let mut offset = match (committed, from) {
            (Some(offset), _) => offset,
            (None, From::Earliest) => about.log_start,
            (None, From::Latest) => about.high_watermark,
            (None, From::Offset(offset)) => offset,
            (None, From::Time(ms)) => self.topic.reader(about.partition, Start::Time(ms))?.offset(),
            (None, From::AppendTime(ms)) => self.topic.reader(about.partition, Start::AppendTime(ms))?.offset(),
        };
        let begun = offset;
        let written = self.records(about, &mut offset);
        if matches!(written, Err(Stop::Failed(_))) {
            return written;
        }
        match &mut self.positions {
            Some(named) if committed.is_none() && offset == begun => named.begun.push((about.partition, offset)),
            _ if offset != begun => self.commit(about.partition, offset)?,
            _ => {}
        }
        written
    }

    /// Writes the records from `offset`, and moves it behind them.
    fn records(&mut self, about: &PartitionDescription, offset: &mut u64) -> Result<(), Stop> {
        let end = about.high_watermark;
        let mut due = COMMIT_RECORDS;
        // An offset beyond the end is read too, for the error that says so.
        while self.left > 0 && *offset != end {
            let batch = self.topic.read(about.partition, *offset, READ_BYTES)?;
            for record in batch.iter().take_while(|record| record.offset < end) {
                if self.left == 0 {
                    return Ok(());
                }
                self.record(about.partition, &record)?;
                self.left -= 1;
                *offset = record.offset + 1;
                due = due.saturating_sub(1);
            }
            let next = batch.next_offset();
            if next == *offset && batch.is_empty() || next >= end {
                *offset = next.min(end);
                break;
            }
            *offset = next;
            if due == 0 {
                self.commit(about.partition, next)?;
                due = COMMIT_RECORDS;
            }
        }
        // Recovery ended the partition where damage begins, so no read comes to it.
        match about.damaged.iter().find(|range| range.start >= end) {
            Some(range) if self.left > 0 => Err(Stop::There(Error::corrupt(range.clone(), "recovery found them so"))),
            // The device did not let recovery read it to its end: what is behind answers why.
            None if self.left > 0 && about.failed.is_some() => {
                match self.topic.read(about.partition, end, READ_BYTES) {
                    Err(error) => Err(Stop::There(error)),
                    Ok(_) => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Makes durable how far a partition is written, once whoever reads the output has it.
    fn commit(&mut self, partition: u32, offset: u64) -> Result<(), Failure> {
        let Some(named) = &mut self.positions else { return Ok(()) };
        self.output.flush()?;
        named.commit(partition, offset)
    }

    fn record(&mut self, partition: u32, record: &RecordView<'_>) -> Result<(), Failure> {
        match self.format {
            Format::Raw => {
                self.output.bytes(record.value.unwrap_or_default())?;
                self.output.bytes(b"\n")
            }
            Format::Json => self.output.json(&Row {
                topic: self.name,
                partition,
                offset: record.offset,
                timestamp: record.timestamp,
                append_time: record.append_time,
                term: record.term,
                key: Bytes::new("key", record.key),
                value: Bytes::new("value", record.value),
                headers: record
                    .headers()
                    .map(|h| HeaderRow { name: h.name, value: Bytes::new("value", h.value) })
                    .collect(),
            }),
        }
    }
}
