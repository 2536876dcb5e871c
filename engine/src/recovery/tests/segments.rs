//! Steps 4 to 7 over segments alone.

use super::world::{World, load, open, recover_disk};
use crate::format::segment::SEGMENT_DATA_START;
use crate::ids::PartitionId;
use crate::limits::SECTOR;
use crate::manifest::names;
use crate::recovery::table::Row;
use crate::recovery::{Recovered, RecoveredPartition};

/// Recovery is what it is whenever it is done: the next open finds the same.
fn recover_twice(world: &World, id: PartitionId) -> (Recovered, RecoveredPartition) {
    let first = world.recover();
    let second = world.recover();
    let again = second.partitions.get(&id).cloned();
    let partition = first.partitions.get(&id).cloned().expect("the partition is known");
    let again = again.expect("the partition is known");
    assert_eq!(partition.segments, again.segments);
    assert_eq!((partition.next_offset, &partition.damaged), (again.next_offset, &again.damaged));
    (first, partition)
}

#[test]
fn an_empty_store_and_a_clean_one() {
    let mut world = World::new();
    let unclean = world.recover();
    assert!(!unclean.clean && unclean.partitions.is_empty());
    world = World::new();
    world.ask(crate::manifest::MetaOrder::CloseClean);
    let clean = world.recover();
    assert!(clean.clean);
    assert_eq!(clean.rows.of(Row::ManifestClean), 1);
    let set = clean.set;
    assert_eq!(world.recover().set, set + 1);
    assert!(!load(&world.disk).expect("a store").image().clean, "not clean before the first write");
}

#[test]
fn whole_frames_are_kept_and_the_segment_is_sealed_behind_a_pad() {
    let mut world = World::new();
    let mut seg = world.segment(1, 5);
    seg.append_many(30);
    seg.write_all();
    let (recovered, partition) = recover_twice(&world, seg.id);
    assert_eq!((partition.end_offset, partition.next_offset), (35, 35));
    assert_eq!(partition.last_time, seg.time);
    let (segment, end) = partition.segments[0];
    assert_eq!((segment.generation, end.offset), (seg.generation, 35));
    assert_eq!(end.position, seg.end().position.next_multiple_of(SECTOR));
    for row in [Row::ScanFromStart, Row::ScanStoppedBadHeader, Row::TornTail, Row::TailPadded, Row::SegmentFlushed] {
        assert_eq!(recovered.rows.of(row), 1, "{row:?}");
    }
    assert!(partition.damaged.is_empty() && partition.unavailable.is_none());
}

#[test]
fn a_gap_too_small_for_a_header_takes_one_more_sector() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    // Frame sizes are multiples of 8: leave 16 bytes of the sector.
    seg.append(SECTOR as usize - 16 - 40, None);
    assert_eq!(seg.end().position % SECTOR, SECTOR - 16);
    seg.write_all();
    let (_, partition) = recover_twice(&world, seg.id);
    assert_eq!(partition.segments[0].1.position, SEGMENT_DATA_START + 2 * SECTOR);
    assert_eq!(partition.end_offset, 1);
}

#[test]
fn a_segment_without_frames_is_dropped() {
    let mut world = World::new();
    let seg = world.segment(1, 0);
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::SegmentEmptyDropped), 1);
    assert!(recovered.partitions[&seg.id].segments.is_empty());
    assert!(!world.disk.exists(&seg.path()), "its file went to the pool");
}

#[test]
fn a_torn_frame_is_cut_off() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    seg.append_many(10);
    let end = seg.end();
    seg.append(9000, None);
    seg.write(SEGMENT_DATA_START, end.position + 5000);
    let (recovered, partition) = recover_twice(&world, seg.id);
    assert_eq!(partition.end_offset, 10);
    assert_eq!(recovered.rows.of(Row::ScanStoppedBadChecksum), 1);
    assert_eq!(recovered.rows.of(Row::TornTail), 1);
}

