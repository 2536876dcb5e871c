//! Steps 2 and 3.

use super::world::{OPTIONS, World, load, open, recover_disk, recover_without_journal};
use crate::error::ErrorKind;
use crate::format::segment::SEGMENT_DATA_START;
use crate::ids::{Generation, PartitionId, TopicId};
use crate::limits::SECTOR;
use crate::manifest::{MetaOrder, names};
use crate::recovery::DamagedJournal;
use crate::recovery::table::Row;

#[test]
fn journalled_bytes_reach_their_segments() {
    let mut world = World::new();
    let mut a = world.segment(1, 0);
    let mut b = world.segment(2, 100);
    let mut journal = world.journal(0, 1, 1);
    for _ in 0..20 {
        let (from_a, from_b) = (a.end(), b.end());
        a.append_many(3);
        b.append_many(1);
        let ranges = [a.range(from_a, a.end()), b.range(from_b, b.end())];
        let durable = journal.lsn - 1;
        journal.write(&ranges, &[], durable);
    }
    let first = world.recover();
    assert_eq!(first.partitions[&a.id].end_offset, 60);
    assert_eq!(first.partitions[&b.id].end_offset, 120);
    assert_eq!(first.rows.of(Row::JournalWriteAccepted), 20);
    assert_eq!(first.rows.of(Row::RangeOverlaid), 40);
    assert_eq!(first.rows.of(Row::OverlayDestaged), 2);
    assert_eq!(first.rows.of(Row::JournalTorn), 1);
    // The bytes are in the segments now; the journal belongs to an older set.
    let second = world.recover();
    assert_eq!(second.partitions[&a.id].segments, first.partitions[&a.id].segments);
    assert_eq!(second.rows.of(Row::JournalFileOfAnotherSet), 1);
    assert_eq!(second.rows.of(Row::JournalWriteAccepted), 0);
    world.disk.edit(&a.path(), |bytes| assert_eq!(bytes[4096..4096 + a.bytes.len()], a.bytes));
}

#[test]
fn journal_and_segment_may_alternate() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    let mut journal = world.journal(0, 1, 1);
    seg.append_many(3);
    journal.write(
        &[seg.range(crate::manifest::SegmentEnd { position: SEGMENT_DATA_START, offset: 0, time: 0 }, seg.end())],
        &[],
        0,
    );
    // A direct flush takes the journalled sector with it.
    let flushed = seg.end();
    seg.append(6000, None);
    seg.pad();
    seg.write_all();
    let from = seg.end();
    seg.append_many(2);
    journal.write(&[seg.range(from, seg.end())], &[seg.watermark(flushed)], 1);
    let recovered = world.recover();
    assert_eq!(recovered.partitions[&seg.id].end_offset, 6);
    assert_eq!(recovered.rows.of(Row::WatermarkEvidence), 1);
    assert!(recovered.partitions[&seg.id].damaged.is_empty());
}

/// Three writes of one partition; the second is spoilt as asked. The third says that `durable` is durable.
fn spoilt(durable: u64, spoil: impl Fn(&mut [u8])) -> (crate::recovery::Recovered, PartitionId, World) {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    let mut journal = world.journal(1, 1, 1);
    let mut places = Vec::new();
    for i in 0..3 {
        let from = seg.end();
        seg.append_many(2);
        places.push(journal.write(&[seg.range(from, seg.end())], &[], if i == 2 { durable } else { 0 }));
    }
    let (at, size) = places[1];
    world.disk.edit(&journal.path(), |bytes| spoil(&mut bytes[at as usize..at as usize + size]));
    (world.recover(), seg.id, world)
}

#[test]
fn a_torn_payload_ends_the_journal() {
    let (recovered, id, _) = spoilt(1, |write| write[write.len() - 1] ^= 1);
    assert_eq!(recovered.partitions[&id].end_offset, 2);
    assert!(recovered.partitions[&id].damaged.is_empty());
    for row in [Row::JournalStoppedBadPayload, Row::JournalTorn, Row::JournalEvidenceOnly] {
        assert_eq!(recovered.rows.of(row), 1, "{row:?}");
    }
}

