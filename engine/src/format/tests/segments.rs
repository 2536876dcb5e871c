//! Segment headers and index footers.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{every_changed_byte, partition};
use crate::format::file::{FileError, set_version};
use crate::format::segment::{Footer, IndexEntry, SEGMENT_DATA_START, SEGMENT_HEADER_SIZE, SegmentHeader};
use crate::ids::Generation;
use crate::limits::{SECTOR, SEGMENT_MAX};

fn header() -> SegmentHeader {
    SegmentHeader {
        store: 11,
        partition: partition(12, 13),
        sequence: 14,
        generation: Generation(15),
        base_offset: u64::MAX - 5,
        base_time: 1_700_000_000_000,
        capacity: 1 << 20,
    }
}

fn footer() -> Footer {
    Footer { header: header(), end_position: 64 << 10, end_offset: u64::MAX, end_time: 1_700_000_000_999, newest: -5 }
}

fn entry() -> impl Strategy<Value = IndexEntry> {
    (any::<u32>(), 0..SEGMENT_MAX / 8, any::<bool>(), any::<i64>())
        .prop_map(|(offset, position, start, time)| IndexEntry::new(offset, position * 8, start, time))
}

fn encode(footer: &Footer, entries: &[IndexEntry]) -> Vec<u8> {
    let mut bytes = vec![0xa5; Footer::size(entries.len())];
    footer.encode(entries, &mut bytes);
    bytes
}

proptest! {
    #[test]
    fn footers_come_back(entries in vec(entry(), 0..700), at: prop::sample::Index, by in 1u8..) {
        let mut bytes = encode(&footer(), &entries);
        prop_assert!(bytes.len().is_multiple_of(SECTOR as usize));
        let (read, columns) = Footer::parse(&bytes).expect("the footer is whole");
        prop_assert_eq!(read, footer());
        prop_assert_eq!(columns.len(), entries.len());
        prop_assert_eq!(columns.get(entries.len()), None);
        prop_assert!(columns.iter().eq(entries));
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(Footer::parse(&bytes).is_err());
    }

    #[test]
    fn hostile_footers_are_survived(
        entries in vec(entry(), 0..300),
        changes in vec((0usize..120, any::<u8>()), 1..6),
        size in 0usize..9000,
    ) {
        let mut bytes = encode(&footer(), &entries);
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.resize(size, 0);
        set_version(&mut bytes, 1);
        if let Ok((footer, columns)) = Footer::parse(&bytes) {
            prop_assert_eq!(Footer::size(columns.len()), bytes.len());
            prop_assert!(footer.end_position <= footer.header.capacity);
            prop_assert_eq!(columns.iter().count(), columns.len());
        }
        let _ = SegmentHeader::parse(&bytes);
    }
}

#[test]
fn headers_come_back_and_notice_every_changed_byte() {
    let mut sector = vec![0xa5; SEGMENT_HEADER_SIZE];
    header().encode(&mut sector);
    assert_eq!(SegmentHeader::parse(&sector), Ok(header()));
    assert!(SegmentHeader::parse(&sector[..sector.len() - 1]).is_err());
    assert!(Footer::parse(&sector).is_err(), "a header is no footer");
    every_changed_byte(&sector, |changed| SegmentHeader::parse(changed).is_err());
    set_version(&mut sector, 2);
    assert!(matches!(SegmentHeader::parse(&sector), Err(FileError::Unsupported(_))));
}

#[test]
fn footers_notice_every_changed_byte() {
    let entries = [IndexEntry::new(0, 4096, true, 7), IndexEntry::new(9, 40_000, false, 8)];
    let mut bytes = encode(&footer(), &entries);
    every_changed_byte(&bytes, |changed| Footer::parse(changed).is_err());
    assert!(SegmentHeader::parse(&bytes).is_err(), "a footer is no header");
    set_version(&mut bytes, 2);
    assert!(matches!(Footer::parse(&bytes), Err(FileError::Unsupported(_))));
}

#[test]
fn what_contradicts_itself_is_refused() {
    for footer in [
        Footer { end_position: (1 << 20) + SECTOR, ..footer() },
        Footer { end_position: 0, ..footer() },
        Footer { end_position: SEGMENT_DATA_START + 8, ..footer() },
        Footer { end_offset: u64::MAX - 6, ..footer() },
        Footer { header: SegmentHeader { capacity: SEGMENT_MAX + 1, ..header() }, ..footer() },
        Footer { header: SegmentHeader { capacity: 8, ..header() }, ..footer() },
    ] {
        assert!(matches!(Footer::parse(&encode(&footer, &[])), Err(FileError::Damaged(_))), "{footer:?}");
    }
}

#[test]
fn entries_keep_position_and_mark_apart() {
    for position in [4096, SEGMENT_MAX - 8] {
        for start in [false, true] {
            let entry = IndexEntry::new(1, position, start, 2);
            assert_eq!((entry.position(), entry.is_block_start()), (position, start));
        }
    }
}
