//! Journal headers and writes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{every_changed_byte, partition};
use crate::format::file::{FileError, set_version};
use crate::format::journal::{
    JOURNAL_HEADER_SIZE, JournalHeader, RangeEntry, TABLE_ENTRY, WRITE_FIXED, WatermarkEntry, Write, WriteBuilder,
    WriteError, forge, parse, parse_any,
};
use crate::ids::{Generation, Lsn};
use crate::limits::{JOURNAL_WRITE_MAX, SECTOR, SEGMENT_MAX};

const GENERATION: Generation = Generation(0xfeed_beef_0123_4567);
const SECTOR_SIZE: usize = SECTOR as usize;

fn header() -> JournalHeader {
    JournalHeader { store: 11, set: 12, generation: GENERATION, number: 13, shard: 14, first_lsn: Lsn(15) }
}

fn range(index: u32, position: u64, size: usize) -> RangeEntry {
    RangeEntry {
        partition: partition(1, index),
        generation: Generation(u64::from(index) + 100),
        position,
        size: size as u32,
        at: 0,
        end_offset: 1000 + u64::from(index),
    }
}

fn watermark(index: u32) -> WatermarkEntry {
    WatermarkEntry {
        partition: partition(2, index),
        generation: Generation(u64::from(index) + 200),
        position: 8192,
        offset: 2000 + u64::from(index),
    }
}

/// A write of these ranges, each followed by a watermark, in memory that was used before.
fn write(ranges: &[Vec<u8>], lsn: u64, position: u64) -> Vec<u8> {
    let mut staging = vec![0xa5; JOURNAL_WRITE_MAX];
    let mut builder = WriteBuilder::new(&mut staging, 2 * ranges.len());
    for (index, bytes) in ranges.iter().enumerate() {
        let index = index as u32;
        assert!(builder.fits(bytes.len()));
        let (first, rest) = bytes.split_at(bytes.len() / 3);
        builder.range(range(index, 4096 + 8 * u64::from(index), bytes.len()), first);
        builder.more(rest);
        builder.watermark(watermark(index));
    }
    let size = builder.finish(&header(), Lsn(lsn), Lsn(lsn - 1), position);
    staging.truncate(size);
    staging
}

fn assert_holds(write: &Write<'_>, ranges: &[Vec<u8>]) {
    let entries: Vec<_> = write.ranges().collect();
    assert_eq!(entries.len(), ranges.len());
    for (index, (entry, bytes)) in entries.iter().zip(ranges).enumerate() {
        let index = index as u32;
        let expected = RangeEntry { at: entry.at, ..range(index, 4096 + 8 * u64::from(index), bytes.len()) };
        assert_eq!(*entry, expected);
        assert_eq!(write.payload(entry), bytes);
    }
    assert!(write.watermarks().eq((0..ranges.len() as u32).map(watermark)));
}

proptest! {
    #[test]
    fn what_is_written_comes_back(
        ranges in vec(vec(any::<u8>(), 1..3000), 0..20), lsn in 1u64.., position in 0u64..1 << 40, after in 0usize..5000,
    ) {
        let position = position * SECTOR;
        let mut bytes = write(&ranges, lsn, position);
        let size = bytes.len();
        prop_assert!(size.is_multiple_of(SECTOR_SIZE));
        bytes.resize(size + after, 0xee);
        let read = parse(&bytes, GENERATION, Lsn(lsn), position).expect("the write is whole");
        prop_assert_eq!((read.lsn, read.durable_lsn, read.size), (Lsn(lsn), Lsn(lsn - 1), size));
        assert_holds(&read, &ranges);
        let any = parse_any(&bytes, GENERATION, position).expect("the write is whole");
        assert_holds(&any, &ranges);
        prop_assert_eq!(any.file, header());
    }

    #[test]
    fn a_write_belongs_to_its_place(lsn in 2u64..1 << 60, position in 1u64..1 << 40, other: u64) {
        let position = position * SECTOR;
        let bytes = write(&[vec![1; 100]], lsn, position);
        prop_assert_eq!(parse(&bytes, GENERATION, Lsn(lsn + 1), position), Err(WriteError::BadLsn(Lsn(lsn))));
        prop_assert_eq!(parse(&bytes, Generation(other), Lsn(lsn), position), Err(WriteError::BadTable));
        prop_assert_eq!(parse(&bytes, GENERATION, Lsn(lsn), position - SECTOR), Err(WriteError::BadTable));
    }

    /// Cut anywhere, a write is incomplete; the table alone is not taken for the whole.
    #[test]
    fn a_torn_write_is_not_whole(ranges in vec(vec(any::<u8>(), 1..3000), 1..5), at: prop::sample::Index) {
        let bytes = write(&ranges, 9, 4096);
        let there = at.index(bytes.len());
        match parse(&bytes[..there], GENERATION, Lsn(9), 4096) {
            Err(WriteError::Incomplete { needed }) => prop_assert!(needed > there && needed <= bytes.len()),
            other => prop_assert!(false, "{other:?}"),
        }
        // The same with older bytes where the rest should be.
        let mut torn = bytes.clone();
        torn[there..].fill(0x5a);
        prop_assert!(torn == bytes || parse(&torn, GENERATION, Lsn(9), 4096).is_err());
    }

    #[test]
    fn hostile_writes_are_survived(
        ranges in vec(vec(any::<u8>(), 1..300), 0..5),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = write(&ranges, 9, 4096);
        let end = (WRITE_FIXED + ranges.len() * 2 * TABLE_ENTRY).min(bytes.len());
        for (at, byte) in changes {
            bytes[at.index(end)] = byte;
        }
        let _ = parse_any(&bytes, GENERATION, 4096);
        forge(&mut bytes, GENERATION, 4096);
        if let Ok(write) = parse_any(&bytes, GENERATION, 4096) {
            for range in write.ranges() {
                prop_assert_eq!(write.payload(&range).len(), range.size as usize);
                prop_assert!(range.position + u64::from(range.size) <= SEGMENT_MAX);
            }
            prop_assert!(write.watermarks().count() <= bytes.len() / TABLE_ENTRY);
        }
    }

    #[test]
    fn noise_is_no_write(bytes in vec(any::<u8>(), 0..8192)) {
        prop_assert!(parse_any(&bytes, GENERATION, 4096).is_err());
        prop_assert!(JournalHeader::parse(&bytes).is_err());
    }
}

