//! Appends that expect an offset, and batches that carry a term.

mod common;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use common::{LONG, open, options, topic, values};
use thalweg::{AppendOptions, Engine, ErrorKind, Record, Start, Target};

fn expecting(offset: u64) -> AppendOptions {
    AppendOptions::default().expected_offset(offset)
}

for_each_runtime! {
    fn an_append_that_expects_another_offset_changes_nothing(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 2);
        let large = vec![7; 100_000];
        let submit = |value: &[u8], offset| {
            topic.submit(Target::Partition(1), &[Record::new(value), Record::new("second")], expecting(offset))
        };
        assert_eq!(topic.next_offset(1).expect("there is one"), 0);
        for wrong in [1, 2, u64::MAX] {
            for value in [&b"small"[..], &large] {
                let error = submit(value, wrong).expect_err("the partition is empty");
                assert_eq!(error.kind(), ErrorKind::OffsetMismatch);
                assert!(error.message().contains(&format!("expects offset {wrong}; the next one is 0")), "{error}");
                assert!(error.message().contains("partition 1"), "{error}");
            }
        }
        assert_eq!(topic.describe().expect("described").partitions[1].segments, 0, "no file for what was refused");
        assert_eq!(submit(b"small", 0).expect("as expected").wait(None).expect("durable").next_offset(), 2);
        assert_eq!(submit(&large, 2).expect("as expected").wait(None).expect("durable").next_offset(), 4);
        for wrong in [0, 1, 2, 3, 5] {
            for value in [&b"small"[..], &large] {
                assert_eq!(submit(value, wrong).expect_err("it is 4").kind(), ErrorKind::OffsetMismatch);
            }
        }
        assert_eq!((topic.next_offset(1).expect("there is one"), topic.next_offset(0).expect("another")), (4, 0));
        assert_eq!(topic.next_offset(2).expect_err("there is none").kind(), ErrorKind::NotFound);
        engine.close().expect("closed");
        assert_eq!(topic.next_offset(1).expect_err("closed").kind(), ErrorKind::Closed);
        let engine = open(dir.path(), runtime);
        let topic = engine.topic("t").expect("it is there");
        assert_eq!(values(&topic, 1), [&b"small"[..], b"second", &large, b"second"]);
        assert_eq!(topic.next_offset(1).expect("there is one"), 4);
    }

    fn of_appends_that_expect_one_offset_one_succeeds(runtime: Runtime) {
        const THREADS: u64 = 4;
        const EACH: u64 = 150;
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let topic = &topic;
                scope.spawn(move || {
                    for number in 0..EACH {
                        // Some are claimed under the lock and filled outside of it.
                        let mut value = format!("{thread} {number} ").into_bytes();
                        value.resize(if number % 7 == 0 { 6000 } else { 20 }, b'.');
                        loop {
                            let expected = topic.next_offset(0).expect("it is open");
                            match topic.submit(Target::Partition(0), &[Record::new(&value)], expecting(expected)) {
                                Ok(ticket) => {
                                    assert_eq!(ticket.appended().base_offset, expected);
                                    break;
                                }
                                Err(error) => assert_eq!(error.kind(), ErrorKind::OffsetMismatch),
                            }
                        }
                    }
                });
            }
        });
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let found = values(&engine.topic("t").expect("it is there"), 0);
        assert_eq!(found.len() as u64, THREADS * EACH);
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len() as u64, THREADS * EACH, "each is there once");
    }

    fn a_term_comes_back_with_every_record_of_its_batch(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let large = vec![3; 300_000];
        let batches: [(Option<u64>, Vec<Record<'_>>); 6] = [
            (Some(1), vec![Record::new("one")]),
            (Some(u64::MAX), vec![Record::new("a").key("k"), Record::tombstone("b"), Record::new("c").timestamp(9)]),
            (None, vec![Record::new("without"), Record::new("one")]),
            (Some(0), vec![Record::new("")]),
            (Some(2), vec![Record::new(&large).key("large")]),
            (None, vec![Record::new("last")]),
        ];
        let check = |engine: &Engine| {
            let topic = engine.topic("t").expect("it is there");
            let mut reader = topic.reader(0, Start::Earliest).expect("readable");
            let mut expected = batches.iter().flat_map(|(term, records)| records.iter().map(move |record| (term, record)));
            while reader.offset() < 9 {
                for found in &reader.next(1 << 20, Some(LONG)).expect("readable") {
                    let (term, record) = expected.next().expect("no more than were appended");
                    assert_eq!((found.term, found.key, found.value), (*term, record.key, record.value));
                }
            }
            assert!(expected.next().is_none());
            // In the middle of a batch too.
            let batch = topic.read(0, 2, 1).expect("readable");
            assert_eq!(batch.iter().map(|record| record.term).collect::<Vec<_>>(), [Some(u64::MAX); 2]);
            // Frames were shown without it.
            let mut shown = Vec::new();
            let mut visit = |frame: &thalweg::FrameInfo| {
                if frame.kind == "data" {
                    shown.push(frame.term);
                }
                ControlFlow::Continue(())
            };
            topic.dump_frames(0, 0, &mut visit).expect("frames");
            assert_eq!(shown, batches.iter().map(|(term, _)| *term).collect::<Vec<_>>());
        };
        {
            let engine = open(dir.path(), runtime);
            let topic = topic(&engine, 1);
            for (term, records) in &batches {
                let options = term.map_or(AppendOptions::default(), |term| AppendOptions::default().term(term));
                topic.submit(Target::Partition(0), records, options).expect("appended").wait(None).expect("durable");
            }
            check(&engine);
            engine.close().expect("closed");
        }
        check(&open(dir.path(), runtime));
    }
}

#[test]
fn a_term_counts_towards_the_limit_of_a_batch() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path(), options(thalweg::Runtime::Auto)).expect("the store opens");
    let topic = topic(&engine, 1);
    // A batch takes 20 MiB, of which its header takes 40 bytes and each of two records 8.
    let first = vec![1; 10 << 20];
    let second = vec![2; (10 << 20) - 40 - 2 * 8];
    let submit = |second: &[u8], options| {
        topic.submit(Target::Partition(0), &[Record::new(&first), Record::new(second)], options)?.wait(None)
    };
    submit(&second, AppendOptions::default()).expect("exactly the limit");
    let error = submit(&second, AppendOptions::default().term(1)).expect_err("10 bytes more");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    submit(&second[10..], AppendOptions::default().term(1)).expect("exactly the limit again");
}
