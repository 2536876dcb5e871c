//! The manifest on a disk that stops, fails and rots.

use std::sync::Arc;

use crate::durability::Durability;
use crate::error::{ErrorKind, Result};
use crate::format::manifest::{Edit, ROOT_POSITIONS};
use crate::ids::{DurablePrimitive, Generation, Lsn, PartitionId, TopicId};
use crate::manifest::memory::{MemoryDisk, TestEnvironment};
use crate::manifest::{Manifest, ManifestStore, Settled, names};

fn create(disk: &MemoryDisk) -> Result<ManifestStore> {
    let environment = Arc::new(TestEnvironment::default());
    ManifestStore::create(Arc::new(disk.clone()), environment, DurablePrimitive::DurableWrite)
}

fn load(disk: &MemoryDisk) -> Result<ManifestStore> {
    ManifestStore::load(Arc::new(disk.clone()), Arc::new(TestEnvironment::default()))
}

fn topic(number: u32) -> Edit {
    let name = format!("topic-{number}");
    Edit::TopicCreated { id: TopicId(number), name, partitions: 2, durability: Durability::Durable }
}

fn topics(image: &Manifest) -> usize {
    image.topics.len()
}

fn partition(topic: u32) -> PartitionId {
    PartitionId { topic: TopicId(topic), partition: 1 }
}

fn activated(topic: u32, sequence: u32, generation: u64) -> Edit {
    Edit::SegmentActivated {
        partition: partition(topic),
        sequence,
        generation: Generation(generation),
        base_offset: 10 * u64::from(sequence),
        base_time: 5,
        capacity: 65_536,
        gap: false,
    }
}

fn busy(store: &mut ManifestStore) -> Result<()> {
    store.commit(&[topic(1), topic(2), topic(3)])?;
    store.commit(&[activated(1, 0, 11), activated(1, 1, 12), activated(2, 0, 21), Edit::Clean(false)])?;
    store.commit(&[Edit::JournalSet { set: 4, shards: 2 }])?;
    let entry = Settled { partition: partition(1), generation: Generation(12), position: 8192, offset: 14, time: 9 };
    store.commit(&[
        Edit::Checkpoint { set: 4, shard: 1, lsn: Lsn(7), entries: vec![entry] },
        Edit::SegmentSealed {
            generation: Generation(11),
            partition: partition(1),
            end_position: 4096,
            end_offset: 10,
            end_time: 8,
            footer_size: 4096,
        },
        Edit::LogStart { partition: partition(1), offset: 3 },
        Edit::Damaged { partition: partition(2), generation: Generation(21), start: 2, end: 5 },
        Edit::SegmentRemoved { partition: partition(1), generation: Generation(1) },
        Edit::JournalKept {
            set: 4,
            number: 9,
            shard: 1,
            generation: Generation(5),
            first_lsn: Lsn(3),
            end_lsn: Lsn(8),
        },
        Edit::TopicDeleted { id: TopicId(3) },
    ])
}

#[test]
fn what_was_committed_is_loaded() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk).expect("an empty disk");
    assert!(load(&disk).expect("a fresh store").image() == store.image());
    busy(&mut store).expect("commits");
    let loaded = load(&disk).expect("a store");
    assert_eq!(loaded.image(), store.image());
    assert_eq!(loaded.image().next_topic, 4);
    assert_eq!(create(&disk).map(|_| ()).expect_err("taken").kind(), ErrorKind::AlreadyExists);
}

#[test]
fn a_rewritten_log_says_the_same() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk).expect("an empty disk");
    store.set_growth_min(8192);
    busy(&mut store).expect("commits");
    for number in 10..200 {
        store.commit(&[topic(number)]).expect("commit");
        store.commit(&[Edit::TopicDeleted { id: TopicId(number) }]).expect("commit");
    }
    assert_eq!(load(&disk).expect("a store").image(), store.image());
    let logs: Vec<String> = disk.paths().into_iter().filter(|name| names::parse_log(name).is_some()).collect();
    assert_eq!(logs.len(), 2, "the one that counts and the spare one: {logs:?}");
    assert!(names::parse_log(&logs[0]) > Some(2), "{logs:?}");
}

#[test]
fn a_stop_anywhere_leaves_the_state_before_or_after() {
    for stop in 0.. {
        let disk = MemoryDisk::new();
        let mut store = create(&disk).expect("an empty disk");
        store.set_growth_min(4096);
        disk.stop_after(stop);
        let mut committed = 0;
        let mut finished = true;
        for number in 1..=8 {
            if store.commit(&[topic(number), Edit::Clean(false)]).is_err() {
                finished = false;
                assert!(store.commit(&[topic(99)]).is_err(), "poisoned");
                break;
            }
            committed += 1;
        }
        disk.unhook();
        let loaded = load(&disk).expect("a store");
        let found = topics(loaded.image());
        assert!(found == committed || found == committed + 1, "stop {stop}: {committed} committed, {found} found");
        if finished {
            return;
        }
    }
}

#[test]
fn a_stop_during_creation_leaves_no_store_or_a_whole_one() {
    for stop in 0.. {
        let disk = MemoryDisk::new();
        disk.stop_after(stop);
        let finished = create(&disk).is_ok();
        disk.unhook();
        if ManifestStore::exists(&disk).expect("a list") {
            load(&disk).expect("a whole store");
        } else {
            create(&disk).expect("creation starts anew");
        }
        if finished {
            return;
        }
    }
}

