//! Devices that give errors during recovery.

use super::world::{World, load, open, recover_disk};
use crate::error::ErrorKind;
use crate::format::segment::SEGMENT_DATA_START;
use crate::manifest::names;
use crate::recovery::table::Row;

/// Two partitions whose last bytes are in the journal only.
fn two() -> (World, super::world::Seg, super::world::Seg) {
    let mut world = World::new();
    let mut a = world.segment(1, 0);
    let mut b = world.segment(2, 0);
    a.append_many(3);
    a.pad();
    a.write_all();
    let mut journal = world.journal(0, 1, 1);
    let from = (a.end(), b.end());
    a.append_many(2);
    b.append_many(4);
    journal.write(&[a.range(from.0, a.end()), b.range(from.1, b.end())], &[], 0);
    (world, a, b)
}

/// What becomes of `two` while an operation on the first one's file fails.
fn failing(op: &'static str, code: i32, row: Row) {
    let (world, a, b) = two();
    let path = a.path();
    world.disk.hook(move |asked, at| (asked == op && at == path).then_some(code));
    let recovered = world.recover();
    world.disk.unhook();
    assert_eq!(recovered.rows.of(row), 1);
    let partition = &recovered.partitions[&a.id];
    let error = partition.unavailable.clone().expect("unavailable");
    assert_ne!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(partition.damaged.is_empty() && partition.segments.is_empty());
    assert_eq!(recovered.partitions[&b.id].end_offset, 4);
    assert_eq!(recovered.rows.of(Row::JournalKept), 1);
    // The device works again: nothing was lost meanwhile.
    let again = world.recover();
    assert_eq!(again.rows.of(Row::JournalKeptFileRead), 1);
    assert_eq!(again.partitions[&a.id].end_offset, 5);
    assert!(again.partitions[&a.id].unavailable.is_none());
    assert_eq!(again.partitions[&b.id].end_offset, 4);
    assert_eq!(again.rows.of(Row::JournalReleased), 1);
    assert!(load(&world.disk).expect("a store").image().kept.is_empty());
}

#[test]
fn a_destage_that_fails_makes_its_partition_unavailable_and_keeps_the_journal() {
    failing("write", libc::EIO, Row::DestageFailed);
    failing("write", libc::ENOSPC, Row::DestageFailed);
}

#[test]
fn a_flush_that_fails_makes_its_partition_unavailable_and_keeps_the_journal() {
    failing("sync", libc::EIO, Row::FlushFailed);
}

#[test]
fn a_kept_file_stays_for_as_long_as_the_trouble_lasts() {
    let (world, a, b) = two();
    let path = a.path();
    world.disk.hook(move |op, at| (op == "sync" && at == path).then_some(libc::EIO));
    for _ in 0..3 {
        let recovered = world.recover();
        assert!(recovered.partitions[&a.id].unavailable.is_some());
        assert_eq!(recovered.partitions[&b.id].end_offset, 4);
    }
    world.disk.unhook();
    assert_eq!(world.recover().partitions[&a.id].end_offset, 5);
}

#[test]
fn a_segment_that_cannot_be_read_is_no_torn_tail() {
    let (world, a, b) = two();
    // Everything behind the header sector.
    let path = a.path();
    let mut reads = 0;
    world.disk.hook(move |op, at| {
        reads += u64::from(op == "read" && at == path);
        (op == "read" && at == path && reads > 1).then_some(libc::EIO)
    });
    let recovered = world.recover();
    world.disk.unhook();
    assert_eq!(recovered.rows.of(Row::ScanStoppedUnreadable), 1);
    assert_eq!(recovered.partitions[&a.id].unavailable.as_ref().map(|e| e.kind()), Some(ErrorKind::Io));
    assert_eq!(recovered.partitions[&b.id].end_offset, 4);
    assert_eq!(world.recover().partitions[&a.id].end_offset, 5);
}

#[test]
pub(super) fn a_missing_file_is_said_of_its_partition_only() {
    let (world, a, b) = two();
    use crate::io::Disk;
    world.disk.remove(&a.path()).expect("the file");
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::SegmentFileMissing), 1);
    let damage = recovered.partitions[&a.id].damaged[0];
    assert_eq!((damage.start, damage.end), (0, 5), "the journal says how far it went");
    assert_eq!(recovered.partitions[&b.id].end_offset, 4);
}

#[test]
fn a_journal_that_cannot_be_read_stops_the_open_and_loses_nothing() {
    let (world, a, _) = two();
    world.disk.hook(|op, at| (op == "read" && at.starts_with("journal/")).then_some(libc::EIO));
    let error = open(load(&world.disk).expect("a store")).map(|_| ()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Io);
    world.disk.unhook();
    assert_eq!(world.recover().partitions[&a.id].end_offset, 5);
}

