//! The same promises on every file system that the kernel has, and after a loss of power on those that can be made to
//! have one. Needs root; the lane `loop` that runs it is skipped without.

use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use thalweg::{Engine, ErrorKind, Options, Record, Runtime, Start, Target, Topic, TopicOptions};
use thalweg_tests::mount::{self, Mounted};
use thalweg_tests::{child, ledger};

const PARTITIONS: u32 = 3;
/// Bytes of an acknowledgement in the pipe: partition, writer, sequence, offset. Written at once.
const ACK: usize = 24;

fn options(runtime: Runtime) -> Options {
    Options::default().runtime(runtime).shards(1).memory_budget(64 << 20).segment_size(1 << 20)
}

fn open(path: &Path, runtime: Runtime) -> Engine {
    Engine::open(path, options(runtime)).expect("the store opens")
}

fn topic(engine: &Engine) -> Topic {
    let made = || engine.create_topic("t", TopicOptions::default().partitions(PARTITIONS));
    engine.topic("t").or_else(|_| made()).expect("the topic")
}

/// Most are small and take the way through the journal; some go to their segment, or have a block of their own.
fn size(sequence: u64) -> usize {
    match sequence % 29 {
        7 => 30_000,
        13 => 300_000,
        n => 40 + n as usize * 50,
    }
}

/// Appends batch number `sequence` of a writer, and returns its offset.
fn append(topic: &Topic, partition: u32, writer: u32, sequence: u64) -> thalweg::Result<u64> {
    let count = 1 + (sequence % 3) as u32;
    let values: Vec<Vec<u8>> = (0..count).map(|i| ledger::value(writer, sequence, i, count, size(sequence))).collect();
    let records: Vec<Record> = values.iter().map(Record::new).collect();
    topic.append_batch(Target::Partition(partition), &records).map(|at| at.base_offset)
}

/// What the child does until it is killed, or the device gives up.
#[test]
fn appender() {
    let Some(role) = child::role("appender") else { return };
    let cycle: u32 = std::env::var("THALWEG_TEST_CYCLE").expect("the parent says").parse().expect("a number");
    let engine = open(&role.dir, if cycle.is_multiple_of(2) { Runtime::Auto } else { Runtime::Posix });
    let topic = topic(&engine);
    let pipe = Mutex::new(role.pipe.expect("the parent gives a pipe"));
    std::thread::scope(|scope| {
        for partition in 0..PARTITIONS {
            let (topic, pipe) = (&topic, &pipe);
            scope.spawn(move || {
                let writer = cycle * PARTITIONS + partition;
                for sequence in 0.. {
                    let Ok(offset) = append(topic, partition, writer, sequence) else { return };
                    let mut ack = [0; ACK];
                    ack[..4].copy_from_slice(&partition.to_le_bytes());
                    ack[4..8].copy_from_slice(&writer.to_le_bytes());
                    ack[8..16].copy_from_slice(&sequence.to_le_bytes());
                    ack[16..].copy_from_slice(&offset.to_le_bytes());
                    let told = pipe.lock().is_ok_and(|mut pipe| pipe.write_all(&ack).is_ok());
                    if !told {
                        return;
                    }
                }
            });
        }
    });
    // Neither closed nor dropped: what a process that dies leaves.
    std::mem::forget(engine);
}

/// Runs an appender, ends it by `stop` some time after its first acknowledgement, and returns what it told.
fn run_appender(store: &Path, cycle: u32, life: Duration, stop: impl FnOnce()) -> Vec<[u8; ACK]> {
    // SAFETY: the tests of this file that start children run one after the other, by `SERIAL`.
    unsafe { std::env::set_var("THALWEG_TEST_CYCLE", cycle.to_string()) };
    let (mut process, pipe) = child::start("appender", store, true);
    let mut pipe = pipe.expect("asked for");
    let mut first = [0; ACK];
    pipe.read_exact(&mut first).expect("the child acknowledges something");
    let rest = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).map(|_| bytes)
    });
    std::thread::sleep(life);
    stop();
    child::kill(&mut process);
    let bytes = rest.join().expect("no panic").expect("the pipe");
    [first].into_iter().chain(bytes.as_chunks::<ACK>().0.iter().copied()).collect()
}

/// Everything that was acknowledged stands where it was said to stand.
fn check(engine: &Engine, acknowledged: &[[u8; ACK]]) -> u64 {
    let report = engine.info().recovery;
    assert!(report.damaged.is_empty() && report.unavailable.is_empty(), "{report:?}");
    let topic = engine.topic("t").expect("the topic");
    let found: Vec<_> = (0..PARTITIONS).map(|partition| ledger::check(&topic, partition)).collect();
    for ack in acknowledged {
        let word = |at: usize| u32::from_le_bytes(ack[at..at + 4].try_into().expect("four bytes"));
        let long = |at: usize| u64::from_le_bytes(ack[at..at + 8].try_into().expect("eight bytes"));
        let (partition, writer, sequence, offset) = (word(0), word(4), long(8), long(16));
        let there = found[partition as usize].at.get(&offset);
        assert_eq!(there, Some(&(writer, sequence)), "offset {offset} of partition {partition} was acknowledged");
    }
    found.iter().map(|found| found.records).sum()
}

/// One test at a time: they mount, and measure themselves in seconds.
static SERIAL: Mutex<()> = Mutex::new(());