#[test]
fn a_torn_table_ends_the_journal() {
    let (recovered, id, _) = spoilt(1, |write| write[20] ^= 1);
    assert_eq!(recovered.partitions[&id].end_offset, 2);
    assert!(recovered.partitions[&id].damaged.is_empty());
    assert_eq!(recovered.rows.of(Row::JournalStoppedNoTable), 1);
}

#[test]
fn a_write_known_durable_that_cannot_be_read_is_damage_of_whom_it_names() {
    let (recovered, id, world) = spoilt(2, |write| write[write.len() - 1] ^= 1);
    let partition = &recovered.partitions[&id];
    assert_eq!(partition.end_offset, 2);
    // The third is whole, so it may have been acknowledged; it cannot be used without the second.
    assert_eq!((partition.damaged[0].start, partition.damaged[0].end), (2, 6));
    assert_eq!((recovered.rows.of(Row::JournalWriteAccepted), recovered.rows.of(Row::RangeBeyondHole)), (2, 1));
    assert_eq!(recovered.damaged_journals.len(), 1);
    let expected = DamagedJournal::Unreadable { shard: 1, lsn: crate::ids::Lsn(2) };
    assert_eq!(recovered.damaged_journals, [expected]);
    assert_eq!(recovered.rows.of(Row::RangeLost), 1);
    assert_eq!(recovered.rows.of(Row::JournalDamaged), 1);
    assert_eq!(world.recover().partitions[&id].damaged, partition.damaged);
}

#[test]
fn a_destroyed_table_is_told_by_later_watermarks() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    let mut journal = world.journal(0, 1, 1);
    let start = seg.end();
    seg.append_many(2);
    let (at, _) = journal.write(&[seg.range(start, seg.end())], &[], 0);
    journal.write(&[], &[seg.watermark(seg.end())], 1);
    world.disk.edit(&journal.path(), |bytes| bytes[at as usize..at as usize + 4096].fill(0));
    let recovered = world.recover();
    let partition = &recovered.partitions[&seg.id];
    assert_eq!((partition.end_offset, partition.damaged[0].end), (0, 2));
}

#[test]
fn a_full_file_is_followed_by_the_next() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    let mut first = world.journal(0, 1, 1);
    let filler = vec![0; 900 << 10];
    let start = seg.end();
    seg.append_many(1);
    first.write(&[seg.range(start, seg.end())], &[], 0);
    // A range of a deleted topic's partition fills the file.
    let filler_entry = crate::format::journal::RangeEntry {
        partition: PartitionId { topic: TopicId(0), partition: 0 },
        generation: Generation(5),
        position: 4096,
        size: filler.len() as u32,
        at: 0,
        end_offset: 1,
    };
    first.write(&[(filler_entry, filler.clone())], &[], 1);
    first.write(&[(filler_entry, filler)], &[], 2);
    let mut second = world.journal(0, 2, first.lsn);
    let from = seg.end();
    seg.append_many(1);
    second.write(&[seg.range(from, seg.end())], &[], 3);
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::JournalContinued), 1);
    assert_eq!(recovered.rows.of(Row::RangeTopicDeleted), 2);
    assert_eq!(recovered.partitions[&seg.id].end_offset, 2);
}

#[test]
fn a_failed_file_is_left_for_the_one_that_begins_with_the_failed_number() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    let mut failed = world.journal(0, 1, 1);
    let start = seg.end();
    seg.append_many(1);
    failed.write(&[seg.range(start, seg.end())], &[], 0);
    let from = seg.end();
    seg.append_many(1);
    // Write 2 failed, and landed all the same, like the one after it: neither may count.
    let stale = seg.range(from, seg.end());
    failed.write(std::slice::from_ref(&stale), &[], 1);
    failed.write(&[], &[], 1);
    let mut next = world.journal(0, 2, 2);
    next.write(&[stale], &[], 1);
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::JournalFailedFileLeft), 1);
    assert_eq!(recovered.rows.of(Row::JournalWriteAccepted), 2);
    assert_eq!(recovered.partitions[&seg.id].end_offset, 2);
    assert!(!world.disk.exists(&failed.path()), "a file that failed is not used again");
}

