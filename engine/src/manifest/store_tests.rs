//! The manifest on a disk that stops, fails and rots.

use std::sync::Arc;

use crate::durability::Durability;
use crate::error::{ErrorKind, Result};
use crate::format::manifest::{Edit, ROOT_POSITIONS};
use crate::ids::{DurablePrimitive, Generation, Lsn, PartitionId, TopicId};
use crate::io::Disk;
use crate::manifest::memory::{MemoryDisk, TestEnvironment};
use crate::manifest::{DamagedCopy, Manifest, ManifestStore, Settled, names};

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
    for position in ROOT_POSITIONS {
        let disk = MemoryDisk::new();
        let mut store = create(&disk).expect("an empty disk");
        busy(&mut store).expect("commits");
        lose_slot(&disk, position);
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
    ROOT_POSITIONS.iter().for_each(|at| lose_slot(&disk, *at));
    let error = load(&disk).map(|_| ()).expect_err("damage");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let text = error.to_string();
    assert!(text.contains("MANIFEST") && text.contains("bytes 0 and 65536") && text.contains("Restore"), "{text}");
}

#[test]
fn roots_that_the_device_does_not_read_are_an_error_of_the_device() {
    let disk = MemoryDisk::new();
    create(&disk).expect("an empty disk");
    lose_slot(&disk, ROOT_POSITIONS[0]);
    disk.spoil(names::ROOT, ROOT_POSITIONS[1]);
    assert_eq!(load(&disk).map(|_| ()).expect_err("neither").kind(), ErrorKind::Io);
}

/// Every copy of the root in a slot rots.
fn lose_slot(disk: &MemoryDisk, position: u64) {
    let start = usize::try_from(position).expect("a small file");
    disk.edit(names::ROOT, |bytes| (start..start + 4096).step_by(512).for_each(|at| bytes[at + 40] ^= 1));
}

/// A loss of power tears a write to one slot, and a sector of the other rots.
#[test]
fn a_torn_slot_beside_a_rotten_one_costs_nothing() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk).expect("an empty disk");
    store.commit(&[topic(1)]).expect("commit");
    let before = disk.copy();
    store.commit(&[topic(2)]).expect("commit");
    for cut in [0, 1, 511, 512, 513, 2048, 4000, 4096] {
        for (torn, lost) in [(0, 1), (1, 0)] {
            let disk = disk.copy();
            let mut old = Vec::new();
            before.edit(names::ROOT, |bytes| old.clone_from(bytes));
            let at = ROOT_POSITIONS[torn] as usize;
            disk.edit(names::ROOT, |bytes| bytes[at + cut..at + 4096].copy_from_slice(&old[at + cut..at + 4096]));
            lose_slot(&disk, ROOT_POSITIONS[lost]);
            let mut loaded = load(&disk).expect("a copy of a root");
            assert_eq!(topics(loaded.image()), 2, "slot {torn} cut at {cut}");
            loaded.commit(&[topic(3)]).expect("commit");
            let again = load(&disk).expect("a store");
            assert!(again.image() == loaded.image() && again.damaged().is_empty());
        }
    }
}

/// Bytes of the log that count, from its start.
fn length(store: &ManifestStore) -> usize {
    usize::try_from(store.log_length()).expect("a small log")
}

/// One byte in any place of the manifest used to make the whole store unreadable, though all of its segments were
/// whole.
#[test]
fn any_rotten_byte_of_the_manifest_costs_nothing() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk).expect("an empty disk");
    busy(&mut store).expect("commits");
    let log = names::log(1);
    let places = [(names::ROOT, 0..4096), (names::ROOT, 65_536..69_632), (&*log, 0..length(&store))];
    for (file, bytes) in places {
        for at in bytes {
            disk.edit(file, |bytes| bytes[at] ^= 1 << (at % 8));
            let loaded = load(&disk).unwrap_or_else(|e| panic!("{file}, byte {at}: {e}"));
            assert!(loaded.image() == store.image(), "{file}, byte {at}");
            let sector = at as u64 / 4096 * 4096;
            let told = [DamagedCopy::new(file, sector..sector + 4096)];
            assert_eq!(loaded.damaged(), told, "{file}, byte {at}");
            disk.edit(file, |bytes| bytes[at] ^= 1 << (at % 8));
        }
    }
    assert!(load(&disk).expect("a store").damaged().is_empty());
}

