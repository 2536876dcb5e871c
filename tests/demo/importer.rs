//! The importing process: appends the input, and reads behind itself at half the speed.
//!
//! What it has to say goes through standard output, one line each: `ready`, `ack N BYTES` (every record before number N is
//! durable), `read N OFFSET` (every record before N came back as it went in), `differs …`, `done`.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use thalweg::{AppendOptions, Engine, Options, Record, Target, Ticket, Topic, TopicOptions};

use crate::check::Check;
use crate::input::Input;
use crate::{Args, Import};

/// The topic of the demo.
pub(crate) const TOPIC: &str = "events";
const BATCH_BYTES: usize = 64 << 10;
const UNDER_WAY_MAX: usize = 128;
const READ_BYTES: usize = 1 << 20;

/// How far the process is: what the appending thread tells the reading one.
#[derive(Default)]
struct Shared {
    /// Every record before this number is durable.
    acknowledged: AtomicU64,
    /// Nothing more will be appended.
    complete: AtomicBool,
}

pub(crate) fn run(args: &Args, import: &Import) -> Result<(), Box<dyn Error>> {
    let engine = Engine::open(&import.store, Options::default().memory_budget(args.memory_budget))?;
    let topic = match engine.topic(TOPIC) {
        Ok(topic) => topic,
        Err(_) => engine.create_topic(TOPIC, TopicOptions::default())?,
    };
    say("ready")?;
    let shared = Shared { acknowledged: AtomicU64::new(import.first), complete: AtomicBool::new(false) };
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&topic, args, import, &shared).map_err(|e| e.to_string()));
        append(&topic, args, import, &shared)?;
        shared.complete.store(true, Ordering::Release);
        if import.until_killed {
            loop {
                std::thread::park();
            }
        }
        reader.join().expect("the reader returns its errors")?;
        say("done")?;
        Ok(())
    })
}

/// One line to the watching process, in one write, so that lines of two threads do not mix.
fn say(line: &str) -> io::Result<()> {
    io::stdout().lock().write_all(format!("{line}\n").as_bytes())
}

/// Records that are appended together.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where each key and each value ends.
    ends: Vec<(usize, usize)>,
}

impl Batch {
    fn push(&mut self, number: u64, line: &[u8]) {
        write!(self.bytes, "{number}").expect("memory takes everything");
        let key = self.bytes.len();
        self.bytes.extend_from_slice(line);
        self.ends.push((key, self.bytes.len()));
    }

    fn records(&self) -> Vec<Record<'_>> {
        let mut start = 0;
        let record = |(key, end): &(usize, usize)| {
            let record = Record::new(&self.bytes[*key..*end]).key(&self.bytes[start..*key]);
            start = *end;
            record
        };
        self.ends.iter().map(record).collect()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// A batch on its way: its ticket, and where the input stands behind it.
struct UnderWay {
    ticket: Ticket,
    next: u64,
    bytes: u64,
}

fn append(topic: &Topic, args: &Args, import: &Import, shared: &Shared) -> Result<(), Box<dyn Error>> {
    let mut input = Input::open(&args.input, args.size)?;
    input.skip_to(import.first)?;
    let mut batch = Batch::default();
    let mut under_way = VecDeque::with_capacity(UNDER_WAY_MAX);
    loop {
        let more = input.position() < import.stop && add(&mut batch, &mut input)?;
        if batch.bytes.len() >= BATCH_BYTES || (!more && !batch.ends.is_empty()) {
            let ticket = topic.submit(Target::Partition(0), &batch.records(), AppendOptions::default())?;
            under_way.push_back(UnderWay { ticket, next: input.position(), bytes: input.bytes() });
            batch.clear();
        } else if more {
            continue;
        }
        while let Some(first) = under_way.front()
            && (under_way.len() == UNDER_WAY_MAX || !more || first.ticket.is_durable()?)
        {
            first.ticket.wait(None)?;
            let (next, bytes) = (first.next, first.bytes);
            under_way.pop_front();
            shared.acknowledged.store(next, Ordering::Release);
            say(&format!("ack {next} {bytes}"))?;
        }
        if !more {
            return Ok(());
        }
    }
}

/// Adds the next record of the input to the batch; `false` at its end.
fn add(batch: &mut Batch, input: &mut Input) -> io::Result<bool> {
    Ok(match input.next()? {
        Some((number, line)) => {
            batch.push(number, line);
            true
        }
        None => false,
    })
}

/// Reads from where it left off, compares, and stays at half of what is acknowledged until all is appended.
fn read(topic: &Topic, args: &Args, import: &Import, shared: &Shared) -> Result<(), Box<dyn Error>> {
    let mut input = Input::open(&args.input, args.size)?;
    input.skip_to(import.read)?;
    let mut check = Check::new(input);
    let mut offset = import.read_offset;
    loop {
        let complete = shared.complete.load(Ordering::Acquire) && !import.until_killed;
        let acknowledged = shared.acknowledged.load(Ordering::Acquire);
        let may_read = if complete { acknowledged } else { acknowledged / 2 };
        if check.next() >= may_read {
            if complete {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        let batch = topic.read_wait(0, offset, READ_BYTES, Some(Duration::from_secs(10)))?;
        for record in batch.iter() {
            check.record(&record)?;
        }
        if batch.next_offset() == offset {
            return Err(format!("an acknowledged record at offset {offset} cannot be read").into());
        }
        offset = batch.next_offset();
        if let Some(difference) = &check.first_difference {
            say(&format!("differs {}", difference.replace('\n', "; ")))?;
            return Err("what came out is not what went in".into());
        }
        say(&format!("read {} {offset}", check.next()))?;
    }
}
