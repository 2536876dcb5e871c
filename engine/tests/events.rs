//! What an engine tells of itself, provoked for real. What needs a device that fails, or a full one, is told in the
//! tests of those.

mod common;

use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use common::{open, pattern};
use thalweg::{Engine, ErrorKind, EventKind, Events, Fallback, Options, Record, Runtime, Target, TopicOptions};

fn told(events: &Events) -> Vec<EventKind> {
    std::iter::from_fn(|| events.try_next()).map(|event| event.kind).collect()
}

/// Without what this machine's file system makes the engine fall back to.
fn beside_fallbacks(engine_is_direct: bool, kinds: Vec<EventKind>) -> Vec<EventKind> {
    let fallback = |kind: &EventKind| matches!(kind, EventKind::Fallback { what: Fallback::BufferedIo, .. });
    assert_eq!(kinds.iter().filter(|kind| fallback(kind)).count(), usize::from(!engine_is_direct), "{kinds:?}");
    kinds.into_iter().filter(|kind| !fallback(kind)).collect()
}

fn names(kinds: &[EventKind]) -> Vec<&'static str> {
    kinds.iter().map(EventKind::name).collect()
}

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for topic in std::fs::read_dir(dir.join("segments")).expect("there") {
        let files = std::fs::read_dir(topic.expect("an entry").path()).expect("there");
        found.extend(files.map(|file| file.expect("an entry").path()));
    }
    found
}

/// A closed store of one topic with a record of 5,000 bytes.
fn store(dir: &Path, runtime: Runtime) {
    let engine = open(dir, runtime);
    common::topic(&engine, 1).append(&Record::new(&pattern(1, 5_000))).expect("appended");
    engine.close().expect("closed");
}

for_each_runtime! {
    fn a_healthy_life_is_recovered_opened_and_closed(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        for life in 0..2 {
            let engine = open(dir.path(), runtime);
            let direct = engine.info().direct_io;
            let events = engine.events();
            let topic = engine.topic("t").unwrap_or_else(|_| common::topic(&engine, 2));
            for at in 0..20u32 {
                let value = pattern(1, 1 + at as usize * 5_000);
                topic.append_batch(Target::Partition(at % 2), &[Record::new(&value)]).expect("appended");
            }
            common::read_all(&topic, 1, 0, 1 << 20);
            engine.verify(|_| ()).expect("verified");
            assert_eq!(engine.metrics().engine.events_dropped, 0);
            engine.close().expect("closed");
            let kinds = beside_fallbacks(direct, told(&events));
            let [recovered, opened, closed] = &kinds[..] else { panic!("{kinds:?}") };
            let clean = matches!(recovered, EventKind::Recovered { clean: true, damaged: 0, tails: 0, .. });
            assert!(clean, "life {life}: {recovered:?}");
            let EventKind::Opened { path, runtime: used, read_only: false, .. } = opened else { panic!("{opened:?}") };
            assert_eq!((path.as_path(), *used), (dir.path(), runtime.as_str()));
            assert!(matches!(closed, EventKind::Closed { clean: true, .. }), "{closed:?}");
            assert!(closed.to_string() == "closed" && opened.to_string().starts_with("opened "));
        }
    }

    fn damage_is_told_when_it_is_read_and_when_it_is_verified(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        store(dir.path(), runtime);
        let [file] = &segment_files(dir.path())[..] else { panic!("one segment") };
        let segment = std::fs::OpenOptions::new().write(true).open(file).expect("opened");
        segment.write_all_at(b"rotten", 6_000).expect("written");
        let engine = open(dir.path(), runtime);
        let (events, direct) = (engine.events(), engine.info().direct_io);
        let before = beside_fallbacks(direct, told(&events));
        assert_eq!(names(&before), ["recovered", "opened"]);
        let topic = engine.topic("t").expect("there");
        for _ in 0..3 {
            assert_eq!(topic.read(0, 0, 100).expect_err("damaged").kind(), ErrorKind::Corrupt);
        }
        let kinds = told(&events);
        let [EventKind::Damage(range)] = &kinds[..] else { panic!("once for three reads: {kinds:?}") };
        assert_eq!((range.topic.as_str(), range.partition, range.start, range.end), ("t", 0, 0, 1));
        let report = engine.verify(|_| ()).expect("verified");
        assert_eq!(told(&events), report.damaged.into_iter().map(EventKind::Damage).collect::<Vec<_>>());
    }

    fn a_file_that_is_missing_is_told(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        store(dir.path(), runtime);
        let [file] = &segment_files(dir.path())[..] else { panic!("one segment") };
        std::fs::remove_file(file).expect("removed");
        let engine = open(dir.path(), runtime);
        let events = engine.events();
        told(&events);
        engine.topic("t").expect("there").read(0, 0, 100).expect_err("its file is gone");
        let kinds = told(&events);
        let [EventKind::IoError { operation: "open", file: told, .. }] = &kinds[..] else { panic!("{kinds:?}") };
        assert!(file.ends_with(told), "{told}");
    }
}

