//! Truncation: the log's start moved up, its end moved back, and what readers, tickets and crashes make of it.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{LONG, append, open, read_all, topic, values};
use thalweg::limits::LOG_START_MAX;
use thalweg::{
    AppendOptions, ConsumerOptions, Engine, ErrorKind, EventKind, Options, OutOfRange, Record, Start, Target, Topic,
};

fn numbers(range: core::ops::Range<u64>) -> Vec<Vec<u8>> {
    range.map(|number| format!("{number:08}").into_bytes()).collect()
}

fn fill(topic: &Topic, range: core::ops::Range<u64>) {
    range.for_each(|number| assert_eq!(append(topic, &format!("{number:08}")), number));
}

fn bounds(topic: &Topic) -> (u64, u64, u64) {
    let described = &topic.describe().expect("described").partitions[0];
    (described.log_start, described.high_watermark, topic.next_offset(0).expect("there"))
}

fn from_start(topic: &Topic) -> Vec<Vec<u8>> {
    read_all(topic, 0, bounds(topic).0, 1 << 20).into_iter().filter_map(|record| record.value).collect()
}

/// Bytes that the files beneath a directory take.
fn walk(path: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(path).expect("there").map(|entry| entry.expect("read").path());
    entries.map(|path| if path.is_dir() { walk(&path) } else { std::fs::metadata(&path).map_or(0, |m| m.len()) }).sum()
}

