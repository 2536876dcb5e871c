//! Few descriptors: a store with many more segment files than the process may have open works all the same.

use std::io::{Read, Write};

use std::time::Duration;

use thalweg::{Engine, ErrorKind, EventKind, Options, Record, Runtime, Target, TopicOptions};
use thalweg_tests::{child, ledger};

const LIMIT: u64 = 64;
const PARTITIONS: u32 = 100;

fn open_descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |names| names.count() as u64)
}

fn with_few_descriptors(dir: &std::path::Path, runtime: Runtime) {
    let options = || Options::default().runtime(runtime).shards(2).memory_budget(64 << 20).segment_size(64 << 10);
    let refused = Engine::open(dir, options().open_files(LIMIT as u32 + 1)).expect_err("above the limit");
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    assert!(refused.message().contains("open_files") && refused.message().contains("16 to 64"), "{refused}");

    let engine = Engine::open(dir, options()).expect("the store opens");
    assert_eq!(engine.info().open_files, 16);
    let topic = engine.create_topic("many", TopicOptions::default().partitions(PARTITIONS)).expect("a topic");
    // Each round goes to every partition, so that whatever was closed is opened again to be written; large enough to
    // go past the journal, and to begin a second segment.
    for sequence in 0..4 {
        for partition in 0..PARTITIONS {
            let value = ledger::value(partition, sequence, 0, 1, if sequence == 2 { 40_000 } else { 20_000 });
            topic.append_batch(Target::Partition(partition), &[Record::new(&value)]).expect("appended");
        }
    }
    let check = |engine: &Engine| {
        let topic = engine.topic("many").expect("the topic");
        for partition in 0..PARTITIONS {
            assert_eq!(ledger::check(&topic, partition).next[&partition], 4);
        }
        assert!(open_descriptors() < LIMIT, "{} are open", open_descriptors());
    };
    check(&engine);
    engine.close().expect("closed");
    let engine = Engine::open(dir, options()).expect("the store opens");
    assert!(engine.info().recovery.clean);
    check(&engine);
    let report = engine.verify(|range| panic!("{range}")).expect("verified");
    assert!(report.segments > u64::from(PARTITIONS), "{} segments", report.segments);

    // The rest of the program takes every descriptor that is left: what is open gives way.
    let mut hoard = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    check_with_none_left(&engine);
    drop(hoard);
    check(&engine);
    engine.close().expect("closed");
}

fn check_with_none_left(engine: &Engine) {
    let topic = engine.topic("many").expect("the topic");
    for partition in 0..PARTITIONS {
        let batch = topic.read(partition, 0, 1 << 20).expect("readable");
        assert!(!batch.is_empty());
    }
}

#[test]
fn few_descriptors() {
    let Some(role) = child::role("few_descriptors") else { return };
    let limit = libc::rlimit { rlim_cur: LIMIT, rlim_max: LIMIT };
    // SAFETY: `limit` is a live value.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    with_few_descriptors(&role.dir.join("auto"), Runtime::Auto);
    with_few_descriptors(&role.dir.join("posix"), Runtime::Posix);
    role.pipe.expect("the parent gives a pipe").write_all(b"done").expect("the test listens");
}

#[test]
fn many_segments_need_few_descriptors() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut process, pipe) = child::start("few_descriptors", dir.path(), true);
    let mut said = String::new();
    pipe.expect("asked for").read_to_string(&mut said).expect("the child speaks");
    assert!(process.wait().expect("the child is ours").success() && said == "done", "{said}");
}

/// Says how many descriptors this process may open from now on.
fn limit_descriptors(most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: LIMIT };
    // SAFETY: `limit` is a live value.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}

fn without_descriptors(dir: &std::path::Path, runtime: Runtime) {
    let options = || Options::default().runtime(runtime).shards(2).memory_budget(64 << 20).segment_size(1 << 20);
    let engine = Engine::open(dir, options()).expect("the store opens");
    let topic = engine.create_topic("many", TopicOptions::default().partitions(PARTITIONS + 1)).expect("a topic");
    let value = |partition, sequence| ledger::value(partition, sequence, 0, 1, 40_000);
    for partition in 0..PARTITIONS {
        topic.append_batch(Target::Partition(partition), &[Record::new(&value(partition, 0))]).expect("appended");
    }
    while engine.events().try_next().is_some() {}
    // No file can be opened any more, whatever gives way.
    limit_descriptors(3);
    let tickets: Vec<_> = (0..PARTITIONS)
        .map(|partition| {
            let value = value(partition, 1);
            topic.submit(Target::Partition(partition), &[Record::new(&value)], Default::default()).expect("accepted")
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let waiting = tickets.iter().filter(|ticket| !ticket.is_durable().expect("nothing fails")).count();
    assert!(waiting > PARTITIONS as usize / 2, "{waiting} wait for a descriptor");
    let fresh = topic.append_batch(Target::Partition(PARTITIONS), &[Record::new("x")]).expect_err("it has no file");
    assert!(fresh.kind() == ErrorKind::Io && fresh.message().contains("ulimit -n"), "{fresh}");
    let refused = (0..PARTITIONS).filter_map(|partition| topic.read(partition, 0, 1 << 20).err()).collect::<Vec<_>>();
    for error in &refused {
        assert_eq!((error.kind(), error.os_code()), (ErrorKind::Io, Some(libc::EMFILE)), "{error}");
        assert!(error.message().contains("ulimit -n"), "{error}");
    }
    limit_descriptors(LIMIT);
    for ticket in &tickets {
        ticket.wait(Some(Duration::from_secs(30))).expect("durable once there are descriptors");
    }
    for partition in 0..PARTITIONS {
        assert_eq!(ledger::check(&topic, partition).next[&partition], 2);
        topic.append_batch(Target::Partition(partition), &[Record::new(&value(partition, 2))]).expect("it goes on");
    }
    // What was refused meanwhile may be told to the first append.
    let _ = topic.append_batch(Target::Partition(PARTITIONS), &[Record::new("x")]);
    topic.append_batch(Target::Partition(PARTITIONS), &[Record::new("x")]).expect("it has a file now");
    let mut told = 0;
    while let Some(event) = engine.events().try_next() {
        match event.kind {
            EventKind::IoError { error, .. } => told += u32::from(error.os_code() == Some(libc::EMFILE)),
            other => panic!("{other}"),
        }
    }
    assert!(told > 0, "want of descriptors is told");
    engine.close().expect("closed");
    let engine = Engine::open(dir, options()).expect("the store opens");
    assert!(engine.info().recovery.clean && engine.info().recovery.damaged.is_empty());
    let topic = engine.topic("many").expect("the topic");
    for partition in 0..PARTITIONS {
        assert_eq!(ledger::check(&topic, partition).next[&partition], 3);
    }
    engine.close().expect("closed");
}

#[test]
fn no_descriptors() {
    let Some(role) = child::role("no_descriptors") else { return };
    limit_descriptors(LIMIT);
    without_descriptors(&role.dir.join("auto"), Runtime::Auto);
    without_descriptors(&role.dir.join("posix"), Runtime::Posix);
    role.pipe.expect("the parent gives a pipe").write_all(b"done").expect("the test listens");
}

/// A write whose file could not be opened again used to fail its partition, as if the device had.
#[test]
fn appends_wait_for_descriptors_and_nothing_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut process, pipe) = child::start("no_descriptors", dir.path(), true);
    let mut said = String::new();
    pipe.expect("asked for").read_to_string(&mut said).expect("the child speaks");
    assert!(process.wait().expect("the child is ours").success() && said == "done", "{said}");
}
