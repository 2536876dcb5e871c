//! A process that is killed at any moment: what it was told is durable is there, and no batch is there in part.
//!
//! The parent starts this test binary again as a child that appends, and tells of every acknowledgement through a
//! pipe. It kills the child, opens the store itself, and compares.

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{LONG, pattern};
use thalweg::{AppendOptions, CompletionQueue, Engine, Options, Record, Runtime, Target, Topic, TopicOptions};

const CHILD: &str = "THALWEG_TEST_CRASH_CHILD";
const PARTITIONS: u32 = 5;
const WRITERS: u64 = 3;
/// Bytes of one acknowledgement in the pipe; written at once, so that it is there whole or not at all.
const ACK: usize = 40;

/// Which batch a record belongs to. Its value begins with this, and goes on with a pattern made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    round: u64,
    writer: u64,
    number: u64,
    index: u64,
    count: u64,
}

impl Stamp {
    fn value(&self) -> Vec<u8> {
        // Most are small; some take the way of large appends, or a block of their own.
        let size = match self.number % 23 {
            7 => 6_000,
            11 => 40_000,
            19 => 300_000,
            n => 10 + n as usize,
        };
        let words = [self.round, self.writer, self.number, self.index, self.count];
        let mut value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        value.extend(pattern(self.number ^ (self.writer << 20), size / self.count as usize));
        value
    }

    fn parse(value: &[u8]) -> Stamp {
        let word = |i: usize| u64::from_le_bytes(value[i * 8..i * 8 + 8].try_into().expect("eight bytes"));
        Stamp { round: word(0), writer: word(1), number: word(2), index: word(3), count: word(4) }
    }
}

fn batch(round: u64, writer: u64, number: u64) -> Vec<Vec<u8>> {
    let count = 1 + number % 4;
    (0..count).map(|index| Stamp { round, writer, number, index, count }.value()).collect()
}

fn tell(out: &Mutex<std::io::Stdout>, words: [u64; 5]) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut out = out.lock().expect("no panic");
    out.write_all(&bytes).and_then(|()| out.flush()).expect("the parent reads");
}

/// What the child does until it is killed.
fn append_forever(path: &Path, round: u64, runtime: Runtime) {
    let options = Options::default().runtime(runtime).shards(1 + (round % 3) as u32).memory_budget(64 << 20);
    let engine = Engine::open(path, options.segment_size(2 << 20)).expect("opened");
    let topic = engine
        .topic("t")
        .unwrap_or_else(|_| engine.create_topic("t", TopicOptions::default().partitions(PARTITIONS)).expect("created"));
    let out = Arc::new(Mutex::new(std::io::stdout()));
    let threads: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (topic, out) = (topic.clone(), Arc::clone(&out));
            std::thread::spawn(move || match writer {
                0 => append_and_wait(&topic, &out, round, writer),
                _ => append_and_go_on(&topic, &out, round, writer),
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
}

fn append_and_wait(topic: &Topic, out: &Mutex<std::io::Stdout>, round: u64, writer: u64) {
    for number in 0.. {
        let values = batch(round, writer, number);
        let records: Vec<Record> = values.iter().map(Record::new).collect();
        let at = topic.append_batch(target(writer, number), &records).expect("appended");
        tell(out, [round, writer, number, u64::from(at.partition), at.base_offset]);
    }
}

fn append_and_go_on(topic: &Topic, out: &Mutex<std::io::Stdout>, round: u64, writer: u64) {
    let queue = CompletionQueue::with_capacity(64).expect("a queue");
    let mut done = Vec::new();
    for number in 0.. {
        let values = batch(round, writer, number);
        let records: Vec<Record> = values.iter().map(Record::new).collect();
        while let Err(error) =
            topic.submit_to(&queue, number, target(writer, number), &records, AppendOptions::default())
        {
            assert_eq!(error.kind(), thalweg::ErrorKind::WouldBlock, "{error}");
            queue.wait(Some(LONG)).expect("no error");
            queue.poll(&mut done);
            for completed in done.drain(..) {
                let at = completed.result.expect("acknowledged");
                tell(out, [round, writer, completed.token, u64::from(at.partition), at.base_offset]);
            }
        }
    }
}

/// One writer's batches of one partition have rising numbers.
fn target(writer: u64, number: u64) -> Target<'static> {
    Target::Partition(((writer + number) % u64::from(PARTITIONS)) as u32)
}

/// Not a test of its own: what the child runs.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let mut parts = task.splitn(3, ' ');
    let (round, runtime, path) = (parts.next(), parts.next(), parts.next());
    let round = round.and_then(|round| round.parse().ok()).expect("a round");
    let runtime = if runtime == Some("uring") { Runtime::Uring } else { Runtime::Posix };
    append_forever(Path::new(path.expect("a path")), round, runtime);
}