for_each_runtime! {
    fn what_is_cut_off_stays_away_and_equal_batches_take_its_place(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        fill(&topic, 0..20);
        topic.truncate_after(0, 12).expect("between two batches");
        assert_eq!(bounds(&topic), (0, 12, 12));
        assert_eq!(values(&topic, 0), numbers(0..12));
        assert_eq!(topic.read(0, 13, 1).expect_err("beyond").kind(), ErrorKind::OutOfRange);
        // Batches of the same size, at the same offsets.
        for number in 12..17 {
            assert_eq!(append(&topic, &format!("x{number:07}")), number);
        }
        let expected = [numbers(0..12), (12..17).map(|n| format!("x{n:07}").into_bytes()).collect()].concat();
        assert_eq!(values(&topic, 0), expected);
        topic.truncate_after(0, 14).expect("in the new segment");
        fill(&topic, 14..16);
        let expected = [&expected[..14], &numbers(14..16)].concat();
        assert_eq!(values(&topic, 0), expected);
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        assert!(engine.info().recovery.damaged.is_empty());
        let topic = engine.topic("t").expect("there");
        assert_eq!(values(&topic, 0), expected);
        topic.truncate_after(0, 3).expect("in a segment of an earlier life");
        topic.truncate_after(0, 0).expect("all of it");
        assert_eq!(bounds(&topic), (0, 0, 0));
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let topic = engine.topic("t").expect("there");
        assert_eq!(bounds(&topic), (0, 0, 0));
        fill(&topic, 0..2);
        assert_eq!(values(&topic, 0), numbers(0..2));
        let report = engine.verify(|range| panic!("{range}")).expect("verified");
        assert_eq!(report.records, 2);
    }

    fn a_commit_leaves_out_where_the_log_was_cut_before(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        fill(&topic, 0..10);
        let options = || ConsumerOptions::default().name("c");
        for told in [false, true] {
            let mut consumer = engine.consumer(options()).expect("made");
            consumer.subscribe(&topic).expect("subscribed");
            consumer.seek(&topic, 0, Start::Earliest).expect("sought");
            let mut seen = 0;
            while seen < topic.next_offset(0).expect("there") {
                seen += consumer.poll(1 << 20, Some(LONG)).expect("polled").iter().map(|polled| polled.batch.len() as u64).sum::<u64>();
            }
            topic.truncate_after(0, 6).expect("cut");
            fill(&topic, 6..14);
            if told {
                assert_eq!(consumer.poll(1 << 20, Some(LONG)).expect_err("cut").kind(), ErrorKind::OutOfRange);
            }
            consumer.commit().expect("nothing to commit is no error");
            assert!(engine.positions().list(Some("c")).expect("listed").is_empty(), "told: {told}");
        }
    }

    fn a_position_that_went_back_with_a_cut_is_committed_anew(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 1);
        fill(&topic, 0..10);
        let mut consumer = engine.consumer(ConsumerOptions::default().name("c")).expect("made");
        consumer.subscribe(&topic).expect("subscribed");
        consumer.seek(&topic, 0, Start::Offset(10)).expect("in range");
        consumer.commit().expect("committed");
        // It does not stand beyond the cut, what it has committed does.
        consumer.seek(&topic, 0, Start::Offset(3)).expect("in range");
        topic.truncate_after(0, 5).expect("cut");
        assert_eq!(consumer.positions()[0].committed, Some(5));
        fill(&topic, 5..10);
        consumer.seek(&topic, 0, Start::Offset(10)).expect("in range");
        consumer.commit().expect("committed");
        assert_eq!(consumer.positions()[0].committed, Some(10));
        assert_eq!(engine.positions().list(Some("c")).expect("listed")[0].offset, 10);
    }

    fn positions_that_change_beside_a_cut_never_lie_beyond_it(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = Arc::new(common::open(dir.path(), runtime));
        let topic = common::topic(&engine, 1);
        for round in 0..120u64 {
            fill(&topic, topic.next_offset(0).expect("there")..10);
            let (name, reset, back) = (format!("c{round}"), round % 2 == 0, round % 3 == 0);
            let offset = if back { 3 } else { 10 };
            if back {
                engine.positions().reset(&name, &topic, None, Start::Offset(10)).expect("reset");
            }
            let go = Arc::new(std::sync::Barrier::new(2));
            let changing = {
                let (engine, topic, go, name) = (Arc::clone(&engine), topic.clone(), Arc::clone(&go), name.clone());
                std::thread::spawn(move || {
                    let pause = Duration::from_micros(round * 37 % 3000);
                    if reset {
                        go.wait();
                        std::thread::sleep(pause);
                        return engine.positions().reset(&name, &topic, None, Start::Offset(offset));
                    }
                    let mut consumer = engine.consumer(ConsumerOptions::default().name(&name)).expect("made");
                    consumer.subscribe(&topic).expect("subscribed");
                    consumer.seek(&topic, 0, Start::Offset(offset)).expect("in range");
                    go.wait();
                    std::thread::sleep(pause);
                    consumer.commit()
                })
            };
            go.wait();
            topic.truncate_after(0, 5).expect("cut");
            let changed = changing.join().expect("no panic");
            let saved = engine.positions().list(Some(&name)).expect("listed").first().map(|position| position.offset);
            assert!(saved.is_none_or(|saved| saved <= 5), "round {round}: {saved:?}, {changed:?}");
            if back && changed.is_ok() {
                assert_eq!(saved, Some(3), "round {round}: what was acknowledged is kept");
            }
        }
    }

    fn a_consumer_that_subscribes_beside_a_cut_passes_over_nothing(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = Arc::new(common::open(dir.path(), runtime));
        let topic = common::topic(&engine, 60);
        let last = 59;
        let append = |range: core::ops::Range<u64>| {
            for number in range {
                topic.append_batch(Target::Partition(last), &[Record::new(&number.to_string())]).expect("appended");
            }
        };
        for partition in 0..last {
            topic.append_batch(Target::Partition(partition), &[Record::new("x")]).expect("appended");
        }
        for round in 0..10 {
            append(topic.next_offset(last).expect("there")..10);
            engine.positions().reset("c", &topic, Some(last), Start::Offset(10)).expect("reset");
            let subscribing = {
                let (engine, topic) = (Arc::clone(&engine), topic.clone());
                std::thread::spawn(move || {
                    let options = ConsumerOptions::default().name("c").start(Start::Time(1));
                    let mut consumer = engine.consumer(options).expect("made");
                    consumer.subscribe(&topic).expect("subscribed");
                    consumer
                })
            };
            std::thread::sleep(Duration::from_millis(round));
            topic.truncate_after(last, 5).expect("cut");
            append(5..12);
            let mut consumer = subscribing.join().expect("no panic");
            let at = consumer.positions().iter().find(|at| at.partition == last).expect("read").offset;
            let told = loop {
                match consumer.poll(1 << 20, Some(Duration::from_millis(200))) {
                    Ok(polled) if polled.is_empty() => break false,
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::OutOfRange => break true,
                    Err(error) => panic!("{error}"),
                }
            };
            assert!(told || at == 5, "round {round}: it began at {at}, and was not told");
            topic.truncate_after(last, 5).expect("cut");
        }
    }

    fn positions_beyond_a_cut_go_back_to_it(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 2);
        for partition in 0..2 {
            for number in 0..10 {
                let value = format!("{number:08}");
                topic.append_batch(Target::Partition(partition), &[Record::new(&value)]).expect("appended");
            }
        }
        for (name, offset) in [("behind", 3), ("at", 6), ("beyond", 9)] {
            for partition in 0..2 {
                engine.positions().reset(name, &topic, Some(partition), Start::Offset(offset)).expect("there");
            }
        }
        let options = || ConsumerOptions::default().name("open");
        let mut consumer = engine.consumer(options()).expect("made");
        consumer.assign(&topic, 0, Some(Start::Earliest)).expect("there");
        while consumer.lag() > 0 {
            consumer.poll(1 << 20, Some(LONG)).expect("polled");
        }
        consumer.commit().expect("committed");
        topic.truncate_after(0, 6).expect("cut");
        let saved = |name: &str, partition: u32| {
            let listed = engine.positions().list(Some(name)).expect("listed");
            listed.iter().find(|position| position.partition == partition).map(|position| position.offset)
        };
        let of = |partition| ["behind", "at", "beyond"].map(|name| saved(name, partition).expect("there"));
        assert_eq!((of(0), of(1)), ([3, 6, 6], [3, 6, 9]), "the other partition's stay");
        // New records come to where it stood: whoever reads them commits them, at the same offset as before.
        for number in 6..10 {
            let value = format!("new {number}");
            topic.append_batch(Target::Partition(0), &[Record::new(&value)]).expect("appended");
        }
        assert_eq!(saved("open", 0), Some(6));
        assert_eq!(consumer.poll(1 << 20, Some(LONG)).expect_err("told").kind(), ErrorKind::OutOfRange);
        consumer.seek(&topic, 0, Start::Offset(6)).expect("there");
        while consumer.lag() > 0 {
            consumer.poll(1 << 20, Some(LONG)).expect("polled");
        }
        consumer.commit().expect("committed");
        assert_eq!(saved("open", 0), Some(10));
        drop(consumer);
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let mut late = engine.consumer(ConsumerOptions::default().name("beyond")).expect("made");
        late.assign(&engine.topic("t").expect("there"), 0, None).expect("there");
        let polled = late.poll(1 << 20, Some(LONG)).expect("what was never read");
        assert_eq!(polled[0].batch.iter().next().and_then(|record| record.value), Some(&b"new 6"[..]));
    }

    fn a_second_cut_counts_for_tickets_of_before_the_first(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let submit = |n: u64| {
            let value = format!("{n:08}");
            topic.submit(Target::Partition(0), &[Record::new(&value)], AppendOptions::default()).expect("submitted")
        };
        let tickets: Vec<_> = (0..4).map(submit).collect();
        topic.truncate_after(0, 3).expect("cut");
        topic.truncate_after(0, 1).expect("cut again");
        fill(&topic, 1..4);
        tickets[0].wait(Some(LONG)).expect("it is there");
        for ticket in &tickets[1..] {
            assert_eq!(ticket.wait(Some(LONG)).expect_err("cut off").kind(), ErrorKind::Truncated);
        }
    }

    fn cuts_leave_small_segments(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = Engine::open(dir.path(), Options::default().runtime(runtime).memory_budget(64 << 20).shards(1))
            .expect("opened");
        let topic = topic(&engine, 1);
        for number in 0..20 {
            fill(&topic, number..number + 2);
            topic.truncate_after(0, number + 1).expect("cut");
        }
        let taken: u64 = walk(&dir.path().join("segments"));
        assert!(taken <= 21 << 20, "20 records of 8 bytes take {taken} bytes");
    }

    fn a_log_cannot_begin_where_no_offsets_are_left(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        fill(&topic, 0..3);
        for offset in [u64::MAX, LOG_START_MAX + 1] {
            let error = topic.truncate_before(0, offset).expect_err("too high");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains(&LOG_START_MAX.to_string()), "{error}");
        }
        assert_eq!(bounds(&topic), (0, 3, 3), "nothing has changed");
        topic.truncate_before(0, LOG_START_MAX).expect("the highest");
        assert_eq!(append(&topic, "on"), LOG_START_MAX);
        let end = topic.read_wait(0, LOG_START_MAX + 1, 1, Some(Duration::from_millis(20))).expect("the end");
        assert!(end.is_empty());
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let topic = engine.topic("t").expect("there");
        assert_eq!(bounds(&topic), (LOG_START_MAX, LOG_START_MAX + 1, LOG_START_MAX + 1));
    }

    fn the_start_moves_up_and_beyond_the_end_nothing_is_left(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        fill(&topic, 0..10);
        topic.truncate_before(0, 4).expect("in the middle");
        topic.truncate_before(0, 2).expect("below the log start nothing happens");
        assert_eq!(bounds(&topic), (4, 10, 10));
        assert_eq!(topic.read(0, 3, 1).expect_err("gone").kind(), ErrorKind::OutOfRange);
        assert_eq!(from_start(&topic), numbers(4..10));
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let topic = engine.topic("t").expect("there");
        assert_eq!((bounds(&topic), from_start(&topic)), ((4, 10, 10), numbers(4..10)));
        topic.truncate_before(0, 8).expect("in a sealed segment");
        topic.truncate_before(0, 100).expect("beyond the end");
        assert_eq!((bounds(&topic), topic.describe().expect("described").partitions[0].segments), ((100, 100, 100), 0));
        assert_eq!(from_start(&topic), numbers(0..0));
        fill(&topic, 100..103);
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let topic = engine.topic("t").expect("there");
        assert_eq!((bounds(&topic), from_start(&topic)), ((100, 103, 103), numbers(100..103)));
        topic.truncate_after(0, 100).expect("everything");
        assert_eq!(topic.truncate_after(0, 99).expect_err("below the start").kind(), ErrorKind::OutOfRange);
        assert_eq!(topic.truncate_after(0, 101).expect_err("beyond the end").kind(), ErrorKind::OutOfRange);
        engine.close().expect("closed");
        let topic = open(dir.path(), runtime).topic("t").expect("there");
        assert_eq!(topic.truncate_before(0, 200).expect_err("closed").kind(), ErrorKind::Closed);
        let engine = open(dir.path(), runtime);
        assert_eq!(bounds(&engine.topic("t").expect("there")), (100, 100, 100));
    }

    fn segments_below_the_start_give_their_space_back(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let value = vec![9; 100_000];
        (0..200).for_each(|offset| assert_eq!(topic.append(&Record::new(&value)).expect("appended").base_offset, offset));
        let segments = || topic.describe().expect("described").partitions[0].segments;
        let before = segments();
        let held = topic.read(0, 0, 1).expect("readable");
        topic.truncate_before(0, 150).expect("done");
        assert!(segments() < before, "{before} segments, then {}", segments());
        assert_eq!(read_all(&topic, 0, 150, 1 << 20).len(), 50);
        assert_eq!(held.iter().next().and_then(|record| record.value), Some(&value[..]));
        engine.close().expect("closed");
        assert_eq!(held.iter().next().and_then(|record| record.value), Some(&value[..]));
        let engine = open(dir.path(), runtime);
        assert_eq!(read_all(&engine.topic("t").expect("there"), 0, 150, 1 << 20).len(), 50);
    }

    fn a_batch_is_there_whole_or_not_at_all(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        append(&topic, "alone");
        let three = ["a", "b", "c"].map(Record::new);
        topic.append_batch(Target::Partition(0), &three).expect("appended");
        append(&topic, "last");
        for inside in [2, 3] {
            let error = topic.truncate_after(0, inside).expect_err("in the middle of a batch");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains("1..4"), "{error}");
        }
        assert_eq!(append(&topic, "appends go on"), 5);
        topic.truncate_before(0, 2).expect("a start may lie in a batch");
        let expected = [&b"b"[..], b"c", b"last", b"appends go on"];
        assert_eq!(from_start(&topic), expected);
        let inside = topic.truncate_after(0, 3).expect_err("in the middle of a batch");
        assert!(inside.message().ends_with("cut at 2 or 4"), "where that is possible: {inside}");
        topic.truncate_after(0, 4).expect("behind the batch");
        assert_eq!(from_start(&topic), expected[..2]);
        topic.truncate_after(0, 2).expect("at the log start, whatever lies across it");
        assert_eq!((bounds(&topic), from_start(&topic).len()), ((2, 2, 2), 0));
    }

    fn tickets_never_answer_for_other_records(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let submit = |value: &str| {
            topic.submit(Target::Partition(0), &[Record::new(value)], AppendOptions::default()).expect("submitted")
        };
        let (kept, cut) = (submit("kept"), submit("cut"));
        topic.truncate_after(0, 1).expect("done");
        assert_eq!(submit("other").wait(Some(LONG)).expect("durable").base_offset, 1);
        kept.wait(Some(LONG)).expect("below the cut");
        assert_eq!(cut.wait(Some(LONG)).expect_err("cut off").kind(), ErrorKind::Truncated);
        assert_eq!(cut.is_durable().expect_err("cut off").kind(), ErrorKind::Truncated);
    }

    fn readers_and_consumers_beyond_a_cut_are_told(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        fill(&topic, 0..10);
        let consumer = |name: &str, policy| {
            let options = ConsumerOptions::default().name(name).out_of_range(policy);
            let mut consumer = engine.consumer(options).expect("a consumer");
            consumer.subscribe(&topic).expect("subscribed");
            consumer
        };
        let mut strict = consumer("strict", OutOfRange::Error);
        let mut earliest = consumer("earliest", OutOfRange::Earliest);
        for consumer in [&mut strict, &mut earliest] {
            let polled = consumer.poll(1 << 20, Some(LONG)).expect("records");
            assert_eq!(polled.iter().map(|polled| polled.batch.len()).sum::<usize>(), 10);
            consumer.commit().expect("committed");
        }
        let mut below = topic.reader(0, Start::Offset(5)).expect("a reader");
        let mut beyond = topic.reader(0, Start::Offset(9)).expect("a reader");
        let waits = topic.clone();
        let waiting = std::thread::spawn(move || waits.read_wait(0, 10, 1, Some(LONG)).map(|_| ()));
        std::thread::sleep(Duration::from_millis(50));
        topic.truncate_after(0, 6).expect("done");
        assert_eq!(waiting.join().expect("no panic").expect_err("woken").kind(), ErrorKind::OutOfRange);
        // New records come to where they stood, and beyond.
        fill(&topic, 6..12);
        assert_eq!(below.next(1 << 20, Some(LONG)).expect("it goes on").len(), 1, "what its segment still has");
        assert_eq!(below.next(1 << 20, Some(LONG)).expect("it goes on").len(), 6);
        for _ in 0..2 {
            assert_eq!(beyond.next(1, Some(LONG)).expect_err("told").kind(), ErrorKind::OutOfRange);
            assert_eq!(strict.poll(1 << 20, Some(LONG)).expect_err("told").kind(), ErrorKind::OutOfRange);
        }
        beyond.seek(Start::Offset(6)).expect("it may go on");
        assert_eq!(beyond.next(1 << 20, Some(LONG)).expect("readable").len(), 6);
        let polled = earliest.poll(1 << 20, Some(LONG)).expect("from the beginning");
        assert_eq!(polled[0].batch.iter().next().map(|record| record.offset), Some(0));
        strict.seek(&topic, 0, Start::Earliest).expect("there");
        topic.truncate_before(0, 11).expect("done");
        assert_eq!(strict.poll(1 << 20, Some(LONG)).expect_err("below").kind(), ErrorKind::OutOfRange);
        let told = std::iter::from_fn(|| engine.events().try_next());
        let truncated: Vec<_> = told.filter(|event| matches!(event.kind, EventKind::Truncated { .. })).collect();
        assert_eq!(truncated.len(), 2);
    }

    fn a_segment_that_was_cut_is_read_by_an_index_made_anew(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let value = |offset: u64| common::pattern(offset, 5_001);
        for offset in 0..300 {
            assert_eq!(topic.append(&Record::new(&value(offset))).expect("appended").base_offset, offset);
        }
        topic.truncate_after(0, 251).expect("between two batches");
        assert_eq!(append(&topic, "goes on"), 251);
        let check = |engine: &Engine| {
            let topic = engine.topic("t").expect("there");
            for offset in [250, 120, 3] {
                let batch = topic.read(0, offset, 1).expect("readable");
                assert_eq!(batch.iter().next().and_then(|record| record.value), Some(&value(offset)[..]));
            }
            let told: Vec<_> = std::iter::from_fn(|| engine.events().try_next()).collect();
            let trouble = |kind: &EventKind| matches!(kind, EventKind::IoError { .. } | EventKind::Damage(_));
            assert!(!told.iter().any(|event| trouble(&event.kind)), "{told:?}");
            assert_eq!(engine.verify(|range| panic!("{range}")).expect("verified").records, 252);
        };
        check(&engine);
        engine.close().expect("closed");
        check(&open(dir.path(), runtime));
    }

    fn whoever_goes_through_everything_goes_on_beside_it(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let value = [7; 30_000];
        let append = |count| {
            for _ in 0..count {
                topic.append(&Record::new(&value)).expect("appended");
            }
        };
        append(400);
        let over = std::sync::atomic::AtomicBool::new(false);
        let goes_on = || !over.load(std::sync::atomic::Ordering::Relaxed);
        std::thread::scope(|scope| {
            let verified = scope.spawn(|| {
                let mut times = 0;
                while goes_on() {
                    engine.verify(|range| panic!("{range}")).expect("nothing is damaged");
                    times += 1;
                }
                times
            });
            let dumped = scope.spawn(|| {
                let mut times = 0;
                while goes_on() {
                    let mut visit = |frame: &thalweg::FrameInfo| {
                        assert_eq!(frame.damage, None);
                        std::ops::ControlFlow::Continue(())
                    };
                    topic.dump_frames(0, 0, &mut visit).expect("frames");
                    times += 1;
                }
                times
            });
            for _ in 0..20 {
                let (start, _, next) = bounds(&topic);
                topic.truncate_after(0, next - 60).expect("done");
                append(100);
                topic.truncate_before(0, start + 40).expect("done");
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            let times = [verified, dumped].map(|thread| thread.join().expect("no panic"));
            assert!(times.iter().all(|times| *times > 0), "{times:?}");
        });
        let (start, _, next) = bounds(&topic);
        let report = engine.verify(|range| panic!("{range}")).expect("verified");
        assert_eq!(report.records, next - start, "what lies below the start is not counted");
    }

    fn appends_and_reads_go_on_beside_it(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        append(&topic, "first");
        let over = std::sync::atomic::AtomicBool::new(false);
        let goes_on = || !over.load(std::sync::atomic::Ordering::Relaxed);
        std::thread::scope(|scope| {
            for size in [10, 6_000] {
                let topic = &topic;
                scope.spawn(move || {
                    let value = vec![1; size];
                    while goes_on() {
                        match topic.append(&Record::new(&value)) {
                            Ok(_) => {}
                            Err(error) => assert_eq!(error.kind(), ErrorKind::Truncated, "{error}"),
                        }
                    }
                });
            }
            scope.spawn(|| {
                let mut reader = topic.reader(0, Start::Earliest).expect("a reader");
                while goes_on() {
                    if let Err(error) = reader.next(1 << 20, Some(Duration::from_millis(10))) {
                        assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error}");
                        reader.seek(Start::Earliest).expect("there");
                    }
                }
            });
            for round in 0..60 {
                let (start, high, _) = bounds(&topic);
                let middle = start + (high - start) / 2;
                match round % 3 {
                    0 => topic.truncate_before(0, middle).expect("done"),
                    1 => topic.truncate_after(0, middle).expect("done"),
                    _ => std::thread::sleep(Duration::from_millis(5)),
                }
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let (before, records) = (bounds(&topic), from_start(&topic));
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let topic = engine.topic("t").expect("there");
        assert_eq!((bounds(&topic), from_start(&topic)), (before, records));
        engine.verify(|range| panic!("{range}")).expect("verified");
    }
}

const CHILD: &str = "THALWEG_TEST_TRUNCATION_CHILD";

/// Not a test of its own: appends values of one size and cuts them off again, and tells of each step, until it is
/// killed.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let (runtime, path) = task.split_once(' ').expect("two parts");
    let runtime = if runtime == "uring" { thalweg::Runtime::Uring } else { thalweg::Runtime::Posix };
    let engine = open(std::path::Path::new(path), runtime);
    let topic = engine.topic("t").expect("made by the parent");
    for life in std::process::id() as u64.. {
        for step in 0..1 + life % 30 {
            let at = append(&topic, &format!("{life:020}"));
            println!("@a {at} {life} {step}");
        }
        let (start, _, next) = bounds(&topic);
        let cut = start + (next - start) * (life % 7) / 7;
        let before = life % 3 == 0;
        println!("@b {} {cut} 0", u8::from(before));
        if before { topic.truncate_before(0, cut) } else { topic.truncate_after(0, cut) }.expect("truncated");
        println!("@t {} {cut} 0", u8::from(before));
    }
}

/// What a partition has: the log start, and the lives of its records from there on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Model(u64, Vec<u64>);

impl Model {
    fn truncate(&mut self, before: bool, offset: u64) {
        let at = (offset.max(self.0) - self.0) as usize;
        if before {
            self.1.drain(..at);
            self.0 += at as u64;
        } else {
            self.1.truncate(at);
        }
    }
}

for_each_runtime! {
    fn killed_inside_a_truncation(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        topic(&engine, 1);
        engine.close().expect("closed");
        let mut model = Model(0, Vec::new());
        let (mut truncations, mut inside) = (0, 0);
        for round in 0..25 {
            let mut child = std::process::Command::new(std::env::current_exe().expect("this binary"))
                .args(["--exact", "child", "--nocapture", "--test-threads=1", "-q"])
                .env(CHILD, format!("{runtime} {}", dir.path().display()))
                .stdout(std::process::Stdio::piped())
                .spawn()
                .expect("started");
            let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("piped")));
            let mut pending = None;
            let mut take = |line: &str| {
                let Some(line) = line.strip_prefix('@') else { return };
                let words: Vec<&str> = line.split(' ').collect();
                // The last line may have been cut short by the kill: then nothing is known of it.
                let [kind, first, second, _] = words[..] else { return };
                let number = |word: &str| word.parse::<u64>().expect("a number");
                pending = None;
                match kind {
                    "a" => {
                        assert_eq!(number(first), model.0 + model.1.len() as u64);
                        model.1.push(number(second));
                    }
                    "b" => pending = Some((number(first) == 1, number(second))),
                    _ => {
                        truncations += 1;
                        model.truncate(number(first) == 1, number(second));
                    }
                }
            };
            for line in lines.by_ref().map_while(Result::ok).take(20 + round * 37 % 400) {
                take(&line);
            }
            child.kill().expect("killed");
            child.wait().expect("reaped");
            lines.map_while(Result::ok).for_each(|line| take(&line));

            let engine = open(dir.path(), runtime);
            assert!(engine.info().recovery.damaged.is_empty(), "{:?}", engine.info().recovery);
            let topic = engine.topic("t").expect("there");
            let values = from_start(&topic);
            let lives = values.iter().map(|value| String::from_utf8_lossy(value).parse().expect("a life"));
            let found = Model(bounds(&topic).0, lives.collect());
            inside += u32::from(pending.is_some());
            let mut allowed = vec![model.clone()];
            if let Some((before, offset)) = pending {
                allowed.push(model.clone());
                allowed[1].truncate(before, offset);
            }
            // One append may have been durable before it was told.
            let one_more = |model: &Model| {
                model.0 == found.0 && found.1.len() == model.1.len() + 1 && found.1.starts_with(&model.1)
            };
            assert!(allowed.iter().any(|model| *model == found || one_more(model)), "{found:?}, not {allowed:?}");
            model = found;
            if round % 2 == 0 {
                engine.close().expect("closed");
            }
        }
        eprintln!("25 kills on {runtime}: {truncations} truncations told, {inside} kills inside of one");
    }
}