#[test]
fn a_file_without_a_header_is_damage_if_a_later_one_says_that_it_was_durable() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    let mut first = world.journal(0, 1, 1);
    let start = seg.end();
    seg.append_many(1);
    first.write(&[seg.range(start, seg.end())], &[], 0);
    let mut second = world.journal(0, 2, 2);
    let from = seg.end();
    seg.append_many(1);
    second.write(&[seg.range(from, seg.end())], &[seg.watermark(from)], 1);
    world.disk.edit(&first.path(), |bytes| {
        for sector in [0, 1, 2] {
            bytes[sector * SECTOR as usize + 50] ^= 1;
        }
    });
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::JournalFileUnreadable), 1);
    assert_eq!(recovered.damaged_journals.len(), 1);
    assert_eq!((recovered.partitions[&seg.id].damaged[0].start, recovered.partitions[&seg.id].damaged[0].end), (0, 2));
}

/// A rotten write took with it everything that its shard had written after it, of every partition.
#[test]
fn a_damaged_write_costs_whom_it_names_and_nobody_else() {
    for (lost, whole_table) in [(&[1][..], true), (&[1, 2], true), (&[0], true), (&[1], false), (&[1, 2, 4], false)] {
        let mut world = World::new();
        let mut journal = world.journal(0, 1, 1);
        let mut segs: Vec<_> = (0..4).map(|partition| world.segment(partition, 0)).collect();
        let mut places = Vec::new();
        // Write `i` holds partition 3, which is settled anyway, and partition `i % 3`.
        for i in 0..7 {
            let mut ranges = Vec::new();
            for at in [3, i % 3] {
                let from = segs[at].end();
                segs[at].append_many(2);
                ranges.push(segs[at].range(from, segs[at].end()));
            }
            places.push(journal.write(&ranges, &[], journal.lsn - 1));
        }
        segs[3].write_all();
        for i in lost {
            let (at, size) = (places[*i].0 as usize, places[*i].1);
            world.disk.edit(&journal.path(), |bytes| {
                if whole_table { bytes[at + size - 1] ^= 1 } else { bytes[at..at + 4096].fill(0) }
            });
        }
        let recovered = world.recover();
        let expected = DamagedJournal::Unreadable { shard: 0, lsn: crate::ids::Lsn(1 + lost[0] as u64) };
        assert_eq!(recovered.damaged_journals, [expected], "{lost:?}");
        // Tables that are gone one after the other are passed over at once.
        let stops = (0..7).filter(|i| lost.contains(i) && (whole_table || *i == 0 || !lost.contains(&(i - 1)))).count();
        assert_eq!(recovered.rows.of(Row::JournalDamaged), stops as u64);
        for (at, seg) in segs.iter().enumerate() {
            let partition = &recovered.partitions[&seg.id];
            let first = (0..7).filter(|i| i % 3 == at).position(|i| lost.contains(&i));
            let Some(first) = first.filter(|_| at < 3) else {
                assert_eq!((partition.end_offset, partition.damaged.len()), (seg.offset, 0), "{lost:?}: {at}");
                continue;
            };
            // The last write of a partition tells of those before it.
            let told = whole_table || !lost.contains(&(6 - (6 - at) % 3));
            let end = if told { seg.offset } else { 2 * first as u64 };
            let damaged: Vec<_> = partition.damaged.iter().map(|d| (d.start, d.end)).collect();
            let expected: &[_] = if told { &[(2 * first as u64, end)] } else { &[] };
            assert_eq!((partition.end_offset, &damaged[..]), (2 * first as u64, expected), "{lost:?}: {at}");
        }
        let again = world.recover();
        for (id, partition) in &recovered.partitions {
            assert_eq!(
                (again.partitions[id].end_offset, &again.partitions[id].damaged),
                (partition.end_offset, &partition.damaged)
            );
        }
    }
}

