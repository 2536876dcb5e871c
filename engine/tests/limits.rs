//! Every limit of a record and a batch at 0, 1, the limit, and one beyond.

mod common;

use std::time::Duration;

use common::{open, pattern, read_all, topic};
use thalweg::limits::{BATCH_RECORDS_MAX, HEADER_NAME_MAX, HEADERS_MAX, KEY_MAX, RECORD_MAX};
use thalweg::{ErrorKind, Record, RecordHeader, Start, Target, Topic};

fn accepted(topic: &Topic, record: &Record<'_>) {
    let at = topic.append(record).unwrap_or_else(|e| panic!("within the limits: {e}"));
    let batch = topic.read(at.partition, at.base_offset, 1).expect("readable");
    let read = batch.iter().next().expect("one record");
    assert!(read.key == record.key && read.value == record.value, "what was appended is read back");
    assert!(read.headers().eq(record.headers.iter().copied()));
}

fn refused(topic: &Topic, record: &Record<'_>, limit: usize) {
    let before = topic.describe().expect("described").partitions[0].high_watermark;
    let error = topic.append(record).expect_err("beyond the limit");
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(error.message().contains(&limit.to_string()), "{error}");
    assert_eq!(topic.describe().expect("described").partitions[0].high_watermark, before, "nothing was appended");
}

for_each_runtime! {
    // Offsets come from users: one overflowed where it was compared.
    fn offsets_up_to_the_largest_number_are_answered(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        topic.append(&Record::new("v")).expect("appended");
        let mut reader = topic.reader(0, Start::Earliest).expect("a reader");
        for offset in [2, u64::from(u32::MAX), 1 << 63, u64::MAX - 1, u64::MAX] {
            for size in [0, 1, usize::MAX] {
                let kinds = [
                    topic.read(0, offset, size).err().map(|e| e.kind()),
                    topic.read_wait(0, offset, size, Some(Duration::ZERO)).err().map(|e| e.kind()),
                ];
                assert_eq!(kinds, [Some(ErrorKind::OutOfRange); 2], "{offset}");
            }
            assert_eq!(reader.seek(Start::Offset(offset)).err().map(|e| e.kind()), Some(ErrorKind::OutOfRange));
            assert_eq!(topic.reader(0, Start::Offset(offset)).err().map(|e| e.kind()), Some(ErrorKind::OutOfRange));
            topic.dump_frames(0, offset, |frame| panic!("{frame:?} is below {offset}")).expect("shows nothing");
        }
        for size in [0, 1, usize::MAX] {
            assert_eq!(topic.read(0, 0, size).expect("readable").len(), 1);
            assert!(topic.read_wait(0, 1, size, Some(Duration::ZERO)).expect("readable").is_empty());
        }
        assert_eq!(reader.next(usize::MAX, Some(Duration::MAX)).expect("readable").len(), 1);
    }

    fn values(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let bytes = pattern(1, RECORD_MAX + 1);
        // Also around the sizes at which an append changes its way.
        for size in [0, 1, 4055, 4056, 4057, 16_344, 131_000, 131_032, 131_033, 1 << 20, 8 << 20, RECORD_MAX] {
            accepted(&topic, &Record::new(&bytes[..size]));
        }
        refused(&topic, &Record::new(&bytes), RECORD_MAX);
    }

    fn keys(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let bytes = pattern(2, KEY_MAX + 1);
        for size in [0, 1, 65_535, 65_536, KEY_MAX] {
            accepted(&topic, &Record::new("v").key(&bytes[..size]));
        }
        refused(&topic, &Record::new("v").key(&bytes), KEY_MAX);
        let value = vec![0; RECORD_MAX - KEY_MAX + 1];
        refused(&topic, &Record::new(&value).key(&bytes[..KEY_MAX]), RECORD_MAX);
    }

    fn headers(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let many = vec![RecordHeader::new("n", "v"); HEADERS_MAX + 1];
        for count in [0, 1, HEADERS_MAX] {
            accepted(&topic, &Record::new("v").headers(&many[..count]));
        }
        refused(&topic, &Record::new("v").headers(&many), HEADERS_MAX);
        let name = "x".repeat(HEADER_NAME_MAX + 1);
        for size in [0, 1, HEADER_NAME_MAX] {
            accepted(&topic, &Record::new("v").headers(&[RecordHeader::null(&name[..size])]));
        }
        refused(&topic, &Record::new("v").headers(&[RecordHeader::null(&name)]), HEADER_NAME_MAX);
    }

    fn batches(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let records = vec![Record::new("x"); BATCH_RECORDS_MAX + 1];
        let none = topic.append_batch(Target::Partition(0), &[]).expect_err("a batch has a record");
        assert_eq!(none.kind(), ErrorKind::InvalidArgument);
        for count in [1, 2, BATCH_RECORDS_MAX] {
            let appended = topic.append_batch(Target::Partition(0), &records[..count]).expect("within the limit");
            assert_eq!(appended.count as usize, count);
        }
        let error = topic.append_batch(Target::Partition(0), &records).expect_err("beyond the limit");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(read_all(&topic, 0, 0, 1 << 20).len(), 3 + BATCH_RECORDS_MAX);
        let large = vec![0; RECORD_MAX / 2];
        let error = topic.append_batch(Target::Partition(0), &[Record::new(&large); 3]).expect_err("too many bytes");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }
}
