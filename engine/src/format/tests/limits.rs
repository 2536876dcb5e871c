//! Every limit of a batch at 0, 1, the limit, and one beyond.

use super::arbitrary::frame;
use super::partition;
use crate::error::ErrorKind;
use crate::format::frame::{HEADER_SIZE, Place, Stamp, verify};
use crate::format::plan::Plan;
use crate::format::record::{Record, RecordHeader};
use crate::format::view::FrameRecords;
use crate::ids::Generation;
use crate::limits::*;

/// Writes, reads and compares; or answers the error's kind and sentence.
fn round_trip(records: &[Record<'_>]) -> Result<usize, (ErrorKind, String)> {
    let plan = Plan::new(records).map_err(|error| (error.kind(), error.message().to_owned()))?;
    let place = Place { partition: partition(1, 0), generation: Generation(9), position: 4096, segment_base: 0 };
    let stamp = Stamp { base_offset: 5, append_time: 6, durable: None };
    let bytes = frame(records, &place, stamp);
    assert_eq!(bytes.len(), plan.frame_size());
    let header = verify(&bytes, &place).expect("the frame is whole");
    let views = FrameRecords::new(&bytes, &header);
    assert_eq!(views.len(), records.len());
    for (view, record) in views.zip(records) {
        assert!(view.key == record.key && view.value == record.value, "parts come back as they went in");
        assert!(view.headers().eq(record.headers.iter().copied()));
    }
    Ok(bytes.len())
}

fn refused(records: &[Record<'_>], found: usize, limit: usize) {
    let (kind, message) = round_trip(records).expect_err("the limit holds");
    assert_eq!(kind, ErrorKind::TooLarge, "{message}");
    assert!(message.contains(&found.to_string()) && message.contains(&limit.to_string()), "{message}");
}

#[test]
fn keys() {
    let bytes = vec![b'k'; KEY_MAX + 1];
    for size in [0, 1, 65_535, 65_536, KEY_MAX] {
        let record = Record::new("v").key(&bytes[..size]);
        round_trip(&[record]).expect("the key is within its limit");
        round_trip(&[record, record]).expect("the keys are within their limit");
    }
    let record = Record::new("v").key(&bytes);
    refused(&[record], KEY_MAX + 1, KEY_MAX);
    refused(&[Record::new("v"), record], KEY_MAX + 1, KEY_MAX);
}

#[test]
fn values() {
    let bytes = vec![b'v'; RECORD_MAX + 1];
    assert_eq!(round_trip(&[Record::default()]), Ok(HEADER_SIZE));
    assert_eq!(round_trip(&[Record::new("")]), Ok(HEADER_SIZE));
    for size in [0, 1, RECORD_MAX] {
        round_trip(&[Record::new(&bytes[..size])]).expect("the value is within its limit");
        round_trip(&[Record::new(&bytes[..size]), Record::default()]).expect("the value is within its limit");
    }
    refused(&[Record::new(&bytes)], RECORD_MAX + 1, RECORD_MAX);
    refused(&[Record::default(), Record::new(&bytes)], RECORD_MAX + 1, RECORD_MAX);
    // Key and value count together.
    round_trip(&[Record::new(&bytes[1..RECORD_MAX]).key("k")]).expect("the record is within its limit");
    refused(&[Record::new(&bytes[1..]).key("k")], RECORD_MAX + 1, RECORD_MAX);
}

#[test]
fn headers() {
    let many = vec![RecordHeader::new("n", "v"); HEADERS_MAX + 1];
    for count in [0, 1, HEADERS_MAX] {
        round_trip(&[Record::new("v").headers(&many[..count])]).expect("the headers are within their limit");
        round_trip(&[Record::new("v").headers(&many[..count]), Record::new("")]).expect("within the limit");
    }
    refused(&[Record::new("v").headers(&many)], HEADERS_MAX + 1, HEADERS_MAX);
}

#[test]
fn header_names() {
    let name = "n".repeat(HEADER_NAME_MAX + 1);
    for size in [0, 1, HEADER_NAME_MAX] {
        let headers = [RecordHeader::null(&name[..size])];
        round_trip(&[Record::new("v").headers(&headers)]).expect("the name is within its limit");
    }
    refused(&[Record::new("v").headers(&[RecordHeader::null(&name)])], HEADER_NAME_MAX + 1, HEADER_NAME_MAX);
}

#[test]
fn header_values() {
    let bytes = vec![b'h'; RECORD_MAX];
    for size in [0, 1, RECORD_MAX - 2] {
        let headers = [RecordHeader::new("n", &bytes[..size])];
        round_trip(&[Record::new("v").headers(&headers)]).expect("the record is within its limit");
    }
    let headers = [RecordHeader::new("n", &bytes[1..])];
    refused(&[Record::new("v").headers(&headers)], RECORD_MAX + 1, RECORD_MAX);
}

#[test]
fn counts() {
    let records = vec![Record::new("v"); BATCH_RECORDS_MAX + 1];
    let (kind, _) = round_trip(&[]).expect_err("an empty batch is refused");
    assert_eq!(kind, ErrorKind::InvalidArgument);
    for count in [1, 2, BATCH_RECORDS_MAX] {
        round_trip(&records[..count]).expect("the count is within its limit");
    }
    refused(&records, BATCH_RECORDS_MAX + 1, BATCH_RECORDS_MAX);
}

/// The largest batch: two records whose frame is exactly the limit.
#[test]
fn frames() {
    let bytes = vec![b'v'; RECORD_MAX];
    let rest = FRAME_MAX - HEADER_SIZE - 2 * 8 - RECORD_MAX;
    let size = round_trip(&[Record::new(&bytes), Record::new(&bytes[..rest])]).expect("the batch is within its limit");
    assert_eq!(size, FRAME_MAX);
    let size = round_trip(&[Record::new(&bytes), Record::new(&bytes[..rest - 7])]).expect("within the limit");
    assert_eq!(size, FRAME_MAX);
    refused(&[Record::new(&bytes), Record::new(&bytes[..rest + 1])], FRAME_MAX + 8, FRAME_MAX);
}

#[test]
fn timestamps() {
    for time in [-TIME_MAX, -1, 0, 1, TIME_MAX] {
        round_trip(&[Record::new("v").timestamp(time)]).expect("the time is within its range");
    }
    for time in [-TIME_MAX - 1, TIME_MAX + 1, i64::MIN, i64::MAX] {
        for records in [&[Record::new("v").timestamp(time)][..], &[Record::new("v"), Record::new("v").timestamp(time)]]
        {
            let (kind, message) = round_trip(records).expect_err("the range holds");
            assert_eq!(kind, ErrorKind::InvalidArgument);
            assert!(message.contains(&time.to_string()) && message.contains(&TIME_MAX.to_string()), "{message}");
        }
    }
}

/// The sentence says which record of a batch it was.
#[test]
fn the_refused_record_is_named() {
    let bytes = vec![b'k'; KEY_MAX + 1];
    let (_, message) = round_trip(&[Record::new("a"), Record::new("b").key(&bytes)]).expect_err("the limit holds");
    assert!(message.contains("record 1"), "{message}");
}