#[test]
pub(super) fn a_file_ending_exactly_is_no_failure() {
    let mut world = World::new();
    let mut journal = world.journal(0, 1, 1);
    while journal.position < OPTIONS.journal_file_size {
        journal.write(&[], &[], 0);
    }
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::JournalStoppedAtFileEnd), 1);
}

/// A journal whose header rotted, or whose file was gone or cut short, was taken for one that had never been used.
#[test]
fn a_journal_survives_the_loss_of_a_header_and_is_missed_when_its_file_is_gone() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    let mut journal = world.journal(0, 1, 1);
    let start = seg.end();
    seg.append_many(2);
    journal.write(&[seg.range(start, seg.end())], &[], 0);
    let name = journal.path();
    // Either copy, and both: then the writes say what file it is. Rotten, or as if never written.
    for lost in [&[0][..], &[1], &[0, 1]] {
        for zero in [false, true] {
            let disk = world.disk.copy();
            disk.edit(&name, |bytes| {
                for copy in lost {
                    let header = &mut bytes[copy * SECTOR as usize..][..SECTOR as usize];
                    if zero { header.fill(0) } else { header[38] ^= 0xff }
                }
            });
            let recovered = recover_disk(&disk).expect("recovery");
            assert_eq!(recovered.partitions[&seg.id].end_offset, 2);
            assert_eq!(recovered.rows.of(Row::JournalFileHeaderMadeUp), u64::from(lost.len() == 2));
        }
    }
    for cut in [true, false] {
        let disk = world.disk.copy();
        if cut {
            disk.edit(&name, |bytes| bytes.truncate(4096));
        } else {
            use crate::io::Disk;
            disk.remove(&name).expect("the file");
        }
        let error = recover_disk(&disk).expect_err("acknowledged records may be gone");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.message().contains(&name), "{error}");
        let recovered = recover_without_journal(&disk).expect("recovery without it");
        assert_eq!(recovered.damaged_journals, [DamagedJournal::GivenUp { name: journal.name }]);
        assert_eq!(recovered.partitions[&seg.id].end_offset, 0);
        assert!(recover_disk(&disk).expect("another open").damaged_journals.is_empty());
    }
}

/// The writes of a file's last use count, not those that an earlier one left behind them.
#[test]
fn a_header_is_made_up_of_the_last_use() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    let mut journal = world.journal(0, 1, 1);
    for _ in 0..6 {
        journal.write(&[], &[], 0);
    }
    let again = crate::format::journal::JournalHeader {
        number: 2,
        generation: crate::ids::Generation(77),
        first_lsn: crate::ids::Lsn(7),
        ..journal.header
    };
    (journal.header, journal.position) = (again, crate::format::journal::JOURNAL_DATA_START);
    let start = seg.end();
    seg.append_many(3);
    journal.write(&[seg.range(start, seg.end())], &[], 6);
    world.checkpoint(0, 7, &[(&seg, start)]);
    world.disk.edit(&journal.path(), |bytes| bytes[..2 * SECTOR as usize].fill(0xa5));
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::JournalFileHeaderMadeUp), 1);
    assert_eq!(recovered.partitions[&seg.id].end_offset, 3);
}

#[test]
fn a_copy_in_the_place_of_a_file_is_not_passed_over() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    let mut journals = [world.journal(0, 1, 1), world.journal(1, 1, 1)];
    let start = seg.end();
    seg.append_many(2);
    journals[1].write(&[seg.range(start, seg.end())], &[], 0);
    let disk = world.disk.copy();
    let mut copy = Vec::new();
    disk.edit(&journals[0].path(), |bytes| copy.clone_from(bytes));
    disk.edit(&journals[1].path(), |bytes| bytes.clone_from(&copy));
    let error = recover_disk(&disk).expect_err("acknowledged records may be gone");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains(&journals[1].path()), "{error}");
}