#[test]
fn a_later_frame_that_testifies_turns_the_cut_into_damage() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    seg.append_many(10);
    seg.pad();
    let first = seg.end();
    seg.append_many(5);
    seg.pad();
    let second = seg.end();
    seg.append(100, Some(14));
    seg.pad();
    seg.write_all();
    // The middle flush rots.
    world.disk.edit(&seg.path(), |bytes| bytes[first.position as usize + 60] ^= 1);
    let (recovered, partition) = recover_twice(&world, seg.id);
    assert_eq!(partition.end_offset, 10);
    let damage = partition.damaged[0];
    assert_eq!((damage.start, damage.end), (10, 14));
    assert_eq!(partition.next_offset, 14);
    assert_eq!(recovered.rows.of(Row::EvidenceBehindEnd), 1);
    assert_eq!(recovered.rows.of(Row::Damaged), 1);
    assert_eq!(partition.segments[0].1.position, first.position);
    // Nothing behind the damage was touched.
    world.disk.edit(&seg.path(), |bytes| {
        let at = second.position as usize;
        assert_eq!(bytes[at..at + 100], seg.bytes[at - 4096..at - 4096 + 100]);
    });
}

#[test]
fn a_later_frame_that_testifies_no_more_than_there_is_does_not() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    seg.append_many(10);
    seg.pad();
    let torn = seg.end();
    seg.append_many(5);
    seg.pad();
    seg.append(100, Some(10));
    seg.pad();
    seg.write_all();
    world.disk.edit(&seg.path(), |bytes| bytes[torn.position as usize + 60] ^= 1);
    let (recovered, partition) = recover_twice(&world, seg.id);
    assert!(partition.damaged.is_empty());
    assert_eq!(partition.end_offset, 10);
    assert_eq!(recovered.rows.of(Row::EvidenceBehindEnd), 1);
    assert_eq!(recovered.rows.of(Row::TornTail), 1);
}

#[test]
fn evidence_behind_a_torn_frame_longer_than_the_window_is_found() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    seg.append(100, None);
    seg.pad();
    let torn = seg.end();
    seg.append(150 << 10, None);
    seg.pad();
    seg.append(100, Some(2));
    seg.pad();
    seg.write_all();
    world.disk.edit(&seg.path(), |bytes| bytes[torn.position as usize + 8000] ^= 1);
    let (_, partition) = recover_twice(&world, seg.id);
    assert_eq!((partition.damaged[0].start, partition.damaged[0].end), (1, 2));
}

#[test]
fn the_scan_begins_at_the_checkpoint_whose_offset_testifies() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    seg.append_many(10);
    seg.pad();
    let settled = seg.end();
    seg.append_many(5);
    seg.write_all();
    world.checkpoint(0, 1, &[(&seg, settled)]);
    // What lies before the checkpoint is not read by recovery.
    world.disk.edit(&seg.path(), |bytes| bytes[5000] ^= 1);
    let (recovered, partition) = recover_twice(&world, seg.id);
    assert_eq!(recovered.rows.of(Row::ScanFromCheckpoint), 1);
    assert_eq!(partition.end_offset, 15);
    assert!(partition.last_time >= settled.time);
}

#[test]
fn a_whole_frame_of_another_offset_stops_the_scan() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    seg.append_many(3);
    seg.offset += 2;
    seg.append_many(1);
    seg.write_all();
    let (recovered, partition) = recover_twice(&world, seg.id);
    assert_eq!(partition.end_offset, 3);
    assert_eq!(recovered.rows.of(Row::ScanStoppedOtherOffset), 1);
}

#[test]
fn a_full_segment_ends_at_its_capacity() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    let capacity = world.meta.image().partitions[&seg.id].segments[&0].capacity;
    while seg.end().position < capacity {
        seg.append((capacity - seg.end().position).min(64 << 10) as usize - 40, None);
    }
    seg.write_all();
    let (recovered, partition) = recover_twice(&world, seg.id);
    assert_eq!(recovered.rows.of(Row::ScanStoppedFull), 1);
    assert_eq!(partition.end_offset, seg.offset);
    assert_eq!(partition.segments[0].1.position, capacity);
}