#[test]
fn bytes_that_do_not_read_back_keep_the_journal() {
    let (world, a, _) = two();
    let path = a.path();
    // The device drops the destage's write: as if it had gone elsewhere.
    world.disk.hook(move |op, at| (op == "write" && at == path).then_some(0));
    let recovered = world.recover();
    world.disk.unhook();
    assert_eq!(recovered.rows.of(Row::DestageUnverified), 1);
    assert!(recovered.partitions[&a.id].unavailable.is_some());
    assert_eq!(world.recover().partitions[&a.id].end_offset, 5);
}

#[test]
fn a_commit_that_fails_is_an_open_that_fails() {
    let (world, a, b) = two();
    world.disk.hook(|op, at| (op == "write_durable" && at.starts_with("manifest-")).then_some(libc::EIO));
    let error = open(load(&world.disk).expect("a store")).map(|_| ()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Io);
    world.disk.unhook();
    let recovered = world.recover();
    assert_eq!(recovered.partitions[&a.id].end_offset, 5);
    assert_eq!(recovered.partitions[&b.id].end_offset, 4);
    assert_eq!(recovered.rows.of(Row::OverlayAlreadyThere), 2);
}

#[test]
pub(super) fn a_frame_of_a_kind_that_this_build_does_not_know_waits_for_one_that_does() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    seg.append_many(2);
    let from = seg.bytes.len();
    seg.append_many(1);
    seg.make_unsupported(from);
    seg.write_all();
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::ScanStoppedUnsupported), 1);
    let partition = &recovered.partitions[&seg.id];
    assert_eq!(partition.unavailable.as_ref().map(|e| e.kind()), Some(ErrorKind::Unsupported));
    assert_eq!(partition.end_offset, 2, "what comes before can be read");
    assert!(load(&world.disk).expect("a store").image().partitions[&seg.id].segments[&0].is_open());
}

#[test]
pub(super) fn a_whole_frame_whose_records_do_not_add_up_is_damage() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    seg.append_many(2);
    let from = seg.bytes.len();
    seg.append_many(1);
    seg.make_bad_body(from);
    seg.write_all();
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::ScanStoppedBadBody), 1);
    let damage = recovered.partitions[&seg.id].damaged[0];
    assert_eq!((damage.start, damage.end), (2, 3));
}

#[test]
pub(super) fn a_kept_file_that_rots_or_vanishes_is_said() {
    for vanish in [false, true] {
        let (world, a, _) = two();
        let path = a.path();
        world.disk.hook(move |op, at| (op == "sync" && at == path).then_some(libc::EIO));
        world.recover();
        world.disk.unhook();
        let kept = names::journal(1);
        if vanish {
            use crate::io::Disk;
            world.disk.remove(&kept).expect("the file");
        } else {
            world.disk.edit(&kept, |bytes| bytes[8192 + 200] ^= 1);
        }
        let disk = world.disk.copy();
        let recovered = recover_disk(&disk).expect("recovery");
        assert_eq!(recovered.rows.of(Row::JournalKeptFileDamaged), 1);
        assert_eq!(recovered.damaged_journals.len(), 1);
        assert!(recovered.partitions[&a.id].end_offset >= 3);
    }
}

#[test]
fn a_rotten_write_of_a_kept_file_costs_whom_it_names_and_nobody_else() {
    let mut world = World::new();
    let mut segs = [world.segment(1, 0), world.segment(2, 0)];
    let mut journal = world.journal(0, 1, 1);
    let mut places = Vec::new();
    for at in [0, 1, 0] {
        let from = segs[at].end();
        segs[at].append_many(2);
        places.push(journal.write(&[segs[at].range(from, segs[at].end())], &[], 0));
    }
    let paths = segs.each_ref().map(|seg| seg.path());
    world.disk.hook(move |op, at| (op == "write" && paths.iter().any(|path| at == path)).then_some(libc::EIO));
    world.recover();
    world.disk.unhook();
    let end = (places[1].0 + places[1].1 as u64) as usize;
    world.disk.edit(&names::journal(1), |bytes| bytes[end - 1] ^= 1);
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::JournalKeptFileDamaged), 1);
    let [a, b] = segs.each_ref().map(|seg| &recovered.partitions[&seg.id]);
    assert_eq!((a.end_offset, a.damaged.len()), (4, 0));
    assert_eq!((b.end_offset, b.damaged[0].start, b.damaged[0].end), (0, 0, 2));
}

#[test]
fn a_segment_file_cut_short_reads_as_far_as_it_goes() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    seg.append_many(2);
    seg.pad();
    seg.write_all();
    let end = seg.end().position as usize;
    world.disk.edit(&seg.path(), |bytes| bytes.truncate(end));
    assert_eq!(world.recover().partitions[&seg.id].end_offset, 2);
    assert!(SEGMENT_DATA_START < end as u64);
}