/// Each sector of the manifest's files lost, in every way in which one is, and what a commit makes of it.
#[test]
fn what_is_lost_of_one_copy_is_written_anew_before_anything_is_built_on_it() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk).expect("an empty disk");
    busy(&mut store).expect("commits");
    let log = names::log(1);
    let sectors = (0..length(&store)).step_by(4096).map(|at| (log.as_str(), at));
    for (file, at) in sectors.chain(ROOT_POSITIONS.map(|at| (names::ROOT, at as usize))) {
        let lose: [&dyn Fn(&MemoryDisk); 4] = [
            &|disk| disk.edit(file, |bytes| bytes[at..at + 4096].fill(0)),
            &|disk| disk.edit(file, |bytes| bytes[at..at + 4096].fill(0xff)),
            &|disk| disk.edit(file, |bytes| bytes.copy_within(..4096, at)),
            &|disk| disk.spoil(file, at as u64),
        ];
        for (how, lose) in lose.iter().enumerate().filter(|(how, _)| (*how, at) != (2, 0)) {
            let lost = disk.copy();
            lose(&lost);
            let mut loaded = load(&lost).unwrap_or_else(|e| panic!("{file}, byte {at}, {how}: {e}"));
            assert!(loaded.image() == store.image(), "{file}, byte {at}, {how}");
            // What the first sector replaces may be its own copy.
            let whole = how == 2 && (file == names::ROOT || at == 4096);
            assert_eq!(loaded.damaged().len(), usize::from(!whole), "{file}, byte {at}, {how}");
            loaded.commit(&[topic(50)]).expect("commit");
            let again = load(&lost).expect("a store");
            assert!(again.image() == loaded.image() && again.damaged().is_empty(), "{file}, byte {at}, {how}");
        }
    }
}

#[test]
fn a_stop_while_a_damaged_copy_is_written_anew_leaves_the_state_before_or_after() {
    for stop in 0.. {
        let disk = MemoryDisk::new();
        let mut store = create(&disk).expect("an empty disk");
        busy(&mut store).expect("commits");
        let before = topics(store.image());
        disk.edit(&names::log(1), |bytes| bytes[8192 + 40] ^= 1);
        let mut loaded = load(&disk).expect("the other copy");
        disk.stop_after(stop);
        let finished = loaded.commit(&[topic(50)]).is_ok();
        disk.unhook();
        let found = load(&disk).expect("a store");
        assert!([before, before + 1].contains(&topics(found.image())), "stop {stop}");
        if finished {
            assert!(found.damaged().is_empty() && topics(found.image()) == before + 1);
            return;
        }
    }
}

/// Without space for another log the one that is there goes on, and the next open tries again.
#[test]
fn what_cannot_be_written_anew_for_want_of_space_still_serves() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk).expect("an empty disk");
    busy(&mut store).expect("commits");
    disk.edit(&names::log(1), |bytes| bytes[8192 + 40] ^= 1);
    disk.remove(&names::log(2)).expect("the spare log");
    disk.hook(|op, _| matches!(op, "create" | "reserve").then_some(libc::ENOSPC));
    let mut loaded = load(&disk).expect("the other copy");
    loaded.commit(&[topic(50)]).expect("commit");
    disk.unhook();
    let mut again = load(&disk).expect("the other copy");
    assert_eq!((again.image(), again.damaged().len()), (loaded.image(), 1));
    again.commit(&[topic(51)]).expect("commit");
    assert!(load(&disk).expect("a store").damaged().is_empty());
}

#[test]
fn an_edit_that_is_rotten_in_both_copies_is_damage_and_never_the_state_before_it() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk).expect("an empty disk");
    store.commit(&[topic(1)]).expect("commit");
    let log = names::log(1);
    for at in [30, 8192 + 30, 8192 + 4095] {
        let copy = disk.copy();
        copy.edit(&log, |bytes| bytes[at] ^= 4);
        load(&copy).expect("the other copy");
        copy.edit(&log, |bytes| bytes[at + 4096] ^= 8);
        let error = load(&copy).map(|_| ()).expect_err("damage");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}");
        let text = error.to_string();
        assert!(text.contains(&log) && text.contains("both of its copies") && text.contains("Restore"), "{text}");
        copy.spoil(&log, at as u64 / 4096 * 4096);
        assert_eq!(load(&copy).map(|_| ()).expect_err("neither").kind(), ErrorKind::Io, "byte {at}");
    }
    // The second copy of the last commit is cut off, then both are.
    disk.edit(&log, |bytes| bytes.truncate(8192 + 4096));
    assert_eq!(load(&disk).expect("the other copy").image(), store.image());
    disk.edit(&log, |bytes| bytes.truncate(8192));
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
    lose_slot(&disk, ROOT_POSITIONS[0]);
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
    let start = length(&store);
    disk.stop_after(1);
    let many: Vec<Edit> = (2..200).map(topic).collect();
    store.commit(&many).expect_err("stopped before the roots");
    disk.unhook();
    assert_eq!(topics(load(&disk).expect("a store").image()), 1);
    // Where a slot is unreadable, one whole copy is a whole commit, and then there are two again.
    let log = names::log(1);
    lose_slot(&disk, ROOT_POSITIONS[0]);
    disk.edit(&log, |bytes| bytes[start + 5000] ^= 1);
    let copy = disk.copy();
    let mut loaded = load(&copy).expect("a store");
    assert_eq!((topics(loaded.image()), loaded.damaged().len()), (199, 1), "a torn copy is no damage");
    loaded.commit(&[topic(200)]).expect("commit");
    let again = load(&copy).expect("a store");
    assert!(again.image() == loaded.image() && again.damaged().is_empty());
    // Half a commit is none.
    disk.edit(&log, |bytes| bytes[start..].chunks_mut(4096).for_each(|sector| sector[900] ^= 1));
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

