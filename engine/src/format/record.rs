//! Records: what a caller hands in, and what a reader lends out.

use core::fmt;

/// One record to append: a key, a value, headers and a time, all optional, all borrowed.
///
/// Key and value are any bytes. An absent one (`None`) is not the same as an empty one: records without a key go to
/// partitions in turn, and a record with a key and no value is a *tombstone*, which says that the key is gone.
///
/// ```
/// use thalweg::{Record, RecordHeader};
///
/// let headers = [RecordHeader::new("trace", "4bf92f35"), RecordHeader::null("replayed")];
/// let record = Record::new(r#"{"item":7}"#).key("order-17").headers(&headers).timestamp(1_291_191_960_000);
///
/// assert_eq!(record.key, Some(&b"order-17"[..]));
/// assert_eq!(record.headers[1].value, None);
/// assert_eq!(Record::tombstone("order-17").value, None);
/// ```
///
/// The limits stand in [`limits`](crate::limits): [`KEY_MAX`](crate::limits::KEY_MAX) bytes of key,
/// [`HEADERS_MAX`](crate::limits::HEADERS_MAX) headers, and [`RECORD_MAX`](crate::limits::RECORD_MAX) bytes of key,
/// value and headers together. Beyond one, appending answers [`TooLarge`](crate::ErrorKind::TooLarge).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record<'a> {
    /// Chooses the partition, and names what the record is about.
    pub key: Option<&'a [u8]>,
    /// The content.
    pub value: Option<&'a [u8]>,
    /// Kept in this order; names may repeat.
    pub headers: &'a [RecordHeader<'a>],
    /// When it happened, in ms since 1970. `None`: when it is appended.
    pub timestamp: Option<i64>,
}

impl<'a> Record<'a> {
    /// A record with a value, and nothing else yet.
    #[inline]
    pub fn new<V: AsRef<[u8]> + ?Sized>(value: &'a V) -> Record<'a> {
        Record { key: None, value: Some(value.as_ref()), headers: &[], timestamp: None }
    }

    /// A record that says that a key is gone: no value.
    #[inline]
    pub fn tombstone<K: AsRef<[u8]> + ?Sized>(key: &'a K) -> Record<'a> {
        Record { key: Some(key.as_ref()), value: None, headers: &[], timestamp: None }
    }

    /// The same record with this key.
    #[inline]
    #[must_use]
    pub fn key<K: AsRef<[u8]> + ?Sized>(self, key: &'a K) -> Record<'a> {
        Record { key: Some(key.as_ref()), ..self }
    }

    /// The same record with these headers.
    #[inline]
    #[must_use]
    pub fn headers(self, headers: &'a [RecordHeader<'a>]) -> Record<'a> {
        Record { headers, ..self }
    }

    /// The same record with this create time, in ms since 1970.
    #[inline]
    #[must_use]
    pub fn timestamp(self, ms: i64) -> Record<'a> {
        Record { timestamp: Some(ms), ..self }
    }
}

/// A header of a record: a name, and any bytes or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordHeader<'a> {
    /// Up to [`HEADER_NAME_MAX`](crate::limits::HEADER_NAME_MAX) bytes.
    pub name: &'a str,
    /// The content.
    pub value: Option<&'a [u8]>,
}

impl<'a> RecordHeader<'a> {
    /// A header with a value.
    #[inline]
    pub fn new<V: AsRef<[u8]> + ?Sized>(name: &'a str, value: &'a V) -> RecordHeader<'a> {
        RecordHeader { name, value: Some(value.as_ref()) }
    }

    /// A header without a value.
    #[inline]
    pub fn null(name: &'a str) -> RecordHeader<'a> {
        RecordHeader { name, value: None }
    }
}

