//! Appends and reads of the public API.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{LONG, open, read_all, topic, values};
use thalweg::{
    AppendOptions, Durability, ErrorKind, Record, RecordHeader, RecordList, RecordSource, Start, Target, TopicOptions,
};

/// Gives the first list when asked for the first time, and the second later.
struct Changing {
    asked: AtomicU64,
    lists: [Vec<Vec<u8>>; 2],
}

impl RecordSource for Changing {
    fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        let nth = self.asked.fetch_add(1, Ordering::Relaxed).min(1) as usize;
        self.lists[nth].iter().map(Record::new)
    }
}

for_each_runtime! {
    fn what_is_appended_is_read_back_now_and_after_reopening(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let headers = [RecordHeader::new("trace", "abc"), RecordHeader::null("empty"), RecordHeader::new("trace", "")];
        let records = [
            Record::new("plain"),
            Record::new("keyed").key("k").timestamp(1_291_191_960_000),
            Record::tombstone("gone"),
            Record::new("").key(""),
            Record::new("headed").headers(&headers).timestamp(-5),
        ];
        let check = |topic: &thalweg::Topic| {
            let all = read_all(topic, 0, 0, 1 << 20);
            assert_eq!(all.len(), 5);
            assert_eq!(all.iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
            assert_eq!((all[0].key.as_deref(), all[0].value.as_deref()), (None, Some(&b"plain"[..])));
            assert_eq!(all[1].timestamp, 1_291_191_960_000);
            assert_eq!((all[2].key.as_deref(), all[2].value.as_deref()), (Some(&b"gone"[..]), None));
            assert_eq!((all[3].key.as_deref(), all[3].value.as_deref()), (Some(&b""[..]), Some(&b""[..])));
            let named: Vec<_> = all[4].headers.iter().map(|(n, v)| (n.as_str(), v.as_deref())).collect();
            assert_eq!(named, [("trace", Some(&b"abc"[..])), ("empty", None), ("trace", Some(&b""[..]))]);
            assert_eq!(all[4].timestamp, -5);
        };
        {
            let engine = open(dir.path(), runtime);
            let topic = topic(&engine, 1);
            let one = topic.append(&records[0]).expect("appended");
            assert_eq!((one.partition, one.base_offset, one.count), (0, 0, 1));
            let rest = topic.append_batch(Target::Partition(0), &records[1..]).expect("appended");
            assert_eq!((rest.base_offset, rest.count, rest.next_offset()), (1, 4, 5));
            check(&topic);
            engine.close().expect("closed");
        }
        let engine = open(dir.path(), runtime);
        assert!(engine.info().recovery.clean);
        check(&engine.topic("t").expect("it is still there"));
    }

    fn offsets_out_of_range_are_errors_and_the_high_watermark_is_not(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 2);
        assert!(topic.read(0, 0, 100).expect("never appended to").is_empty());
        assert_eq!(topic.read(0, 1, 100).expect_err("beyond").kind(), ErrorKind::OutOfRange);
        topic.append_batch(Target::Partition(1), &[Record::new("a"), Record::new("b")]).expect("appended");
        let batch = topic.read(1, 1, 0).expect("in the middle of a batch");
        assert_eq!((batch.len(), batch.next_offset()), (1, 2));
        assert_eq!(batch.iter().map(|r| r.offset).collect::<Vec<_>>(), [1]);
        let end = topic.read(1, 2, 100).expect("at the watermark");
        assert_eq!((end.is_empty(), end.next_offset()), (true, 2));
        let error = topic.read(1, 3, 100).expect_err("beyond");
        assert_eq!(error.kind(), ErrorKind::OutOfRange);
        assert!(error.message().contains('3') && error.message().contains("0..2"), "{error}");
        assert_eq!(topic.read(2, 0, 100).expect_err("no such partition").kind(), ErrorKind::NotFound);
        let append = topic.append_batch(Target::Partition(2), &[Record::new("x")]);
        assert_eq!(append.expect_err("no such partition").kind(), ErrorKind::NotFound);
    }

    fn batches_go_where_they_are_sent(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 4);
        let by_key = topic.append_batch(Target::Key(b"21"), &[Record::new("x")]).expect("appended");
        assert_eq!(by_key.partition, ((-973_932_308_i32 & 0x7fff_ffff) % 4) as u32);
        assert_eq!(by_key.partition, topic.partition_of(b"21"));
        let keyed = topic.append(&Record::new("y").key("21")).expect("appended");
        assert_eq!((keyed.partition, keyed.base_offset), (by_key.partition, 1));
        let turns: Vec<u32> = (0..8)
            .map(|_| topic.append_batch(Target::RoundRobin, &[Record::new("z")]).expect("appended").partition)
            .collect();
        for partition in 0..4 {
            assert_eq!(turns.iter().filter(|p| **p == partition).count(), 2, "{turns:?}");
        }
    }

    fn records_that_change_during_their_append_panic_and_harm_nobody_else(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let small = Changing { asked: AtomicU64::new(0), lists: [vec![b"a".to_vec(); 3], vec![b"long".to_vec(); 3]] };
        // It needs a block, and a segment, of its own.
        let large = vec![vec![0; 1 << 20]; 12];
        let fewer = Changing { asked: AtomicU64::new(0), lists: [large.clone(), large[..1].to_vec()] };
        for changing in [small, fewer] {
            let append = || topic.append_batch(Target::Partition(0), RecordList::from_source(&changing));
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(append)).is_err());
        }
        let steady = Changing { asked: AtomicU64::new(0), lists: [vec![b"a".to_vec(); 3], vec![b"b".to_vec(); 3]] };
        topic.append_batch(Target::Partition(0), RecordList::from_source(&steady)).expect("it keeps its sizes");
        topic.append_batch(Target::Partition(0), &[Record::new("after")]).expect("appended");
        let last: Vec<_> = read_all(&topic, 0, 0, 1 << 20).into_iter().filter_map(|record| record.value).collect();
        assert!(last.ends_with(&[b"b".to_vec(), b"after".to_vec()]), "{last:?}");
        assert_eq!(last.len(), 4, "nothing of the others is there");
        engine.close().expect("closed");
        open(dir.path(), runtime).verify(|damage| panic!("{damage:?}")).expect("it reads");
    }

    fn a_list_with_mixed_keys_is_split_and_keeps_the_order_of_each_key(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 3);
        let keys: Vec<String> = (0..30).map(|i| format!("key-{}", i % 10)).collect();
        let texts: Vec<String> = (0..30).map(|i| i.to_string()).collect();
        let mut records: Vec<Record> = keys.iter().zip(&texts).map(|(k, v)| Record::new(v).key(k)).collect();
        records.push(Record::new("no key"));
        let parts = topic.append_split(&records).expect("open");
        assert!(parts.len() <= 4);
        let mut indexes: Vec<usize> = parts.iter().flat_map(|part| part.records.clone()).collect();
        indexes.sort_unstable();
        assert!(indexes.into_iter().eq(0..31), "every record belongs to one part");
        for part in &parts {
            let at = part.result.as_ref().expect("appended");
            assert_eq!((at.partition, at.count as usize), (part.partition, part.records.len()));
            let of_key = |index: &usize| keys.get(*index).is_none_or(|key| topic.partition_of(key.as_bytes()) == at.partition);
            assert!(part.records.iter().all(of_key), "{part:?}");
        }
        for key in 0..10 {
            let key = format!("key-{key}");
            let all = read_all(&topic, topic.partition_of(key.as_bytes()), 0, 1 << 20);
            let of_key: Vec<_> = all.iter().filter(|r| r.key.as_deref() == Some(key.as_bytes())).collect();
            let numbers: Vec<u32> = of_key
                .iter()
                .map(|r| String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).parse().expect("a number"))
                .collect();
            assert!(numbers.len() == 3 && numbers.is_sorted(), "{key}: {numbers:?}");
        }
        assert!(topic.append_split(&[]).expect("open").is_empty());
    }

    fn a_part_that_is_refused_names_its_records_and_the_others_are_there(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 8);
        let large = vec![0; thalweg::limits::RECORD_MAX + 1];
        let small = Record::new("small").key("a");
        let a = topic.partition_of(b"a");
        let elsewhere = ["b", "c", "d", "e", "f"].into_iter().find(|key| topic.partition_of(key.as_bytes()) != a);
        let elsewhere = elsewhere.expect("keys are spread over partitions");
        let b = topic.partition_of(elsewhere.as_bytes());
        let too_large = Record::new(&large).key(elsewhere);
        let mut parts = topic.append_split(&[small, too_large, small]).expect("open");
        parts.sort_by_key(|part| part.records[0]);
        assert_eq!((parts[0].partition, &parts[0].records[..]), (a, &[0, 2][..]));
        assert_eq!(parts[0].result.as_ref().expect("appended").count, 2);
        assert_eq!((parts[1].partition, &parts[1].records[..]), (b, &[1][..]));
        let refused = parts[1].result.as_ref().expect_err("too large");
        assert_eq!(refused.kind(), ErrorKind::TooLarge);
        assert!(refused.message().starts_with("record 1 of the list: a record has "), "{refused}");
        // By its place in the list, also where others of its part precede it.
        let parts = topic.append_split(&[small, Record::new("well").key(elsewhere), small, too_large]).expect("open");
        let refused = parts.iter().find_map(|part| part.result.as_ref().err()).expect("too large");
        assert!(refused.message().starts_with("record 3 of the list: a record has "), "{refused}");
        assert_eq!(topic.next_offset(b).expect("known"), 0, "nothing of it was appended");
        engine.close().expect("closed");
        assert_eq!(topic.append_split(&[small]).expect_err("closed").kind(), ErrorKind::Closed);
    }

    fn waiting_reads_see_an_append_and_end_with_their_time(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let begin = Instant::now();
        let nothing = topic.read_wait(0, 0, 100, Some(Duration::from_millis(30))).expect("no error");
        assert!(nothing.is_empty() && begin.elapsed() >= Duration::from_millis(30));
        let other = topic.clone();
        let reader = std::thread::spawn(move || {
            let batch = other.read_wait(0, 0, 100, Some(LONG)).expect("no error");
            batch.iter().next().and_then(|r| r.value.map(<[u8]>::to_vec))
        });
        std::thread::sleep(Duration::from_millis(20));
        common::append(&topic, "late");
        assert_eq!(reader.join().expect("no panic").as_deref(), Some(&b"late"[..]));
    }

    fn readers_start_where_they_are_told_and_follow(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        for i in 0..10 {
            common::append(&topic, &i.to_string());
        }
        let first = |start| {
            let mut reader = topic.reader(0, start).expect("a reader");
            let batch = reader.next(1, Some(Duration::ZERO)).expect("no error");
            batch.iter().next().map(|r| r.offset)
        };
        assert_eq!(first(Start::Earliest), Some(0));
        assert_eq!(first(Start::Offset(7)), Some(7));
        assert_eq!(first(Start::Latest), None);
        let mut latest = topic.reader(0, Start::Latest).expect("a reader");
        assert_eq!(latest.offset(), 10);
        common::append(&topic, "new");
        assert_eq!(latest.next(1, Some(LONG)).expect("no error").next_offset(), 11);
        let mut all = topic.reader(0, Start::Earliest).expect("a reader");
        let mut seen = 0;
        while seen < 11 {
            seen += all.next(200, Some(LONG)).expect("no error").len();
        }
        assert_eq!(topic.reader(0, Start::Offset(12)).err().map(|e| e.kind()), Some(ErrorKind::OutOfRange));
        all.seek(Start::Offset(3)).expect("in range");
        assert_eq!(all.next(1, None).expect("no error").iter().next().map(|r| r.offset), Some(3));
    }

    fn many_threads_append_and_every_batch_is_whole_and_in_order(runtime: Runtime) {
        const THREADS: u64 = 8;
        const BATCHES: u64 = 200;
        let dir = tempfile::tempdir().expect("a directory");
        let engine = Arc::new(open(dir.path(), runtime));
        let topic = topic(&engine, 2);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let topic = topic.clone();
                std::thread::spawn(move || {
                    for batch in 0..BATCHES {
                        // From a few bytes to beyond what is copied inside the append lock.
                        let size = if batch % 50 == 49 { 9000 } else { 20 };
                        let texts: Vec<Vec<u8>> = (0..3u64)
                            .map(|i| {
                                let mut text = format!("{thread} {batch} {i} ").into_bytes();
                                text.resize(size, b'.');
                                text
                            })
                            .collect();
                        let records: Vec<Record> = texts.iter().map(Record::new).collect();
                        let partition = (thread % 2) as u32;
                        topic.append_batch(Target::Partition(partition), &records).expect("appended");
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        for partition in 0..2 {
            let values = values(&topic, partition);
            assert_eq!(values.len() as u64, THREADS / 2 * BATCHES * 3);
            let mut next = [0u64; THREADS as usize];
            for batch in values.chunks(3) {
                let parse = |v: &Vec<u8>| -> Vec<u64> {
                    let text = String::from_utf8_lossy(v).into_owned();
                    text.split(' ').take(3).map(|n| n.parse().expect("a number")).collect()
                };
                let first = parse(&batch[0]);
                for (i, value) in batch.iter().enumerate() {
                    assert_eq!(parse(value), [first[0], first[1], i as u64]);
                }
                assert_eq!(first[1], next[first[0] as usize]);
                next[first[0] as usize] += 1;
            }
        }
    }

    /// Appends that were under way when the close began kept their shard from ending, or were never seen by it.
    fn a_close_among_appends_ends_and_keeps_what_was_acknowledged(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let acknowledged = [const { AtomicU64::new(0) }; 4];
        for round in 0..20 {
            let engine = open(dir.path(), runtime);
            let topic = engine.topic("t").unwrap_or_else(|_| topic(&engine, 4));
            for (partition, acknowledged) in acknowledged.iter().enumerate() {
                let high = topic.describe().expect("it is there").partitions[partition].high_watermark;
                assert!(high >= acknowledged.load(Ordering::Relaxed), "round {round}: {high}");
            }
            let (ended, end) = std::sync::mpsc::channel();
            std::thread::scope(|scope| {
                for (partition, acknowledged) in acknowledged.iter().enumerate() {
                    let topic = &topic;
                    scope.spawn(move || {
                        let value = vec![1; if partition % 2 == 0 { 200_000 } else { 64 }];
                        loop {
                            match topic.append_batch(Target::Partition(partition as u32), &[Record::new(&value)]) {
                                Ok(append) => acknowledged.store(append.base_offset + 1, Ordering::Relaxed),
                                Err(error) => break assert_eq!(error.kind(), ErrorKind::Closed, "{error}"),
                            }
                        }
                    });
                }
                scope.spawn(move || {
                    if end.recv_timeout(LONG).is_err() {
                        eprintln!("the close of round {round} does not end");
                        std::process::abort();
                    }
                });
                std::thread::sleep(Duration::from_millis(5 + round % 10));
                engine.close().expect("closed");
                ended.send(()).expect("somebody waits");
            });
        }
    }

    fn weaker_modes_are_acknowledged_early_and_visible_as_their_topic_says(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let durable = topic(&engine, 1);
        let early = AppendOptions::default().durability(Durability::LoseOnKill);
        let ticket = durable.submit(Target::Partition(0), &[Record::new("early")], early).expect("submitted");
        assert!(ticket.is_durable().expect("no failure"), "acknowledged as soon as it is in memory");
        assert_eq!(ticket.wait(Some(Duration::ZERO)).expect("acknowledged").base_offset, 0);
        let batch = durable.read_wait(0, 0, 100, Some(LONG)).expect("no error");
        assert_eq!(batch.len(), 1, "visible once durable, without another append");

        for mode in [Durability::LoseOnKill, Durability::LoseOnPowerCut] {
            let options = TopicOptions::default().durability(mode);
            let weak = engine.create_topic(mode.as_str(), options).expect("the name is free");
            let append = weak.append(&Record::new("w")).expect("appended");
            assert_eq!(append.base_offset, 0);
            assert_eq!(weak.read(0, 0, 100).expect("no error").len(), 1, "the watermark follows the mode");
            let strong = AppendOptions::default().durability(Durability::Durable);
            let ticket = weak.submit(Target::Partition(0), &[Record::new("s")], strong).expect("submitted");
            assert_eq!(ticket.wait(Some(LONG)).expect("durable").base_offset, 1);
            assert_eq!(weak.describe().expect("it is there").durability, mode);
        }
        drop((durable, ticket));
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        for mode in [Durability::LoseOnKill, Durability::LoseOnPowerCut] {
            let weak = engine.topic(mode.as_str()).expect("it is there");
            assert_eq!(values(&weak, 0), [b"w", b"s"], "a clean close keeps everything");
        }
    }
}