/// The largest segment file below a directory.
fn largest_segment(path: &Path) -> PathBuf {
    let topics = std::fs::read_dir(path.join("segments")).expect("the segments");
    let files = topics.flat_map(|topic| std::fs::read_dir(topic.expect("an entry").path()).expect("a topic"));
    let with_size = files.map(|file| file.expect("an entry")).map(|f| (f.metadata().expect("facts").len(), f.path()));
    with_size.max().expect("a segment").1
}

fn suite(kind: &str) {
    if !mount::permitted() || !mount::kernel_has(kind) {
        return;
    }
    let _alone = SERIAL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    suite_on(kind, &Mounted::new(kind, 400));
}

fn suite_on(kind: &str, mounted: &Mounted) {
    let store = mounted.store();
    for (round, runtime) in [Runtime::Auto, Runtime::Posix].into_iter().enumerate() {
        let engine = open(&store, runtime);
        let info = engine.info();
        eprintln!("{kind}, {}: {}; {}", info.runtime, info.direct_io_reason, info.durable_reason);
        assert!(info.recovery.clean || round == 0);
        let topic = topic(&engine);
        for sequence in 0..60 {
            append(&topic, round as u32, 900 + round as u32, sequence).expect("a durable append");
        }
        engine.close().expect("a clean close");
    }
    let mut acknowledged = Vec::new();
    for cycle in 0..4 {
        acknowledged.extend(run_appender(&store, cycle, Duration::from_millis(40), || ()));
        let engine = open(&store, Runtime::Auto);
        assert!(!engine.info().recovery.clean);
        check(&engine, &acknowledged);
        engine.close().expect("a clean close");
    }

    read_only_mount(mounted, &acknowledged);
    damage(&store);
}

/// A store on a read-only mount can be read, and a writing open is refused.
fn read_only_mount(mounted: &Mounted, acknowledged: &[[u8; ACK]]) {
    mounted.remount("ro");
    let refused = Engine::open(mounted.store(), options(Runtime::Auto)).expect_err("nothing can be written");
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
    let engine = Engine::open(mounted.store(), options(Runtime::Auto).read_only(true)).expect("it can be read");
    check(&engine, acknowledged);
    engine.close().expect("closed");
    mounted.remount("rw");
}

/// A byte that changes is found, named, and costs nothing else.
fn damage(store: &Path) {
    let path = largest_segment(store);
    let file = std::fs::File::options().read(true).write(true).open(&path).expect("the segment");
    let mut byte = [0];
    file.read_exact_at(&mut byte, 4096 + 60).expect("readable");
    file.write_all_at(&[byte[0] ^ 0x10], 4096 + 60).and_then(|()| file.sync_all()).expect("damaged");
    let engine = open(store, Runtime::Auto);
    let report = engine.verify(|_| ()).expect("verified");
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    let range = &report.damaged[0];
    let topic = engine.topic("t").expect("the topic");
    let error = topic.read(range.partition, range.start, 1 << 20).expect_err("damaged");
    assert_eq!((error.kind(), error.damaged()), (ErrorKind::Corrupt, Some(range)));
    let mut reader = topic.reader(range.partition, Start::Offset(range.end)).expect("a reader");
    let rest = reader.next(1 << 20, Some(Duration::ZERO)).expect("what stands behind is whole");
    // Where the writer did not get far before it was killed, the damaged batch is the last one.
    let end = topic.describe().expect("described").partitions[range.partition as usize].high_watermark;
    assert_eq!(rest.is_empty(), range.end == end, "{range:?} of {end}");
    engine.close().expect("closed");
}

#[test]
fn the_same_on_ext4() {
    suite("ext4");
}

/// A device of larger blocks than usual: direct transfers of less are refused by the kernel.
#[test]
fn the_same_on_blocks_of_4096_bytes() {
    if !mount::permitted() {
        return;
    }
    let _alone = SERIAL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mounted = Mounted::with_blocks("ext4", 400, 4096);
    suite_on("ext4 on blocks of 4096 bytes", &mounted);
}

#[test]
fn the_same_on_xfs() {
    suite("xfs");
}

#[test]
fn the_same_on_btrfs() {
    suite("btrfs");
}

#[test]
fn the_same_on_tmpfs() {
    suite("tmpfs");
}

#[test]
fn the_same_on_overlay() {
    suite("overlay");
}

/// The file system is shut down while a process appends: what is in memory only, its own log included, is lost, and
/// extents that were not yet written read as zeros.
fn loses_power(kind: &str, cycles: u32) {
    if !mount::permitted() || !mount::kernel_has(kind) {
        return;
    }
    let _alone = SERIAL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mounted = Mounted::new(kind, 1000);
    let mut acknowledged = Vec::new();
    let mut records = 0;
    for cycle in 0..cycles {
        let life = Duration::from_millis(30 + u64::from(cycle * 37 % 160));
        acknowledged.extend(run_appender(&mounted.store(), cycle, life, || mounted.shut_down()));
        assert!(mounted.unmount(), "nobody uses it any more");
        mounted.mount();
        let engine = open(&mounted.store(), if cycle % 3 == 0 { Runtime::Posix } else { Runtime::Auto });
        records = check(&engine, &acknowledged);
        // Half the time the next one finds a store that was closed.
        if cycle % 2 == 0 {
            engine.close().expect("a clean close");
        }
    }
    eprintln!(
        "{kind}: {cycles} losses of power, {} acknowledgements, {records} records, none lost",
        acknowledged.len()
    );
}

#[test]
fn ext4_loses_power() {
    loses_power("ext4", 20);
}

#[test]
fn xfs_loses_power() {
    loses_power("xfs", 8);
}
