//! A full device, and a quota that is used up: a small file system in a file, mounted. Needs root; without it the test
//! says so and proves nothing, which is why the lane `loop` that runs it is skipped there.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use thalweg::{Engine, ErrorKind, EventKind, Options, Record, Runtime, Target, Topic, TopicOptions};
use thalweg_tests::mount::{self, Mounted};
use thalweg_tests::{child, ledger};

/// Starts of an engine on a device without a byte.
const RESTARTS: u64 = 300;

fn open(path: &Path, runtime: Runtime) -> Engine {
    let options = Options::default().shards(1).memory_budget(64 << 20).segment_size(4 << 20).runtime(runtime);
    Engine::open(path, options).expect("the store opens")
}

/// Appends until the device is full; the batches that were acknowledged.
fn fill(topic: &thalweg::Topic, writer: u32) -> u64 {
    for sequence in 0.. {
        let value = ledger::value(writer, sequence, 0, 1, 30_000);
        match topic.append_batch(Target::Partition(0), &[Record::new(&value)]) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
                return sequence;
            }
        }
    }
    unreachable!("the device is small")
}

fn full_device(runtime: Runtime) {
    if !mount::permitted() {
        return;
    }
    let small = Mounted::new("ext4", 96);
    fill_and_free(&small.store(), runtime);
    free_by_truncation(&small.store(), runtime);
}

/// The first append after space was made answered for the time before.
fn free_by_truncation(store: &Path, runtime: Runtime) {
    let engine = open(store, runtime);
    let topic = engine.topic("full").expect("the topic");
    fill(&topic, 2);
    let end = topic.describe().expect("described").partitions[0].high_watermark;
    topic.truncate_before(0, end - 10).expect("truncating works on a full device");
    topic.append(&Record::new(&[0; 30_000])).expect("there is space");
    engine.close().expect("a clean close");
}

/// Fills what there is, frees some of it, and goes on.
fn fill_and_free(store: &Path, runtime: Runtime) {
    let engine = open(store, runtime);
    let spare = engine.create_topic("spare", TopicOptions::default()).expect("a topic");
    for sequence in 0..400 {
        let value = ledger::value(9, sequence, 0, 1, 30_000);
        spare.append_batch(Target::Partition(0), &[Record::new(&value)]).expect("there is space");
    }
    let topic = engine.create_topic("full", TopicOptions::default()).expect("a topic");
    let acknowledged = fill(&topic, 1);
    assert!(acknowledged > 500, "{acknowledged} batches fit");
    let events = engine.events();
    let full: Vec<EventKind> = std::iter::from_fn(|| events.try_next())
        .map(|event| event.kind)
        .filter(|kind| kind.name() == "no_space" || kind.name() == "partition_failed")
        .collect();
    let [EventKind::NoSpace { topic: told, partition: 0, .. }] = &full[..] else { panic!("{full:?}") };
    assert_eq!(told, "full");
    assert_eq!(ledger::check(&topic, 0).next[&1], acknowledged, "all that was acknowledged is there, and no more");

    // Space is made at zero bytes free, and appends go on.
    engine.delete_topic("spare").expect("deleting works on a full device");
    append_again(&topic, acknowledged);
    engine.close().expect("a clean close");

    let engine = open(store, runtime);
    let topic = engine.topic("full").expect("the topic");
    assert_eq!(ledger::check(&topic, 0).next[&1], acknowledged + 1, "and all of it is there after opening again");
    engine.close().expect("a clean close");
}

/// Appends once there is space: the file system may give it back a little later.
fn append_again(topic: &Topic, sequence: u64) {
    let value = ledger::value(1, sequence, 0, 1, 30_000);
    let mut again = topic.append_batch(Target::Partition(0), &[Record::new(&value)]);
    for _ in 0..50 {
        if again.is_err() {
            std::thread::sleep(Duration::from_millis(20));
            again = topic.append_batch(Target::Partition(0), &[Record::new(&value)]);
        }
    }
    again.expect("appends work again once there is space");
}

/// Takes every block that is left, outside the store.
fn take_the_rest(path: &Path) {
    let mut filler = std::fs::File::create(path).expect("a file");
    let piece = vec![7; 1 << 20];
    for size in [1 << 20, 64 << 10, 4096] {
        while filler.write(&piece[..size]).is_ok_and(|written| written == size) {}
        // What waits for its place on the device has none, either.
        let _ = filler.sync_all();
    }
}

/// Files in `pool/`, and their bytes.
fn pooled(store: &Path) -> (usize, u64) {
    let files = std::fs::read_dir(store.join("pool")).expect("it is there");
    let sizes: Vec<u64> = files.map(|file| file.expect("read").metadata().expect("a file").len()).collect();
    (sizes.len(), sizes.iter().sum())
}