/// Sizes of the log files, which is the space that they have.
fn log_sizes(disk: &MemoryDisk) -> Vec<usize> {
    let logs = disk.paths().into_iter().filter(|name| names::parse_log(name).is_some());
    let mut sizes = Vec::new();
    for log in logs {
        disk.edit(&log, |bytes| sizes.push(bytes.len()));
    }
    sizes
}

/// No file gets more space than it has.
fn fill(disk: &MemoryDisk) {
    disk.hook(|op, _| matches!(op, "create" | "reserve").then_some(libc::ENOSPC));
}

#[test]
fn room_is_made_in_both_logs_where_there_is_space() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk).expect("an empty disk");
    let before = log_sizes(&disk);
    store.make_room(1024).expect("there is room");
    assert_eq!(log_sizes(&disk), before, "what fits needs no more");
    store.make_room(1 << 20).expect("there is space");
    let sizes = log_sizes(&disk);
    assert_eq!(sizes.len(), 2);
    assert!(sizes.iter().all(|size| *size >= before[0] + (1 << 20)), "{sizes:?}");
    // What it was made for fits without any more space, and so does a rewrite of it.
    fill(&disk);
    let many: Vec<Edit> = (1..8_000).map(topic).collect();
    store.commit(&many).expect("there is room");
    let changes = (8_000..8_100).flat_map(|n| [topic(n), Edit::TopicDeleted { id: TopicId(n) }]);
    changes.for_each(|edit| store.commit(&[edit]).expect("there is room"));
    assert_eq!(log_sizes(&disk), sizes);
    assert!(load(&disk).expect("a store").image() == store.image());
}

/// What only grows the store is refused while what an open and a deletion need is there, however often it comes.
#[test]
fn what_only_grows_the_store_leaves_room_for_what_frees_space() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk).expect("an empty disk");
    store.commit(&[topic(1)]).expect("commit");
    fill(&disk);
    let sizes = log_sizes(&disk);
    let mut number = 1;
    let refused = loop {
        number += 1;
        assert!(number < 20_000, "it is refused at some time");
        if let Err(error) = store.make_room(2048) {
            break error;
        }
        let segments = activated(number, 0, u64::from(number));
        store.commit(&[topic(number), segments]).expect("what has room is not refused");
    };
    assert_eq!(refused.kind(), ErrorKind::NoSpace);
    assert!(number > 500, "{number} topics fit");
    // Opens that find every segment without an end, again and again.
    for set in 1..200 {
        let mut loaded = load(&disk).expect("a store");
        assert!(loaded.image() == store.image());
        let seal = |n: u32| Edit::SegmentSealed {
            generation: Generation(u64::from(n)),
            partition: partition(n),
            end_position: 8192,
            end_offset: 10,
            end_time: 9,
            footer_size: 4096,
        };
        let mut edits: Vec<Edit> = if set == 1 { (2..number).map(seal).collect() } else { Vec::new() };
        edits.extend([Edit::JournalSet { set, shards: 2 }, Edit::Clean(false)]);
        loaded.commit(&edits).unwrap_or_else(|error| panic!("open {set}: {error}"));
        assert_eq!(loaded.make_room(2048).expect_err("it is still full").kind(), ErrorKind::NoSpace);
        store = loaded;
    }
    for n in 2..number {
        store.commit(&[Edit::TopicDeleted { id: TopicId(n) }]).expect("deleting works without space");
    }
    store.make_room(2048).expect("there is room again");
    assert_eq!(log_sizes(&disk), sizes, "and none of it took any more");
    assert!(load(&disk).expect("a store").image() == store.image());
}
