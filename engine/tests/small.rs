//! Little at a time: what a store takes that is opened for a few records, again and again.

mod common;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use thalweg::{ConsumerOptions, Engine, Start, TopicOptions};

/// Bytes that the segments take on the device.
fn taken(store: &Path) -> u64 {
    let topics = std::fs::read_dir(store.join("segments")).expect("there");
    let files = topics.flat_map(|topic| std::fs::read_dir(topic.expect("read").path()).expect("there"));
    files.map(|file| file.expect("read").metadata().expect("there").blocks() * 512).sum()
}

/// A copy of a store in use. The manifest comes first, and does not know what is made meanwhile.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    let mut entries: Vec<_> = std::fs::read_dir(from).expect("there").map(|entry| entry.expect("read")).collect();
    entries.sort_by_key(|entry| entry.file_type().expect("known").is_dir());
    for entry in entries {
        let target = to.join(entry.file_name());
        match entry.file_type().expect("known").is_dir() {
            true => copy(&entry.path(), &target),
            // A file that is just being made may have got its name meanwhile.
            false => match std::fs::copy(entry.path(), target) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.expect("copied")),
            },
        }
    }
}

fn append_and_commit(engine: &Engine, round: u64) {
    let topic = engine.topic("t").or_else(|_| engine.create_topic("t", TopicOptions::default())).expect("there");
    assert_eq!(common::append(&topic, &round.to_string()), round);
    let mut consumer = engine.consumer(ConsumerOptions::default().name("c")).expect("a consumer");
    consumer.assign(&topic, 0, Some(Start::Offset(round))).expect("there");
    assert_eq!(consumer.poll(1, Some(common::LONG)).expect("there").len(), 1);
    consumer.commit().expect("committed");
}

for_each_runtime! {
    fn opens_that_append_little_take_little(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        for round in 0..30 {
            let engine = common::open(dir.path(), runtime);
            append_and_commit(&engine, round);
            engine.close().expect("closed");
        }
        assert!(taken(dir.path()) <= 60 * (16 << 10), "{} bytes for 60 segments", taken(dir.path()));
        let engine = common::open(dir.path(), runtime);
        assert_eq!(common::values(&engine.topic("t").expect("there"), 0).len(), 30);
        assert_eq!(engine.positions().list(None).expect("listed")[0].offset, 30);
        engine.verify(|range| panic!("{range}")).expect("verified");
    }

    fn what_was_reserved_before_a_crash_is_given_back(runtime: Runtime) {
        let dirs: Vec<_> = (0..8).map(|_| tempfile::tempdir().expect("a directory")).collect();
        for round in 0..7 {
            let store = dirs[round].path();
            let engine = common::open(store, runtime);
            append_and_commit(&engine, round as u64);
            copy(store, dirs[round + 1].path());
        }
        let engine = common::open(dirs[7].path(), runtime);
        assert!(taken(dirs[7].path()) <= 14 * (16 << 10), "{} bytes for 14 segments", taken(dirs[7].path()));
        assert_eq!(common::values(&engine.topic("t").expect("there"), 0).len(), 7);
    }

    fn positions_of_many_runs_are_put_together(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        for round in 0..200 {
            let engine = common::open(dir.path(), runtime);
            append_and_commit(&engine, round);
        }
        let segments = |name: &str| std::fs::read_dir(dir.path().join("segments").join(name)).map_or(0, Iterator::count);
        let counts: Vec<usize> = (1..6).map(|topic| segments(&format!("{topic:08}"))).collect();
        assert_eq!(counts.iter().filter(|count| **count == 200).count(), 1, "the topic: {counts:?}");
        assert!(counts.iter().sum::<usize>() < 200 + 150, "the log of the positions was rewritten: {counts:?}");
    }
}
