//! `thalweg import`: each line of the files becomes a record.
//!
//! Lines are appended in batches, straight from the buffer that they were read into, and many batches are on their way
//! to the device at once. What is under way is bounded, so memory is too.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use thalweg::limits::{KEY_MAX, RECORD_MAX};
use thalweg::{AppendOptions, Durability, Engine, ErrorKind, Record, Target, Ticket, Topic, TopicOptions};

use crate::args::{Global, Import};
use crate::failure::Failure;
use crate::key::{Column, Fields, Key};
use crate::lines::{self, Lines, LinesError};
use crate::output::Output;
use crate::progress::Progress;
use crate::size;
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
    if args.files.iter().filter(|file| is_standard_input(file)).count() > 1 {
        return Err(Failure::Usage("standard input (-) can be read only once".into()));
    }
    let total = total_size(&args.files)?;
    let engine = store::open(global, Missing::Create)?;
    let topic = open_topic(&engine, args)?;
    let progress = Progress::new(total);
    let start = Instant::now();
    let mut importer = Importer::new(&topic, column, args.delimiter, &progress);
    let imported = args.files.iter().try_for_each(|file| importer.file(file));
    // What was submitted is waited for also when the input failed in the middle: the message says how far it went.
    let settled = importer.settle();
    let mut report = importer.report;
    progress.clear();
    engine.close()?;
    if let Err(failure) = imported.and(settled) {
        let reason = failure.message().unwrap_or("failed");
        return Err(Failure::Failed(format!("{reason}\n{} records before that are durable", report.records)));
    }
    report.topic.clone_from(&args.topic);
    report.seconds = start.elapsed().as_secs_f64();
    report.records_per_second = report.records as f64 / report.seconds;
    report.bytes_per_second = report.bytes as f64 / report.seconds;
    output.report(&report, Report::text)
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

