//! Topics, opening and closing.

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{LONG, append, open, options, topic, values};
use thalweg::{ConsumerOptions, Durability, Engine, ErrorKind, Options, Record, Start, Target, TopicOptions};

fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

for_each_runtime! {
    fn topics_are_created_listed_described_and_deleted(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        assert_eq!(engine.topic("t").expect_err("none").kind(), ErrorKind::NotFound);
        let t = engine.create_topic("t", TopicOptions::default().partitions(3)).expect("created");
        let again = engine.create_topic("t", TopicOptions::default()).expect_err("taken");
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        engine.create_topic("a", TopicOptions::default().durability(Durability::LoseOnKill)).expect("created");
        t.append_batch(Target::Partition(1), &[Record::new("x"), Record::new("y")]).expect("appended");
        let listed = engine.topics().expect("listed");
        assert_eq!(listed.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["a", "t"]);
        assert_eq!(listed[0].durability, Durability::LoseOnKill);
        let of_t = t.describe().expect("described");
        assert_eq!(of_t, listed[1]);
        let marks: Vec<u64> = of_t.partitions.iter().map(|p| p.high_watermark).collect();
        assert_eq!(marks, [0, 2, 0]);
        assert_eq!(of_t.partitions.iter().map(|p| p.segments).collect::<Vec<_>>(), [0, 1, 0]);

        let batch = t.read(1, 0, 100).expect("read");
        let mut reader = t.reader(1, Start::Earliest).expect("a reader");
        engine.delete_topic("t").expect("deleted");
        assert_eq!(engine.delete_topic("t").expect_err("gone").kind(), ErrorKind::NotFound);
        assert_eq!(t.append(&Record::new("z")).expect_err("gone").kind(), ErrorKind::Deleted);
        assert_eq!(t.read(1, 0, 100).expect_err("gone").kind(), ErrorKind::Deleted);
        assert_eq!(reader.next(100, Some(LONG)).expect_err("gone").kind(), ErrorKind::Deleted);
        assert_eq!(batch.iter().count(), 2, "lent memory stays");

        let new = engine.create_topic("t", TopicOptions::default()).expect("the name is free again");
        assert!(new.read(0, 0, 100).expect("read").is_empty(), "nothing of the old topic");
        append(&new, "new");
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        assert_eq!(values(&engine.topic("t").expect("there"), 0), [b"new"]);
        assert_eq!(engine.topics().expect("listed").len(), 2);
    }

    fn partitions_are_added_and_the_rest_stays(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let t = topic(&engine, 1);
        append(&t, "first");
        for total in [0, 1, 65_537] {
            assert_eq!(t.add_partitions(total).expect_err("refused").kind(), ErrorKind::InvalidArgument);
        }
        t.add_partitions(3).expect("added");
        t.append_batch(Target::Partition(2), &[Record::new("second")]).expect("appended");
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let t = engine.topic("t").expect("there");
        assert_eq!(t.partitions(), 3);
        assert_eq!((values(&t, 0), values(&t, 2)), (vec![b"first".to_vec()], vec![b"second".to_vec()]));
    }

    fn ten_thousand_partitions_cost_no_file_until_they_are_appended_to(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let before = files(dir.path()).len();
        let t = topic(&engine, 10_000);
        assert_eq!(files(dir.path()).len(), before);
        t.append_batch(Target::Partition(9_999), &[Record::new("x")]).expect("appended");
        let segments = |dir: &Path| files(&dir.join("segments")).len();
        assert!((1..=2).contains(&segments(dir.path())), "the segment, and perhaps the next");
        for partition in (0..10_000).step_by(100) {
            t.append_batch(Target::Partition(partition), &[Record::new("y")]).expect("appended");
        }
        assert!(segments(dir.path()) <= 202);
        engine.close().expect("closed");
        let begin = Instant::now();
        let engine = open(dir.path(), runtime);
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        let t = engine.topic("t").expect("there");
        assert_eq!(values(&t, 9_999), [b"x"]);
        assert_eq!(values(&t, 100), [b"y"]);
        assert!(values(&t, 101).is_empty());
    }

    fn a_second_open_is_refused_and_names_the_holder(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let second = Engine::open(dir.path(), options(runtime).lock_timeout(Duration::from_millis(50)));
        let error = second.expect_err("held");
        assert_eq!(error.kind(), ErrorKind::AlreadyOpen);
        assert!(error.message().contains(&std::process::id().to_string()), "{error}");
        drop(engine);
        open(dir.path(), runtime);
    }

    fn several_engines_in_one_process_do_not_meet(runtime: Runtime) {
        let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("a directory")).collect();
        let engines: Vec<_> = dirs.iter().map(|dir| open(dir.path(), runtime)).collect();
        let topics: Vec<_> = engines.iter().map(|engine| topic(engine, 1)).collect();
        for (i, topic) in topics.iter().enumerate() {
            append(topic, &i.to_string());
        }
        assert_ne!(engines[0].info().store_id, engines[1].info().store_id);
        let mut engines = engines.into_iter();
        engines.next().expect("three").close().expect("closed");
        append(&topics[1], "more");
        assert_eq!(values(&topics[1], 0), [b"1".to_vec(), b"more".to_vec()]);
        assert_eq!(values(&topics[2], 0), [b"2"]);
    }

    fn the_number_of_shards_may_change_at_every_open(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut expected = vec![Vec::new(); 7];
        for (round, shards) in [1, 3, 2, 8, 1].into_iter().enumerate() {
            let engine = Engine::open(dir.path(), options(runtime).shards(shards)).expect("opened");
            let t = match round {
                0 => topic(&engine, 7),
                _ => engine.topic("t").expect("there"),
            };
            for partition in 0..7u32 {
                let value = format!("{round} {partition}");
                t.append_batch(Target::Partition(partition), &[Record::new(&value)]).expect("appended");
                expected[partition as usize].push(value.into_bytes());
                assert_eq!(values(&t, partition), expected[partition as usize]);
            }
            assert_eq!(engine.info().shards, shards);
        }
    }

    fn a_clean_close_is_told_and_reopening_takes_no_longer_for_more_data(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut durations = Vec::new();
        let value = vec![1u8; 1 << 20];
        for megabytes in [1, 64] {
            let engine = open(dir.path(), runtime);
            let t = engine.topic("t").unwrap_or_else(|_| topic(&engine, 4));
            for i in 0..megabytes {
                t.append_batch(Target::Partition(i % 4), &[Record::new(&value)]).expect("appended");
            }
            engine.close().expect("closed");
            let engine = open(dir.path(), runtime);
            let report = engine.info().recovery;
            assert!(report.clean && report.damaged.is_empty());
            durations.push(report.duration);
        }
        assert!(durations[1] < Duration::from_secs(1), "{durations:?}");
    }

    fn the_report_says_how_the_engine_works(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let info = engine.info();
        assert_eq!(info.runtime, runtime.as_str());
        assert!(!info.runtime_reason.is_empty() && !info.durable_reason.is_empty());
        assert!(info.alignment.is_power_of_two() && info.memory_budget == 64 << 20);
        assert_eq!(info.path, dir.path());
        assert!(info.recovery.clean);
    }

    /// A handle that outlived its engine kept segments and directories open, so that nothing could be unmounted.
    fn what_outlives_its_engine_holds_no_descriptor(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let held = || -> Vec<PathBuf> {
            let links = std::fs::read_dir("/proc/self/fd").expect("the descriptors");
            let paths = links.filter_map(|link| std::fs::read_link(link.expect("an entry").path()).ok());
            paths.filter(|path| path.starts_with(dir.path())).collect()
        };
        for _ in 0..2 {
            let engine = open(dir.path(), runtime);
            let t = engine.topic("t").unwrap_or_else(|_| topic(&engine, 2));
            t.append(&Record::new("x")).expect("appended");
            let batch = t.read(0, 0, 1).expect("read");
            let mut reader = t.reader(0, Start::Earliest).expect("a reader");
            let mut consumer = engine.consumer(ConsumerOptions::default().name("c")).expect("made");
            consumer.subscribe(&t).expect("subscribed");
            consumer.poll(1 << 20, None).expect("polled");
            consumer.commit().expect("committed");
            let values = engine.key_values(&t).expect("there");
            values.put(b"k", b"v").expect("put");
            assert!(!held().is_empty());
            engine.close().expect("closed");
            assert_eq!(held(), Vec::<PathBuf>::new());
            assert_eq!(reader.next(1, None).expect_err("closed").kind(), ErrorKind::Closed);
            assert_eq!(t.append(&Record::new("y")).expect_err("closed").kind(), ErrorKind::Closed);
            assert_eq!(values.put(b"k", b"w").expect_err("closed").kind(), ErrorKind::Closed);
            drop((batch, consumer));
            assert_eq!(held(), Vec::<PathBuf>::new());
        }
    }

    fn batches_outlive_topic_and_engine(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let t = topic(&engine, 1);
        let value = common::pattern(3, 100_000);
        t.append(&Record::new(&value)).expect("appended");
        let batch = t.read(0, 0, 1).expect("read");
        drop(t);
        engine.close().expect("closed although a batch is held");
        let again = open(dir.path(), runtime);
        let cold = again.topic("t").expect("there").read(0, 0, 1).expect("read");
        drop(again);
        std::fs::remove_dir_all(dir.path()).expect("removed");
        for batch in [&batch, &cold] {
            assert_eq!(batch.iter().next().and_then(|r| r.value), Some(&value[..]));
        }
        std::thread::spawn(move || drop((batch, cold))).join().expect("dropped on another thread");
    }
}

