//! Little at a time: what a store takes that is opened for a few records, again and again.

mod common;

use thalweg::{ConsumerOptions, Engine, Start, TopicOptions};

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
        assert!(common::taken(dir.path()) <= 60 * (16 << 10), "{} bytes for 60 segments", common::taken(dir.path()));
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
            common::copy(store, dirs[round + 1].path());
        }
        let engine = common::open(dirs[7].path(), runtime);
        assert!(common::taken(dirs[7].path()) <= 14 * (16 << 10), "{} bytes for 14 segments", common::taken(dirs[7].path()));
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