#[test]
fn either_slot_may_rot() {
    for slot in 0..2 {
        let disk = MemoryDisk::new();
        let mut store = create(&disk).expect("an empty disk");
        busy(&mut store).expect("commits");
        disk.edit(names::ROOT, |bytes| bytes[ROOT_POSITIONS[slot] as usize + 40] ^= 1);
        let mut loaded = load(&disk).expect("the other slot");
        assert_eq!(loaded.image(), store.image());
        // The rotten slot is written first: a stop after it, torn or not, leaves the good one.
        disk.stop_after(2);
        let _ = loaded.commit(&[topic(50)]);
        disk.unhook();
        let good = load(&disk).expect("a store");
        assert!(good.image().topics.contains_key(&TopicId(50)));
    }
}

#[test]
fn both_slots_rotten_is_damage() {
    let disk = MemoryDisk::new();
    create(&disk).expect("an empty disk");
    disk.edit(names::ROOT, |bytes| {
        bytes[40] ^= 1;
        bytes[ROOT_POSITIONS[1] as usize + 40] ^= 1;
    });
    assert_eq!(load(&disk).map(|_| ()).expect_err("damage").kind(), ErrorKind::Corrupt);
}

#[test]
fn a_rotten_edit_that_a_root_names_is_damage_and_never_the_state_before_it() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk).expect("an empty disk");
    store.commit(&[topic(1)]).expect("commit");
    let log = names::log(1);
    for at in [30, 4096 + 30, 2 * 4096 - 1] {
        let copy = disk.copy();
        copy.edit(&log, |bytes| bytes[at] ^= 4);
        assert_eq!(load(&copy).map(|_| ()).expect_err("damage").kind(), ErrorKind::Corrupt, "byte {at}");
    }
    disk.edit(&log, |bytes| bytes.truncate(4096));
    assert_eq!(load(&disk).map(|_| ()).expect_err("damage").kind(), ErrorKind::Corrupt);
}

#[test]
fn the_newest_commit_survives_the_loss_of_the_only_slot_that_named_it() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk).expect("an empty disk");
    store.commit(&[topic(1)]).expect("commit");
    // Stops between the two slots, then the first slot rots.
    disk.stop_after(2);
    store.commit(&[topic(2), topic(3)]).expect_err("stopped");
    disk.unhook();
    disk.edit(names::ROOT, |bytes| bytes[41] ^= 1);
    let mut loaded = load(&disk).expect("the other slot");
    assert_eq!(topics(loaded.image()), 3);
    loaded.commit(&[topic(4)]).expect("commit");
    assert_eq!(load(&disk).expect("a store").image(), loaded.image());
}

#[test]
fn a_torn_commit_that_no_root_names_is_dropped_whole() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk).expect("an empty disk");
    store.commit(&[topic(1)]).expect("commit");
    disk.stop_after(1);
    let many: Vec<Edit> = (2..200).map(topic).collect();
    store.commit(&many).expect_err("stopped before the roots");
    disk.unhook();
    assert_eq!(topics(load(&disk).expect("a store").image()), 1);
    // Even where a slot is unreadable, half a commit is none.
    disk.edit(&names::log(1), |bytes| bytes[2 * 4096 + 5000] ^= 1);
    disk.edit(names::ROOT, |bytes| bytes[41] ^= 1);
    assert_eq!(topics(load(&disk).expect("a store").image()), 1);
}

#[test]
fn no_space_for_a_commit_is_a_clean_error() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk).expect("an empty disk");
    disk.hook(|op, path| (op == "write_durable" && path.ends_with(".log")).then_some(libc::ENOSPC));
    assert_eq!(store.commit(&[topic(1)]).expect_err("full").kind(), ErrorKind::NoSpace);
    disk.unhook();
    assert_eq!(topics(store.image()), 0);
    store.commit(&[topic(2)]).expect("space again");
    assert_eq!(load(&disk).expect("a store").image(), store.image());
}

#[test]
fn a_later_version_is_unsupported() {
    let disk = MemoryDisk::new();
    create(&disk).expect("an empty disk");
    for slot in 0..2 {
        let copy = disk.copy();
        copy.edit(names::ROOT, |bytes| {
            let sector = &mut bytes[ROOT_POSITIONS[slot] as usize..][..4096];
            crate::format::file::set_version(sector, crate::format::FORMAT_VERSION + 1);
        });
        assert_eq!(load(&copy).map(|_| ()).expect_err("unknown").kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn segments_without_a_manifest_are_not_built_over() {
    let disk = MemoryDisk::new();
    create(&disk).expect("an empty disk");
    use crate::io::Disk;
    disk.create_dir("segments/00000001").expect("a directory");
    disk.remove(names::ROOT).expect("the file");
    assert_eq!(create(&disk).map(|_| ()).expect_err("lost").kind(), ErrorKind::Corrupt);
}

#[test]
fn a_generation_that_ended_does_not_begin_again() {
    let mut image = Manifest::new(1, 4096, DurablePrimitive::DurableWrite);
    for edit in [topic(1), activated(1, 0, 11), activated(1, 1, 12)] {
        image.apply(&edit).expect("edits that fit");
    }
    image.apply(&Edit::SegmentRemoved { partition: partition(1), generation: Generation(11) }).expect("it is known");
    let refused = image.apply(&activated(1, 2, 11)).expect_err("no generation is drawn twice");
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    // What a snapshot says of it, another image takes back: a segment cannot vanish in between.
    let mut again = Manifest::new(1, 4096, DurablePrimitive::DurableWrite);
    image.snapshot().iter().for_each(|edit| again.apply(edit).expect("a snapshot fits"));
    assert!(again == image);
}