#[test]
pub(super) fn a_header_that_reaches_beyond_the_segment_is_none() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    seg.append(100, None);
    let end = seg.end();
    seg.append(300 << 10, None);
    seg.write(SEGMENT_DATA_START, end.position + 4096);
    let (recovered, partition) = recover_twice(&world, seg.id);
    assert_eq!(partition.end_offset, 1);
    assert_eq!(recovered.rows.of(Row::ScanStoppedBeyondCapacity), 1);
}

#[test]
fn stale_frames_of_a_recycled_file_are_not_read() {
    let mut world = World::new();
    let mut old = world.segment(1, 0);
    old.append_many(20);
    old.pad();
    old.write_all();
    let mut new = world.segment(2, 0);
    new.append_many(3);
    new.pad();
    new.write_all();
    // As if the second were written over the first's file.
    let stale = old.bytes.clone();
    world.disk.edit(&new.path(), |bytes| {
        let at = new.end().position as usize;
        bytes[at..at + stale.len()].copy_from_slice(&stale);
    });
    assert_eq!(recover_twice(&world, new.id).1.end_offset, 3);
}

#[test]
fn a_rotten_header_sector_does_not_lose_a_segment() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    seg.append_many(3);
    seg.write_all();
    world.disk.edit(&seg.path(), |bytes| bytes[100] ^= 1);
    let (recovered, partition) = recover_twice(&world, seg.id);
    assert_eq!(recovered.rows.of(Row::SegmentHeaderUnreadable), 1);
    assert_eq!(partition.end_offset, 3);
}

#[test]
fn a_successor_goes_on_where_its_predecessor_ends() {
    let mut world = World::new();
    let mut first = world.segment(1, 0);
    first.append_many(4);
    first.pad();
    first.write_all();
    let mut second = world.segment(1, 4);
    second.append_many(2);
    second.write_all();
    let (recovered, partition) = recover_twice(&world, first.id);
    assert_eq!(recovered.rows.of(Row::SuccessorContinues), 1);
    assert_eq!(recovered.rows.of(Row::ScanStoppedAtCut), 1);
    assert_eq!(recovered.rows.of(Row::SuccessorCuts), 0);
    assert_eq!(partition.segments.len(), 2);
    assert_eq!(partition.end_offset, 6);
    assert_eq!(partition.segments[0].1.position, first.end().position, "the pad belongs to the first");
}

#[test]
pub(super) fn a_successor_below_the_tail_cuts_it() {
    let mut world = World::new();
    let mut first = world.segment(1, 0);
    first.append_many(4);
    first.pad();
    first.write_all();
    let mut second = world.segment(1, 2);
    second.append_many(1);
    second.write_all();
    let (recovered, partition) = recover_twice(&world, first.id);
    assert_eq!(recovered.rows.of(Row::SuccessorCuts), 1);
    assert_eq!(partition.segments[0].1.offset, 2);
    assert_eq!(partition.end_offset, 3);
}

#[test]
fn a_successor_behind_a_torn_tail_is_dropped() {
    let mut world = World::new();
    let mut first = world.segment(1, 0);
    first.append_many(4);
    first.pad();
    let mut second = world.segment(1, 4);
    second.append(10, Some(2));
    second.write_all();
    let (recovered, partition) = {
        // Two of the four reached the device.
        let frame = (first.end().position - SEGMENT_DATA_START) / 4;
        assert!(frame > 0);
        first.write(SEGMENT_DATA_START, SEGMENT_DATA_START + 2 * 144);
        recover_twice(&world, first.id)
    };
    assert_eq!(recovered.rows.of(Row::SuccessorBeyondGap), 1);
    assert_eq!(recovered.rows.of(Row::SuccessorDropped), 1);
    assert_eq!(partition.end_offset, 2);
    assert!(partition.damaged.is_empty());
    assert!(!world.disk.exists(&second.path()));
}