#[test]
fn options_outside_their_ranges_are_refused_before_anything_is_touched() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store");
    for (options, what) in [
        (Options::default().shards(0), "option shards is 0; allowed are 1 to 64"),
        (Options::default().memory_budget(1), "option memory_budget is 1; allowed are 67108864 to"),
        (Options::default().memory_budget(64 << 20).shards(64), "option memory_budget is 67108864; allowed with 64"),
        (Options::default().segment_size(1), "option segment_size is 1; allowed are"),
    ] {
        let error = Engine::open(&path, options).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains(what), "{error}");
    }
    assert!(!path.join("MANIFEST").exists());
}

#[test]
fn a_missing_store_is_made_only_if_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    for path in [dir.path().to_owned(), dir.path().join("missing")] {
        let error = Engine::open(&path, Options::default().create(false)).expect_err("there is none");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    assert!(!dir.path().join("missing").exists());
    assert_eq!(files(dir.path()), Vec::<String>::new(), "not even a lock");
    Engine::open(dir.path().join("missing"), Options::default()).expect("made");
    Engine::open(dir.path().join("missing"), Options::default().create(false)).expect("found");
}

#[test]
fn a_directory_that_others_may_write_is_refused_unless_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).expect("changed");
    let error = Engine::open(dir.path(), Options::default()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    Engine::open(dir.path(), Options::default().trust_shared_directory(true)).expect("trusted");
}

/// It was refused after the directory had been made.
#[test]
fn a_budget_that_the_shards_do_not_fit_in_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store");
    let options = Options::default().shards(16).memory_budget(64 << 20);
    let error = Engine::open(&path, options.clone()).expect_err("too little for 16 shards");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(error.message().contains("with 16 shards are "), "{error}");
    assert!(!path.exists());
    // As the README says.
    Engine::open(&path, options.memory_budget(75 << 20)).expect("enough").close().expect("closed");
}

/// Every open after the first said no more than that it had been chosen then.
#[test]
fn the_reason_for_the_durable_primitive_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut reasons = Vec::new();
    for read_only in [false, false, true] {
        let engine = Engine::open(dir.path(), Options::default().read_only(read_only)).expect("opened");
        reasons.push(engine.info().durable_reason);
        engine.close().expect("closed");
    }
    assert!(reasons[0].contains("RWF_DSYNC"), "{reasons:?}");
    assert_eq!(reasons[1], reasons[0]);
    assert_eq!(reasons[2], reasons[0]);
}