#[test]
fn a_store_that_is_only_read_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    store(dir.path(), Runtime::Auto);
    let options = Options::default().read_only(true).memory_budget(64 << 20).shards(1);
    let engine = Engine::open(dir.path(), options).expect("opened");
    let events = engine.events();
    engine.close().expect("closed");
    let kinds = told(&events);
    assert!(kinds.iter().any(|kind| matches!(kind, EventKind::Opened { read_only: true, .. })), "{kinds:?}");
    assert!(matches!(kinds.last(), Some(EventKind::Closed { clean: true, .. })), "{kinds:?}");
}

#[test]
fn a_crash_is_told_with_the_tails_that_it_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = open(dir.path(), Runtime::Auto);
    let topic = engine.create_topic("t", TopicOptions::default().partitions(3)).expect("a topic");
    for partition in 0..2 {
        topic.append_batch(Target::Partition(partition), &[Record::new("x")]).expect("appended");
    }
    // What a kill at this moment would leave: nobody writes, once the journal's files are made.
    let names = || {
        let entries = std::fs::read_dir(dir.path().join("journal")).expect("there is a journal");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("readable").file_name()).collect();
        names.sort();
        names
    };
    let mut before = names();
    loop {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let now = names();
        if now == before && !now.iter().any(|name| name.to_string_lossy().ends_with(".new")) {
            break;
        }
        before = now;
    }
    let copy = tempfile::tempdir().expect("a directory");
    let copied = std::process::Command::new("cp").arg("-a").arg(dir.path().join(".")).arg(copy.path()).status();
    assert!(copied.expect("cp runs").success());
    engine.close().expect("closed");
    let engine = open(copy.path(), Runtime::Auto);
    let kinds = told(&engine.events());
    let Some(EventKind::Recovered { clean: false, tails: 2, damaged: 0, unavailable: 0, .. }) = kinds.first() else {
        panic!("{kinds:?}")
    };
    assert_eq!(engine.info().recovery.tails, 2);
    assert!(kinds[0].to_string().contains("2 partitions were being written"), "{}", kinds[0]);
}

#[test]
fn memory_has_no_direct_io_and_the_fallback_is_told() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        return common::skip("there is no /dev/shm here");
    };
    let engine = open(dir.path(), Runtime::Auto);
    let reason = engine.info().direct_io_reason;
    let kinds = told(&engine.events());
    let fallbacks: Vec<_> = kinds.iter().filter(|kind| kind.name() == "fallback").collect();
    let [EventKind::Fallback { what: Fallback::BufferedIo, reason: told, .. }] = &fallbacks[..] else {
        panic!("{kinds:?}")
    };
    assert_eq!(*told, reason);
}

#[test]
fn an_event_loop_sees_it_come() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = open(dir.path(), Runtime::Auto);
    let events = engine.events();
    let readable = || {
        let mut poll =
            libc::pollfd { fd: events.eventfd().expect("a descriptor").as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: the pointer and the count describe one pollfd, which lives through the call.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    };
    assert!(readable(), "it was opened");
    told(&events);
    assert!(!readable());
    engine.close().expect("closed");
    assert!(readable());
    assert_eq!(names(&told(&events)), ["closed"]);
    assert!(!readable());
}