fn is_standard_input(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// The size of all files together if it is known; an error if one cannot be read, before anything is imported.
fn total_size(files: &[PathBuf]) -> Result<Option<u64>, Failure> {
    let mut total = Some(0);
    for file in files {
        if is_standard_input(file) {
            total = None;
            continue;
        }
        let about = File::open(file).and_then(|f| f.metadata()).map_err(|e| Failure::io(file.display(), &e))?;
        if about.is_dir() {
            return Err(Failure::Failed(format!("{}: is a directory", file.display())));
        }
        total = total.filter(|_| about.is_file()).map(|total| total + about.len());
    }
    Ok(total)
}

/// The topic, created if it is missing.
fn open_topic(engine: &Engine, args: &Import) -> Result<Topic, Failure> {
    let topic = match engine.topic(&args.topic) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let options = TopicOptions::default().partitions(args.partitions.unwrap_or(1));
            return Ok(engine.create_topic(&args.topic, options)?);
        }
        found => found?,
    };
    let has = topic.partitions();
    match args.partitions {
        Some(asked) if asked != has => {
            let name = &args.topic;
            Err(Failure::Failed(format!("topic {name:?} has {has} partitions; --partitions asks for {asked}")))
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
    // Reused for every group of lines.
    group: Vec<Line>,
    keys: Vec<u8>,
}

/// A batch on its way.
struct UnderWay {
    ticket: Ticket,
    bytes: u64,
}

/// A line that will be a record.
struct Line {
    /// Where the key says; lines without a key come last and go round robin.
    partition: Option<u32>,
    /// In the run of lines.
    value: Range<usize>,
    /// In the keys of the group.
    key: Option<Range<usize>>,
}

impl<'a> Importer<'a> {
    fn new(topic: &'a Topic, column: Option<Column>, delimiter: u8, progress: &'a Progress) -> Importer<'a> {
        Importer {
            topic,
            column,
            fields: Fields::new(delimiter),
            under_way: VecDeque::with_capacity(UNDER_WAY_MAX),
            progress,
            report: Report::default(),
            group: Vec::new(),
            keys: Vec::new(),
        }
    }

    fn file(&mut self, file: &Path) -> Result<(), Failure> {
        if is_standard_input(file) {
            return self.input("standard input", std::io::stdin().lock());
        }
        let name = file.display().to_string();
        let input = File::open(file).map_err(|e| Failure::io(&name, &e))?;
        self.input(&name, input)
    }

    /// Appends every line of an input.
    fn input(&mut self, name: &str, input: impl Read) -> Result<(), Failure> {
        let mut lines = Lines::new(input);
        let mut number = 0;
        let (mut index, header) = match self.column.clone() {
            Some(Column::Index(index)) => (Some(index), None),
            Some(Column::Name(column)) => (None, Some(column)),
            None => (None, None),
        };
        loop {
            let mut run = match lines.next() {
                Ok(Some(run)) => run,
                Ok(None) => return Ok(()),
                Err(LinesError::Io(e)) => return Err(Failure::io(name, &e)),
                Err(LinesError::TooLong) => {
                    let what = format!("is longer than the largest record, {RECORD_MAX} bytes");
                    return Err(at(name, number, &what));
                }
            };
            if let (0, Some(column)) = (number, &header) {
                let first = lines::ranges(run).next().expect("a run has a line");
                index = Some(self.find_column(name, &run[first.clone()], column)?);
                run = &run[run.len().min(first.end + 1)..];
                number = 1;
            }
            let mut ranges = lines::ranges(run).peekable();
            while !run.is_empty() && ranges.peek().is_some() {
                number += self.group(name, number, run, ranges.by_ref().take(GROUP_LINES), index)?;
            }
            self.collect_durable()?;
        }
    }

    /// Finds the key's column in the first line of a file.
    fn find_column(&mut self, name: &str, line: &[u8], column: &str) -> Result<usize, Failure> {
        self.fields.find(line, column).ok_or_else(|| {
            let names = self.fields.names(line);
            Failure::Failed(format!("{name} has no column {column:?}; its first line names: {names}"))
        })
    }

    /// Appends some lines of a run, which begin after `number` lines of the input; returns how many they are.
    fn group(
        &mut self,
        name: &str,
        number: u64,
        run: &[u8],
        ranges: impl Iterator<Item = Range<usize>>,
        index: Option<usize>,
    ) -> Result<u64, Failure> {
        self.group.clear();
        self.keys.clear();
        for value in ranges {
            let line = match index {
                Some(index) => self.keyed(value, run, index).map_err(|what| at(name, number + self.lines(), &what))?,
                None => Line { partition: None, value, key: None },
            };
            if line.value.len() + line.key.as_ref().map_or(0, Range::len) > RECORD_MAX {
                let what = format!("is longer than the largest record, {RECORD_MAX} bytes with its key");
                return Err(at(name, number + self.lines(), &what));
            }
            self.group.push(line);
        }
        if index.is_some() {
            // A batch has one partition. The sort is stable, so each partition keeps the order of the input.
            self.group.sort_by_key(|line| line.partition.map_or(u64::MAX, u64::from));
        }
        self.append_group(run)?;
        Ok(self.lines())
    }

    fn lines(&self) -> u64 {
        self.group.len() as u64
    }

    /// A line with its key; an error says what is wrong with the line.
    fn keyed(&mut self, value: Range<usize>, run: &[u8], index: usize) -> Result<Line, String> {
        match self.fields.get(&run[value.clone()], index) {
            Key::Field(field) if field.len() > KEY_MAX => {
                Err(format!("has a key of {} bytes; the largest is {KEY_MAX}", field.len()))
            }
            Key::Field(field) => {
                let start = self.keys.len();
                self.keys.extend_from_slice(field);
                let partition = Some(self.topic.partition_of(field));
                Ok(Line { partition, value, key: Some(start..self.keys.len()) })
            }
            Key::None => {
                self.report.without_key += 1;
                Ok(Line { partition: None, value, key: None })
            }
            Key::Open => {
                Err("opens a quotation mark and does not close it; a field cannot go over several lines".into())
            }
        }
    }

    /// Submits the group in batches of one partition each.
    fn append_group(&mut self, run: &[u8]) -> Result<(), Failure> {
        let mut records = Vec::with_capacity(BATCH_RECORDS.min(self.group.len()));
        let mut next = 0;
        while next < self.group.len() {
            let (mut bytes, partition) = (0, self.group[next].partition);
            while let Some(line) = self.group.get(next).filter(|line| line.partition == partition) {
                let size = line.value.len() + line.key.as_ref().map_or(0, Range::len);
                if !records.is_empty() && (bytes + size > BATCH_BYTES || records.len() == BATCH_RECORDS) {
                    break;
                }
                let record = Record::new(&run[line.value.clone()]);
                records.push(match &line.key {
                    Some(key) => record.key(&self.keys[key.clone()]),
                    None => record,
                });
                bytes += size;
                next += 1;
            }
            let target = partition.map_or(Target::RoundRobin, Target::Partition);
            // The command promises durable records whatever the topic was created with.
            let options = AppendOptions::default().durability(Durability::Durable);
            if self.under_way.len() == UNDER_WAY_MAX {
                Importer::wait(&mut self.under_way, &mut self.report, self.progress)?;
            }
            let ticket = self.topic.submit(target, &records, options)?;
            let first = next - records.len();
            let bytes = self.group[first..next].iter().map(|line| input_bytes(line, run)).sum();
            self.under_way.push_back(UnderWay { ticket, bytes });
            records.clear();
        }
        Ok(())
    }

    /// Takes note of what has become durable in the meantime.
    fn collect_durable(&mut self) -> Result<(), Failure> {
        while let Some(first) = self.under_way.front()
            && first.ticket.is_durable()?
        {
            Importer::wait(&mut self.under_way, &mut self.report, self.progress)?;
        }
        Ok(())
    }

    /// Waits for the oldest batch.
    fn wait(under_way: &mut VecDeque<UnderWay>, report: &mut Report, progress: &Progress) -> Result<(), Failure> {
        if let Some(first) = under_way.pop_front() {
            let appended = first.ticket.wait(None)?;
            report.records += u64::from(appended.count);
            report.bytes += first.bytes;
            progress.advance(first.bytes);
        }
        Ok(())
    }

    /// Waits for everything that is under way. All of it is counted that became durable; the first error is returned.
    fn settle(&mut self) -> Result<(), Failure> {
        let mut result = Ok(());
        while !self.under_way.is_empty() {
            result = result.and(Importer::wait(&mut self.under_way, &mut self.report, self.progress));
        }
        result
    }
}

/// The bytes of the input that a line is, with its line feed if it has one.
fn input_bytes(line: &Line, run: &[u8]) -> u64 {
    let feed = usize::from(line.value.end < run.len());
    (line.value.len() + feed) as u64
}

/// What is wrong with the line after the first `before` lines of an input.
fn at(name: &str, before: u64, what: &str) -> Failure {
    Failure::Failed(format!("{name} line {}: {what}", before + 1))
}