/// Removed segments were kept for their next use also where others wanted the space: a truncation on a full device gave
/// nothing back.
fn pool_gives_way(runtime: Runtime) {
    if !mount::permitted() {
        return;
    }
    let small = Mounted::new("ext4", 300);
    let (store, filler) = (small.store(), small.path().join("filler"));
    let engine = open(&store, runtime);
    let events = engine.events();
    let topic = engine.create_topic("t", TopicOptions::default()).expect("a topic");
    let append = || topic.append(&Record::new(&[7; 30_000]));
    for _ in 0..1_000 {
        append().expect("there is space");
    }
    topic.truncate_before(0, 999).expect("truncated");
    let (files, bytes) = pooled(&store);
    assert!(files <= 8 && bytes > 8 << 20, "{files} files of {bytes} bytes are kept where there is space");

    // What the pool has is used before an append is refused.
    take_the_rest(&filler);
    while events.try_next().is_some() {}
    let mut taken = 0;
    while append().is_ok() {
        taken += 30_000;
    }
    assert!(taken > bytes - (4 << 20), "{taken} bytes went into the {bytes} of the pool");
    assert_eq!(pooled(&store).0, 0);

    // A log that is cut on a full device gives its space to everybody.
    let end = topic.describe().expect("described").partitions[0].high_watermark;
    topic.truncate_before(0, end - 1).expect("truncating works on a full device");
    assert!(pooled(&store).1 <= bytes / 4, "{} of {bytes} bytes are kept", pooled(&store).1);
    let mut other = std::fs::File::create(small.path().join("other")).expect("a file");
    other.write_all(&vec![1; bytes as usize / 2]).and_then(|()| other.sync_all()).expect("there is space for others");
    take_the_rest(&filler);
    while append().is_ok() {}

    // Who does not append is told when there is space.
    let kinds = || std::iter::from_fn(|| events.try_next()).map(|event| event.kind).collect::<Vec<_>>();
    let full = kinds();
    let last = full.iter().rev().find(|kind| ["no_space", "space_available"].contains(&kind.name()));
    assert!(matches!(last, Some(EventKind::NoSpace { .. })), "{full:?}");
    std::thread::sleep(Duration::from_millis(2_500));
    assert!(kinds().iter().all(|kind| kind.name() != "space_available"));
    std::fs::remove_file(&filler).expect("removed");
    let found = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        kinds().iter().any(|kind| matches!(kind, EventKind::SpaceAvailable { topic, partition: 0, .. } if topic == "t"))
    });
    assert!(found, "nobody says that there is space");
    append().expect("and there is");
    engine.close().expect("a clean close");
}

/// Key-values that are rewritten all the time, on a full device: what is refused has not happened, what is answered
/// has, and once there is space the log of them shrinks again.
fn key_values_without_space(runtime: Runtime) {
    if !mount::permitted() {
        return;
    }
    let small = Mounted::new("ext4", 200);
    let store = small.store();
    let engine = open(&store, runtime);
    let topic = engine.create_topic("t", TopicOptions::default()).expect("a topic");
    let values = engine.key_values(&topic).expect("values");
    let put = |number: u8| {
        let result = values.put(b"k", &[number; 60_000]);
        let got = values.get(b"k").expect("readable").map(|value| value[0]);
        match &result {
            Ok(()) => assert_eq!(got, Some(number)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
                assert_ne!(got, Some(number), "refused, and done");
            }
        }
        result.is_ok()
    };
    assert!((0..16).all(put), "there is space");
    let filler = small.path().join("filler");
    take_the_rest(&filler);
    let done = (16..216).filter(|number| put(*number)).count();
    assert!((1..200).contains(&done), "{done} changes fit into what was reserved");
    std::fs::remove_file(&filler).expect("removed");
    // The file system may give it back a little later.
    let again = (0..100).any(|_| {
        put(216) || {
            std::thread::sleep(Duration::from_millis(20));
            false
        }
    });
    assert!(again, "there is space again");
    let logs = || std::fs::read_dir(store.join("segments")).expect("there").map(|topic| topic.expect("read").path());
    let before: Vec<_> = logs().collect();
    assert!((0..100).all(put), "and for more");
    assert!(!before.iter().all(|path| path.exists()), "the log was rewritten, which removes the one before");
    engine.close().expect("a clean close");
    let engine = open(&store, runtime);
    let topic = engine.topic("t").expect("the topic");
    assert_eq!(engine.key_values(&topic).expect("values").get(b"k").expect("readable"), Some(vec![99; 60_000]));
}

