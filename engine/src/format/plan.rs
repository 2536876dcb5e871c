//! The plan of a frame: all of an append that can be done before its partition's lock is taken.

use core::borrow::Borrow;

use super::frame::{self, Fields, HEADER_SIZE, Kind, Stamp};
use super::record::{Record, put, store, stored_size};
use super::source::RecordSource;
use super::view::{LIST_HEADERS, LIST_NULL_KEY, LIST_NULL_VALUE, LIST_PREFIX, LONG_KEY, OWN_TIME};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    BATCH_RECORDS_MAX, FRAME_ALIGN, FRAME_MAX, HEADER_NAME_MAX, HEADERS_MAX, KEY_MAX, RECORD_MAX, TIME_MAX,
};

/// Before every time that a record may have.
const UNTIMED: i64 = i64::MIN;

/// Sizes and shape of the frame that a batch becomes; its limits are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    frame_size: u32,
    /// Bytes of keys, values and stored headers.
    payload: u32,
    count: u16,
    flags: u16,
    key_size: u16,
    pad: u8,
    /// The records carry times of their own, for these differ.
    own_times: bool,
    /// The time that the caller gave, or the latest of several; [`UNTIMED`] for none.
    create_time: i64,
    /// Some records have the append time.
    untimed: bool,
    /// Of a consensus protocol; stands in the optional block.
    term: Option<u64>,
    /// The offset that the frame has to begin at.
    base_offset: Option<u64>,
}

impl Plan {
    /// Checks the limits of a batch and lays out its frame.
    #[inline]
    pub(crate) fn new(records: &[Record<'_>]) -> Result<Plan> {
        match records {
            [record] if !is_long(record) => Plan::single(record),
            _ => Plan::list(records.iter()),
        }
    }

    /// As [`new`](Plan::new).
    #[inline]
    pub(crate) fn of_source(source: &impl RecordSource) -> Result<Plan> {
        let mut records = source.records();
        if records.len() == 1
            && let Some(record) = records.next()
        {
            return Plan::new(&[record]);
        }
        Plan::list(records)
    }

    #[inline]
    fn single(record: &Record<'_>) -> Result<Plan> {
        let parts = check(record)?;
        let mut flags = frame::SINGLE;
        if record.key.is_none() {
            flags |= frame::NULL_KEY;
        }
        if record.value.is_none() {
            flags |= frame::NULL_VALUE;
        }
        let mut size = parts;
        if !record.headers.is_empty() {
            flags |= frame::HAS_HEADERS;
            size += 4;
        }
        let key_size = record.key.map_or(0, <[u8]>::len) as u16;
        Plan {
            frame_size: 0,
            payload: parts as u32,
            count: 1,
            flags,
            key_size,
            pad: 0,
            own_times: false,
            create_time: record.timestamp.unwrap_or(UNTIMED),
            untimed: record.timestamp.is_none(),
            term: None,
            base_offset: None,
        }
        .sized(size)
    }

    #[inline(never)]
    fn list<'r>(records: impl ExactSizeIterator<Item: Borrow<Record<'r>>>) -> Result<Plan> {
        let total = records.len();
        if total > BATCH_RECORDS_MAX {
            return Err(too_large("a batch", total, "records", BATCH_RECORDS_MAX));
        }
        let mut first = None;
        let mut own_times = false;
        let mut newest = UNTIMED;
        let (mut size, mut payload, mut timed, mut count) = (0, 0, 0, 0);
        for record in records {
            let record = record.borrow();
            let parts = check(record).map_err(|error| error.context(format_args!("record {count} of the list")))?;
            payload += parts;
            size += LIST_PREFIX + parts;
            size += if is_long(record) { 4 } else { 0 };
            size += if record.headers.is_empty() { 0 } else { 4 };
            timed += usize::from(record.timestamp.is_some());
            own_times |= *first.get_or_insert(record.timestamp) != record.timestamp;
            newest = newest.max(record.timestamp.unwrap_or(UNTIMED));
            count += 1;
        }
        if count == 0 {
            return Err(Error::new(ErrorKind::InvalidArgument, "a batch has at least one record"));
        }
        if own_times {
            size += timed * 8;
        }
        Plan {
            frame_size: 0,
            // Less than the frame, whose size is checked.
            payload: payload as u32,
            count: count as u16,
            flags: if own_times { frame::OWN_TIMES } else { 0 },
            key_size: 0,
            pad: 0,
            own_times,
            create_time: newest,
            untimed: timed < count,
            term: None,
            base_offset: None,
        }
        .sized(size)
    }

