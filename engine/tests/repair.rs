//! Damage in the logs of named positions and of key-values: nothing is answered from them until they are repaired.

mod common;

use std::path::{Path, PathBuf};

use common::open;
use thalweg::{Consumer, ConsumerOptions, Engine, ErrorKind, Position, Repaired, Result, Start, Topic, TopicOptions};

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(segment_files(&path)) } else { found.push(path) }
    }
    found
}

/// The segment in which `text` stands, and where. A closed store has all its records in segments.
fn place_of(dir: &Path, text: &str) -> (PathBuf, usize) {
    let places = segment_files(&dir.join("segments")).into_iter().filter_map(|path| {
        let bytes = std::fs::read(&path).expect("a file");
        let at = bytes.windows(text.len()).position(|window| window == text.as_bytes())?;
        Some((path, at))
    });
    let mut places: Vec<(PathBuf, usize)> = places.collect();
    assert_eq!(places.len(), 1, "{text} stands in one file");
    places.remove(0)
}

/// Changes one bit of the record that has `text`.
fn rot(dir: &Path, text: &str) {
    let (path, at) = place_of(dir, text);
    let mut bytes = std::fs::read(&path).expect("a file");
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).expect("written");
}

fn commit(engine: &Engine, topic: &Topic, name: &str, offset: u64, metadata: &str) {
    let mut consumer = named(engine, name);
    let position = Position { topic, partition: 0, offset, metadata: metadata.as_bytes() };
    consumer.commit_positions(&[position]).expect("committed");
}

fn named(engine: &Engine, name: &str) -> Consumer {
    engine.consumer(ConsumerOptions::default().name(name)).expect("the name is free")
}

fn listed(engine: &Engine) -> Vec<(String, u64)> {
    let positions = engine.positions().list(None).expect("listed");
    positions.into_iter().map(|position| (position.consumer, position.offset)).collect()
}

/// A store with four commits, closed: of `a`, of `b`, of `a` again, of `c`.
fn store_of_positions(dir: &Path, runtime: thalweg::Runtime) {
    let engine = open(dir, runtime);
    let topic = common::topic(&engine, 1);
    for _ in 0..9 {
        common::append(&topic, "x");
    }
    for (name, offset, mark) in [("a", 1, "mark-a-1"), ("b", 2, "mark-b"), ("a", 3, "mark-a-2"), ("c", 4, "mark-c")] {
        commit(&engine, &topic, name, offset, mark);
    }
    engine.close().expect("closed");
}

fn check_refused<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.expect_err("damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.message().contains("have to be repaired"), "{error}");
}

/// Opens a damaged store, sees that nothing is answered, and repairs it.
fn repair_positions(dir: &Path, runtime: thalweg::Runtime) -> (Engine, Repaired) {
    let engine = open(dir, runtime);
    let topic = engine.topic("t").expect("there");
    check_refused(engine.positions().list(None));
    check_refused(named(&engine, "a").subscribe(&topic));
    check_refused(engine.positions().reset("a", &topic, None, Start::Earliest));
    check_refused(named(&engine, "new").commit_positions(&[Position {
        topic: &topic,
        partition: 0,
        offset: 0,
        metadata: b"",
    }]));
    // What a repair brings to light must not lie beyond a cut that it has not seen.
    check_refused(topic.truncate_after(0, 0));
    assert!(!engine.verify(|_| {}).expect("verified").damaged.is_empty());
    let repaired = engine.positions().repair().expect("repaired");
    (engine, repaired)
}

/// What a repaired store has, now and at the next open, where it works on as any other.
fn check_positions(engine: Engine, dir: &Path, runtime: thalweg::Runtime, expected: &[(&str, u64)]) {
    let expected: Vec<(String, u64)> = expected.iter().map(|(name, offset)| ((*name).to_owned(), *offset)).collect();
    assert_eq!(listed(&engine), expected);
    engine.close().expect("closed");
    let engine = open(dir, runtime);
    assert_eq!(listed(&engine), expected);
    assert!(engine.verify(|_| {}).expect("verified").damaged.is_empty());
    commit(&engine, &engine.topic("t").expect("there"), "new", 5, "");
    assert_eq!(listed(&engine).len(), expected.len() + 1);
}