#[test]
fn every_changed_byte_of_a_write_is_noticed() {
    let bytes = write(&[vec![7; 64], vec![8; 3]], 9, 8192);
    let table_end = WRITE_FIXED + 4 * TABLE_ENTRY;
    every_changed_byte(&bytes, |changed| parse(changed, GENERATION, Lsn(9), 8192).is_err());
    // Damage behind the table leaves the table readable: it names whose bytes are missing.
    for at in table_end..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        match parse(&changed, GENERATION, Lsn(9), 8192) {
            Err(WriteError::BadPayload(write)) => {
                assert_eq!(write.ranges().count(), 2);
                assert_eq!(write.durable_lsn, Lsn(8));
                let entry = write.ranges().next().expect("two ranges");
                assert_eq!(write.payload(&entry), b"", "damaged bytes are not lent");
            }
            other => panic!("byte {at}: {other:?}"),
        }
    }
}

#[test]
fn a_write_with_nothing_in_it_is_a_marker() {
    let bytes = write(&[], 1, 4096);
    assert_eq!(bytes.len(), SECTOR_SIZE);
    let read = parse(&bytes, GENERATION, Lsn(1), 4096).expect("the write is whole");
    assert_eq!((read.ranges().count(), read.watermarks().count()), (0, 0));
}

#[test]
fn a_builder_knows_what_fits() {
    let mut staging = vec![0; 2 * SECTOR_SIZE];
    let room = staging.len() - WRITE_FIXED - 2 * TABLE_ENTRY;
    let mut builder = WriteBuilder::new(&mut staging, 2);
    assert!(builder.fits(room) && !builder.fits(room + 1));
    builder.range(range(0, 4096, room), &vec![3; room]);
    assert!(builder.fits(0) && !builder.fits(1));
    builder.watermark(watermark(0));
    assert!(!builder.fits(0), "there is room for two entries");
    assert_eq!(builder.finish(&header(), Lsn(1), Lsn(0), 4096), 2 * SECTOR_SIZE);
    assert_eq!(parse(&staging, GENERATION, Lsn(1), 4096).expect("the write is whole").ranges().count(), 1);
}

/// Entries set aside and not used leave a gap that changes nothing.
#[test]
fn room_for_more_entries_is_not_seen() {
    let mut staging = vec![0xa5; SECTOR_SIZE];
    let mut builder = WriteBuilder::new(&mut staging, 50);
    builder.range(range(0, 4096, 5), b"bytes");
    builder.finish(&header(), Lsn(1), Lsn(0), 4096);
    let read = parse(&staging, GENERATION, Lsn(1), 4096).expect("the write is whole");
    let entry = read.ranges().next().expect("one range");
    assert_eq!((read.ranges().count(), read.watermarks().count(), read.payload(&entry)), (1, 0, &b"bytes"[..]));
    every_changed_byte(&staging, |changed| parse(changed, GENERATION, Lsn(1), 4096).is_err());
}

#[test]
fn headers_come_back_and_notice_every_changed_byte() {
    let mut sector = vec![0xa5; JOURNAL_HEADER_SIZE];
    header().encode(&mut sector);
    assert_eq!(JournalHeader::parse(&sector), Ok(header()));
    assert!(JournalHeader::parse(&sector[..sector.len() - 1]).is_err());
    every_changed_byte(&sector, |changed| JournalHeader::parse(changed).is_err());
    set_version(&mut sector, 2);
    assert!(matches!(JournalHeader::parse(&sector), Err(FileError::Unsupported(_))));
}
