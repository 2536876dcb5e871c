//! Frames, segment headers and footers, journal headers and writes.

use super::choice;
use crate::format::file::set_version;
use crate::format::frame::{self, Kind, Place, Stamp, peek, trusted, verify};
use crate::format::journal::{self, JournalHeader, WriteError};
use crate::format::plan::Plan;
use crate::format::record::{Record, RecordHeader};
use crate::format::segment::{Footer, SegmentHeader};
use crate::format::view::FrameRecords;
use crate::ids::{Generation, PartitionId, TopicId};
use crate::limits::{SECTOR, SEGMENT_MAX};

const GENERATION: Generation = Generation(0x0102_0304_0506_0708);
const PLACE: Place = Place {
    partition: PartitionId { topic: TopicId(7), partition: 3 },
    generation: GENERATION,
    position: 4096,
    segment_base: 1_000_000_007,
};

/// Frames, segment headers and footers, journal headers and writes.
pub fn header(data: &[u8]) {
    let (mode, data) = choice(data);
    let mut bytes = data.to_vec();
    match mode % 8 {
        0 => check_frame(&bytes, &PLACE),
        1 => {
            frame::forge(&mut bytes, &PLACE);
            check_frame(&bytes, &PLACE);
        }
        2 => {
            // As long as it says, so that the body is reached.
            bytes.truncate(bytes.len() / 8 * 8);
            if bytes.len() >= 40 {
                let size = (bytes.len() as u32).to_le_bytes();
                bytes[..4].copy_from_slice(&size);
            }
            frame::forge(&mut bytes, &PLACE);
            check_frame(&bytes, &PLACE);
        }
        3 => check_areas(&bytes),
        4 => {
            bytes.resize(bytes.len().next_multiple_of(SECTOR as usize).min(64 << 10), 0);
            set_version(&mut bytes, 1);
            check_areas(&bytes);
        }
        5 => check_write(&bytes),
        6 => {
            bytes.resize(bytes.len().next_multiple_of(SECTOR as usize).min(64 << 10), 0);
            journal::forge(&mut bytes, GENERATION, 4096);
            check_write(&bytes);
        }
        _ => write_and_read(data),
    }
}

/// What passes has as many records as it says, and can be written again.
fn check_frame(bytes: &[u8], place: &Place) {
    if let Some(header) = trusted(bytes, place.segment_base) {
        let mut records = 0;
        for record in FrameRecords::new(bytes, &header) {
            records += 1;
            assert!(record.headers().count() <= bytes.len());
        }
        assert!(records <= header.count);
    }
    let Ok(header) = verify(bytes, place) else { return };
    assert_eq!(peek(bytes, place).map(|header| header.size), Ok(header.size));
    assert!(header.size as usize <= bytes.len() && header.end_offset() >= header.base_offset);
    assert!(header.durable().is_none_or(|durable| durable <= header.base_offset));
    let views: Vec<_> = FrameRecords::new(bytes, &header).collect();
    assert_eq!(views.len(), if header.kind == Kind::Data { usize::from(header.count) } else { 0 });
    if views.is_empty() {
        return;
    }
    let headers: Vec<Vec<_>> = views.iter().map(|view| view.headers().collect()).collect();
    let records: Vec<_> = views
        .iter()
        .zip(&headers)
        .map(|(view, headers)| Record { key: view.key, value: view.value, headers, timestamp: Some(view.timestamp) })
        .collect();
    let durable = header.durable();
    let stamp = Stamp { base_offset: header.base_offset, append_time: header.append_time, durable };
    let Some(again) = write(&records, place, stamp) else { return };
    let header = verify(&again, place).expect("what was just written is whole");
    let read: Vec<_> = FrameRecords::new(&again, &header).collect();
    for (view, again) in views.iter().zip(&read) {
        assert_eq!(view.offset, again.offset);
        assert_eq!((view.key, view.value, view.timestamp), (again.key, again.value, again.timestamp));
        assert!(view.headers().eq(again.headers()));
    }
    assert_eq!(views.len(), read.len());
}

/// Writes records, unless a limit forbids it.
fn write(records: &[Record<'_>], place: &Place, stamp: Stamp) -> Option<Vec<u8>> {
    let plan = Plan::new(records).ok()?;
    let mut frame = vec![0xa5; plan.frame_size()];
    plan.encode(records, &mut frame);
    frame::seal(&mut frame, place, &plan.fields(stamp));
    Some(frame)
}

/// Records cut out of the input, written and read.
fn write_and_read(mut data: &[u8]) {
    let mut take = |most: usize| {
        let (size, rest) = choice(data);
        let (bytes, rest) = rest.split_at(usize::from(size).min(most).min(rest.len()));
        data = rest;
        (size & 1 == 0).then_some(bytes)
    };
    let parts: [_; 6] = core::array::from_fn(|_| (take(255), take(255), take(20), take(9)));
    let names: Vec<_> = parts.iter().map(|part| String::from_utf8_lossy(part.2.unwrap_or_default())).collect();
    let headers: Vec<_> = names.iter().zip(&parts).map(|(name, part)| [RecordHeader { name, value: part.3 }]).collect();
    let mut records: Vec<_> = parts
        .iter()
        .zip(&headers)
        .map(|((key, value, name, time), headers)| Record {
            key: *key,
            value: *value,
            headers: if name.is_some() { headers } else { &[] },
            timestamp: time.map(|time| time.iter().fold(0, |time: i64, byte| (time << 8) | i64::from(*byte)) >> 17),
        })
        .collect();
    while records.len() > 1 && records.last().is_some_and(|record| record.value == Some(b"")) {
        records.pop();
    }
    let stamp = Stamp { base_offset: PLACE.segment_base + 3, append_time: 1_291_191_960_000, durable: None };
    if let Some(frame) = write(&records, &PLACE, stamp) {
        verify(&frame, &PLACE).expect("what was just written is whole");
        check_frame(&frame, &PLACE);
    }
}

fn check_areas(bytes: &[u8]) {
    if let Ok(header) = SegmentHeader::parse(bytes) {
        let mut again = vec![0; SECTOR as usize];
        header.encode(&mut again);
        assert_eq!(SegmentHeader::parse(&again), Ok(header));
    }
    if let Ok(header) = JournalHeader::parse(bytes) {
        let mut again = vec![0; SECTOR as usize];
        header.encode(&mut again);
        assert_eq!(JournalHeader::parse(&again), Ok(header));
    }
    if let Ok((footer, entries)) = Footer::parse(bytes) {
        assert!(footer.end_position <= footer.header.capacity && footer.header.capacity <= SEGMENT_MAX);
        let entries: Vec<_> = entries.iter().collect();
        let mut again = vec![0; Footer::size(entries.len())];
        footer.encode(&entries, &mut again);
        assert_eq!(again.len(), bytes.len());
        let (read, columns) = Footer::parse(&again).expect("what was just written is whole");
        assert!(read == footer && columns.iter().eq(entries));
    }
}

fn check_write(bytes: &[u8]) {
    let result = journal::parse_any(bytes, GENERATION, 4096);
    let (Ok(write) | Err(WriteError::BadPayload(write))) = result else { return };
    for range in write.ranges() {
        assert!(range.position + u64::from(range.size) <= SEGMENT_MAX);
        let payload = write.payload(&range);
        assert_eq!(payload.len(), if result.is_ok() { range.size as usize } else { 0 });
    }
    let entries = write.ranges().count() + write.watermarks().count();
    assert!(write.size <= bytes.len() && entries * journal::TABLE_ENTRY < bytes.len());
    assert_eq!(journal::parse(bytes, GENERATION, write.lsn, 4096), result);
}
