//! `thalweg import`: each line of the files becomes a record.
//!
//! Lines are appended in batches, straight from the buffer that they were read into, and many batches are on their way
//! to the device at once. What is under way is bounded, so memory is too.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use serde::Serialize;
use thalweg::limits::{KEY_MAX, RECORD_MAX};
use thalweg::{AppendOptions, Durability, Engine, ErrorKind, Record, Target, Ticket, Topic, TopicOptions};

use crate::args::{Global, Import};
use crate::failure::Failure;
use crate::inputs::{Input, Source, Sources, at, find_column, read_failed};
use crate::key::{Column, Fields, Key, without_mark};
use crate::lines;
use crate::output::Output;
use crate::progress::Progress;
use crate::size;
use crate::stats;
use crate::store::{self, Missing};

/// Batches on their way to the device.
const UNDER_WAY_MAX: usize = 128;
/// A batch ends at this many bytes of lines, so that it shares a block with others...
const BATCH_BYTES: usize = 64 << 10;
/// ... or at this many records.
const BATCH_RECORDS: usize = 4096;
/// Lines whose keys are found before the first of them is appended.
const GROUP_LINES: usize = 16 << 10;

/// What was imported.
#[derive(Default, Serialize)]
struct Report {
    topic: String,
    records: u64,
    /// Bytes of the input that the records are, line ends included.
    bytes: u64,
    /// Records that have no field in the key's column. They have no key.
    without_key: u64,
    seconds: f64,
    records_per_second: f64,
    bytes_per_second: f64,
}

pub(crate) fn run(global: &Global, args: &Import, output: &mut Output) -> Result<(), Failure> {
    let column = args.key_column.as_deref().map(Column::parse).transpose().map_err(Failure::Usage)?;
    // Before a store is made for it.
    options(args).check(&args.topic)?;
    let mut fields = Fields::new(args.delimiter);
    let mut sources = Sources::look_at(&args.files, column.as_ref(), &mut fields)?;
    let engine = store::open(global, Missing::Create)?;
    let topic = open_topic(&engine, args)?;
    let progress = Progress::new(sources.total);
    let start = Instant::now();
    let mut importer = Importer::new(&topic, column, fields, &progress);
    let imported = sources.list.iter_mut().enumerate().try_for_each(|(file, source)| importer.source(file, source));
    // What was submitted is waited for also when the input failed in the middle: the message says how far it went.
    let settled = importer.settle();
    let Importer { mut report, missing, scattered, .. } = importer;
    progress.clear();
    let metrics = args.stats.then(|| engine.metrics());
    let closed = engine.close();
    if let Err(failure) = imported.and(settled) {
        let reason = failure.message().unwrap_or("failed");
        let Some((file, line)) = missing else { return Err(failure) };
        let durable = match report.records {
            1 => "1 record is durable".into(),
            records => format!("{records} records are durable"),
        };
        let rest = match scattered {
            false => "none from there on",
            true => "some from there on, of which that line may be none",
        };
        let name = &sources.list[file].name;
        return Err(Failure::Failed(format!("{reason}\n{durable}: all before {name} line {line}, and {rest}")));
    }
    closed?;
    report.topic.clone_from(&args.topic);
    report.seconds = start.elapsed().as_secs_f64();
    report.records_per_second = report.records as f64 / report.seconds;
    report.bytes_per_second = report.bytes as f64 / report.seconds;
    output.report(&report, Report::text)?;
    if let Some(metrics) = metrics {
        output.flush()?;
        stats::tell(&metrics, global.json);
    }
    Ok(())
}

impl Report {
    fn text(&self) -> String {
        let rate = size::show(self.bytes_per_second as u64);
        let mut text = format!(
            "imported {} records, {} bytes, in {:.3} s: {:.0} records/s, {rate}/s\n",
            self.records, self.bytes, self.seconds, self.records_per_second
        );
        if self.without_key > 0 {
            text.push_str(&format!("{} of them have no field in the key's column, and so no key\n", self.without_key));
        }
        text
    }
}

/// What a new topic is made with.
fn options(args: &Import) -> TopicOptions {
    TopicOptions::default().partitions(args.partitions.unwrap_or(1))
}

/// The topic, created if it is missing.
fn open_topic(engine: &Engine, args: &Import) -> Result<Topic, Failure> {
    let topic = match engine.topic(&args.topic) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(engine.create_topic(&args.topic, options(args))?);
        }
        found => found?,
    };
    let has = topic.partitions();
    match args.partitions {
        Some(asked) if asked != has => {
            let name = &args.topic;
            Err(Failure::Failed(format!("--partitions asks for {asked}, but topic {name:?} has {has}")))
        }
        _ => Ok(topic),
    }
}

