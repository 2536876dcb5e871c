//! The records of a frame, read in place.

use super::frame::{self, FrameError, HEADER_SIZE, Header, Kind};
use super::record::{Headers, RecordView};
use crate::limits::TIME_MAX;

/// Bytes before each record of a list: u32 value size, u16 key size, u8 flags, u8 zero.
pub(super) const LIST_PREFIX: usize = 8;
/// Flags of a listed record.
pub(super) const LIST_NULL_KEY: u8 = 1;
pub(super) const LIST_NULL_VALUE: u8 = 1 << 1;
/// A u32 size of the headers follows, and the headers stand after the value.
pub(super) const LIST_HEADERS: u8 = 1 << 2;
/// An i64 create time follows.
pub(super) const OWN_TIME: u8 = 1 << 3;
/// The key size is 0 here and follows as a u32.
pub(super) const LONG_KEY: u8 = 1 << 4;
const LIST_UNKNOWN: u8 = !(LIST_NULL_KEY | LIST_NULL_VALUE | LIST_HEADERS | OWN_TIME | LONG_KEY);
const LIST_EXTRAS: u8 = LIST_HEADERS | OWN_TIME | LONG_KEY;

/// One record's parts, before they are given an offset.
#[derive(Clone, Copy, Default)]
struct Parts<'a> {
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [u8],
    time: Option<i64>,
}

/// The records of one frame, in order. It allocates nothing.
///
/// The frame was verified before; if it was not, records may be missing, and nothing worse.
#[derive(Clone)]
pub(crate) struct FrameRecords<'a> {
    rest: &'a [u8],
    offset: u64,
    left: u16,
    header: Header,
}

impl<'a> FrameRecords<'a> {
    /// `frame` begins with the frame of this header and may go on beyond it.
    #[inline]
    pub(crate) fn new(frame: &'a [u8], header: &Header) -> FrameRecords<'a> {
        let body = frame.get(HEADER_SIZE + usize::from(header.optional_size)..header.size as usize - header.pad());
        let left = if header.kind == Kind::Data { header.count } else { 0 };
        let header = Header { term: frame::trusted_term(frame, header), ..*header };
        FrameRecords { rest: body.unwrap_or_default(), offset: header.base_offset, left, header }
    }

    /// Passes over the records below `offset`.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        while self.offset < offset && self.next().is_some() {}
    }

    #[inline]
    fn read(&mut self) -> Option<Parts<'a>> {
        if self.header.single {
            return single(self.rest, &self.header);
        }
        let (parts, rest) = listed(self.rest)?;
        self.rest = rest;
        Some(parts)
    }
}

impl<'a> Iterator for FrameRecords<'a> {
    type Item = RecordView<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordView<'a>> {
        self.left = self.left.checked_sub(1)?;
        let Some(parts) = self.read() else {
            self.left = 0;
            return None;
        };
        let offset = self.offset;
        self.offset += 1;
        Some(RecordView {
            offset,
            timestamp: parts.time.unwrap_or_else(|| self.header.create_time()),
            append_time: self.header.append_time,
            term: self.header.term,
            key: parts.key,
            value: parts.value,
            headers: parts.headers,
        })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for FrameRecords<'_> {}

#[inline]
fn single<'a>(body: &'a [u8], header: &Header) -> Option<Parts<'a>> {
    let (headers_size, body) = if header.flags & frame::HAS_HEADERS != 0 {
        let (size, body) = body.split_first_chunk::<4>()?;
        (u32::from_le_bytes(*size) as usize, body)
    } else {
        (0, body)
    };
    let (body, headers) = body.split_at_checked(body.len().checked_sub(headers_size)?)?;
    let (key, value) = body.split_at_checked(usize::from(header.key_size))?;
    Some(Parts {
        key: (header.flags & frame::NULL_KEY == 0).then_some(key),
        value: (header.flags & frame::NULL_VALUE == 0).then_some(value),
        headers,
        time: None,
    })
}

#[inline]
fn listed(body: &[u8]) -> Option<(Parts<'_>, &[u8])> {
    let (prefix, mut rest) = body.split_first_chunk::<LIST_PREFIX>()?;
    let prefix = u64::from_le_bytes(*prefix);
    let value_size = prefix as u32 as usize;
    let mut key_size = usize::from((prefix >> 32) as u16);
    let flags = (prefix >> 48) as u8;
    let mut parts = Parts::default();
    let mut headers_size = 0;
    if flags & LIST_EXTRAS != 0 {
        (key_size, headers_size, parts.time, rest) = extras(flags, key_size, rest)?;
    }
    let (key, rest) = rest.split_at_checked(key_size)?;
    let (value, rest) = rest.split_at_checked(value_size)?;
    let (headers, rest) = rest.split_at_checked(headers_size)?;
    parts.key = (flags & LIST_NULL_KEY == 0).then_some(key);
    parts.value = (flags & LIST_NULL_VALUE == 0).then_some(value);
    parts.headers = headers;
    Some((parts, rest))
}