for_each_runtime! {
    /// One damaged bit in the log refused every named position of every consumer for ever.
    fn positions_beside_the_damage_are_kept_and_what_is_uncertain_is_counted(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        store_of_positions(dir.path(), runtime);
        rot(dir.path(), "mark-b");
        let (engine, repaired) = repair_positions(dir.path(), runtime);
        assert_eq!((repaired.kept, repaired.uncertain), (2, 0), "both were committed behind the damage");
        assert_eq!(repaired.lost.iter().map(|range| range.start..range.end).collect::<Vec<_>>(), [1..2]);
        check_positions(engine, dir.path(), runtime, &[("a", 3), ("c", 4)]);

        let dir = tempfile::tempdir().expect("a directory");
        store_of_positions(dir.path(), runtime);
        rot(dir.path(), "mark-a-2");
        let (engine, repaired) = repair_positions(dir.path(), runtime);
        assert_eq!((repaired.kept, repaired.uncertain), (3, 2), "a and b were committed before the damage");
        assert_eq!(repaired.lost.iter().map(|range| range.start..range.end).collect::<Vec<_>>(), [2..3]);
        check_positions(engine, dir.path(), runtime, &[("a", 1), ("b", 2), ("c", 4)]);
    }

    fn positions_whose_file_is_gone_begin_anew(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        store_of_positions(dir.path(), runtime);
        std::fs::remove_file(place_of(dir.path(), "mark-b").0).expect("removed");
        let (engine, repaired) = repair_positions(dir.path(), runtime);
        assert_eq!((repaired.kept, repaired.uncertain), (0, 0));
        assert_eq!(repaired.lost.iter().map(|range| range.end - range.start).sum::<u64>(), 4);
        check_positions(engine, dir.path(), runtime, &[]);
    }

    fn key_values_of_all_topics_are_repaired_together(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let (topic, other) = (common::topic(&engine, 1), engine.create_topic("other", TopicOptions::default()));
        let values = engine.key_values(&topic).expect("there");
        let others = engine.key_values(&other.expect("created")).expect("there");
        others.put(b"before", b"1").expect("put");
        values.put(b"gone", b"2").expect("put");
        values.put(b"key", b"mark-damaged").expect("put");
        values.delete(b"gone").expect("deleted");
        values.put(b"behind", b"3").expect("put");
        engine.close().expect("closed");

        rot(dir.path(), "mark-damaged");
        let engine = open(dir.path(), runtime);
        let of = |name: &str| engine.key_values(&engine.topic(name).expect("there")).expect("there");
        let (values, others) = (of("t"), of("other"));
        check_refused(values.get(b"behind"));
        check_refused(values.list(b""));
        check_refused(others.put(b"new", b"4"));
        assert!(engine.positions().list(None).expect("no damage in these").is_empty());
        let repaired = engine.repair_key_values().expect("repaired");
        assert_eq!((repaired.kept, repaired.uncertain, repaired.lost.len()), (2, 1, 1));
        let check = |values: &thalweg::KeyValues, others: &thalweg::KeyValues| {
            assert_eq!(values.get(b"behind").expect("read").as_deref(), Some(&b"3"[..]));
            assert_eq!(values.list(b"").expect("listed").len(), 1);
            assert_eq!(others.get(b"before").expect("read").as_deref(), Some(&b"1"[..]));
        };
        check(&values, &others);
        // Without damage nothing is lost.
        let again = engine.repair_key_values().expect("repaired");
        assert_eq!((again.kept, again.uncertain, again.lost.len()), (2, 0, 0));
        others.put(b"new", b"4").expect("put");
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let of = |name: &str| engine.key_values(&engine.topic(name).expect("there")).expect("there");
        check(&of("t"), &of("other"));
        assert_eq!(of("other").get(b"new").expect("read").as_deref(), Some(&b"4"[..]));
        assert!(engine.verify(|_| {}).expect("verified").damaged.is_empty());
    }

    fn a_store_that_is_only_read_is_not_repaired(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        store_of_positions(dir.path(), runtime);
        let engine = Engine::open(dir.path(), common::options(runtime).read_only(true)).expect("opened");
        assert_eq!(engine.positions().repair().expect_err("read only").kind(), ErrorKind::ReadOnly);
    }
}