#[test]
pub(super) fn a_write_of_another_number_does_not_count() {
    let mut world = World::new();
    let mut journal = world.journal(0, 1, 1);
    journal.write(&[], &[], 0);
    journal.lsn += 1;
    journal.write(&[], &[], 0);
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::JournalStoppedOtherNumber), 1);
    assert_eq!(recovered.rows.of(Row::JournalTorn), 1);
}

#[test]
pub(super) fn what_lies_below_the_checkpoint_is_not_needed() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    let mut journal = world.journal(0, 1, 1);
    let start = seg.end();
    seg.append_many(2);
    seg.pad();
    let settled = seg.end();
    let (at, _) = journal.write(&[seg.range(start, settled)], &[], 0);
    seg.write_all();
    world.checkpoint(0, 2, &[(&seg, settled)]);
    // The next one also carries a range that was settled meanwhile.
    seg.append_many(1);
    journal.write(&[seg.range(settled, seg.end()), seg.range(start, settled)], &[], 1);
    let copy = world.disk.copy();
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::JournalWriteBelowCheckpoint), 1);
    assert_eq!(recovered.rows.of(Row::RangeBelowCheckpoint), 1);
    assert_eq!(recovered.partitions[&seg.id].end_offset, 3);
    // Even unreadable.
    copy.edit(&journal.path(), |bytes| bytes[at as usize + 10] ^= 1);
    let recovered = recover_disk(&copy).expect("recovery");
    assert_eq!(recovered.rows.of(Row::JournalUnneededWriteUnreadable), 1);
    assert_eq!(recovered.partitions[&seg.id].end_offset, 3);
    assert!(recovered.damaged_journals.is_empty());
}

#[test]
fn ranges_that_do_not_count_any_more() {
    let mut world = World::new();
    let mut sealed = world.segment(1, 0);
    sealed.append_many(2);
    sealed.pad();
    sealed.write_all();
    let end = sealed.end();
    sealed.append_many(1);
    let start = crate::manifest::SegmentEnd { position: SEGMENT_DATA_START, offset: 0, time: 0 };
    let mut journal = world.journal(0, 1, 1);
    let ranges = [sealed.range(start, end), sealed.range(end, sealed.end())];
    journal.write(&ranges, &[sealed.watermark(sealed.end()), sealed.watermark(end)], 0);
    sealed.offset = end.offset;
    sealed.bytes.truncate((end.position - SEGMENT_DATA_START) as usize);
    world.seal(&sealed);
    let recovered = world.recover();
    for row in [Row::RangeInSealedSegment, Row::RangeBeyondSealedEnd, Row::WatermarkDropped, Row::WatermarkEvidence] {
        assert_eq!(recovered.rows.of(row), 1, "{row:?}");
    }
    assert!(recovered.partitions[&sealed.id].damaged.is_empty());
}

#[test]
fn ranges_of_retired_generations_and_below_the_log_start() {
    use crate::format::manifest::Edit;
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    let start = seg.end();
    seg.append_many(2);
    seg.pad();
    seg.write_all();
    world.seal(&seg);
    let mut gone = world.segment(2, 0);
    gone.append_many(1);
    let mut journal = world.journal(0, 1, 1);
    journal.write(&[seg.range(start, seg.end()), gone.range(start, gone.end())], &[gone.watermark(gone.end())], 0);
    let mut store = load(&world.disk).expect("a store");
    store
        .commit(&[
            Edit::SegmentRemoved { partition: gone.id, generation: gone.generation },
            Edit::LogStart { partition: seg.id, offset: 2 },
        ])
        .expect("a commit");
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::RangeRetired), 1);
    assert_eq!(recovered.rows.of(Row::RangeBelowLogStart), 1);
    assert_eq!(recovered.rows.of(Row::WatermarkDropped), 1);
    assert_eq!(recovered.partitions[&seg.id].next_offset, 2);
}