/// Runs a child, kills it after `life` from its first acknowledgement, and returns what it told.
fn run_and_kill(path: &Path, round: u64, runtime: Runtime, life: Duration) -> Vec<[u64; 5]> {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "child", "--nocapture", "--test-threads=1", "-q"])
        .env(CHILD, format!("{round} {runtime} {}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut pipe = child.stdout.take().expect("piped");
    // What the test harness prints before it runs the child's test.
    let mut line = [0u8];
    let mut lines = 0;
    while lines < 2 && pipe.read(&mut line).is_ok_and(|n| n == 1) {
        lines += u32::from(line[0] == b'\n');
    }
    let (first, begun) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let (mut bytes, mut buffer) = (Vec::new(), [0u8; 1 << 16]);
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) | Err(_) => return bytes,
                Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            }
            let _ = first.send(());
        }
    });
    begun.recv_timeout(LONG).expect("the child acknowledges something");
    std::thread::sleep(life);
    child.kill().expect("killed");
    child.wait().expect("reaped");
    let bytes = reader.join().expect("no panic");
    let (acks, _) = bytes.as_chunks::<ACK>();
    let word = |ack: &[u8; ACK], i: usize| u64::from_le_bytes(ack[i * 8..i * 8 + 8].try_into().expect("eight bytes"));
    acks.iter().map(|ack| std::array::from_fn(|i| word(ack, i))).collect()
}

/// Everything of a partition from `offset`, each batch checked to be whole.
fn batches(topic: &Topic, partition: u32, offset: u64) -> BTreeMap<u64, Stamp> {
    let mut found = BTreeMap::new();
    let mut within: Option<Stamp> = None;
    for record in common::read_all(topic, partition, offset, 1 << 20) {
        let value = record.value.expect("a value");
        let stamp = Stamp::parse(&value);
        assert!(value == stamp.value(), "offset {} of partition {partition} is what was appended", record.offset);
        match within {
            None => {
                assert_eq!(stamp.index, 0, "a batch begins with its first record");
                found.insert(record.offset, stamp);
            }
            Some(last) => assert_eq!(stamp, Stamp { index: last.index + 1, ..last }, "a batch is there whole"),
        }
        within = Some(stamp).filter(|stamp| stamp.index + 1 < stamp.count);
    }
    assert!(within.is_none(), "the last batch is there whole");
    found
}

fn kill_again_and_again(runtime: Runtime, rounds: u64) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut ends = vec![0u64; PARTITIONS as usize];
    let mut random = 0x1234_5678_9abc_def1u64 ^ u64::from(std::process::id());
    let mut acknowledged = 0;
    let mut unclosed = 0;
    for round in 0..rounds {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Sometimes at once, sometimes after a while, and seldom after a long one.
        let micros = match random >> 61 {
            0 => 0,
            1..=4 => (random >> 32) % 10_000,
            _ => (random >> 32) % 150_000,
        };
        let acks = run_and_kill(dir.path(), round, runtime, Duration::from_micros(micros));
        acknowledged += acks.len();

        // Half the time the next child finds a store that was recovered and closed, half the time the one that this
        // child left: a look that only reads changes nothing in it.
        let only_look = (random >> 45) & 1 == 1;
        let options = Options::default().runtime(runtime).shards(1 + (random >> 40) as u32 % 3).read_only(only_look);
        let engine = Engine::open(dir.path(), options.memory_budget(64 << 20)).expect("recovered");
        let report = engine.info().recovery;
        assert!(!report.clean && report.damaged.is_empty() && report.unavailable.is_empty(), "{report:?}");
        let topic = engine.topic("t").expect("the topic was durable before its first append");
        let found: Vec<_> = (0..PARTITIONS).map(|p| batches(&topic, p, ends[p as usize])).collect();
        for [of_round, writer, number, partition, offset] in acks {
            assert_eq!(of_round, round);
            let stamp = found[partition as usize].get(&offset);
            let expected = Stamp { round, writer, number, index: 0, count: 1 + number % 4 };
            assert_eq!(stamp, Some(&expected), "acknowledged at offset {offset} of partition {partition}");
        }
        // Of each writer, a prefix of what it appended to the partition.
        for (partition, found) in found.iter().enumerate() {
            for writer in 0..WRITERS {
                let of_writer = |stamp: &&Stamp| stamp.round == round && stamp.writer == writer;
                let numbers: Vec<u64> = found.values().filter(of_writer).map(|stamp| stamp.number).collect();
                let first = (0..).find(|n| target(writer, *n) == Target::Partition(partition as u32));
                let expected = (0..numbers.len() as u64).map(|i| first.unwrap_or(0) + i * u64::from(PARTITIONS));
                assert!(numbers.iter().copied().eq(expected), "writer {writer}, partition {partition}: {numbers:?}");
            }
            assert!(found.values().all(|stamp| stamp.round == round), "nothing new of earlier rounds");
        }
        for (partition, end) in topic.describe().expect("described").partitions.iter().zip(&mut ends) {
            assert!(partition.high_watermark >= *end, "nothing that was recovered before is lost");
            *end = partition.high_watermark;
        }
        engine.close().expect("closed");
        unclosed += u64::from(only_look);
    }
    let engine = Engine::open(dir.path(), Options::default().runtime(runtime)).expect("opened");
    let topic = engine.topic("t").expect("there");
    for (partition, end) in ends.iter().enumerate() {
        batches(&topic, partition as u32, 0);
        assert_eq!(topic.describe().expect("described").partitions[partition].high_watermark, *end);
    }
    let report = engine.verify(|range| panic!("{range}")).expect("verified");
    assert_eq!(report.records, ends.iter().sum::<u64>());
    assert!(unclosed > 0, "some were killed twice in a row");
    let records = report.records;
    eprintln!(
        "{rounds} kills on {runtime}, {unclosed} not closed behind: {acknowledged} acknowledgements, {records} records, none lost"
    );
}

for_each_runtime! {
    fn killed_at_random_moments(runtime: Runtime) {
        kill_again_and_again(runtime, 60);
    }
}
