//! The engine against a model that is a list of lists.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{LONG, Owned, options, read_all};
use proptest::prelude::*;
use thalweg::{
    AppendOptions, Batch, Durability, Engine, ErrorKind, Reader, Record, RecordHeader, Runtime, Start, Target, Ticket,
    Topic, TopicOptions,
};

const PARTITIONS: u32 = 3;

/// A record as the test makes it.
#[derive(Clone)]
struct Made {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    timestamp: Option<i64>,
}

impl std::fmt::Debug for Made {
    /// In a few words, so that a failing case can be read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Made { key, value, headers, timestamp } = self;
        let value = value.as_ref().map(Vec::len);
        write!(f, "(key {key:?}, {value:?} bytes, {} headers, time {timestamp:?})", headers.len())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append { partition: u32, records: Vec<Made>, durability: Option<u8>, wait: bool },
    ByKey { records: Vec<Made> },
    Split { records: Vec<Made> },
    Read { partition: u32, offset: u64, max_bytes: usize, hold: bool },
    Follow { partition: u32, max_bytes: usize },
    LetGo,
    WaitForAll,
    Reopen { shards: u32 },
    Verify,
}

fn made() -> impl Strategy<Value = Made> {
    let bytes = |most: usize| proptest::collection::vec(any::<u8>(), 0..most);
    let value = prop_oneof![
        6 => bytes(200).prop_map(Some),
        1 => (0u64..1000, 3_000usize..6_000).prop_map(|(seed, size)| Some(common::pattern(seed, size))),
        1 => (0u64..1000, 120_000usize..140_000).prop_map(|(seed, size)| Some(common::pattern(seed, size))),
        1 => Just(None),
    ];
    let header = ("[a-z]{0,5}", proptest::option::of(bytes(20)));
    let (key, time) = (proptest::option::of(bytes(4)), proptest::option::of(-1_000_000i64..1_000_000));
    (key, value, proptest::collection::vec(header, 0..3), time).prop_map(|(key, value, headers, timestamp)| Made {
        key,
        value,
        headers,
        timestamp,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let records = || proptest::collection::vec(made(), 1..6);
    prop_oneof![
        6 => (0..PARTITIONS, records(), proptest::option::of(0u8..3), any::<bool>())
            .prop_map(|(partition, records, durability, wait)| Step::Append { partition, records, durability, wait }),
        1 => records().prop_map(|records| Step::ByKey { records }),
        1 => records().prop_map(|records| Step::Split { records }),
        4 => (0..PARTITIONS, 0u64..60, 0usize..20_000, any::<bool>())
            .prop_map(|(partition, offset, max_bytes, hold)| Step::Read { partition, offset, max_bytes, hold }),
        3 => (0..PARTITIONS, 0usize..20_000).prop_map(|(partition, max_bytes)| Step::Follow { partition, max_bytes }),
        1 => Just(Step::LetGo),
        1 => Just(Step::WaitForAll),
        1 => (1u32..4).prop_map(|shards| Step::Reopen { shards }),
        1 => Just(Step::Verify),
    ]
}

/// The engine, and what it ought to hold.
struct Pair {
    dir: tempfile::TempDir,
    runtime: Runtime,
    engine: Option<Engine>,
    topic: Topic,
    model: Vec<Vec<Made>>,
    tickets: Vec<Ticket>,
    held: Vec<(u32, Batch)>,
    readers: BTreeMap<u32, Reader>,
}

fn durability(number: u8) -> Durability {
    [Durability::LoseOnKill, Durability::LoseOnPowerCut, Durability::Durable][usize::from(number)]
}

fn header((name, value): &(String, Option<Vec<u8>>)) -> RecordHeader<'_> {
    value.as_ref().map_or(RecordHeader::null(name), |value| RecordHeader::new(name, value))
}

/// Runs `f` with borrowed forms of the records.
fn with_records<R>(made: &[Made], f: impl FnOnce(&[Record<'_>]) -> R) -> R {
    let headers: Vec<Vec<RecordHeader<'_>>> =
        made.iter().map(|made| made.headers.iter().map(header).collect()).collect();
    let records: Vec<Record<'_>> = made
        .iter()
        .zip(&headers)
        .map(|(made, headers)| {
            let mut record = Record::default().headers(headers);
            (record.key, record.value, record.timestamp) = (made.key.as_deref(), made.value.as_deref(), made.timestamp);
            record
        })
        .collect();
    f(&records)
}

fn same(read: &Owned, made: &Made) -> bool {
    read.key == made.key
        && read.value == made.value
        && read.headers == made.headers
        && made.timestamp.is_none_or(|time| time == read.timestamp)
}

impl Pair {
    fn new(runtime: Runtime, mode: u8) -> Pair {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = Engine::open(dir.path(), options(runtime)).expect("opened");
        let layout = TopicOptions::default().partitions(PARTITIONS).durability(durability(mode));
        let topic = engine.create_topic("t", layout).expect("created");
        let model = vec![Vec::new(); PARTITIONS as usize];
        let (tickets, held, readers) = (Vec::new(), Vec::new(), BTreeMap::new());
        Pair { dir, runtime, engine: Some(engine), topic, model, tickets, held, readers }
    }

    fn end(&self, partition: u32) -> u64 {
        self.model[partition as usize].len() as u64
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Append { partition, records, durability: mode, wait } => {
                let mut options = AppendOptions::default();
                if let Some(mode) = mode {
                    options = options.durability(durability(*mode));
                }
                let target = Target::Partition(*partition);
                let ticket = with_records(records, |r| self.topic.submit(target, r, options)).expect("submitted");
                let at = ticket.appended();
                assert_eq!((at.partition, at.base_offset), (*partition, self.end(*partition)));
                assert_eq!(at.count as usize, records.len());
                self.model[*partition as usize].extend(records.iter().cloned());
                if *wait {
                    assert_eq!(ticket.wait(Some(LONG)).expect("acknowledged"), at);
                }
                self.tickets.push(ticket);
            }
            Step::ByKey { records } => {
                let key = records[0].key.clone().unwrap_or_default();
                let at = with_records(records, |r| self.topic.append_batch(Target::Key(&key), r)).expect("appended");
                assert_eq!((at.partition, at.base_offset), (self.topic.partition_of(&key), self.end(at.partition)));
                self.model[at.partition as usize].extend(records.iter().cloned());
            }
            Step::Split { records } => self.split(records),
            Step::Read { partition, offset, max_bytes, hold } => self.read(*partition, *offset, *max_bytes, *hold),
            Step::Follow { partition, max_bytes } => self.follow(*partition, *max_bytes),
            Step::LetGo => self.check_held(),
            Step::WaitForAll => {
                for (ticket, result) in self.tickets.iter().zip(Ticket::wait_all(&self.tickets, Some(LONG))) {
                    assert_eq!(result.expect("acknowledged"), ticket.appended());
                }
                self.tickets.clear();
            }
            Step::Reopen { shards } => self.reopen(*shards),
            Step::Verify => {
                let engine = self.engine.as_ref().expect("open");
                let report = engine.verify(|range| panic!("{range}")).expect("verified");
                assert!(report.records <= self.model.iter().map(|records| records.len() as u64).sum());
            }
        }
    }

    fn split(&mut self, records: &[Made]) {
        let parts = with_records(records, |r| self.topic.append_split(r)).expect("open");
        for part in parts.into_iter().map(|part| part.result) {
            let part = part.expect("appended");
            assert_eq!(part.base_offset, self.end(part.partition));
            let keyed =
                |made: &&Made| made.key.as_ref().is_some_and(|key| self.topic.partition_of(key) == part.partition);
            let mut of_part: Vec<Made> = records.iter().filter(keyed).cloned().collect();
            if of_part.len() < part.count as usize {
                // The ones without a key came here, in their places among the others.
                let here = |made: &&Made| made.key.is_none() || keyed(made);
                of_part = records.iter().filter(here).cloned().collect();
            }
            assert_eq!(of_part.len(), part.count as usize);
            self.model[part.partition as usize].extend(of_part);
        }
    }

    /// The records of a batch are those of the model.
    fn check_batch(&self, partition: u32, batch: &Batch) {
        let mut count = 0;
        for record in batch {
            let read = Owned {
                offset: record.offset,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: record.headers().map(|h| (h.name.to_owned(), h.value.map(<[u8]>::to_vec))).collect(),
                timestamp: record.timestamp,
            };
            let made = &self.model[partition as usize][record.offset as usize];
            assert!(same(&read, made), "offset {}: read {read:?}, appended {made:?}", record.offset);
            count += 1;
        }
        assert_eq!(count, batch.len());
    }

    fn read(&mut self, partition: u32, offset: u64, max_bytes: usize, hold: bool) {
        let end = self.end(partition);
        let high = self.topic.describe().expect("described").partitions[partition as usize].high_watermark;
        assert!(high <= end);
        match self.topic.read(partition, offset, max_bytes) {
            Ok(batch) => {
                assert!(offset <= end);
                if batch.is_empty() {
                    assert_eq!(batch.next_offset(), offset);
                } else {
                    assert_eq!(batch.iter().next().map(|record| record.offset), Some(offset));
                    assert_eq!(batch.next_offset(), offset + batch.len() as u64);
                }
                assert!(!batch.is_empty() || offset >= high);
                self.check_batch(partition, &batch);
                if hold {
                    self.held.push((partition, batch));
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error}");
                assert!(offset > high);
            }
        }
    }

    fn follow(&mut self, partition: u32, max_bytes: usize) {
        let topic = &self.topic;
        let reader = self
            .readers
            .entry(partition)
            .or_insert_with(|| topic.reader(partition, Start::Earliest).expect("a reader"));
        let before = reader.offset();
        let batch = reader.next(max_bytes, Some(Duration::ZERO)).expect("readable");
        assert_eq!(batch.next_offset(), before + batch.len() as u64, "nothing is skipped");
        assert_eq!(reader.offset(), batch.next_offset());
        self.check_batch(partition, &batch);
    }

    fn check_held(&mut self) {
        for (partition, batch) in std::mem::take(&mut self.held) {
            self.check_batch(partition, &batch);
        }
    }

    fn reopen(&mut self, shards: u32) {
        self.readers.clear();
        self.engine.take().expect("open").close().expect("closed");
        for ticket in self.tickets.drain(..) {
            assert_eq!(ticket.wait(Some(Duration::ZERO)).expect("close makes all durable"), ticket.appended());
        }
        self.check_held();
        let engine = Engine::open(self.dir.path(), options(self.runtime).shards(shards)).expect("opened");
        assert!(engine.info().recovery.clean);
        self.topic = engine.topic("t").expect("there");
        self.engine = Some(engine);
        self.check_all();
    }

    fn check_all(&self) {
        for partition in 0..PARTITIONS {
            let all = read_all(&self.topic, partition, 0, 50_000);
            let model = &self.model[partition as usize];
            assert_eq!(all.len(), model.len());
            for (offset, (read, made)) in all.iter().zip(model).enumerate() {
                assert!(read.offset == offset as u64 && same(read, made), "offset {offset}");
            }
        }
    }
}

fn run(runtime: Runtime, mode: u8, steps: &[Step]) {
    let mut pair = Pair::new(runtime, mode);
    steps.iter().for_each(|step| pair.apply(step));
    pair.reopen(2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn posix(mode in 0u8..3, steps in proptest::collection::vec(step(), 1..60)) {
        run(Runtime::Posix, mode, &steps);
    }

    #[test]
    fn uring(mode in 0u8..3, steps in proptest::collection::vec(step(), 1..60)) {
        run(Runtime::Auto, mode, &steps);
    }
}