    #[inline]
    fn sized(self, body: usize) -> Result<Plan> {
        let used = HEADER_SIZE + self.optional_size() + body;
        let frame_size = used.next_multiple_of(FRAME_ALIGN);
        if frame_size > FRAME_MAX {
            return Err(too_large("a batch", frame_size, "bytes as a frame", FRAME_MAX));
        }
        Ok(Plan { frame_size: frame_size as u32, pad: (frame_size - used) as u8, ..self })
    }

    /// The same with a term.
    #[cold]
    pub(crate) fn with_term(self, term: u64) -> Result<Plan> {
        let body = self.frame_size() - HEADER_SIZE - self.optional_size() - usize::from(self.pad);
        Plan { term: Some(term), ..self }.sized(body)
    }

    /// The same, to be appended only if it begins at this offset.
    pub(crate) fn at(self, base_offset: u64) -> Plan {
        Plan { base_offset: Some(base_offset), ..self }
    }

    #[inline]
    fn optional_size(&self) -> usize {
        if self.term.is_some() { frame::TERM_SIZE } else { 0 }
    }

    /// The offset that the frame has to begin at, if it is not the same.
    #[inline]
    pub(crate) fn base_offset(&self) -> Option<u64> {
        self.base_offset
    }

    /// Bytes of the whole frame.
    #[inline]
    pub(crate) fn frame_size(&self) -> usize {
        self.frame_size as usize
    }

    /// Bytes of keys, values and headers.
    #[inline]
    pub(crate) fn payload(&self) -> u32 {
        self.payload
    }

    /// Records, and offsets that they take.
    #[inline]
    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    /// The latest timestamp of the records, if they are appended at `append_time`.
    #[inline]
    pub(crate) fn newest(&self, append_time: i64) -> i64 {
        if self.untimed { self.create_time.max(append_time) } else { self.create_time }
    }

    /// Writes the body, `frame[40..]`, of a slice that is the whole frame. The header is [`frame::seal`]'s.
    ///
    /// `records` are those that the plan was made of. Panics with others.
    #[inline]
    pub(crate) fn encode(&self, records: &[Record<'_>], frame: &mut [u8]) {
        let body = self.begin(frame);
        let rest = match records {
            [record] if self.flags & frame::SINGLE != 0 => encode_single(record, body),
            _ => self.encode_list(records.iter(), body),
        };
        self.end(rest);
    }

    /// As [`encode`](Plan::encode).
    #[inline]
    pub(crate) fn encode_source(&self, source: &impl RecordSource, frame: &mut [u8]) {
        let body = self.begin(frame);
        let mut records = source.records();
        let rest = match self.flags & frame::SINGLE {
            0 => self.encode_list(records, body),
            _ => encode_single(&records.next().expect("the record of the plan"), body),
        };
        self.end(rest);
    }

    /// Writes what comes before the records in the body; answers the rest of it.
    #[inline]
    fn begin<'b>(&self, frame: &'b mut [u8]) -> &'b mut [u8] {
        assert!(frame.len() == self.frame_size(), "the slice is the whole frame");
        // The unused bytes at the end; what else this clears, the body or the header's own writer writes after it.
        *frame.last_chunk_mut::<FRAME_ALIGN>().expect("a frame is not shorter than its header") = [0; FRAME_ALIGN];
        let body = &mut frame[HEADER_SIZE..];
        match self.term {
            Some(term) => put(body, &frame::term_field(term)),
            None => body,
        }
    }

    /// `rest` is what the records left of the body.
    #[inline]
    fn end(&self, rest: &[u8]) {
        assert!(rest.len() == usize::from(self.pad), "the records are those of the plan");
    }

    #[inline(never)]
    fn encode_list<'b, 'r>(
        &self,
        records: impl Iterator<Item: Borrow<Record<'r>>>,
        mut body: &'b mut [u8],
    ) -> &'b mut [u8] {
        let mut count = 0;
        for record in records {
            body = encode_listed(record.borrow(), self.own_times, body);
            count += 1;
        }
        assert!(count == usize::from(self.count), "the records are as many as those of the plan");
        body
    }

    /// What [`frame::seal`] writes into the header of this frame.
    #[inline]
    pub(crate) fn fields(&self, stamp: Stamp) -> Fields {
        Fields {
            kind: Kind::Data,
            flags: self.flags,
            pad: self.pad,
            count: self.count,
            key_size: self.key_size,
            optional_size: self.optional_size() as u16,
            create_time: Some(self.newest(stamp.append_time)),
            stamp,
        }
    }
}

