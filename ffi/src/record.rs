//! Records that are appended.

use std::ops::Range;

use thalweg::limits::{BATCH_RECORDS_MAX, HEADER_NAME_MAX, HEADERS_MAX, KEY_MAX, RECORD_MAX};
use thalweg::{Record, RecordHeader, RecordList, RecordSource};

use crate::arguments::array;
use crate::failure::{Answer, Failure};
use crate::status::INVALID_ARGUMENT;
use crate::text::thalweg_bytes;

/// Record flag: timestamp is set. Without it the record has the time at which it is appended.
pub const THALWEG_RECORD_TIMESTAMP: u32 = 1;

/// A header of a record: a name and bytes, or none (data NULL).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_header {
    /// UTF-8, up to 1,024 bytes.
    pub name: thalweg_bytes,
    /// The content.
    pub value: thalweg_bytes,
}

/// A record to append. All zeros is a record without key, value and headers. What it points to is copied during the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_record {
    /// Chooses the partition, and names what the record is about: up to 1 MiB. data NULL: no key.
    pub key: thalweg_bytes,
    /// The content: key, value and headers together up to 16 MiB. data NULL: no value, which with a key is a tombstone.
    pub value: thalweg_bytes,
    /// Headers, kept in this order; names may repeat. NULL if there are none.
    pub headers: *const thalweg_header,
    /// How many, up to 1,024.
    pub header_count: usize,
    /// When it happened, in ms since 1970, if flags say so.
    pub timestamp: i64,
    /// THALWEG_RECORD_TIMESTAMP, or 0.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

impl thalweg_record {
    /// Whether [`check`](Self::check) refuses it: all at once, since a batch has many.
    #[inline(always)]
    fn is_wrong(&self) -> bool {
        self.is_unknown() | self.key.is_beyond(KEY_MAX) | self.value.is_beyond(RECORD_MAX)
    }

    #[inline(always)]
    fn is_unknown(&self) -> bool {
        (self.flags & !THALWEG_RECORD_TIMESTAMP) | self.reserved != 0
    }

    /// Refuses what it cannot be; its headers are not looked at.
    #[inline(always)]
    fn check(&self) -> Answer {
        if self.is_unknown() {
            return Err(unknown());
        }
        self.key.check(KEY_MAX, "a key")?;
        self.value.check(RECORD_MAX, "a value")
    }

    /// What it says, without its headers.
    ///
    /// # Safety
    /// It was [checked](Self::check), and what it points to is readable for as long as `'a`.
    #[inline(always)]
    unsafe fn checked<'a>(&self) -> Record<'a> {
        let mut record = Record::default();
        // SAFETY: as the caller says.
        (record.key, record.value) = unsafe { (self.key.checked(), self.value.checked()) };
        record.timestamp = (self.flags != 0).then_some(self.timestamp);
        record
    }

    /// Puts its headers behind those that are there.
    ///
    /// # Safety
    /// What it points to is readable for as long as `'a`.
    #[cold]
    unsafe fn headers<'a>(&self, into: &mut Vec<RecordHeader<'a>>) -> Answer {
        // SAFETY: as the caller says.
        for header in unsafe { array(self.headers, self.header_count, HEADERS_MAX, "headers")? } {
            // SAFETY: as the caller says.
            let name = unsafe { header.name.read(HEADER_NAME_MAX, "the name of a header")? }.unwrap_or_default();
            let Ok(name) = std::str::from_utf8(name) else {
                return Err(Failure::new(INVALID_ARGUMENT, "the name of a header is not UTF-8"));
            };
            // SAFETY: as the caller says.
            into.push(match unsafe { header.value.read(RECORD_MAX, "the value of a header")? } {
                Some(value) => RecordHeader::new(name, value),
                None => RecordHeader::null(name),
            });
        }
        Ok(())
    }
}

#[cold]
fn unknown() -> Failure {
    Failure::new(INVALID_ARGUMENT, "flags or reserved of a record have something that this version does not know")
}

/// A failure that is that of one record among several.
#[cold]
fn of_list(failure: Failure, nth: usize) -> Failure {
    failure.context(format_args!("record {nth} of the list"))
}

/// The records of one append, and the key that its partition may be chosen by.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub records: RecordList<'a>,
    pub key: Option<&'a [u8]>,
}

