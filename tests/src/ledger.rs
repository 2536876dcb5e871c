//! Records that tell who wrote them and in which order, and the check that a log holds a prefix of what was written.

use std::collections::BTreeMap;

use thalweg::{Reader, Start, Topic};

/// Bytes before the filling: writer, sequence, index in the batch, records of the batch.
const HEAD: usize = 24;

/// The value of one record: `size` bytes that only this record has.
pub fn value(writer: u32, sequence: u64, index: u32, count: u32, size: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(size.max(HEAD));
    value.extend(writer.to_le_bytes());
    value.extend(sequence.to_le_bytes());
    value.extend(index.to_le_bytes());
    value.extend(count.to_le_bytes());
    value.extend(((size.max(HEAD)) as u32).to_le_bytes());
    let mut x = u64::from(writer) << 40 ^ sequence << 8 ^ u64::from(index) | 1;
    while value.len() < size {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        value.push(x as u8);
    }
    value
}

/// What a partition holds.
#[derive(Debug, Default)]
pub struct Found {
    /// Records.
    pub records: u64,
    /// The sequence that each writer goes on with: one after its last batch.
    pub next: BTreeMap<u32, u64>,
    /// The batch that stands at each offset.
    pub at: BTreeMap<u64, (u32, u64)>,
}

/// Reads a partition from its beginning, and checks every record: bytes as written, batches whole, each writer's
/// batches in order and without a gap.
///
/// # Panics
/// If anything is not as it was written.
pub fn check(topic: &Topic, partition: u32) -> Found {
    let mut found = Found::default();
    let mut reader: Reader = topic.reader(partition, Start::Earliest).expect("a reader");
    let mut open: Option<(u32, u64, u32, u32)> = None;
    loop {
        let batch = reader.next(1 << 20, Some(std::time::Duration::ZERO)).expect("an undamaged log");
        if batch.is_empty() {
            break;
        }
        for record in batch.iter() {
            let bytes = record.value.expect("every record here has a value");
            let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
            let (writer, index, count) = (word(0), word(12), word(16));
            let sequence = u64::from_le_bytes(bytes[4..12].try_into().expect("eight bytes"));
            assert_eq!(bytes, value(writer, sequence, index, count, word(20) as usize), "offset {}", record.offset);
            match open {
                Some((w, s, i, c)) if i + 1 < c => {
                    assert_eq!((w, s, i + 1, c), (writer, sequence, index, count), "a batch is whole");
                }
                _ => {
                    assert_eq!(index, 0, "a batch begins with its first record, offset {}", record.offset);
                    let next = found.next.entry(writer).or_insert(0);
                    assert_eq!(sequence, *next, "writer {writer} in order, offset {}", record.offset);
                    *next += 1;
                }
            }
            open = Some((writer, sequence, index, count));
            found.at.insert(record.offset, (writer, sequence));
            found.records += 1;
        }
    }
    assert!(open.is_none_or(|(_, _, i, c)| i + 1 == c), "the last batch is whole");
    found
}