#[inline]
fn encode_single<'b>(record: &Record<'_>, mut body: &'b mut [u8]) -> &'b mut [u8] {
    let value = record.value.unwrap_or_default();
    if record.headers.is_empty() {
        if let Some(key) = record.key {
            body = put(body, key);
        }
        return put(body, value);
    }
    body = put(body, &(stored_size(record.headers) as u32).to_le_bytes());
    body = put(body, record.key.unwrap_or_default());
    body = put(body, value);
    store(record.headers, body)
}

#[inline]
fn encode_listed<'b>(record: &Record<'_>, own_times: bool, body: &'b mut [u8]) -> &'b mut [u8] {
    let key = record.key.unwrap_or_default();
    let value = record.value.unwrap_or_default();
    let long = is_long(record);
    let time = record.timestamp.filter(|_| own_times);
    let mut flags = 0;
    flags |= if record.key.is_none() { LIST_NULL_KEY } else { 0 };
    flags |= if record.value.is_none() { LIST_NULL_VALUE } else { 0 };
    flags |= if record.headers.is_empty() { 0 } else { LIST_HEADERS };
    flags |= if time.is_some() { OWN_TIME } else { 0 };
    flags |= if long { LONG_KEY } else { 0 };
    let key_size = if long { 0 } else { key.len() as u64 };
    let prefix = value.len() as u64 | (key_size << 32) | (u64::from(flags) << 48);
    let mut rest = put(body, &prefix.to_le_bytes());
    if let Some(time) = time {
        rest = put(rest, &time.to_le_bytes());
    }
    if long {
        rest = put(rest, &(key.len() as u32).to_le_bytes());
    }
    if !record.headers.is_empty() {
        rest = put(rest, &(stored_size(record.headers) as u32).to_le_bytes());
    }
    rest = put(rest, key);
    rest = put(rest, value);
    if record.headers.is_empty() { rest } else { store(record.headers, rest) }
}

/// Whether a key is longer than the fixed prefix can say.
#[inline]
fn is_long(record: &Record<'_>) -> bool {
    record.key.is_some_and(|key| key.len() > usize::from(u16::MAX))
}

/// Checks the limits of one record; answers the bytes of key, value and stored headers.
#[inline]
pub(crate) fn check(record: &Record<'_>) -> Result<usize> {
    let key = record.key.map_or(0, <[u8]>::len);
    let value = record.value.map_or(0, <[u8]>::len);
    if key > KEY_MAX {
        return Err(too_large("a key", key, "bytes", KEY_MAX));
    }
    if value > RECORD_MAX - key {
        return Err(too_large("a record", key.saturating_add(value), "bytes", RECORD_MAX));
    }
    if record.timestamp.is_some_and(|time| !(-TIME_MAX..=TIME_MAX).contains(&time)) {
        return Err(bad_time(record.timestamp));
    }
    if record.headers.is_empty() { Ok(key + value) } else { check_headers(record, key + value) }
}

#[cold]
fn check_headers(record: &Record<'_>, size: usize) -> Result<usize> {
    if record.headers.len() > HEADERS_MAX {
        return Err(too_large("a record", record.headers.len(), "headers", HEADERS_MAX));
    }
    let mut total = size;
    for header in record.headers {
        if header.name.len() > HEADER_NAME_MAX {
            return Err(too_large("the name of a header", header.name.len(), "bytes", HEADER_NAME_MAX));
        }
        total = total.saturating_add(header.name.len()).saturating_add(header.value.map_or(0, <[u8]>::len));
    }
    if total > RECORD_MAX {
        return Err(too_large("a record", total, "bytes", RECORD_MAX));
    }
    Ok(size + stored_size(record.headers))
}

#[cold]
fn too_large(what: &str, found: usize, unit: &str, limit: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("{what} has {found} {unit}; the limit is {limit}"))
}

#[cold]
fn bad_time(time: Option<i64>) -> Error {
    let time = time.unwrap_or_default();
    Error::new(
        ErrorKind::InvalidArgument,
        format!("a timestamp is {time} ms since 1970; the allowed range is -{TIME_MAX} to {TIME_MAX}"),
    )
}
