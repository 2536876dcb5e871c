//! SIGKILL at random moments, with another process that has recorded every acknowledgement.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use thalweg::{Engine, Options, Record, Runtime, Target, Topic, TopicOptions};
use thalweg_tests::{child, ledger};

/// Processes killed with data acknowledged and in flight.
const KILLS: u32 = 110;
/// Kills after which a new store begins, so that reading it from the beginning stays quick.
const KILLS_PER_STORE: u32 = 10;
const PARTITIONS: u32 = 3;
const WRITERS: u32 = 4;
/// Bytes of an acknowledgement in the pipe: writer, partition, sequence, offset.
const ACK: usize = 24;

fn options(round: u32) -> Options {
    let runtime = if round % 3 == 2 { Runtime::Posix } else { Runtime::Auto };
    Options::default()
        .shards([1, 3, 2][round as usize % 3])
        .memory_budget(64 << 20)
        .segment_size(1 << 20)
        .runtime(runtime)
}

fn topic(engine: &Engine) -> Topic {
    engine.topic("crash").unwrap_or_else(|_| {
        engine.create_topic("crash", TopicOptions::default().partitions(PARTITIONS)).expect("a topic")
    })
}

/// A generator of the sizes and pauses of one writer.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// The process that is killed: appends from several threads, and tells the parent what was acknowledged.
#[test]
fn appender() {
    let Some(role) = child::role("appender") else { return };
    let round: u32 =
        std::fs::read_to_string(role.dir.join("round")).expect("the parent says").parse().expect("a number");
    let engine = Engine::open(role.dir.join("store"), options(round)).expect("the store opens");
    let topic = topic(&engine);
    let pipe = Mutex::new(role.pipe.expect("the parent gives a pipe"));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (topic, pipe) = (&topic, &pipe);
            let partition = writer % PARTITIONS;
            scope.spawn(move || write(topic, partition, writer, round, pipe));
        }
    });
}

fn write(topic: &Topic, partition: u32, writer: u32, round: u32, pipe: &Mutex<std::fs::File>) {
    let mut chance = Chance(u64::from(writer + 1) << 32 | u64::from(round + 1));
    let mut next = ledger::check(topic, partition).next.get(&writer).copied().unwrap_or(0);
    let mut tickets = std::collections::VecDeque::new();
    loop {
        let count = if chance.below(4) == 0 { 1 + chance.below(20) as u32 } else { 1 };
        let size = match chance.below(40) {
            0 => 200_000 / count as usize,
            1..5 => 20_000 / count as usize,
            _ => 30 + chance.below(900) as usize,
        };
        let values: Vec<_> = (0..count).map(|i| ledger::value(writer, next, i, count, size)).collect();
        let records: Vec<_> = values.iter().map(Record::new).collect();
        let ticket = topic.submit(Target::Partition(partition), &records, Default::default()).expect("an append");
        tickets.push_back((next, ticket));
        next += 1;
        while tickets.len() > (writer * 8) as usize {
            let (sequence, ticket) = tickets.pop_front().expect("more than none");
            let appended = ticket.wait(None).expect("a durable append");
            let mut ack = [0; ACK];
            ack[..4].copy_from_slice(&writer.to_le_bytes());
            ack[4..8].copy_from_slice(&partition.to_le_bytes());
            ack[8..16].copy_from_slice(&sequence.to_le_bytes());
            ack[16..].copy_from_slice(&appended.base_offset.to_le_bytes());
            pipe.lock().expect("no panics").write_all(&ack).expect("the parent listens");
        }
    }
}

/// One life: started, killed after a while; the acknowledgements that it gave.
fn life(dir: &Path, round: u32) -> Vec<[u8; ACK]> {
    std::fs::write(dir.join("round"), round.to_string()).expect("a file");
    let (mut child, pipe) = child::start("appender", dir, true);
    let mut pipe = pipe.expect("asked for");
    let (sender, first) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut acks = Vec::new();
        let mut ack = [0; ACK];
        while pipe.read_exact(&mut ack).is_ok() {
            if acks.is_empty() {
                sender.send(()).expect("the test waits");
            }
            acks.push(ack);
        }
        acks
    });
    first.recv_timeout(Duration::from_secs(60)).expect("the child acknowledges something");
    // Anything from at once to some rolls of the journal and of segments.
    let pause = Chance(u64::from(round + 7) << 20 | 5).below(60_000);
    std::thread::sleep(Duration::from_micros(pause));
    child::kill(&mut child);
    reader.join().expect("the reader")
}

#[test]
fn nothing_acknowledged_is_lost_by_sigkill() {
    let begun = Instant::now();
    let (mut acknowledged, mut records, mut slowest) = (0, 0, Duration::ZERO);
    for store in 0..KILLS / KILLS_PER_STORE {
        let dir = tempfile::tempdir().expect("a directory");
        let mut acks: BTreeMap<(u32, u64), (u32, u64)> = BTreeMap::new();
        for kill in 0..KILLS_PER_STORE {
            let round = store * KILLS_PER_STORE + kill;
            for ack in life(dir.path(), round) {
                let word = |at: usize| u32::from_le_bytes(ack[at..at + 4].try_into().expect("four bytes"));
                let long = |at: usize| u64::from_le_bytes(ack[at..at + 8].try_into().expect("eight bytes"));
                acks.insert((word(4), long(16)), (word(0), long(8)));
            }
            // After every other kill the next child is the one that recovers, and appends at once.
            if kill % 2 == 0 && kill + 1 < KILLS_PER_STORE {
                continue;
            }
            let opening = Instant::now();
            let engine = Engine::open(dir.path().join("store"), options(round + 1)).expect("the store opens again");
            slowest = slowest.max(opening.elapsed());
            assert!(engine.info().recovery.damaged.is_empty(), "round {round}: a kill is not damage");
            let topic = topic(&engine);
            let found: Vec<_> = (0..PARTITIONS).map(|p| ledger::check(&topic, p)).collect();
            for ((partition, offset), batch) in &acks {
                assert_eq!(
                    found[*partition as usize].at.get(offset),
                    Some(batch),
                    "round {round}: acknowledged, partition {partition} offset {offset}"
                );
            }
            if kill + 1 == KILLS_PER_STORE {
                records += found.iter().map(|f| f.records).sum::<u64>();
            }
            engine.close().expect("a clean close");
        }
        acknowledged += acks.len();
    }
    println!(
        "{KILLS} kills, {acknowledged} batches acknowledged, {records} records found; slowest open {slowest:?}; {:?} in all",
        begun.elapsed()
    );
}