/// Runs with one record of the caller.
///
/// # Safety
/// What it points to is readable.
#[inline(always)]
pub(crate) unsafe fn with_record<T>(record: &thalweg_record, run: impl FnOnce(Given<'_>) -> Answer<T>) -> Answer<T> {
    let mut headers = Vec::new();
    record.check()?;
    // SAFETY: it was checked; else as the caller says.
    let mut made = [unsafe { record.checked() }];
    if record.header_count != 0 {
        // SAFETY: as the caller says.
        unsafe { record.headers(&mut headers)? };
        made[0].headers = &headers;
    }
    // In one place, where it becomes part of this.
    run(Given { key: made[0].key, records: (&made).into() })
}

/// Records without headers, which are read where the caller has them.
struct InPlace<'a>(&'a [thalweg_record]);

impl RecordSource for InPlace<'_> {
    #[inline]
    fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        // SAFETY: `with_records` has checked them, and its caller says that they are readable.
        self.0.iter().map(|record| unsafe { record.checked() })
    }
}

/// Runs with the records of the caller.
///
/// # Safety
/// What they point to is readable.
pub(crate) unsafe fn with_records<T>(
    records: *const thalweg_record,
    count: usize,
    run: impl FnOnce(Given<'_>) -> Answer<T>,
) -> Answer<T> {
    // SAFETY: as the caller says.
    let (records, headers) = unsafe { checked(records, count)? };
    // SAFETY: it was checked; else as the caller says.
    let key = records.first().and_then(|record| unsafe { record.checked() }.key);
    if headers {
        let run = |records: &[Record<'_>]| run(Given { key, records: records.into() });
        // SAFETY: as the caller says.
        return unsafe { listed(records, run) };
    }
    run(Given { key, records: RecordList::from_source(&InPlace(records)) })
}

/// As [`with_records`], with a list of them.
///
/// # Safety
/// What they point to is readable.
pub(crate) unsafe fn with_list<T>(
    records: *const thalweg_record,
    count: usize,
    run: impl FnOnce(&[Record<'_>]) -> Answer<T>,
) -> Answer<T> {
    // SAFETY: as the caller says.
    unsafe { listed(checked(records, count)?.0, run) }
}

/// The records of the caller, each of them checked, and whether any has headers.
///
/// # Safety
/// They are readable for as long as `'a`.
unsafe fn checked<'a>(records: *const thalweg_record, count: usize) -> Answer<(&'a [thalweg_record], bool)> {
    // SAFETY: as the caller says.
    let records = unsafe { array(records, count, BATCH_RECORDS_MAX, "records")? };
    let (mut headers, mut wrong) = (0, false);
    for record in records {
        wrong |= record.is_wrong();
        headers |= record.header_count;
    }
    if wrong {
        let check = |(nth, record): (usize, &thalweg_record)| record.check().map_err(|failure| of_list(failure, nth));
        records.iter().enumerate().try_for_each(check)?;
    }
    Ok((records, headers != 0))
}

/// Makes a list of records that were checked, with their headers.
///
/// # Safety
/// What they point to is readable.
unsafe fn listed<T>(records: &[thalweg_record], run: impl FnOnce(&[Record<'_>]) -> Answer<T>) -> Answer<T> {
    let mut headers = Vec::new();
    let mut ranges: Vec<Range<usize>> = Vec::with_capacity(records.len());
    for (nth, record) in records.iter().enumerate() {
        let first = headers.len();
        if record.header_count != 0 {
            // SAFETY: as the caller says.
            unsafe { record.headers(&mut headers) }.map_err(|failure| of_list(failure, nth))?;
        }
        ranges.push(first..headers.len());
    }
    // SAFETY: they were checked; else as the caller says.
    let made = |(record, range): (&thalweg_record, Range<usize>)| unsafe { record.checked() }.headers(&headers[range]);
    run(&records.iter().zip(ranges).map(made).collect::<Vec<_>>())
}

/// A value that is put together from pieces.
///
/// # Safety
/// What they point to is readable.
pub(crate) unsafe fn gather(parts: *const thalweg_bytes, count: usize) -> Answer<Vec<u8>> {
    // SAFETY: as the caller says.
    let parts = unsafe { array(parts, count, RECORD_MAX, "parts")? };
    let size = parts.iter().try_fold(0usize, |size, part| size.checked_add(part.size)).unwrap_or(usize::MAX);
    if size > RECORD_MAX {
        return Err(crate::text::too_large("a value", size, RECORD_MAX));
    }
    let mut gathered = Vec::with_capacity(size);
    for part in parts {
        // SAFETY: as the caller says.
        gathered.extend_from_slice(unsafe { part.read(RECORD_MAX, "a part")? }.unwrap_or_default());
    }
    Ok(gathered)
}
