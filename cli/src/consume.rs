//! `thalweg consume`: writes the records of a topic to standard output.

use std::io::Write;

use serde::Serialize;
use thalweg::{Error, PartitionDescription, RecordView, Topic};

use crate::args::{Consume, Format, From, Global};
use crate::failure::Failure;
use crate::output::Output;
use crate::store::{self, Missing};

/// Bytes asked for at once.
const READ_BYTES: usize = 1 << 20;

/// A record as JSON. Bytes that are not UTF-8 go into the `_base64` field instead.
#[derive(Serialize)]
struct Row<'a> {
    topic: &'a str,
    partition: u32,
    offset: u64,
    timestamp: i64,
    #[serde(flatten)]
    key: Bytes<'a>,
    #[serde(flatten)]
    value: Bytes<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<HeaderRow<'a>>,
}

#[derive(Serialize)]
struct HeaderRow<'a> {
    name: &'a str,
    #[serde(flatten)]
    value: Bytes<'a>,
}

pub(crate) fn run(global: &Global, args: &Consume, output: &mut Output) -> Result<(), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    let topic = store::topic(&engine, &args.topic)?;
    let partitions = topic.describe()?.partitions;
    let wanted = match args.partition {
        Some(partition) => {
            store::check_partition(&args.topic, partition, topic.partitions())?;
            &partitions[partition as usize..=partition as usize]
        }
        None => &partitions[..],
    };
    if let (From::Offset(_), [_, _, ..]) = (args.from, wanted) {
        let what = "an offset belongs to one partition: name it with --partition, or begin at earliest or latest";
        return Err(Failure::Usage(what.into()));
    }
    let format = if output.is_json() { Format::Json } else { args.format };
    let mut consumer =
        Consumer { topic: &topic, name: &args.topic, format, left: args.max.unwrap_or(u64::MAX), output };
    let mut damaged = false;
    for partition in wanted {
        match consumer.partition(partition, args.from) {
            Err(Stop::Damaged(error)) => {
                // What is whole before the damage goes out before its name, should both end in one place.
                consumer.output.flush()?;
                let _ = writeln!(std::io::stderr(), "thalweg: {error}");
                damaged = true;
            }
            Err(Stop::Failed(failure)) => return Err(failure),
            Ok(()) => {}
        }
    }
    if damaged { Err(Failure::Damaged) } else { Ok(()) }
}

/// Why a partition was not read to its end.
enum Stop {
    Damaged(Error),
    Failed(Failure),
}

impl std::convert::From<Error> for Stop {
    fn from(error: Error) -> Stop {
        if error.damaged().is_some() { Stop::Damaged(error) } else { Stop::Failed(error.into()) }
    }
}

impl std::convert::From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

struct Consumer<'a> {
    topic: &'a Topic,
    name: &'a str,
    format: Format,
    /// Records that may still be written.
    left: u64,
    output: &'a mut Output,
}

impl Consumer<'_> {
    /// Writes a partition up to the watermark that it had at the start.
    fn partition(&mut self, about: &PartitionDescription, from: From) -> Result<(), Stop> {
        let end = about.high_watermark;
        let mut offset = match from {
            From::Earliest => about.log_start,
            From::Latest => end,
            From::Offset(offset) => offset,
        };
        // An offset beyond the end is read too, for the error that says so.
        while self.left > 0 && offset != end {
            let batch = self.topic.read(about.partition, offset, READ_BYTES)?;
            for record in batch.iter().take_while(|record| record.offset < end) {
                if self.left == 0 {
                    return Ok(());
                }
                self.record(about.partition, &record)?;
                self.left -= 1;
            }
            if batch.next_offset() >= end || batch.next_offset() == offset {
                break;
            }
            offset = batch.next_offset();
        }
        // Recovery ended the partition where damage begins, so no read comes to it.
        match about.damaged.iter().find(|range| range.start >= end) {
            Some(range) if self.left > 0 => Err(Stop::Damaged(Error::corrupt(range.clone(), "recovery found them so"))),
            _ => Ok(()),
        }
    }

    fn record(&mut self, partition: u32, record: &RecordView<'_>) -> Result<(), Failure> {
        match self.format {
            Format::Raw => {
                self.output.bytes(record.value.unwrap_or_default())?;
                self.output.bytes(b"\n")
            }
            Format::Json => self.output.json(&Row {
                topic: self.name,
                partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: Bytes::new("key", record.key),
                value: Bytes::new("value", record.value),
                headers: record
                    .headers()
                    .map(|h| HeaderRow { name: h.name, value: Bytes::new("value", h.value) })
                    .collect(),
            }),
        }
    }
}

/// One field that holds bytes: text where they are UTF-8, base64 under another name where they are not.
struct Bytes<'a> {
    name: &'static str,
    bytes: Option<&'a [u8]>,
}

impl<'a> Bytes<'a> {
    fn new(name: &'static str, bytes: Option<&'a [u8]>) -> Bytes<'a> {
        Bytes { name, bytes }
    }
}

impl Serialize for Bytes<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(1))?;
        match self.bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
            None => map.serialize_entry(self.name, &None::<&str>)?,
            Some((_, Ok(text))) => map.serialize_entry(self.name, text)?,
            Some((bytes, Err(_))) => map.serialize_entry(&format!("{}_base64", self.name), &base64(bytes))?,
        }
        map.end()
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let used = digit <= three.len();
            let value = (word >> (18 - 6 * digit)) & 63;
            text.push(if used { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_its_rfc() {
        let vectors = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (size, expected) in vectors.iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..size]), *expected);
        }
        assert_eq!(base64(&[0xff, 0xfe]), "//4=");
    }

    #[test]
    fn bytes_are_text_or_base64_or_null() {
        let json = |bytes| serde_json::to_string(&Bytes::new("key", bytes)).expect("a map of one");
        assert_eq!(json(Some(b"a\"b".as_slice())), r#"{"key":"a\"b"}"#);
        assert_eq!(json(Some(b"\xff\xfe".as_slice())), r#"{"key_base64":"//4="}"#);
        assert_eq!(json(None), r#"{"key":null}"#);
    }
}
