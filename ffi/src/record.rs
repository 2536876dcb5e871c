//! Records that are appended.

use std::mem::MaybeUninit;
use std::ops::Range;

use thalweg::limits::{BATCH_RECORDS_MAX, HEADER_NAME_MAX, HEADERS_MAX, KEY_MAX, RECORD_MAX};
use thalweg::{Record, RecordHeader};

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
    /// Makes this one, without its headers, in `place`, which is filled unless it fails: to be moved costs more than all
    /// else here.
    ///
    /// # Safety
    /// What it points to is readable for as long as `'a`.
    #[inline(always)]
    unsafe fn make<'a>(&self, place: &mut MaybeUninit<Record<'a>>) -> Answer {
        if (self.flags & !THALWEG_RECORD_TIMESTAMP) | self.reserved != 0 {
            return Err(unknown());
        }
        // SAFETY: as the caller says.
        let (key, value) = unsafe { (self.key.read(KEY_MAX, "a key")?, self.value.read(RECORD_MAX, "a value")?) };
        let record = place.write(Record::default());
        (record.key, record.value) = (key, value);
        record.timestamp = (self.flags != 0).then_some(self.timestamp);
        Ok(())
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

/// Runs with one record of the caller.
///
/// # Safety
/// What it points to is readable.
#[inline(always)]
pub(crate) unsafe fn with_record<T>(
    record: &thalweg_record,
    run: impl FnOnce(&[Record<'_>]) -> Answer<T>,
) -> Answer<T> {
    let mut headers = Vec::new();
    let mut made = MaybeUninit::uninit();
    // SAFETY: as the caller says.
    unsafe { record.make(&mut made)? };
    // SAFETY: it was made.
    let made = unsafe { made.assume_init_mut() };
    if record.header_count != 0 {
        // SAFETY: as the caller says.
        unsafe { record.headers(&mut headers)? };
        made.headers = &headers;
    }
    // In one place, where it becomes part of this.
    run(std::slice::from_ref(made))
}

/// Records that are made where they stay without asking for memory.
const FEW: usize = 128;

/// Runs with the records of the caller.
///
/// # Safety
/// What they point to is readable.
pub(crate) unsafe fn with_records<T>(
    records: *const thalweg_record,
    count: usize,
    run: impl FnOnce(&[Record<'_>]) -> Answer<T>,
) -> Answer<T> {
    // SAFETY: as the caller says.
    let records = unsafe { array(records, count, BATCH_RECORDS_MAX, "records")? };
    let mut few = [const { MaybeUninit::uninit() }; FEW];
    let mut many = Vec::new();
    let room = match few.get_mut(..records.len()) {
        Some(room) => room,
        None => {
            many.resize_with(records.len(), MaybeUninit::uninit);
            &mut many[..]
        }
    };
    let mut headers = 0;
    for (record, room) in records.iter().zip(&mut *room) {
        // SAFETY: as the caller says.
        unsafe { record.make(room)? };
        headers |= record.header_count;
    }
    // SAFETY: each was written, for there are as many as records.
    let made = unsafe { &mut *(std::ptr::from_mut(room) as *mut [Record<'_>]) };
    if headers == 0 {
        return run(made);
    }
    let mut headers = Vec::new();
    let mut ranges: Vec<Range<usize>> = Vec::with_capacity(records.len());
    for record in records {
        let first = headers.len();
        // SAFETY: as the caller says.
        unsafe { record.headers(&mut headers)? };
        ranges.push(first..headers.len());
    }
    for (record, range) in made.iter_mut().zip(ranges) {
        record.headers = &headers[range];
    }
    run(made)
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
