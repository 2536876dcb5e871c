//! A store that is only read: nothing in its directory changes, whatever state it was left in.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{open, options, read_all, topic};
use thalweg::{Engine, ErrorKind, Options, Record, Runtime, TopicOptions};

/// Every file below a directory, with its content.
fn content(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![path.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                found.insert(path.clone(), Vec::new());
                left.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("readable");
                found.insert(path, bytes);
            }
        }
    }
    found
}

fn read_only(path: &Path, runtime: Runtime) -> Engine {
    Engine::open(path, options(runtime).read_only(true)).expect("the store opens")
}

fn kind<T>(result: thalweg::Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}

for_each_runtime! {
    fn a_store_is_read_and_not_changed(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("store");
        let engine = open(&path, runtime);
        let orders = topic(&engine, 3);
        for number in 0..100u32 {
            orders.append(&Record::new(&number.to_le_bytes()).key(&number.to_be_bytes())).expect("appended");
        }
        engine.close().expect("closed");
        let before = content(&path);

        let engine = read_only(&path, runtime);
        assert!(engine.info().read_only && engine.info().recovery.clean);
        let orders = engine.topic("t").expect("it is there");
        let records: usize = (0..3).map(|p| read_all(&orders, p, 0, 1 << 20).len()).sum();
        assert_eq!(records, 100);
        assert_eq!(engine.verify(|range| panic!("{range}")).expect("verified").records, 100);

        assert_eq!(kind(orders.append(&Record::new("x"))), ErrorKind::ReadOnly);
        assert_eq!(kind(orders.add_partitions(5)), ErrorKind::ReadOnly);
        assert_eq!(kind(engine.create_topic("u", TopicOptions::default())), ErrorKind::ReadOnly);
        assert_eq!(kind(engine.delete_topic("t")), ErrorKind::ReadOnly);
        assert_eq!(read_all(&orders, 0, 0, 1 << 20).len() as u64, orders.describe().expect("told").partitions[0].high_watermark);

        // Readers share; a writer is refused, and told by whom.
        let second = read_only(&path, runtime);
        let writer = Engine::open(&path, options(runtime).lock_timeout(Duration::ZERO)).expect_err("it is being read");
        assert_eq!(writer.kind(), ErrorKind::AlreadyOpen);
        assert!(writer.message().contains("read only"), "{writer}");
        assert!(writer.message().contains(&std::process::id().to_string()), "{writer}");
        second.close().expect("closed");
        engine.close().expect("closed");
        assert!(content(&path) == before, "nothing has changed");

        // And the other way round.
        let engine = open(&path, runtime);
        let reader = Engine::open(&path, options(runtime).read_only(true).lock_timeout(Duration::ZERO));
        let refused = reader.expect_err("it is being written");
        assert_eq!(refused.kind(), ErrorKind::AlreadyOpen);
        assert!(refused.message().contains(&std::process::id().to_string()), "{refused}");
        engine.close().expect("closed");
    }

    fn what_a_crash_left_is_recovered_in_memory(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, left) = (dir.path().join("store"), dir.path().join("left"));
        let engine = open(&path, runtime);
        let small = topic(&engine, 4);
        let large = engine.create_topic("large", TopicOptions::default()).expect("created");
        for number in 0..200u32 {
            small.append(&Record::new(&number.to_le_bytes()).key(&number.to_be_bytes())).expect("appended");
        }
        for number in 0..20u8 {
            large.append(&Record::new(&vec![number; 100_000])).expect("appended");
        }
        // What a kill at this moment would leave: the directory as it is.
        common::copy(&path, &left);
        engine.close().expect("closed");

        let before = content(&left);
        for _ in 0..2 {
            let engine = read_only(&left, runtime);
            let report = engine.info().recovery;
            assert!(!report.clean && report.damaged.is_empty() && report.unavailable.is_empty(), "{report:?}");
            let small = engine.topic("t").expect("it is there");
            assert_eq!((0..4).map(|p| read_all(&small, p, 0, 1 << 20).len()).sum::<usize>(), 200);
            let large = read_all(&engine.topic("large").expect("it is there"), 0, 0, 1 << 20);
            assert!(large.iter().enumerate().all(|(n, r)| r.value == Some(vec![n as u8; 100_000])) && large.len() == 20);
            assert_eq!(engine.verify(|range| panic!("{range}")).expect("verified").records, 220);
            engine.close().expect("closed");
            assert!(content(&left) == before, "nothing has changed");
        }
        let engine = open(&left, runtime);
        assert_eq!((0..4).map(|p| read_all(&engine.topic("t").expect("there"), p, 0, 1 << 20).len()).sum::<usize>(), 200);
        engine.close().expect("closed");
    }
}

#[test]
fn a_missing_store_is_not_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = || Options::default().read_only(true);
    assert_eq!(kind(Engine::open(dir.path().join("none"), options())), ErrorKind::NotFound);
    assert_eq!(kind(Engine::open(dir.path(), options())), ErrorKind::NotFound);
    assert!(content(dir.path()).is_empty());
    std::fs::create_dir_all(dir.path().join("segments/00000001")).expect("a directory");
    assert_eq!(kind(Engine::open(dir.path(), options())), ErrorKind::Corrupt, "a store that lost its manifest");
}
