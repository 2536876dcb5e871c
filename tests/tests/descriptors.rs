//! Few descriptors: a store with many more segment files than the process may have open works all the same.

use std::io::{Read, Write};

use thalweg::{Engine, ErrorKind, Options, Record, Runtime, Target, TopicOptions};
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
