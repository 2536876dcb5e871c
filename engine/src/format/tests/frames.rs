//! Frames: round trips, damage, places, features of later builds, hostile bodies.

use proptest::prelude::*;

use super::arbitrary::{Owned, borrowed, frame, frame_of_term, raw, records, spot};
use super::{every_changed_byte, partition};
use crate::format::frame::{
    self, FrameError, HAS_HEADERS, HEADER_SIZE, Header, Kind, NULL_VALUE, Place, SINGLE, Stamp, TAG_TERM, forge, pad,
    peek, seal, trusted, verify, void,
};
use crate::format::plan::Plan;
use crate::format::record::{Record, RecordHeader};
use crate::format::view::FrameRecords;
use crate::ids::Generation;
use crate::limits::{FRAME_MAX, TIME_MAX};

const BASE: u64 = 1 << 40;

fn place() -> Place {
    Place {
        partition: partition(7, 3),
        generation: Generation(0x0123_4567_89ab_cdef),
        position: 4096,
        segment_base: BASE,
    }
}

fn stamp() -> Stamp {
    Stamp { base_offset: BASE + 12, append_time: 1_700_000_000_000, durable: Some(BASE + 2) }
}

/// A frame that was just written says what went in.
fn assert_same(bytes: &[u8], place: &Place, stamp: &Stamp, owned: &[Owned]) -> Result<(), TestCaseError> {
    let header = verify(bytes, place).expect("the frame is whole");
    prop_assert_eq!(header.size as usize, bytes.len());
    prop_assert_eq!((header.kind, usize::from(header.count)), (Kind::Data, owned.len()));
    prop_assert_eq!((header.base_offset, header.append_time), (stamp.base_offset, stamp.append_time));
    prop_assert_eq!(header.durable(), stamp.durable);
    prop_assert_eq!(peek(bytes, place), Ok(Header { term: None, ..header }));
    prop_assert_eq!(trusted(bytes, place.segment_base), Some(Header { term: None, ..header }));
    let views = FrameRecords::new(bytes, &header);
    prop_assert_eq!(views.len(), owned.len());
    for (index, (view, record)) in views.zip(owned).enumerate() {
        prop_assert_eq!(view.offset, stamp.base_offset + index as u64);
        prop_assert_eq!(view.timestamp, record.timestamp.unwrap_or(stamp.append_time));
        prop_assert_eq!(view.append_time, stamp.append_time);
        prop_assert_eq!((view.key, view.value), (record.key.as_deref(), record.value.as_deref()));
        prop_assert_eq!(view.headers().len(), record.headers.len());
        prop_assert_eq!(view.headers().collect::<Vec<_>>(), record.headers());
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_is_written_comes_back(
        owned in records(),
        term in prop::option::of(any::<u64>()),
        (place, stamp) in spot(),
        after in 0usize..20,
    ) {
        let mut bytes = borrowed(&owned, |records| frame_of_term(records, term, &place, stamp));
        assert_same(&bytes, &place, &stamp, &owned)?;
        let header = verify(&bytes, &place).expect("the frame is whole");
        let unchecked = trusted(&bytes, place.segment_base).expect("the header is one");
        prop_assert_eq!(header.term, term);
        prop_assert!(FrameRecords::new(&bytes, &unchecked).all(|record| record.term == term));
        // The same frame with others behind it.
        let size = bytes.len();
        bytes.resize(size + after, 0xee);
        prop_assert_eq!(verify(&bytes, &place).map(|header| header.size as usize), Ok(size));
    }

    #[test]
    fn records_of_a_source_become_the_frame_of_their_list(owned in records(), (place, stamp) in spot()) {
        borrowed(&owned, |records| {
            let source = records.to_vec();
            let plan = Plan::of_source(&source).expect("the records are within the limits");
            let mut bytes = vec![0xa5; plan.frame_size()];
            plan.encode_source(&source, &mut bytes);
            seal(&mut bytes, &place, &plan.fields(stamp));
            prop_assert_eq!(bytes, frame(records, &place, stamp));
            Ok::<_, TestCaseError>(())
        })?;
    }

    #[test]
    fn any_change_is_noticed(owned in records(), (place, stamp) in spot(), at: prop::sample::Index, by in 1u8..) {
        let mut bytes = borrowed(&owned, |records| frame(records, &place, stamp));
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(verify(&bytes, &place).is_err());
        if !(4..8).contains(&at) && at < HEADER_SIZE {
            prop_assert_eq!(peek(&bytes, &place), Err(FrameError::BadHeader));
        }
    }

    #[test]
    fn a_frame_belongs_to_its_place((place, stamp) in spot(), other in spot(), which in 0..4) {
        let bytes = frame(&[Record::new("value").key("key")], &place, stamp);
        let mut wrong = place;
        match which {
            0 => wrong.partition = other.0.partition,
            1 => wrong.generation = other.0.generation,
            2 => wrong.position = other.0.position,
            _ => wrong.segment_base = other.0.segment_base,
        }
        prop_assume!(wrong != place);
        prop_assert!(verify(&bytes, &wrong).is_err());
    }

    /// Every prefix of a frame asks for more, or is refused; none passes, and none says it needs what is there.
    #[test]
    fn a_torn_frame_is_not_whole(owned in records(), (place, stamp) in spot(), at: prop::sample::Index) {
        let bytes = borrowed(&owned, |records| frame(records, &place, stamp));
        let there = at.index(bytes.len());
        match verify(&bytes[..there], &place) {
            Err(FrameError::Incomplete { needed }) => prop_assert!(needed > there && needed <= bytes.len()),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    /// A body under valid checksums that its writer never made: refused or read, never a panic, and what passes
    /// yields as many records as it says.
    #[test]
    fn hostile_bodies_are_survived(
        owned in records(),
        (place, stamp) in spot(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = borrowed(&owned, |records| frame(records, &place, stamp));
        for (at, byte) in changes {
            // The size stays: what it says would otherwise just be beyond the slice.
            let at = 4 + at.index(bytes.len() - 4);
            bytes[at] = byte;
        }
        forge(&mut bytes, &place);
        if let Ok(header) = verify(&bytes, &place) {
            let records: Vec<_> = FrameRecords::new(&bytes, &header).collect();
            let expected = if header.kind == Kind::Data { usize::from(header.count) } else { 0 };
            prop_assert_eq!(records.len(), expected);
            for record in records {
                prop_assert_eq!(record.headers().len(), record.headers().count());
            }
        }
    }

    #[test]
    fn unverified_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), (place, stamp) in spot()) {
        prop_assert!(verify(&bytes, &place).is_err());
        if let Some(header) = trusted(&bytes, place.segment_base) {
            prop_assert!(FrameRecords::new(&bytes, &header).count() <= usize::from(header.count));
        }
        // A real header before a body that is noise.
        let mut real = frame(&[Record::new("a"), Record::new("b")], &place, stamp);
        let header = verify(&real, &place).expect("the frame is whole");
        for (at, byte) in bytes.iter().take(real.len() - HEADER_SIZE).enumerate() {
            real[HEADER_SIZE + at] = *byte;
        }
        prop_assert!(FrameRecords::new(&real, &header).filter(|record| record.headers().count() < 9).count() <= 2);
        prop_assert!(FrameRecords::new(&real[..41], &header).next().is_none());
    }

    #[test]
    fn the_create_time_survives_any_append_time(created in -TIME_MAX..=TIME_MAX, appended in 0..=TIME_MAX) {
        let stamp = Stamp { append_time: appended, ..stamp() };
        let bytes = frame(&[Record::new("v").timestamp(created)], &place(), stamp);
        let header = verify(&bytes, &place()).expect("the frame is whole");
        prop_assert_eq!(header.create_time(), created);
    }
}

#[test]
fn every_changed_byte_of_a_frame_is_noticed() {
    let headers = [RecordHeader::new("trace", "1"), RecordHeader::null("")];
    let single = frame(&[Record::new("abc").key("k").headers(&headers).timestamp(5)], &place(), stamp());
    let list = frame(&[Record::new("abc").key("k").headers(&headers), Record::default()], &place(), stamp());
    let mut filler = vec![0xa5; 64];
    pad(&mut filler, &place(), &stamp());
    let mut abandoned = vec![0xa5; 72];
    void(&mut abandoned, &place(), 3, &stamp());
    for bytes in [single, list, filler, abandoned] {
        verify(&bytes, &place()).expect("the frame is whole");
        every_changed_byte(&bytes, |changed| verify(changed, &place()).is_err());
    }
}

#[test]
fn pads_and_voids_take_space_and_offsets_but_have_no_records() {
    for size in [HEADER_SIZE, 48, 4096, 1 << 20] {
        let mut bytes = vec![0xa5; size];
        pad(&mut bytes, &place(), &stamp());
        let header = verify(&bytes, &place()).expect("the frame is whole");
        assert_eq!((header.kind, header.count, header.end_offset()), (Kind::Pad, 0, BASE + 12));
        assert_eq!(header.durable(), Some(BASE + 2), "a pad testifies to what is durable");
        assert_eq!(FrameRecords::new(&bytes, &header).count(), 0);
        assert!(bytes[HEADER_SIZE..].iter().all(|byte| *byte == 0));

        void(&mut bytes, &place(), 65_535, &stamp());
        let header = verify(&bytes, &place()).expect("the frame is whole");
        assert_eq!((header.kind, header.end_offset()), (Kind::Void, BASE + 12 + 65_535));
        assert_eq!(FrameRecords::new(&bytes, &header).count(), 0);
    }
}

#[test]
fn reading_can_begin_inside_a_frame() {
    let bytes = frame(&[Record::new("a"), Record::new("b"), Record::new("c")], &place(), stamp());
    let header = verify(&bytes, &place()).expect("the frame is whole");
    for (from, first) in [(0, Some(12)), (12, Some(12)), (13, Some(13)), (14, Some(14)), (15, None), (99, None)] {
        let mut records = FrameRecords::new(&bytes, &header);
        records.skip_to(if from == 0 { 0 } else { BASE + from });
        assert_eq!(records.next().map(|record| record.offset), first.map(|offset| BASE + offset));
    }
}

/// What a later build may write is told from damage, but only once the checksum vouches for it.
#[test]
fn unknown_features_are_unsupported() {
    let whole = raw(Kind::Data, SINGLE, &[], b"", &place(), stamp());
    assert!(verify(&whole, &place()).is_ok());
    let unknown = [
        raw(Kind::Control, 0, &[], b"x", &place(), stamp()),
        raw(Kind::Transaction, 0, &[], b"x", &place(), stamp()),
        raw(Kind::Unknown(5), 0, &[], b"x", &place(), stamp()),
        raw(Kind::Unknown(7), 0, &[], b"x", &place(), stamp()),
        raw(Kind::Data, SINGLE | (1 << 3), &[], b"x", &place(), stamp()),
        raw(Kind::Data, SINGLE | (1 << 14), &[], b"x", &place(), stamp()),
        raw(Kind::Data, SINGLE | (1 << 15), &[], b"x", &place(), stamp()),
        raw(Kind::Data, SINGLE, &[9, 2, 0, 0], b"x", &place(), stamp()),
        // A record of a list with a flag, or a spare byte, that has no meaning yet.
        raw(Kind::Data, 0, &[], &[0, 0, 0, 0, 0, 0, 1 << 5, 0], &place(), stamp()),
        raw(Kind::Data, 0, &[], &[0, 0, 0, 0, 0, 0, 0, 1], &place(), stamp()),
    ];
    for mut bytes in unknown {
        assert!(matches!(verify(&bytes, &place()), Err(FrameError::Unsupported(_))), "{:?}", verify(&bytes, &place()));
        *bytes.last_mut().expect("a frame has bytes") ^= 1;
        assert_eq!(verify(&bytes, &place()), Err(FrameError::BadCrc));
    }
}

#[test]
fn a_term_stands_in_the_optional_block() {
    let mut optional = vec![TAG_TERM, 8];
    optional.extend_from_slice(&77u64.to_le_bytes());
    let bytes = raw(Kind::Data, SINGLE, &optional, b"value", &place(), stamp());
    let header = verify(&bytes, &place()).expect("the frame is whole");
    assert_eq!(header.term, Some(77));
    let record = FrameRecords::new(&bytes, &header).next().expect("one record");
    assert_eq!(record.value, Some(&b"value"[..]));

    let twice = [&optional[..], &optional[..]].concat();
    for broken in [&twice[..], &optional[..9], &[TAG_TERM], &[TAG_TERM, 4, 0, 0, 0, 0]] {
        let bytes = raw(Kind::Data, SINGLE, broken, b"value", &place(), stamp());
        assert_eq!(verify(&bytes, &place()), Err(FrameError::BadBody));
    }
}

#[test]
fn bodies_that_do_not_add_up_are_refused() {
    let prefix = |value: u32, key: u16, flags: u8| {
        let mut bytes = value.to_le_bytes().to_vec();
        bytes.extend_from_slice(&key.to_le_bytes());
        bytes.extend_from_slice(&[flags, 0]);
        bytes
    };
    let bodies = [
        (0, prefix(1, 0, 0)),
        (0, prefix(u32::MAX, u16::MAX, 0)),
        (0, [prefix(0, 0, 0), vec![0; 8]].concat()),
        (0, prefix(0, 1, 1)),
        (0, prefix(1, 0, 2)),
        (0, [prefix(0, 1, 16), 1u32.to_le_bytes().to_vec(), vec![7]].concat()),
        (0, [prefix(0, 0, 16), u32::MAX.to_le_bytes().to_vec()].concat()),
        (0, [prefix(0, 0, 17), 0u32.to_le_bytes().to_vec()].concat()),
        (0, [prefix(0, 0, 4), 1u32.to_le_bytes().to_vec(), vec![0]].concat()),
        (0, [prefix(0, 0, 4), 4u32.to_le_bytes().to_vec(), vec![1, 0, 9, 9]].concat()),
        (0, [prefix(0, 0, 8), i64::MAX.to_le_bytes().to_vec()].concat()),
        (0, vec![0; 7]),
        (SINGLE | NULL_VALUE, b"value".to_vec()),
        (SINGLE | HAS_HEADERS, vec![1, 0, 0]),
        (SINGLE | HAS_HEADERS, vec![1, 0, 0, 0, 0]),
        (SINGLE | HAS_HEADERS, u32::MAX.to_le_bytes().to_vec()),
        // A header's name that is not UTF-8.
        (SINGLE | HAS_HEADERS, [9u32.to_le_bytes().to_vec(), vec![1, 0, 1, 0, 0, 0, 0, 0, 0xff]].concat()),
    ];
    for (flags, body) in bodies {
        let bytes = raw(Kind::Data, flags, &[], &body, &place(), stamp());
        assert_eq!(verify(&bytes, &place()), Err(FrameError::BadBody), "{flags:#x} {body:?}");
    }
    // Something in the bytes that only fill up to the alignment.
    let mut bytes = raw(Kind::Data, SINGLE, &[], b"v", &place(), stamp());
    *bytes.last_mut().expect("a frame has bytes") = 1;
    forge(&mut bytes, &place());
    assert_eq!(verify(&bytes, &place()), Err(FrameError::BadBody));
}

/// Headers under a valid check, but with sizes and numbers that no writer may make.
#[test]
fn headers_outside_the_limits_are_refused() {
    let good = frame(&[Record::new("value")], &place(), stamp());
    let set = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        forge(&mut changed, &place());
        peek(&changed, &place())
    };
    assert!(set(0, &(good.len() as u32).to_le_bytes()).is_ok());
    for size in [0, 8, 32, 39, 41, 44, FRAME_MAX as u32 + 8, u32::MAX - 7, u32::MAX] {
        assert_eq!(set(0, &size.to_le_bytes()), Err(FrameError::BadHeader), "size {size}");
    }
    assert_eq!(set(0, &(FRAME_MAX as u32).to_le_bytes()).map(|header| header.size as usize), Ok(FRAME_MAX));
    assert_eq!(set(16, &u16::MAX.to_le_bytes()), Err(FrameError::BadHeader), "an optional block beyond the frame");
    assert_eq!(set(24, &u64::MAX.to_le_bytes()), Err(FrameError::BadHeader), "a negative append time");
    assert_eq!(set(24, &(TIME_MAX as u64 + 1).to_le_bytes()), Err(FrameError::BadHeader));
    assert_eq!(set(36, &0u16.to_le_bytes()), Err(FrameError::BadHeader), "no records");
    assert_eq!(set(36, &2u16.to_le_bytes()), Err(FrameError::BadHeader), "two single records");

    let low = Place { segment_base: 0, ..place() };
    let stamp = Stamp { base_offset: 3, durable: Some(0), ..stamp() };
    let mut bytes = frame(&[Record::new("value")], &low, stamp);
    bytes[32..36].copy_from_slice(&4u32.to_le_bytes());
    forge(&mut bytes, &low);
    assert_eq!(peek(&bytes, &low), Err(FrameError::BadHeader), "durable below offset 0");
}

#[test]
fn offsets_up_to_the_last_are_kept_and_none_wraps() {
    for base in [(1 << 63) - 1, 1 << 63, u64::MAX - u64::from(u32::MAX) - 1] {
        let place = Place { segment_base: base, ..place() };
        let stamp = Stamp { base_offset: base + u64::from(u32::MAX) - 1, durable: Some(base), ..stamp() };
        let bytes = frame(&[Record::new("a"), Record::new("b")], &place, stamp);
        let header = verify(&bytes, &place).expect("the frame is whole");
        assert_eq!(header.end_offset(), base + u64::from(u32::MAX) + 1);
        assert_eq!(header.durable(), Some(base));
    }
    // One record more would have no offset.
    let place = Place { segment_base: u64::MAX - 1, ..place() };
    let stamp = Stamp { base_offset: u64::MAX - 1, ..stamp() };
    let bytes = frame(&[Record::new("a")], &place, stamp);
    let header = verify(&bytes, &place).expect("the frame is whole");
    assert_eq!(header.end_offset(), u64::MAX);
    assert_eq!(FrameRecords::new(&bytes, &header).count(), 1);
    let mut more = bytes;
    more[12..16].copy_from_slice(&1u32.to_le_bytes());
    forge(&mut more, &place);
    assert_eq!(verify(&more, &place), Err(FrameError::BadHeader));
}

#[test]
fn append_times_never_fall() {
    assert_eq!(frame::append_time(5, 3), 5);
    assert_eq!(frame::append_time(2, 3), 3);
    assert_eq!(frame::append_time(i64::MIN, 0), 0);
    assert_eq!(frame::append_time(i64::MAX, 0), TIME_MAX);
}

/// A lag that does not fit is no evidence, rather than wrong evidence.
#[test]
fn a_lag_beyond_its_field_is_no_evidence() {
    for (durable, expected) in [
        (BASE + 12, Some(BASE + 12)),
        (0, None),
        (BASE + 12 - u64::from(u32::MAX), None),
        (BASE + 13 - u64::from(u32::MAX), Some(BASE + 13 - u64::from(u32::MAX))),
    ] {
        let bytes = frame(&[Record::new("a")], &place(), Stamp { durable: Some(durable), ..stamp() });
        assert_eq!(verify(&bytes, &place()).expect("the frame is whole").durable(), expected);
    }
}
