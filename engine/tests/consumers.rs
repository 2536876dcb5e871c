//! Consumers: several topics and partitions as one, waiting without threads, and named positions.

mod common;

use std::collections::BTreeMap;
use std::future::Future;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use common::LONG;
use thalweg::{
    Consumer, ConsumerOptions, Engine, ErrorKind, OutOfRange, Polled, Position, Record, Start, Target, TopicOptions,
};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn named(engine: &Engine, name: &str) -> Consumer {
    engine.consumer(ConsumerOptions::default().name(name)).expect("the name is free")
}

fn values(polled: &[Polled]) -> Vec<String> {
    let records = polled.iter().flat_map(|polled| polled.batch.iter());
    records.map(|record| String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned()).collect()
}

/// Polls until `count` records have come, each partition's in order.
fn take(consumer: &mut Consumer, count: usize) -> BTreeMap<(String, u32), Vec<u64>> {
    let mut found: BTreeMap<(String, u32), Vec<u64>> = BTreeMap::new();
    while found.values().map(Vec::len).sum::<usize>() < count {
        let polled = consumer.poll(1 << 20, Some(LONG)).expect("polled");
        assert!(!polled.is_empty(), "records come in time");
        for polled in polled {
            let offsets = polled.batch.iter().map(|record| record.offset);
            found.entry((polled.topic.to_string(), polled.partition)).or_default().extend(offsets);
        }
    }
    found
}