struct Importer<'a> {
    topic: &'a Topic,
    column: Option<Column>,
    fields: Fields,
    under_way: VecDeque<UnderWay>,
    progress: &'a Progress,
    report: Report,
    /// The first line that is not known to be durable, once something has failed.
    missing: Option<Place>,
    /// Lines from there on may be durable all the same: of several batches under way some can fail.
    scattered: bool,
    // Reused for every group of lines.
    group: Vec<Line>,
    keys: Vec<u8>,
}

/// A line of an input: the input's index, and the line's number in it, from 1.
type Place = (usize, u64);

/// A batch on its way.
struct UnderWay {
    ticket: Ticket,
    bytes: u64,
    first: Place,
}

/// A line that will be a record.
struct Line {
    /// From 1.
    number: u64,
    /// Where the key says; lines without a key come last and go round robin.
    partition: Option<u32>,
    /// In the run of lines.
    value: Range<usize>,
    /// In the keys of the group.
    key: Option<Range<usize>>,
}

/// A run of lines of one input.
#[derive(Clone, Copy)]
struct Run<'a> {
    bytes: &'a [u8],
    /// The input's index, and its name.
    file: usize,
    name: &'a str,
    /// The field that is the key.
    index: Option<usize>,
}

impl<'a> Importer<'a> {
    fn new(topic: &'a Topic, column: Option<Column>, fields: Fields, progress: &'a Progress) -> Importer<'a> {
        Importer {
            topic,
            column,
            fields,
            under_way: VecDeque::with_capacity(UNDER_WAY_MAX),
            progress,
            report: Report::default(),
            missing: None,
            scattered: false,
            group: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Appends every line of an input.
    fn source(&mut self, file: usize, source: &mut Source) -> Result<(), Failure> {
        let mut number = 0;
        let result = source.begin().and_then(|lines| self.input(file, &source.name, lines, &mut number));
        if result.is_err() && self.missing.is_none() {
            // Not a line was submitted from there on.
            self.missing = Some((file, number + 1));
        }
        result
    }

    /// Appends lines, and counts in `number` those that were submitted or are the header.
    fn input(&mut self, file: usize, name: &str, mut lines: Input, number: &mut u64) -> Result<(), Failure> {
        let (mut index, header) = match self.column.clone() {
            Some(Column::Index(index)) => (Some(index), None),
            Some(Column::Name(column)) => (None, Some(column)),
            None => (None, None),
        };
        loop {
            let mut bytes = match lines.next() {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(()),
                Err(error) => return Err(read_failed(name, *number + 1, &error)),
            };
            if let (0, Some(column)) = (*number, &header) {
                let first = lines::ranges(bytes).next().expect("a run has a line");
                index = Some(find_column(name, &bytes[first.clone()], column, &mut self.fields)?);
                bytes = &bytes[bytes.len().min(first.end + 1)..];
                *number = 1;
            }
            let run = Run { bytes, file, name, index };
            let mut ranges = lines::ranges(bytes).peekable();
            while !bytes.is_empty() && ranges.peek().is_some() {
                let lines = self.collect(run, *number, ranges.by_ref().take(GROUP_LINES));
                // What stands before a line that cannot be a record is imported.
                let count = self.group.len() as u64;
                self.append_group(run)?;
                *number += count;
                lines?;
            }
            self.collect_durable()?;
        }
    }

    /// Makes a group of the next lines of a run, which begin after `number` lines of the input. An error says what is
    /// wrong with the line behind the group.
    fn collect(
        &mut self,
        run: Run<'_>,
        number: u64,
        ranges: impl Iterator<Item = Range<usize>>,
    ) -> Result<(), Failure> {
        self.group.clear();
        self.keys.clear();
        for (value, number) in ranges.zip(number + 1..) {
            let line = match run.index {
                Some(index) => {
                    self.keyed(value, run.bytes, number, index).map_err(|what| at(run.name, number, &what))?
                }
                None => Line { number, partition: None, value, key: None },
            };
            if line.value.len() + line.key.as_ref().map_or(0, Range::len) > RECORD_MAX {
                let what = format!("is longer than the largest record, {RECORD_MAX} bytes with its key");
                return Err(at(run.name, number, &what));
            }
            self.group.push(line);
        }
        Ok(())
    }

    /// A line with its key; an error says what is wrong with the line.
    fn keyed(&mut self, value: Range<usize>, run: &[u8], number: u64, index: usize) -> Result<Line, String> {
        let line = &run[value.clone()];
        match self.fields.get(if number == 1 { without_mark(line) } else { line }, index) {
            Key::Field(field) if field.len() > KEY_MAX => {
                Err(format!("has a key of {} bytes; the largest is {KEY_MAX}", field.len()))
            }
            Key::Field(field) => {
                let start = self.keys.len();
                self.keys.extend_from_slice(field);
                let partition = Some(self.topic.partition_of(field));
                Ok(Line { number, partition, value, key: Some(start..self.keys.len()) })
            }
            Key::None => {
                self.report.without_key += 1;
                Ok(Line { number, partition: None, value, key: None })
            }
            Key::Open => {
                Err("opens a quotation mark and does not close it; a field cannot go over several lines".into())
            }
        }
    }

    /// Submits the group in batches of one partition each.
    fn append_group(&mut self, run: Run<'_>) -> Result<(), Failure> {
        if run.index.is_some() {
            // The sort is stable, so each partition keeps the order of the input.
            self.group.sort_by_key(|line| line.partition.map_or(u64::MAX, u64::from));
        }
        let mut next = 0;
        while next < self.group.len() {
            let end = next + self.batch(next);
            if let Err(failure) = self.submit(run, next..end) {
                let rest = self.group[next..].iter().map(|line| line.number).min().expect("the batch has a line");
                self.miss((run.file, rest));
                // Lines of a group are not submitted in their order, unless all go to one partition.
                self.scattered |= run.index.is_some();
                return Err(failure);
            }
            next = end;
        }
        Ok(())
    }

    /// How many lines of the group, from `first` on, make one batch.
    fn batch(&self, first: usize) -> usize {
        let (partition, mut bytes) = (self.group[first].partition, 0);
        let fits = |line: &&Line| {
            bytes += line.value.len() + line.key.as_ref().map_or(0, Range::len);
            line.partition == partition && bytes <= BATCH_BYTES
        };
        // The first is taken whatever its size.
        self.group[first..].iter().take(BATCH_RECORDS).take_while(fits).count().max(1)
    }

    /// Submits lines of the group as one batch.
    fn submit(&mut self, run: Run<'_>, lines: Range<usize>) -> Result<(), Failure> {
        if self.under_way.len() == UNDER_WAY_MAX {
            self.wait()?;
        }
        let lines = &self.group[lines];
        let record = |line: &Line| {
            let record = Record::new(&run.bytes[line.value.clone()]);
            line.key.as_ref().map_or(record, |key| record.key(&self.keys[key.clone()]))
        };
        let records: Vec<Record<'_>> = lines.iter().map(record).collect();
        let target = lines[0].partition.map_or(Target::RoundRobin, Target::Partition);
        // The command promises durable records whatever the topic was created with.
        let options = AppendOptions::default().durability(Durability::Durable);
        let ticket = self.topic.submit(target, &records, options)?;
        let bytes = lines.iter().map(|line| input_bytes(line, run.bytes)).sum();
        let first = (run.file, lines[0].number);
        self.under_way.push_back(UnderWay { ticket, bytes, first });
        Ok(())
    }

    /// Takes note of what has become durable in the meantime.
    fn collect_durable(&mut self) -> Result<(), Failure> {
        while let Some(first) = self.under_way.front()
            && first.ticket.is_durable()?
        {
            self.wait()?;
        }
        Ok(())
    }

    /// Waits for the oldest batch.
    fn wait(&mut self) -> Result<(), Failure> {
        let Some(UnderWay { ticket, bytes, first }) = self.under_way.pop_front() else { return Ok(()) };
        match ticket.wait(None) {
            Ok(appended) => {
                self.report.records += u64::from(appended.count);
                self.report.bytes += bytes;
                self.progress.advance(bytes);
                Ok(())
            }
            Err(error) => {
                self.miss(first);
                self.scattered = true;
                Err(error.into())
            }
        }
    }

    /// Waits for everything that is under way. All of it is counted that became durable; the first error is returned.
    fn settle(&mut self) -> Result<(), Failure> {
        let mut result = Ok(());
        while !self.under_way.is_empty() {
            result = result.and(self.wait());
        }
        result
    }

    /// A line is not known to be durable.
    fn miss(&mut self, place: Place) {
        self.missing = Some(self.missing.map_or(place, |before| before.min(place)));
    }
}

/// The bytes of the input that a line is, with its line feed if it has one.
fn input_bytes(line: &Line, run: &[u8]) -> u64 {
    let feed = usize::from(line.value.end < run.len());
    (line.value.len() + feed) as u64
}
