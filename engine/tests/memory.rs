//! One memory budget: what is held, what is cached, and what is appended leave room for each other.

mod common;

use std::time::Duration;

use common::{LONG, open, pattern, read_all, topic};
use thalweg::{Batch, ConsumerOptions, Durability, ErrorKind, Reader, Record, Start, Target, Topic, TopicOptions};

const VALUE: usize = 100 << 10;

/// So much that it does not fit the budget several times over.
fn fill(topic: &Topic, records: u64) {
    let mut tickets = Vec::new();
    for i in 0..records {
        let value = pattern(i, VALUE);
        tickets.push(topic.submit(Target::Partition(0), &[Record::new(&value)], Default::default()).expect("appended"));
    }
    for ticket in &tickets {
        ticket.wait(Some(LONG)).expect("durable");
    }
}

for_each_runtime! {
    fn an_append_waits_for_room_no_longer_than_it_was_told(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let value = pattern(1, VALUE);
        let options = thalweg::AppendOptions::default().memory_timeout(Duration::ZERO);
        // Appends are faster than any device, until the memory is used up.
        let refusal = (0..200_000u32)
            .find_map(|_| topic.submit(Target::Partition(0), &[Record::new(&value)], options).err())
            .expect("the memory has an end");
        assert_eq!(refusal.kind(), ErrorKind::WouldBlock, "{refusal}");
        let options = thalweg::AppendOptions::default().memory_timeout(LONG);
        let ticket = topic.submit(Target::Partition(0), &[Record::new(&value)], options).expect("there is room in time");
        ticket.wait(Some(LONG)).expect("durable");
    }

    fn a_thread_that_holds_every_batch_it_reads_does_not_stop_its_own_appends(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let source = topic(&engine, 1);
        let derived = engine.create_topic("derived", TopicOptions::default()).expect("created");
        let small = engine.create_topic("small", TopicOptions::default()).expect("created");
        for _ in 0..30 {
            small.append_batch(Target::Partition(0), &[Record::new(&[7; 30_000])]).expect("appended");
        }
        fill(&source, 2000);
        let mut held: Vec<Batch> = Vec::new();
        let mut reader = source.reader(0, Start::Earliest).expect("a reader");
        let mut appended = 0u64;
        let refusal = loop {
            match reader.next(VALUE, Some(Duration::ZERO)) {
                Ok(batch) => {
                    assert!(!batch.is_empty(), "the budget holds less than all of it");
                    let sum: u64 = batch.iter().map(|r| u64::from(r.value.unwrap_or_default()[0])).sum();
                    held.push(batch);
                    derived.append(&Record::new(&sum.to_le_bytes())).expect("held batches do not stop appends");
                    appended += 1;
                }
                Err(error) => break error,
            }
        };
        assert_eq!(refusal.kind(), ErrorKind::WouldBlock, "{refusal}");
        assert!(held.len() > 20, "readers have a part of their own: {} batches", held.len());
        // With everything held, large and small appends still go on, for many times what memory is left.
        for i in 0..1000u64 {
            derived.append(&Record::new(&pattern(i, VALUE))).expect("held batches do not stop appends");
            appended += 1;
        }
        // Another reader still gets something, if little.
        let other = derived.read(0, 0, 1000);
        assert!(other.as_ref().is_ok_and(|batch| !batch.is_empty()), "{other:?}");
        drop(other);
        // Whoever holds all it can get, leaves something to each of the others.
        let hoard = |mut next: Box<dyn FnMut() -> thalweg::Result<Batch>>| {
            let mut held = Vec::new();
            for _ in 0..30 {
                match next() {
                    Ok(batch) => held.push(batch),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                        return held;
                    }
                }
            }
            panic!("it is never refused")
        };
        let mut hoards = small.reader(0, Start::Earliest).expect("a reader");
        let hoards =
            [hoard(Box::new(|| hoards.next(1, Some(Duration::ZERO)))), hoard(Box::new(|| small.read(0, 0, 1)))];
        assert!(hoards.iter().all(|held| !held.is_empty()));
        let mut late = small.reader(0, Start::Earliest).expect("a reader");
        let mut consumer = engine.consumer(ConsumerOptions::default()).expect("a consumer");
        consumer.subscribe(&small).expect("subscribed");
        for _ in 0..30 {
            assert_eq!(late.next(1, Some(Duration::ZERO)).expect("a little").len(), 1);
            assert!(!consumer.poll(1, Some(LONG)).expect("a little").is_empty());
        }
        assert_eq!(small.reader(0, Start::Time(0)).expect("searched").offset(), 0);
        small.truncate_after(0, 29).expect("its last batch can be read");
        drop(hoards);
        for (i, batch) in held.iter().enumerate() {
            let values: Vec<_> = batch.iter().map(|r| r.value.unwrap_or_default().to_vec()).collect();
            assert!(!values.is_empty());
            let first = batch.iter().next().expect("not empty").offset;
            for (at, value) in values.iter().enumerate() {
                assert_eq!(*value, pattern(first + at as u64, VALUE), "batch {i} is what it was when it was lent");
            }
        }
        let position = reader.offset();
        let refused = reader.next(VALUE, Some(Duration::ZERO)).expect_err("all of it is still held");
        assert_eq!(refused.kind(), ErrorKind::WouldBlock);
        held.clear();
        // Whoever was refused goes on with what was given back.
        let batch = reader.next(VALUE, Some(LONG)).expect("the readers' part is free again");
        assert_eq!(batch.iter().next().expect("not empty").offset, position);
        drop(batch);
        let rest = read_all(&source, 0, position, 1 << 20);
        assert_eq!(rest.len() as u64, 2000 - position);
        assert_eq!(derived.describe().expect("described").partitions[0].high_watermark, appended);
    }

    fn what_a_lone_reader_left_behind_gives_way_and_what_several_read_stays(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        fill(&topic(&engine, 1), 2000);
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let source = engine.topic("t").expect("the topic");
        let from_device = || engine.metrics().topics.iter().map(|topic| topic.reads.from_device).sum::<u64>();
        let read_to = |reader: &mut Reader, end: u64| {
            while reader.offset() < end {
                assert!(!reader.next(VALUE, Some(LONG)).expect("readable").is_empty());
            }
        };
        let reader = || source.reader(0, Start::Earliest).expect("a reader");
        // 200 MB through less than 64 MiB: the first that came stays, for the last that was left gives way.
        read_to(&mut reader(), 2000);
        let before = from_device();
        read_to(&mut reader(), 200);
        assert_eq!(from_device(), before, "the beginning is still in memory");
        // Where another follows, little gives way that it has yet to read.
        let (mut ahead, mut behind) = (reader(), reader());
        let mut waited = 0;
        for end in (200..2000).step_by(20) {
            read_to(&mut ahead, end);
            let before = from_device();
            read_to(&mut behind, end - 60);
            waited += from_device() - before;
        }
        assert!(waited < 60, "of 1800 batches of the second reader the device was asked for {waited}");
    }

    fn a_backlog_many_times_the_budget_is_read_back_whole_from_the_device(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let source = topic(&engine, 1);
        fill(&source, 2000);
        for max_bytes in [1, 300 << 10, 4 << 20] {
            let mut reader = source.reader(0, Start::Earliest).expect("a reader");
            let mut next = 0;
            while next < 2000 {
                let batch = reader.next(max_bytes, Some(LONG)).expect("readable");
                for record in &batch {
                    assert_eq!(record.offset, next);
                    assert!(record.value == Some(&pattern(next, VALUE)[..]), "record {next}");
                    next += 1;
                }
            }
        }
        // And out of order, one by one.
        let mut offset = 7;
        for _ in 0..500 {
            offset = (offset * 1_103 + 12_345) % 2000;
            let batch = source.read(0, offset, 1).expect("readable");
            let record = batch.iter().next().expect("a record");
            assert_eq!((record.offset, record.value), (offset, Some(&pattern(offset, VALUE)[..])));
        }
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let source = engine.topic("t").expect("there");
        assert_eq!(read_all(&source, 0, 0, 1 << 20).len(), 2000);
        let report = engine.verify(|range| panic!("{range}")).expect("verified");
        assert_eq!((report.records, report.damaged.len()), (2000, 0));
    }

    fn readers_share_what_the_device_gives(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let source = topic(&engine, 1);
        fill(&source, 1000);
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let source = engine.topic("t").expect("there");
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let source = source.clone();
                std::thread::spawn(move || {
                    let all = read_all(&source, 0, 0, 512 << 10);
                    assert!(all.iter().enumerate().all(|(i, r)| r.value.as_deref() == Some(&pattern(i as u64, VALUE)[..])));
                    all.len()
                })
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic"), 1000);
        }
    }

    fn a_reader_in_order_is_never_out_of_range(runtime: Runtime) {
        const RECORDS: u64 = 200_000;
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        for durability in [Durability::LoseOnKill, Durability::LoseOnPowerCut, Durability::Durable] {
            let name = format!("{durability:?}");
            let topic = engine.create_topic(&name, TopicOptions::default().durability(durability)).expect("a topic");
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for _ in 0..RECORDS {
                        let record = [Record::new("x")];
                        let _ticket = topic.submit(Target::Partition(0), &record, Default::default()).expect("appended");
                    }
                });
                let mut reader = topic.reader(0, Start::Earliest).expect("a reader");
                while reader.offset() < RECORDS {
                    reader.next(1 << 16, Some(LONG)).expect("there was more, or there will be");
                }
            });
        }
    }

    fn a_reader_behind_a_running_producer_sees_everything_once(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let producer = topic.clone();
        let thread = std::thread::spawn(move || {
            for i in 0..1500u64 {
                let size = [10, 100, 5_000, 40_000, 200_000][i as usize % 5];
                let mut value = i.to_le_bytes().to_vec();
                value.extend(pattern(i, size));
                let ticket = producer.submit(Target::Partition(0), &[Record::new(&value)], Default::default());
                let ticket = ticket.expect("appended");
                if i % 50 == 0 {
                    ticket.wait(Some(LONG)).expect("durable");
                }
            }
        });
        let mut reader = topic.reader(0, Start::Earliest).expect("a reader");
        let mut next = 0u64;
        while next < 1500 {
            let batch = reader.next(1 << 20, Some(LONG)).expect("readable");
            assert!(!batch.is_empty(), "stuck at {next}");
            for record in &batch {
                let (number, rest) = record.value.and_then(|v| v.split_first_chunk::<8>()).expect("a number");
                assert_eq!((record.offset, u64::from_le_bytes(*number)), (next, next));
                assert!(rest == pattern(next, rest.len()));
                next += 1;
            }
        }
        thread.join().expect("no panic");
    }
}