/// Whether the consumer's descriptor is readable.
fn readable(consumer: &Consumer) -> bool {
    let fd = consumer.eventfd().expect("a descriptor").as_raw_fd();
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer and the count describe one pollfd, which lives through the call.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

for_each_runtime! {
    fn one_batch_at_a_time_and_a_descriptor_that_tells_when(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = engine.create_topic("orders", TopicOptions::default().partitions(2)).expect("created");
        for value in ["a", "b"] {
            topic.append_batch(Target::Partition(0), &[Record::new(value)]).expect("appended");
            topic.append_batch(Target::Partition(1), &[Record::new(value)]).expect("appended");
        }
        let mut consumer = engine.consumer(ConsumerOptions::default()).expect("made");
        assert!(!readable(&consumer), "nothing is read yet");
        consumer.subscribe(&topic).expect("subscribed");
        assert!(readable(&consumer), "two partitions are to be looked at");
        let first = consumer.try_next(1).expect("polled").expect("it is in memory");
        let second = consumer.try_next(1).expect("polled").expect("it is in memory");
        assert_eq!([first.batch.len(), second.batch.len()], [1, 1]);
        assert_ne!(first.partition, second.partition, "partitions come in turns");
        assert!(readable(&consumer));
        let mut rest = 0;
        while let Some(polled) = consumer.try_next(1 << 20).expect("polled") {
            rest += polled.batch.len();
        }
        assert_eq!(rest, 2);
        assert!(!readable(&consumer), "all of it was taken");

        topic.append_batch(Target::Partition(1), &[Record::new("c")]).expect("appended");
        assert!(readable(&consumer), "news");
        consumer.seek(&topic, 0, Start::Earliest).expect("sought");
        let mut values_seen = Vec::new();
        while let Some(polled) = consumer.next(1 << 20, NOW).expect("polled") {
            values_seen.extend(values(&[polled]));
        }
        values_seen.sort();
        assert_eq!(values_seen, ["a", "b", "c"]);
        assert!(!readable(&consumer));
        consumer.seek(&topic, 0, Start::Earliest).expect("sought");
        assert!(readable(&consumer), "a seek is something to look at");
    }

    fn a_wakeup_ends_a_poll_that_waits(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 1);
        let mut consumer = engine.consumer(ConsumerOptions::default()).expect("made");
        consumer.subscribe(&topic).expect("subscribed");
        let wakeup = consumer.wakeup();
        let waiting = std::thread::spawn(move || {
            let polled = consumer.poll(1 << 20, None).expect("polled");
            (consumer, polled.len())
        });
        std::thread::sleep(Duration::from_millis(20));
        wakeup.wake();
        let (mut consumer, count) = waiting.join().expect("the poll ends");
        assert_eq!(count, 0);
        // One wakeup ends one wait.
        topic.append(&Record::new("a")).expect("appended");
        assert_eq!(values(&consumer.poll(1 << 20, Some(LONG)).expect("polled")), ["a"]);
    }

    fn every_record_of_every_partition_comes_once_and_in_order(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let orders = engine.create_topic("orders", TopicOptions::default().partitions(5)).expect("created");
        let payments = engine.create_topic("payments", TopicOptions::default().partitions(3)).expect("created");
        let mut consumer = engine.consumer(ConsumerOptions::default()).expect("made");
        consumer.subscribe(&orders).expect("subscribed");
        consumer.subscribe(&payments).expect("subscribed");
        let appender = {
            let (orders, payments) = (orders.clone(), payments.clone());
            std::thread::spawn(move || {
                for number in 0..600u32 {
                    let value = common::pattern(u64::from(number), 10 + number as usize * 7);
                    let topic = if number % 3 == 0 { &payments } else { &orders };
                    let target = Target::Partition(number % topic.partitions());
                    topic.append_batch(target, &[Record::new(&value), Record::new(&value)]).expect("appended");
                }
            })
        };
        let found = take(&mut consumer, 1200);
        appender.join().expect("no panic");
        for (topic, described) in [(&orders, orders.describe()), (&payments, payments.describe())] {
            for partition in described.expect("described").partitions {
                let offsets = found.get(&(topic.name().to_owned(), partition.partition)).cloned().unwrap_or_default();
                assert!(offsets.iter().copied().eq(0..partition.high_watermark), "{} {offsets:?}", topic.name());
            }
        }
        assert_eq!(consumer.lag(), 0);
        assert!(consumer.poll(1 << 20, NOW).expect("polled").is_empty());
    }

    fn a_backlog_on_the_device_is_read_from_all_partitions_in_turns(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 4);
        let value = common::pattern(1, 1000);
        let batch = vec![Record::new(&value); 20];
        // The first partition has much more than the others.
        for (partition, batches) in [(0, 400), (1, 20), (2, 20), (3, 20)] {
            for _ in 0..batches {
                topic.append_batch(Target::Partition(partition), &batch).expect("appended");
            }
        }
        engine.close().expect("closed");
        let engine = common::open(dir.path(), runtime);
        let mut consumer = engine.consumer(ConsumerOptions::default()).expect("made");
        consumer.subscribe(&engine.topic("t").expect("there")).expect("subscribed");
        let mut read = [0usize; 4];
        // Turns are taken among partitions whose bytes are there: which of them the device gives first is its own affair,
        // so that all that can be said is that the large one is not read to its end before the others.
        while read[1..].iter().any(|count| *count < 400) {
            let polled = consumer.poll(256 << 10, Some(LONG)).expect("polled");
            let size: usize = polled.iter().map(|polled| polled.batch.size()).sum();
            assert!(size <= (256 << 10) + 21_000, "the budget is exceeded by less than a batch: {size}");
            for polled in &polled {
                read[polled.partition as usize] += polled.batch.len();
            }
        }
        assert!(read[0] < 8_000, "the small partitions did not wait for the large one: {read:?}");
        let rest = 8_000 - read[0];
        take(&mut consumer, rest);
        assert_eq!(consumer.lag(), 0);
    }

    fn a_task_is_woken_once_for_what_arrives_together(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 8);
        let mut consumer = engine.consumer(ConsumerOptions::default()).expect("made");
        consumer.subscribe(&topic).expect("subscribed");
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        {
            let mut polling = pin!(consumer.poll_async(1 << 20));
            assert!(polling.as_mut().poll(&mut context).is_pending());
            for partition in 0..8 {
                let batch = vec![Record::new("x"); 100];
                topic.append_batch(Target::Partition(partition), &batch).expect("appended");
            }
            let begun = Instant::now();
            while count.0.load(Ordering::SeqCst) == 0 && begun.elapsed() < LONG {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(count.0.load(Ordering::SeqCst), 1, "one wake-up until it has looked");
            let Poll::Ready(polled) = polling.as_mut().poll(&mut context) else { panic!("records are there") };
            assert_eq!(polled.expect("polled").iter().map(|polled| polled.batch.len()).sum::<usize>(), 800);
        }
        // A future that is dropped takes its waker along.
        drop(consumer.poll_async(1 << 20));
        topic.append(&Record::new("y")).expect("appended");
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    fn thousands_wait_without_threads_and_each_gets_what_it_waits_for(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 64);
        let counts: Vec<Arc<Count>> = (0..3000).map(|_| Arc::default()).collect();
        let mut consumers: Vec<Consumer> = (0..3000u32)
            .map(|number| {
                let mut consumer = engine.consumer(ConsumerOptions::default()).expect("made");
                consumer.assign(&topic, number % 64, None).expect("assigned");
                consumer
            })
            .collect();
        let wakers: Vec<Waker> = counts.iter().map(|count| Waker::from(Arc::clone(count))).collect();
        let mut pollings: Vec<_> = consumers.iter_mut().map(|consumer| consumer.poll_async(1 << 20)).collect();
        for (polling, waker) in pollings.iter_mut().zip(&wakers) {
            assert!(pin!(polling).poll(&mut Context::from_waker(waker)).is_pending());
        }
        topic.append_batch(Target::Partition(7), &[Record::new("seven")]).expect("appended");
        let woken = || counts.iter().filter(|count| count.0.load(Ordering::SeqCst) > 0).count();
        let begun = Instant::now();
        while woken() < 3000usize.div_ceil(64) && begun.elapsed() < LONG {
            std::thread::sleep(Duration::from_millis(1));
        }
        for (number, (polling, waker)) in pollings.iter_mut().zip(&wakers).enumerate() {
            let ready = pin!(polling).poll(&mut Context::from_waker(waker));
            assert_eq!(ready.is_ready(), number % 64 == 7, "{number}");
            assert_eq!(counts[number].0.load(Ordering::SeqCst), usize::from(number % 64 == 7));
        }
    }

    fn a_thread_sleeps_until_there_is_something_or_the_time_is_over(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 2);
        let mut consumer = engine.consumer(ConsumerOptions::default()).expect("made");
        assert_eq!(consumer.poll(1, NOW).expect_err("nothing is read").kind(), ErrorKind::InvalidArgument);
        consumer.subscribe(&topic).expect("subscribed");
        let begun = Instant::now();
        assert!(consumer.poll(1 << 20, Some(Duration::from_millis(30))).expect("polled").is_empty());
        assert!(begun.elapsed() >= Duration::from_millis(30));
        let waiter = std::thread::spawn(move || values(&consumer.poll(1 << 20, None).expect("polled")));
        std::thread::sleep(Duration::from_millis(20));
        common::append(&topic, "here");
        assert_eq!(waiter.join().expect("no panic"), ["here"]);

        let mut consumer = engine.consumer(ConsumerOptions::default().start(Start::Latest)).expect("made");
        consumer.subscribe(&topic).expect("subscribed");
        let waiter = std::thread::spawn(move || consumer.poll(1 << 20, None).expect_err("closed").kind());
        std::thread::sleep(Duration::from_millis(20));
        engine.close().expect("closed");
        assert_eq!(waiter.join().expect("no panic"), ErrorKind::Closed);
    }

    fn added_partitions_are_read_from_their_beginning_and_deleted_topics_end(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 1);
        let other = engine.create_topic("other", TopicOptions::default()).expect("created");
        let mut consumer = engine.consumer(ConsumerOptions::default().start(Start::Latest)).expect("made");
        consumer.subscribe(&topic).expect("subscribed");
        consumer.subscribe(&other).expect("subscribed");
        assert!(consumer.poll(1 << 20, NOW).expect("polled").is_empty());
        topic.add_partitions(3).expect("added");
        topic.append_batch(Target::Partition(2), &[Record::new("new")]).expect("appended");
        assert_eq!(values(&consumer.poll(1 << 20, Some(LONG)).expect("polled")), ["new"]);

        let deleter = {
            let engine = Arc::new(engine);
            let own = Arc::clone(&engine);
            let thread = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                own.delete_topic("t").expect("deleted");
            });
            (engine, thread)
        };
        let error = consumer.poll(1 << 20, Some(LONG)).expect_err("the topic ends");
        assert_eq!(error.kind(), ErrorKind::Deleted);
        assert!(error.message().contains("\"t\""), "{error}");
        deleter.1.join().expect("no panic");
        common::append(&other, "goes on");
        assert_eq!(values(&consumer.poll(1 << 20, Some(LONG)).expect("once is enough")), ["goes on"]);
        assert_eq!(consumer.positions().len(), 1);
        deleter.0.delete_topic("other").expect("deleted");
        assert_eq!(consumer.poll(1 << 20, Some(LONG)).expect_err("ends").kind(), ErrorKind::Deleted);
        assert_eq!(consumer.poll(1 << 20, None).expect_err("nothing is left").kind(), ErrorKind::InvalidArgument);
    }

    /// A committed position of an added partition was passed over, and one that was truncated before the first look was
    /// read from offset 0, which is not there.
    fn added_partitions_begin_at_their_committed_positions_or_at_what_is_left(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 1);
        let mut consumer = named(&engine, "billing");
        consumer.subscribe(&topic).expect("subscribed");
        topic.add_partitions(3).expect("added");
        for partition in [1, 2] {
            for value in ["0", "1"] {
                let value = format!("{partition}/{value}");
                topic.append_batch(Target::Partition(partition), &[Record::new(&value)]).expect("appended");
            }
        }
        let position = Position { topic: &topic, partition: 1, offset: 1, metadata: b"" };
        consumer.commit_positions(&[position]).expect("committed");
        topic.truncate_before(2, 1).expect("truncated");
        let found = take(&mut consumer, 2);
        let of_partition = |partition| found[&("t".to_owned(), partition)].clone();
        assert_eq!((of_partition(1), of_partition(2)), (vec![1], vec![1]));
        let committed: Vec<_> = consumer.positions().iter().map(|position| position.committed).collect();
        assert_eq!(committed, [None, Some(1), None]);
        assert!(consumer.poll(1 << 20, NOW).expect("polled").is_empty());
    }

    /// The number of a topic of another engine is that of some topic here, whose position was changed.
    fn positions_of_other_engines_topics_and_of_missing_partitions_are_refused(runtime: Runtime) {
        let (dir, other_dir) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let engine = common::open(dir.path(), runtime);
        let other_engine = common::open(other_dir.path(), runtime);
        let (topic, other) = (common::topic(&engine, 2), common::topic(&other_engine, 2));
        let (positions, name) = (engine.positions(), "billing");
        common::append(&topic, "x");
        positions.reset(name, &topic, None, Start::Latest).expect("reset");
        let before = positions.list(None).expect("listed");
        assert_eq!(before.len(), 2);
        let refused = positions.reset(name, &other, None, Start::Earliest).expect_err("of another engine");
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        let refused = positions.delete(name, Some(&other)).expect_err("of another engine");
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        for partition in [2, u32::MAX] {
            let refused = positions.reset(name, &topic, Some(partition), Start::Earliest).expect_err("not there");
            assert_eq!(refused.kind(), ErrorKind::NotFound, "{partition}");
        }
        assert_eq!(positions.list(None).expect("listed"), before);
    }

    fn seeking_goes_anywhere_and_out_of_range_is_an_error_or_what_was_asked_for(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 1);
        for (number, time) in [50, 10, 70, 20, 60].into_iter().enumerate() {
            topic.append(&Record::new(&number.to_string()).timestamp(time)).expect("appended");
        }
        let mut consumer = named(&engine, "c");
        consumer.subscribe(&topic).expect("subscribed");
        let mut first = |start| {
            consumer.seek(&topic, 0, start).expect("in range");
            values(&consumer.poll(1 << 20, NOW).expect("polled")).first().cloned()
        };
        assert_eq!(first(Start::Offset(3)).as_deref(), Some("3"));
        assert_eq!(first(Start::Latest), None);
        assert_eq!(first(Start::Earliest).as_deref(), Some("0"));
        assert_eq!(first(Start::Time(55)).as_deref(), Some("2"));
        assert_eq!(first(Start::Time(0)).as_deref(), Some("0"));
        assert_eq!(first(Start::Time(71)), None);
        assert_eq!(consumer.seek(&topic, 0, Start::Offset(6)).expect_err("beyond").kind(), ErrorKind::OutOfRange);
        assert_eq!(consumer.seek(&topic, 1, Start::Latest).expect_err("not read").kind(), ErrorKind::NotFound);
        let position = |offset| Position { topic: &topic, partition: 0, offset, metadata: b"" };
        consumer.commit_positions(&[position(5)]).expect("the end has been reached");
        // Such a one could be committed, and every later poll was out of range.
        for offset in [6, 1 << 63, u64::MAX - 1, u64::MAX] {
            let refused = consumer.commit_positions(&[position(0), position(offset)]).expect_err("beyond the end");
            assert_eq!(refused.kind(), ErrorKind::OutOfRange, "{refused}");
        }
        assert_eq!(consumer.positions()[0].committed, Some(5), "all or none");
        consumer.commit_positions(&[position(0)]).expect("committed");
        topic.truncate_before(0, 1).expect("truncated");
        drop(consumer);
        let mut consumer = named(&engine, "c");
        consumer.subscribe(&topic).expect("subscribed");
        for _ in 0..2 {
            let refused = consumer.poll(1 << 20, NOW).expect_err("out of range");
            assert_eq!(refused.kind(), ErrorKind::OutOfRange);
            assert_eq!((refused.topic(), refused.partition()), (Some(topic.name()), Some(0)));
            assert!(refused.message().contains("seek") && refused.message().contains("out_of_range"), "{refused}");
        }
        consumer.seek(&topic, 0, Start::Offset(4)).expect("in range");
        assert_eq!(values(&consumer.poll(1 << 20, NOW).expect("polled")), ["4"]);
        drop(consumer);
        for (policy, expected) in
            [(OutOfRange::Earliest, Some("1")), (OutOfRange::Latest, None), (OutOfRange::Time(65), Some("2"))]
        {
            let options = ConsumerOptions::default().name("c").out_of_range(policy);
            let mut consumer = engine.consumer(options).expect("made");
            consumer.subscribe(&topic).expect("subscribed");
            let found = values(&consumer.poll(1 << 20, NOW).expect("polled"));
            assert_eq!(found.first().map(String::as_str), expected, "{policy:?}");
        }
        let error = engine.consumer(ConsumerOptions::default().start(Start::Offset(1))).expect_err("of one partition");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }

    fn polls_keep_to_their_bytes_but_for_one_batch(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 4);
        let value = vec![7; 60_000];
        for number in 0..12u32 {
            topic.append_batch(Target::Partition(number % 4), &[Record::new(&value)]).expect("appended");
        }
        for (budget, fit) in [(1, 1), (65_536, 1), (119_000, 1), (121_000, 2), (200_000, 3)] {
            let mut consumer = engine.consumer(ConsumerOptions::default()).expect("made");
            consumer.subscribe(&topic).expect("subscribed");
            let (mut seen, mut polls) = (Vec::new(), 0);
            while seen.len() < 12 {
                let polled = consumer.poll(budget, Some(LONG)).expect("polled");
                let size: usize = polled.iter().map(|polled| polled.batch.size()).sum();
                assert!(!polled.is_empty() && (polled.len() == 1 || size <= budget), "{size} of {budget}");
                let places = polled.iter().flat_map(|polled| polled.batch.iter().map(|record| (polled.partition, record.offset)));
                seen.extend(places);
                polls += 1;
            }
            assert_eq!(polls, 12usize.div_ceil(fit), "{budget}");
            for partition in 0..4 {
                let offsets = seen.iter().filter(|(of, _)| *of == partition).map(|(_, offset)| *offset);
                assert!(offsets.eq(0..3), "{budget}: {seen:?}");
            }
        }
    }

    fn a_consumer_that_does_not_wait_finds_a_time_on_the_device(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let options = || common::options(runtime).segment_size(64 << 10);
        let engine = Engine::open(dir.path(), options()).expect("the store opens");
        let topic = common::topic(&engine, 1);
        let value = [7; 1000];
        for time in 0..500 {
            topic.append(&Record::new(&value).timestamp(time)).expect("appended");
        }
        let mut consumer = named(&engine, "c");
        consumer.subscribe(&topic).expect("subscribed");
        consumer.commit_positions(&[Position { topic: &topic, partition: 0, offset: 1, metadata: b"" }]).expect("committed");
        topic.truncate_before(0, 200).expect("truncated");
        drop(consumer);
        engine.close().expect("closed");

        let engine = Engine::open(dir.path(), options()).expect("the store opens");
        let topic = engine.topic("t").expect("there");
        let options = ConsumerOptions::default().name("c").out_of_range(OutOfRange::Time(333));
        let mut consumer = engine.consumer(options).expect("made");
        consumer.subscribe(&topic).expect("subscribed");
        assert!(consumer.try_next(1 << 20).expect("asked").is_none(), "it would have had to wait for the device");
        let found = loop {
            if let Some(found) = consumer.try_next(1 << 20).expect("polled") {
                break found;
            }
            let begun = Instant::now();
            while !readable(&consumer) {
                assert!(begun.elapsed() < LONG, "nobody tells that the device has answered");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        assert_eq!(found.batch.iter().next().map(|record| record.offset), Some(333));
        // A seek in the middle of the search is the last word.
        let options = ConsumerOptions::default().out_of_range(OutOfRange::Time(333));
        drop((consumer, found));
        engine.close().expect("closed");
        let engine = Engine::open(dir.path(), common::options(runtime)).expect("the store opens");
        let topic = engine.topic("t").expect("there");
        let mut consumer = engine.consumer(options.name("c")).expect("made");
        consumer.subscribe(&topic).expect("subscribed");
        assert!(consumer.try_next(1 << 20).expect("asked").is_none());
        consumer.seek(&topic, 0, Start::Offset(444)).expect("in range");
        assert_eq!(consumer.poll(1000, None).expect("polled")[0].batch.iter().next().map(|record| record.offset), Some(444));
    }

    fn positions_are_found_again_after_a_restart(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 3);
        for number in 0..30u32 {
            topic.append_batch(Target::Partition(number % 3), &[Record::new("x")]).expect("appended");
        }
        assert!(engine.positions().list(None).expect("listed").is_empty());
        let mut consumer = named(&engine, "billing");
        consumer.subscribe(&topic).expect("subscribed");
        take(&mut consumer, 30);
        consumer.commit().expect("committed");
        consumer.commit().expect("nothing moved");
        let position = Position { topic: &topic, partition: 1, offset: 4, metadata: b"half" };
        consumer.commit_positions(&[position]).expect("committed");
        assert_eq!(engine.consumer(ConsumerOptions::default().name("billing")).expect_err("open").kind(), ErrorKind::AlreadyOpen);
        let error = engine.positions().reset("billing", &topic, None, Start::Earliest).expect_err("open");
        assert_eq!(error.kind(), ErrorKind::AlreadyOpen);
        engine.close().expect("closed");
        drop(consumer);

        let engine = common::open(dir.path(), runtime);
        let topics: Vec<String> = engine.topics().expect("listed").into_iter().map(|topic| topic.name).collect();
        assert_eq!(topics, ["t"], "the engine's own topics are not listed");
        assert_eq!(engine.topic("$positions.1").expect_err("hidden").kind(), ErrorKind::NotFound);
        let topic = engine.topic("t").expect("there");
        let listed = engine.positions().list(Some("billing")).expect("listed");
        let rows: Vec<_> = listed.iter().map(|p| (p.partition, p.offset, p.lag, &p.metadata[..])).collect();
        assert_eq!(rows, [(0, 10, 0, &b""[..]), (1, 4, 6, b"half"), (2, 10, 0, b"")]);
        let mut consumer = named(&engine, "billing");
        consumer.subscribe(&topic).expect("subscribed");
        assert_eq!(consumer.lag(), 6);
        assert_eq!(take(&mut consumer, 6)[&("t".to_owned(), 1)], [4, 5, 6, 7, 8, 9]);
        drop(consumer);
        engine.positions().reset("billing", &topic, Some(2), Start::Offset(3)).expect("reset");
        assert_eq!(engine.positions().list(Some("billing")).expect("listed")[2].offset, 3);
        engine.positions().delete("billing", Some(&topic)).expect("deleted");
        assert!(engine.positions().list(None).expect("listed").is_empty());
        assert_eq!(engine.positions().delete("billing", None).expect_err("none").kind(), ErrorKind::NotFound);
        // A topic of the same name begins anew.
        named(&engine, "billing").commit_positions(&[Position { topic: &topic, partition: 0, offset: 5, metadata: b"" }]).expect("committed");
        engine.delete_topic("t").expect("deleted");
        let topic = common::topic(&engine, 3);
        let mut consumer = named(&engine, "billing");
        consumer.subscribe(&topic).expect("subscribed");
        assert!(consumer.positions().iter().all(|position| position.offset == 0 && position.committed.is_none()));
    }

    fn limits_of_names_and_metadata(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 1);
        for (size, fits) in [(0, false), (1, true), (249, true), (250, false)] {
            let made = engine.consumer(ConsumerOptions::default().name("n".repeat(size)));
            assert_eq!(made.as_ref().err().map(thalweg::Error::kind), (!fits).then_some(ErrorKind::InvalidArgument), "{size}");
        }
        assert_eq!(engine.consumer(ConsumerOptions::default().name("a b")).expect_err("a space").kind(), ErrorKind::InvalidArgument);
        let mut consumer = named(&engine, "c");
        for (size, fits) in [(0, true), (1, true), (4096, true), (4097, false)] {
            let metadata = vec![7; size];
            let committed = consumer.commit_positions(&[Position { topic: &topic, partition: 0, offset: 0, metadata: &metadata }]);
            assert_eq!(committed.err().map(|error| error.kind()), (!fits).then_some(ErrorKind::TooLarge), "{size}");
        }
        assert_eq!(engine.positions().list(None).expect("listed")[0].metadata.len(), 4096);
        common::append(&topic, "x");
        consumer.subscribe(&topic).expect("subscribed");
        take(&mut consumer, 1);
        consumer.commit().expect("committed");
        assert_eq!(engine.positions().list(None).expect("listed")[0].metadata, b"", "a commit has none");
        let mut nameless = engine.consumer(ConsumerOptions::default()).expect("made");
        nameless.subscribe(&topic).expect("subscribed");
        assert_eq!(nameless.commit().expect_err("no name").kind(), ErrorKind::InvalidArgument);
    }

    fn the_log_of_positions_does_not_grow_without_bound(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 200);
        let mut consumer = named(&engine, "c");
        for round in 0..60 {
            let metadata = vec![round; 1000];
            let positions: Vec<Position> =
                (0..200).map(|partition| Position { topic: &topic, partition, offset: 0, metadata: &metadata }).collect();
            consumer.commit_positions(&positions).expect("committed");
        }
        drop(consumer);
        engine.close().expect("closed");
        let engine = common::open(dir.path(), runtime);
        assert!(std::fs::read_dir(dir.path().join("segments")).expect("there").count() <= 2, "old logs are gone");
        let listed = engine.positions().list(Some("c")).expect("listed");
        assert_eq!(listed.len(), 200);
        assert!(listed.iter().all(|position| position.metadata == [59; 1000]));
    }
}