/// The log start had moved over records that the crash took, and the log went on from there.
#[test]
fn a_successor_at_the_log_start_misses_nothing() {
    let mut world = World::new();
    let mut first = world.segment(1, 0);
    first.append_many(2);
    first.pad();
    first.write_all();
    let mut second = world.segment(1, 5);
    second.append_many(3);
    second.pad();
    second.write_all();
    let mut store = load(&world.disk).expect("a store");
    let edit = crate::format::manifest::Edit::LogStart { partition: first.id, offset: 5 };
    store.commit(&[edit]).expect("a commit");
    let (recovered, partition) = recover_twice(&world, first.id);
    assert_eq!(recovered.rows.of(Row::SuccessorContinues), 1);
    assert_eq!((partition.log_start, partition.end_offset), (5, 8));
    assert!(partition.damaged.is_empty());
}

#[test]
fn a_successor_behind_a_gap_that_testifies_is_evidence_of_damage_and_stays_on_disk() {
    let mut world = World::new();
    let mut first = world.segment(1, 0);
    first.append_many(4);
    first.pad();
    first.write_all();
    let mut second = world.segment(1, 4);
    second.append(10, Some(4));
    second.write_all();
    world.disk.edit(&first.path(), |bytes| bytes[4096 + 144 + 60] ^= 1);
    let (_, partition) = recover_twice(&world, first.id);
    assert_eq!((partition.damaged[0].start, partition.damaged[0].end), (1, 4));
    assert!(world.disk.exists(&second.path()), "its bytes may yet be rescued");
    assert_eq!(partition.segments.len(), 1);
}

#[test]
fn a_sealed_successor_testifies_for_everything_before_it() {
    let mut world = World::new();
    let mut first = world.segment(1, 0);
    first.append_many(4);
    first.write(SEGMENT_DATA_START, SEGMENT_DATA_START + 144);
    let mut second = world.segment(1, 4);
    second.append_many(3);
    second.pad();
    second.write_all();
    world.seal(&second);
    let (_, partition) = recover_twice(&world, first.id);
    assert_eq!((partition.damaged[0].start, partition.damaged[0].end), (1, 7));
}

#[test]
pub(super) fn a_recorded_gap_is_none() {
    let mut world = World::new();
    let mut first = world.segment(1, 0);
    first.append_many(4);
    first.pad();
    first.write_all();
    let mut second = world.prepared(1, 9);
    world.activate(&second, true);
    second.append_many(1);
    second.write_all();
    let (recovered, partition) = recover_twice(&world, first.id);
    assert_eq!(recovered.rows.of(Row::SuccessorGapRecorded), 1);
    assert_eq!(partition.end_offset, 10);
    assert!(partition.damaged.is_empty());
}

#[test]
fn partitions_do_not_depend_on_each_other() {
    let mut world = World::new();
    let mut ids = Vec::new();
    for partition in 0..5 {
        let mut seg = world.segment(partition, 0);
        seg.append_many(partition as usize + 1);
        seg.write_all();
        ids.push(seg.id);
    }
    let recovered = world.recover();
    for (i, id) in ids.iter().enumerate() {
        assert_eq!(recovered.partitions[id].end_offset, i as u64 + 1);
    }
}

#[test]
fn recovery_stopped_anywhere_is_repeated() {
    for stop in 0.. {
        let mut world = World::new();
        let mut seg = world.segment(1, 0);
        seg.append_many(10);
        seg.write_all();
        world.disk.stop_after(stop);
        let finished = load(&world.disk).and_then(open).is_ok();
        world.disk.unhook();
        let recovered = recover_disk(&world.disk).expect("recovery");
        let partition = &recovered.partitions[&seg.id];
        assert_eq!(partition.end_offset, 10, "stop {stop}");
        assert!(partition.damaged.is_empty() && partition.unavailable.is_none());
        assert!(world.disk.exists(&names::segment(seg.id, 0)));
        if finished {
            return;
        }
    }
}