/// They were dropped, and what was acknowledged behind them was called damaged.
#[test]
fn ranges_below_the_log_start_are_what_later_ones_stand_on() {
    use crate::format::manifest::Edit;
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    let start = seg.end();
    seg.append_many(2);
    let middle = seg.end();
    seg.append_many(2);
    let mut journal = world.journal(0, 1, 1);
    let ranges = [seg.range(start, middle), seg.range(middle, seg.end())];
    journal.write(&ranges, &[seg.watermark(seg.end())], 0);
    let mut store = load(&world.disk).expect("a store");
    store.commit(&[Edit::LogStart { partition: seg.id, offset: 2 }]).expect("a commit");
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::RangeOverlaid), 2);
    assert_eq!(recovered.partitions[&seg.id].next_offset, 4);
    assert!(recovered.partitions[&seg.id].damaged.is_empty());
}

#[test]
pub(super) fn a_generation_that_the_manifest_should_know_is_damage() {
    let mut world = World::new();
    let mut known = world.segment(1, 0);
    known.append_many(1);
    known.write_all();
    let mut unknown = world.prepared(1, 1);
    let start = unknown.end();
    unknown.append_many(3);
    let mut journal = world.journal(0, 1, 1);
    journal.write(&[unknown.range(start, unknown.end())], &[], 0);
    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::RangeUnknownGeneration), 1);
    let partition = &recovered.partitions[&known.id];
    assert_eq!((partition.end_offset, partition.damaged[0].start, partition.damaged[0].end), (1, 1, 4));
    // Also where the partition has nothing else.
    let mut world = World::new();
    let mut unknown = world.prepared(1, 0);
    unknown.append_many(3);
    let mut journal = world.journal(0, 1, 1);
    journal.write(&[unknown.range(start, unknown.end())], &[], 0);
    assert_eq!(world.recover().partitions[&unknown.id].damaged[0].end, 3);
}