#[test]
fn a_store_that_is_only_read_is_not_truncated() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = open(dir.path(), thalweg::Runtime::Auto);
    fill(&topic(&engine, 1), 0..3);
    engine.close().expect("closed");
    let options = Options::default().read_only(true).memory_budget(64 << 20).shards(1);
    let engine = thalweg::Engine::open(dir.path(), options).expect("opened");
    let topic = engine.topic("t").expect("there");
    assert_eq!(topic.truncate_before(0, 1).expect_err("read only").kind(), ErrorKind::ReadOnly);
    assert_eq!(topic.truncate_after(0, 1).expect_err("read only").kind(), ErrorKind::ReadOnly);
    assert_eq!(topic.truncate_after(7, 1).expect_err("read only").kind(), ErrorKind::ReadOnly);
    assert_eq!(values(&topic, 0), numbers(0..3));
}

#[test]
fn a_partition_whose_damage_lies_below_the_start_is_whole_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = open(dir.path(), thalweg::Runtime::Auto);
    let value = vec![5; 100_000];
    let (lost, other) = (topic(&engine, 1), engine.create_topic("other", Default::default()).expect("created"));
    for topic in [&lost, &other] {
        (0..5).for_each(|offset| assert_eq!(topic.append(&Record::new(&value)).expect("appended").base_offset, offset));
    }
    // What a kill would leave: large batches go to their segments directly. One of those is then lost.
    let copy = tempfile::tempdir().expect("a directory");
    let copied = std::process::Command::new("cp").arg("-a").arg(dir.path().join(".")).arg(copy.path()).status();
    assert!(copied.expect("cp runs").success());
    let id = lost.describe().expect("described").id;
    engine.close().expect("closed");
    let segments = copy.path().join("segments").join(format!("{id:08x}"));
    let files: Vec<_> = std::fs::read_dir(segments).expect("there").map(|file| file.expect("there").path()).collect();
    files.iter().for_each(|file| std::fs::remove_file(file).expect("removed"));

    let engine = open(copy.path(), thalweg::Runtime::Auto);
    let damaged = engine.info().recovery.damaged;
    let [range] = &damaged[..] else { panic!("{damaged:?}") };
    let topic = engine.topic("t").expect("there");
    assert_eq!(topic.append(&Record::new("x")).expect_err("damaged").kind(), ErrorKind::Corrupt);
    assert_eq!(topic.truncate_after(0, 0).expect_err("damaged").kind(), ErrorKind::Corrupt);
    let mut reader = topic.reader(0, thalweg::Start::Offset(range.end)).expect("behind the damage");
    topic.truncate_before(0, range.end).expect("beyond the damage");
    assert_eq!((bounds(&topic), append(&topic, "again")), ((range.end, range.end, range.end), range.end));
    let batch = reader.next(1 << 20, Some(std::time::Duration::from_secs(10))).expect("the partition goes on");
    assert_eq!(batch.iter().next().expect("a record").value, Some(&b"again"[..]));
    drop(batch);
    engine.close().expect("closed");
    let engine = open(copy.path(), thalweg::Runtime::Auto);
    let topic = engine.topic("t").expect("there");
    assert_eq!((bounds(&topic).0, from_start(&topic)), (range.end, vec![b"again".to_vec()]));
    engine.verify(|range| panic!("{range}")).expect("verified");
}