/// A full device keeps nobody from opening the store, however often that was done before, nor from freeing space.
fn restarts_without_space(kind: &str, mib: u32, runtime: Runtime) {
    if !mount::permitted() || !mount::kernel_has(kind) {
        return;
    }
    let small = Mounted::new(kind, mib);
    let store = small.store();
    let engine = open(&store, runtime);
    let mut acknowledged = 0;
    for name in ["spare", "full"] {
        let topic = engine.create_topic(name, TopicOptions::default()).expect("a topic");
        acknowledged = 200;
        for sequence in 0..acknowledged {
            let value = ledger::value(1, sequence, 0, 1, 30_000);
            topic.append_batch(Target::Partition(0), &[Record::new(&value)]).expect("there is space");
        }
    }
    engine.close().expect("a clean close");
    take_the_rest(&small.path().join("filler"));

    for round in 0..RESTARTS {
        if round % 6 == 5 {
            let (mut process, pipe) = child::start("an_owner_without_space", &small.path(), true);
            let mut said = [0];
            pipe.expect("asked for").read_exact(&mut said).unwrap_or_else(|_| panic!("round {round}: it opens"));
            child::kill(&mut process);
            continue;
        }
        let engine = open(&store, runtime);
        let topic = engine.topic("full").expect("the topic");
        let value = ledger::value(1, acknowledged, 0, 1, 30_000);
        let refused = topic.append_batch(Target::Partition(0), &[Record::new(&value)]).expect_err("there is no space");
        assert_eq!(refused.kind(), ErrorKind::NoSpace, "round {round}: {refused}");
        if round % 2 == 0 {
            engine.close().unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
    }

    let engine = open(&store, runtime);
    let refused = (0..20_000).find_map(|n| engine.create_topic(&format!("more-{n}"), TopicOptions::default()).err());
    assert_eq!(
        refused.map(|error| error.kind()),
        Some(ErrorKind::NoSpace),
        "what only grows the store is refused first"
    );
    engine.close().expect("and then the store is closed");
    let engine = open(&store, runtime);
    engine.delete_topic("spare").expect("deleting works on a full device");
    let topic = engine.topic("full").expect("the topic");
    append_again(&topic, acknowledged);
    engine.create_topic("fits", TopicOptions::default()).expect("there is space again");
    engine.close().expect("a clean close");
    let engine = open(&store, runtime);
    let topic = engine.topic("full").expect("the topic");
    assert_eq!(ledger::check(&topic, 0).next[&1], acknowledged + 1, "all that was acknowledged is there, and no more");
    engine.close().expect("a clean close");
}

/// Opens, is refused, and waits to be killed.
#[test]
fn an_owner_without_space() {
    let Some(role) = child::role("an_owner_without_space") else { return };
    let engine = open(&role.dir.join("store"), Runtime::Auto);
    let topic = engine.topic("full").expect("the topic");
    let refused = topic.append_batch(Target::Partition(0), &[Record::new(&[1; 30_000])]).expect_err("no space");
    assert_eq!(refused.kind(), ErrorKind::NoSpace, "{refused}");
    role.pipe.expect("the parent gives a pipe").write_all(b"!").expect("the test listens");
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn restarts_without_space_use_nothing_up_ext4() {
    restarts_without_space("ext4", 96, Runtime::Posix);
}

#[test]
fn restarts_without_space_use_nothing_up_xfs() {
    restarts_without_space("xfs", 320, Runtime::Auto);
}

#[test]
fn key_values_go_on_after_a_full_device_uring() {
    key_values_without_space(Runtime::Uring);
}

#[test]
fn key_values_go_on_after_a_full_device_posix() {
    key_values_without_space(Runtime::Posix);
}

#[test]
fn the_pool_gives_way_and_space_that_comes_back_is_told_uring() {
    pool_gives_way(Runtime::Auto);
}

#[test]
fn the_pool_gives_way_and_space_that_comes_back_is_told_posix() {
    pool_gives_way(Runtime::Posix);
}

#[test]
fn a_full_device_is_a_clean_error_uring() {
    full_device(Runtime::Auto);
}

#[test]
fn a_full_device_is_a_clean_error_posix() {
    full_device(Runtime::Posix);
}

/// The quota of a btrfs subvolume: the one kind that needs no more than the file system itself.
#[test]
fn a_used_up_quota_is_a_clean_error() {
    if !mount::permitted() || !mount::kernel_has("btrfs") {
        return;
    }
    let roomy = Mounted::new("btrfs", 600);
    let part = roomy.path().join("part");
    let (whole, part_name) = (roomy.path(), part.to_str().expect("a plain path"));
    mount::run("btrfs", &["subvolume", "create", part_name]);
    mount::run("btrfs", &["quota", "enable", whole.to_str().expect("a plain path")]);
    mount::run("btrfs", &["qgroup", "limit", "110M", part_name]);
    fill_and_free(&part.join("store"), Runtime::Auto);
}