type Extras<'a> = (usize, usize, Option<i64>, &'a [u8]);

fn extras(flags: u8, mut key_size: usize, mut rest: &[u8]) -> Option<Extras<'_>> {
    let mut time = None;
    let mut headers_size = 0;
    if flags & OWN_TIME != 0 {
        let (bytes, after) = rest.split_first_chunk::<8>()?;
        (time, rest) = (Some(i64::from_le_bytes(*bytes)), after);
    }
    if flags & LONG_KEY != 0 {
        let (bytes, after) = rest.split_first_chunk::<4>()?;
        (key_size, rest) = (u32::from_le_bytes(*bytes) as usize, after);
    }
    if flags & LIST_HEADERS != 0 {
        let (bytes, after) = rest.split_first_chunk::<4>()?;
        (headers_size, rest) = (u32::from_le_bytes(*bytes) as usize, after);
    }
    Some((key_size, headers_size, time, rest))
}

/// Checks that the records of a frame fill its body exactly. `frame` is the whole frame, its checksum valid.
pub(super) fn check_shape(frame: &[u8], header: &Header) -> Result<(), FrameError> {
    let end = frame.len() - header.pad();
    let Some(body) = frame.get(HEADER_SIZE + usize::from(header.optional_size)..end) else {
        return Err(FrameError::BadBody);
    };
    if frame[end..].iter().any(|byte| *byte != 0) {
        return Err(FrameError::BadBody);
    }
    if header.single {
        let null_sizes = header.flags & frame::NULL_VALUE == 0;
        return match single(body, header) {
            Some(parts) if null_sizes || value_is_empty(body, header, &parts) => {
                check_parts(&parts, header.flags & frame::HAS_HEADERS != 0)
            }
            _ => Err(FrameError::BadBody),
        };
    }
    check_list(body, header)
}

/// Whether a single record without a value has no bytes where the value would stand.
fn value_is_empty(body: &[u8], header: &Header, parts: &Parts<'_>) -> bool {
    let prefix = if header.flags & frame::HAS_HEADERS != 0 { 4 } else { 0 };
    body.len() == prefix + usize::from(header.key_size) + parts.headers.len()
}

fn check_list(mut body: &[u8], header: &Header) -> Result<(), FrameError> {
    let own_times = header.flags & frame::OWN_TIMES != 0;
    for _ in 0..header.count {
        let Some(prefix) = body.first_chunk::<LIST_PREFIX>() else {
            return Err(FrameError::BadBody);
        };
        let [v0, v1, v2, v3, k0, k1, flags, zero] = *prefix;
        if flags & LIST_UNKNOWN != 0 || zero != 0 {
            return Err(FrameError::Unsupported(format!("this build does not know record flags {flags:#04x}, {zero}")));
        }
        let key_size = u16::from_le_bytes([k0, k1]);
        let value_size = u32::from_le_bytes([v0, v1, v2, v3]);
        let unsized_key = flags & (LIST_NULL_KEY | LONG_KEY) != 0;
        let both = flags & LIST_NULL_KEY != 0 && flags & LONG_KEY != 0;
        if both || (unsized_key && key_size != 0) || (flags & LIST_NULL_VALUE != 0 && value_size != 0) {
            return Err(FrameError::BadBody);
        }
        let Some((parts, rest)) = listed(body) else {
            return Err(FrameError::BadBody);
        };
        check_parts(&parts, flags & LIST_HEADERS != 0)?;
        // Whoever looks for a time relies on what the header says of it.
        let time_fits =
            parts.time.map_or(header.create_time() <= header.newest(), |time| own_times && time <= header.newest());
        if !time_fits {
            return Err(FrameError::BadBody);
        }
        body = rest;
    }
    if body.is_empty() { Ok(()) } else { Err(FrameError::BadBody) }
}

#[inline]
fn check_parts(parts: &Parts<'_>, has_headers: bool) -> Result<(), FrameError> {
    let time_fits = parts.time.is_none_or(|time| (-TIME_MAX..=TIME_MAX).contains(&time));
    let headers_fit = if has_headers { Headers::are_whole(parts.headers) } else { parts.headers.is_empty() };
    if time_fits && headers_fit { Ok(()) } else { Err(FrameError::BadBody) }
}
