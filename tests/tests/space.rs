//! A full device, and a quota that is used up: a small file system in a file, mounted. Needs root; without it the test
//! says so and proves nothing, which is why the lane `loop` that runs it is skipped there.

use std::path::Path;

use thalweg::{Engine, ErrorKind, EventKind, Options, Record, Runtime, Target, TopicOptions};
use thalweg_tests::ledger;
use thalweg_tests::mount::{self, Mounted};

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
    let value = ledger::value(1, acknowledged, 0, 1, 30_000);
    let mut again = topic.append_batch(Target::Partition(0), &[Record::new(&value)]);
    for _ in 0..50 {
        if again.is_err() {
            std::thread::sleep(std::time::Duration::from_millis(20));
            again = topic.append_batch(Target::Partition(0), &[Record::new(&value)]);
        }
    }
    again.expect("appends work again once there is space");
    engine.close().expect("a clean close");

    let engine = open(store, runtime);
    let topic = engine.topic("full").expect("the topic");
    assert_eq!(ledger::check(&topic, 0).next[&1], acknowledged + 1, "and all of it is there after opening again");
    engine.close().expect("a clean close");
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