#[test]
fn a_partition_that_the_manifest_never_knew_means_that_it_lost_edits() {
    for id in [PartitionId { topic: TopicId(77), partition: 0 }, PartitionId { topic: TopicId(1), partition: 8 }] {
        let mut world = World::new();
        let mut seg = world.prepared(1, 0);
        let start = seg.end();
        seg.append_many(1);
        let (mut entry, bytes) = seg.range(start, seg.end());
        entry.partition = id;
        let mut journal = world.journal(0, 1, 1);
        journal.write(&[(entry, bytes)], &[], 0);
        let error = open(load(&world.disk).expect("a store")).map(|_| ()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_range_beyond_a_hole_is_no_data() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    seg.append_many(2);
    seg.write_all();
    // A direct write that never landed, and a journalled range behind it.
    seg.append(10_000, None);
    seg.pad();
    let from = seg.end();
    seg.append(100, Some(2));
    let mut journal = world.journal(0, 1, 1);
    journal.write(&[seg.range(from, seg.end())], &[seg.watermark(from)], 0);
    let (copy, journal_path) = (world.disk.copy(), journal.path());
    copy.edit(&journal_path, |bytes| bytes[8192..12_288].fill(0));
    let torn = recover_disk(&copy).expect("recovery");
    assert!(torn.partitions[&seg.id].damaged.is_empty());

    let recovered = world.recover();
    assert_eq!(recovered.rows.of(Row::RangeBeyondHole), 1);
    let partition = &recovered.partitions[&seg.id];
    assert_eq!(partition.end_offset, 2);
    // The watermark says that the direct write was acknowledged: the range is kept for whoever rescues it.
    assert_eq!(partition.damaged[0].end, 3);
    assert_eq!(recovered.rows.of(Row::JournalKept), 1);
    let again = world.recover();
    assert_eq!(again.rows.of(Row::JournalKeptFileRead), 1);
    assert_eq!(again.rows.of(Row::RangeBeyondSealedEnd), 1);
    assert_eq!(again.rows.of(Row::JournalReleased), 0);
    assert!(world.disk.exists(&journal_path));
}

#[test]
fn the_frames_of_a_range_beyond_a_hole_testify() {
    let mut world = World::new();
    let mut seg = world.segment(1, 0);
    seg.append_many(2);
    seg.write_all();
    seg.append(10_000, None);
    seg.append(100, Some(3));
    let from = seg.end();
    seg.append(100, Some(3));
    let mut journal = world.journal(0, 1, 1);
    journal.write(&[seg.range(from, seg.end())], &[], 0);
    assert_eq!(world.recover().partitions[&seg.id].damaged[0].end, 3);
}

#[test]
fn the_journals_of_all_shards_are_replayed_whatever_the_next_open_has() {
    let mut world = World::new();
    let mut ids = Vec::new();
    for shard in 0..5 {
        let mut seg = world.segment(shard, 0);
        let start = seg.end();
        seg.append_many(1 + shard as usize);
        let mut journal = world.journal(shard, 1, 1);
        journal.write(&[seg.range(start, seg.end())], &[], 0);
        ids.push(seg.id);
    }
    let recovered = world.recover();
    for (shard, id) in ids.iter().enumerate() {
        assert_eq!(recovered.partitions[id].end_offset, shard as u64 + 1);
    }
}

#[test]
fn an_unused_file_and_one_of_an_older_set_say_nothing() {
    let mut world = World::new();
    world.ask(MetaOrder::PrepareJournalFile);
    let mut seg = world.segment(1, 0);
    let start = seg.end();
    seg.append_many(1);
    let mut journal = world.journal(0, 1, 1);
    journal.write(&[seg.range(start, seg.end())], &[], 0);
    assert_eq!(world.recover().rows.of(Row::JournalFileUnused), 1);
    assert_eq!(world.recover().rows.of(Row::JournalFileOfAnotherSet), 1);
}

#[test]
fn a_journal_of_a_later_version_is_unsupported() {
    let mut world = World::new();
    let journal = world.journal(0, 1, 1);
    world.disk.edit(&journal.path(), |bytes| {
        crate::format::file::set_version(&mut bytes[..4096], crate::format::FORMAT_VERSION + 1);
    });
    let before = world.disk.copy();
    let error = open(load(&world.disk).expect("a store")).map(|_| ()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(load(&before).expect("a store").image(), load(&world.disk).expect("a store").image());
}

#[test]
fn recovery_of_a_journal_stopped_anywhere_is_repeated() {
    let mut repeated = 0;
    for stop in 0.. {
        let mut world = World::new();
        let mut a = world.segment(1, 0);
        let mut b = world.segment(2, 0);
        let mut journal = world.journal(0, 1, 1);
        for _ in 0..5 {
            let from = (a.end(), b.end());
            a.append(1500, None);
            b.append_many(1);
            journal.write(&[a.range(from.0, a.end()), b.range(from.1, b.end())], &[], 0);
        }
        world.disk.stop_after(stop);
        let finished = load(&world.disk).and_then(open).is_ok();
        world.disk.unhook();
        let recovered = recover_disk(&world.disk).expect("recovery");
        repeated += recovered.rows.of(Row::OverlayAlreadyThere);
        for seg in [&a, &b] {
            let partition = &recovered.partitions[&seg.id];
            assert_eq!(partition.end_offset, 5, "stop {stop}");
            assert!(partition.damaged.is_empty() && partition.unavailable.is_none());
            world.disk.edit(&seg.path(), |bytes| assert_eq!(bytes[4096..4096 + seg.bytes.len()], seg.bytes));
        }
        if finished {
            assert!(repeated > 0, "some stop lies between destage and commit");
            assert!(world.disk.exists(&names::journal(journal.name)));
            return;
        }
    }
}