/// One record as it was read. It borrows the batch that it came from; nothing is copied.
///
/// ```
/// fn print(record: &thalweg::RecordView<'_>) {
///     let value = record.value.map(String::from_utf8_lossy).unwrap_or_default();
///     println!("{} at {} ms: {value}", record.offset, record.timestamp);
///     for header in record.headers() {
///         println!("  {}: {:?}", header.name, header.value);
///     }
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordView<'a> {
    /// Its number in the partition. Numbers grow, and may skip.
    pub offset: u64,
    /// The create time it was given, or else its append time, in ms since 1970.
    pub timestamp: i64,
    /// When it was appended, in ms since 1970. Never falls within a partition.
    pub append_time: i64,
    /// The term that its batch was [given](crate::AppendOptions::term).
    pub term: Option<u64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// The headers as stored, or nothing.
    pub(super) headers: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Its headers, in the order given.
    #[inline]
    pub fn headers(&self) -> Headers<'a> {
        Headers::stored(self.headers)
    }

    /// Its headers as they are stored, or nothing: a u16 with their number, and for each the u16 size of its name, the
    /// u32 size of its value (all ones: none), the name and the value.
    #[inline]
    pub fn stored_headers(&self) -> &'a [u8] {
        self.headers
    }
}

impl fmt::Debug for RecordView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordView")
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("append_time", &self.append_time)
            .field("term", &self.term)
            .field("key", &self.key)
            .field("value", &self.value)
            .field("headers", &self.headers())
            .finish()
    }
}

/// The headers of a record that was read.
#[derive(Clone, Default)]
pub struct Headers<'a> {
    rest: &'a [u8],
    left: u16,
}

/// Bytes before a stored header's name: the sizes of name and value.
pub(super) const HEADER_PREFIX: usize = 6;
/// The value size that stands for no value.
const NULL_SIZE: u32 = u32::MAX;

impl<'a> Headers<'a> {
    fn stored(bytes: &'a [u8]) -> Headers<'a> {
        match bytes.split_first_chunk::<2>() {
            Some((count, rest)) => Headers { rest, left: u16::from_le_bytes(*count) },
            None => Headers::default(),
        }
    }

    fn read(&mut self) -> Option<RecordHeader<'a>> {
        let (prefix, rest) = self.rest.split_first_chunk::<HEADER_PREFIX>()?;
        let [a, b, c, d, e, f] = *prefix;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([a, b])))?;
        let name = core::str::from_utf8(name).ok()?;
        let (value, rest) = match u32::from_le_bytes([c, d, e, f]) {
            NULL_SIZE => (None, rest),
            size => rest.split_at_checked(size as usize).map(|(value, rest)| (Some(value), rest))?,
        };
        self.rest = rest;
        Some(RecordHeader { name, value })
    }

    /// Whether stored headers are whole: as many as they say, and nothing after them.
    pub(super) fn are_whole(bytes: &[u8]) -> bool {
        let mut headers = Headers::stored(bytes);
        while headers.left > 0 {
            headers.left -= 1;
            if headers.read().is_none() {
                return false;
            }
        }
        bytes.len() >= 2 && headers.rest.is_empty()
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = RecordHeader<'a>;

    fn next(&mut self) -> Option<RecordHeader<'a>> {
        self.left = self.left.checked_sub(1)?;
        let header = self.read();
        if header.is_none() {
            self.left = 0;
        }
        header
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for Headers<'_> {}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// Bytes that a record's headers take when stored.
#[inline]
pub(super) fn stored_size(headers: &[RecordHeader<'_>]) -> usize {
    if headers.is_empty() {
        return 0;
    }
    2 + headers.iter().map(|h| HEADER_PREFIX + h.name.len() + h.value.map_or(0, <[u8]>::len)).sum::<usize>()
}

/// Stores headers whose limits were checked; answers what is left of `into`.
pub(super) fn store<'b>(headers: &[RecordHeader<'_>], into: &'b mut [u8]) -> &'b mut [u8] {
    let mut rest = put(into, &(headers.len() as u16).to_le_bytes());
    for header in headers {
        rest = put(rest, &(header.name.len() as u16).to_le_bytes());
        rest = put(rest, &header.value.map_or(NULL_SIZE, |value| value.len() as u32).to_le_bytes());
        rest = put(rest, header.name.as_bytes());
        rest = put(rest, header.value.unwrap_or_default());
    }
    rest
}

/// Copies `bytes` to the front of `into`; answers what is left of it.
#[inline]
pub(super) fn put<'b>(into: &'b mut [u8], bytes: &[u8]) -> &'b mut [u8] {
    let (at, rest) = into.split_at_mut(bytes.len());
    at.copy_from_slice(bytes);
    rest
}
