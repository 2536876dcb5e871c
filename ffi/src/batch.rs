//! Batches: memory that is lent, and where in it the records are.

use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use thalweg::{Batch, Topic};

use crate::arguments::check;
use crate::call::{call, call_on};
use crate::copy::{Copied, Target};
use crate::error::thalweg_error;
use crate::failure::{Answer, Failure};
use crate::handle::Table;
use crate::indexes::{Charge, Indexes};
use crate::record::thalweg_header;
use crate::status::{CLOSED, INVALID_ARGUMENT, NOT_FOUND, PANIC, thalweg_status};
use crate::text::thalweg_bytes;

/// Records that were read, in order, in memory that is shared with the engine. Release it with thalweg_batch_release.
pub struct thalweg_batch {
    _opaque: (),
}

/// Entry flag: the record has a key, if an empty one.
pub const THALWEG_ENTRY_KEY: u16 = 1;
/// Entry flag: the record has a value, if an empty one.
pub const THALWEG_ENTRY_VALUE: u16 = 2;
/// Entry flag: the record's batch was appended with a term; thalweg_batch_term tells it.
pub const THALWEG_ENTRY_TERM: u16 = 4;

/// Where a record is in the memory of its batch. Positions are bytes from its beginning.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_entry {
    /// The record's offset in its partition. Offsets grow, and may skip, where an append was given up or records are
    /// damaged. So take the next from next_offset, not from a count.
    pub offset: u64,
    /// The time it was given, or else at which it was appended, in ms since 1970.
    pub timestamp: i64,
    /// Where its key begins.
    pub key_position: u32,
    /// Bytes of its key.
    pub key_size: u32,
    /// Where its value begins.
    pub value_position: u32,
    /// Bytes of its value.
    pub value_size: u32,
    /// Where its first header begins: a u16 with the size of its name, a u32 with the size of its value (all ones: none),
    /// both little-endian, the name and the value; the next one follows. thalweg_batch_header reads them, too.
    pub headers_position: u32,
    /// How many headers.
    pub header_count: u16,
    /// THALWEG_ENTRY_KEY and its like, together.
    pub flags: u16,
}

/// What a batch has. Everything that it points to is readable until the batch is released.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_batch_view {
    /// The memory that the records are in; NULL if there are none.
    pub data: *const u8,
    /// Bytes of it.
    pub data_size: usize,
    /// The records, by offset; NULL if there are none.
    pub entries: *const thalweg_entry,
    /// How many.
    pub count: usize,
    /// Where to read on: behind the last record.
    pub next_offset: u64,
    /// The topic's name, ends with a zero byte. Empty for a list of key-values.
    pub topic: *const c_char,
    /// The topic's number.
    pub topic_id: u32,
    /// The partition's index.
    pub partition: u32,
}

/// Where records came from.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) topic: Arc<CStr>,
    pub(crate) topic_id: u32,
    pub(crate) partition: u32,
}

impl Origin {
    pub(crate) fn new(topic: &Topic, partition: u32) -> Origin {
        Origin { topic: c_name(topic.name()), topic_id: topic.id(), partition }
    }
}

/// A topic's name for C.
pub(crate) fn c_name(name: &str) -> Arc<CStr> {
    std::ffi::CString::new(name).unwrap_or_default().into()
}

enum Memory {
    Lent(Batch),
    Own(Vec<u8>),
}

impl Memory {
    fn bytes(&self) -> &[u8] {
        match self {
            Memory::Lent(batch) => batch.bytes(),
            Memory::Own(bytes) => bytes,
        }
    }
}

pub(crate) struct BatchObject {
    memory: Memory,
    entries: Vec<thalweg_entry>,
    next_offset: u64,
    origin: Origin,
    /// Releases that are still to come.
    owners: AtomicU32,
    /// Append time and term of each record, for those who ask.
    stamps: OnceLock<Vec<(i64, Option<u64>)>>,
    _charge: Option<Charge>,
}

pub(crate) static BATCHES: Table<BatchObject> = Table::new(4, "a batch");

/// Position and size of a part of `memory`.
#[inline]
fn place(memory: *const u8, part: Option<&[u8]>) -> (u32, u32) {
    // Both are below 4 GiB: a batch is one block of memory, or one frame.
    part.map_or((0, 0), |part| ((part.as_ptr() as usize - memory as usize) as u32, part.len() as u32))
}

fn entries(batch: &Batch) -> Vec<thalweg_entry> {
    let memory = batch.bytes().as_ptr();
    let mut entries = Vec::with_capacity(batch.len());
    batch.iter().for_each(|record| {
        let (key_position, key_size) = place(memory, record.key);
        let (value_position, value_size) = place(memory, record.value);
        let mut entry = thalweg_entry {
            offset: record.offset,
            timestamp: record.timestamp,
            key_position,
            key_size,
            value_position,
            value_size,
            headers_position: 0,
            header_count: 0,
            flags: (if record.key.is_some() { THALWEG_ENTRY_KEY } else { 0 })
                | (if record.value.is_some() { THALWEG_ENTRY_VALUE } else { 0 })
                | (if record.term.is_some() { THALWEG_ENTRY_TERM } else { 0 }),
        };
        if let Some((count, headers)) = record.stored_headers().split_first_chunk::<2>() {
            entry.header_count = u16::from_le_bytes(*count);
            entry.headers_position = place(memory, Some(headers)).0;
        }
        entries.push(entry);
    });
    entries
}

impl BatchObject {
    /// A batch of the engine's.
    pub(crate) fn lent(batch: Batch, origin: Origin, indexes: &Arc<Indexes>) -> BatchObject {
        let entries = entries(&batch);
        let charge = Charge::new(indexes, entries.capacity() * size_of::<thalweg_entry>());
        let next_offset = batch.next_offset();
        BatchObject::new(Memory::Lent(batch), entries, next_offset, origin, Some(charge))
    }

    /// Keys and values that were copied, as records of no topic.
    pub(crate) fn copied<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> BatchObject {
        let (mut bytes, mut entries) = (Vec::new(), Vec::new());
        for (key, value) in pairs {
            let key_position = bytes.len() as u32;
            bytes.extend_from_slice(key);
            let value_position = bytes.len() as u32;
            bytes.extend_from_slice(value);
            entries.push(thalweg_entry {
                offset: entries.len() as u64,
                timestamp: 0,
                key_position,
                key_size: key.len() as u32,
                value_position,
                value_size: value.len() as u32,
                headers_position: 0,
                header_count: 0,
                flags: THALWEG_ENTRY_KEY | THALWEG_ENTRY_VALUE,
            });
        }
        let origin = Origin { topic: c_name(""), topic_id: 0, partition: 0 };
        let next = entries.len() as u64;
        BatchObject::new(Memory::Own(bytes), entries, next, origin, None)
    }

    fn new(
        memory: Memory,
        entries: Vec<thalweg_entry>,
        next_offset: u64,
        origin: Origin,
        charge: Option<Charge>,
    ) -> BatchObject {
        let (owners, stamps) = (AtomicU32::new(1), OnceLock::new());
        BatchObject { memory, entries, next_offset, origin, owners, stamps, _charge: charge }
    }

    /// The view of the batch. Neither memory nor entries move with the object.
    fn view(&self) -> thalweg_batch_view {
        let (data, none) = (self.memory.bytes(), self.entries.is_empty());
        thalweg_batch_view {
            data: if none { std::ptr::null() } else { data.as_ptr() },
            data_size: if none { 0 } else { data.len() },
            entries: if none { std::ptr::null() } else { self.entries.as_ptr() },
            count: self.entries.len(),
            next_offset: self.next_offset,
            topic: self.origin.topic.as_ptr(),
            topic_id: self.origin.topic_id,
            partition: self.origin.partition,
        }
    }

    /// One owner less; how many are left.
    fn release(&self) -> Answer<u32> {
        let less = |owners: u32| owners.checked_sub(1);
        match self.owners.fetch_update(Ordering::AcqRel, Ordering::Acquire, less) {
            Ok(before) => Ok(before - 1),
            Err(_) => Err(Failure::new(CLOSED, "the batch has no owner left")),
        }
    }

    /// Copies as many records as fit.
    pub(crate) fn copy_to(&self, target: Target) -> Answer<Copied> {
        target.copy(self.memory.bytes(), &self.entries)
    }

    /// Where to read on behind the first `count` records.
    pub(crate) fn offset_behind(&self, count: usize) -> u64 {
        match self.entries.get(count) {
            Some(next) => next.offset,
            None => self.next_offset,
        }
    }

    fn entry(&self, index: usize) -> Answer<&thalweg_entry> {
        self.entries.get(index).ok_or_else(|| {
            let count = self.entries.len();
            Failure::new(NOT_FOUND, format!("record {index} of a batch that has {count}"))
        })
    }

    fn stamp(&self, index: usize) -> Answer<(i64, Option<u64>)> {
        self.entry(index)?;
        let stamps = self.stamps.get_or_init(|| match &self.memory {
            Memory::Lent(batch) => batch.iter().map(|record| (record.append_time, record.term)).collect(),
            Memory::Own(_) => vec![(0, None); self.entries.len()],
        });
        Ok(stamps[index])
    }
}

/// Where a read puts the batch that it lends.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    batch: *mut *mut thalweg_batch,
    view: *mut thalweg_batch_view,
}

impl Place {
    #[inline]
    pub(crate) fn check(batch: *mut *mut thalweg_batch, view: *mut thalweg_batch_view) -> Answer<Place> {
        check(batch, "batch")?;
        check(view, "view")?;
        Ok(Place { batch, view })
    }

    /// Opens a handle for the caller, whose places were checked and are valid for writes.
    pub(crate) fn put(self, object: BatchObject) -> Answer {
        let view = object.view();
        let handle = BATCHES.open(object)?;
        // SAFETY: not NULL, and the caller's.
        unsafe {
            self.batch.write(handle);
            self.view.write(view);
        }
        Ok(())
    }
}

/// Releases a batch, once for each owner: whoever got it, and each thalweg_batch_retain. After the last release its memory
/// goes back to the engine. The engine, the topic and the reader may be closed before. NULL is allowed.
///
/// Does not block. Any thread, in any order. Errors: CLOSED if it was released already; INVALID_ARGUMENT, FORKED. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_batch_release(batch: *mut thalweg_batch, error: *mut thalweg_error) -> thalweg_status {
    let run = || {
        if batch.is_null() {
            return Ok(());
        }
        let left = match BATCHES.get(batch) {
            Ok(object) => object.release()?,
            // A call has panicked inside: nothing but closing is left.
            Err(failure) if failure.status() == PANIC => 0,
            Err(failure) => return Err(failure),
        };
        if left == 0 {
            BATCHES.close(batch)?;
        }
        Ok(())
    };
    // SAFETY: the caller's error is what it says.
    unsafe { call(error, run) }
}

/// Gives a batch one more owner, who is to release it, too.
///
/// Does not block. Any thread. Errors: CLOSED if it was released; INVALID_ARGUMENT, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_batch_retain(batch: *mut thalweg_batch, error: *mut thalweg_error) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe {
        call_on(&BATCHES, batch, error, |object| {
            let more = |owners: u32| if owners == 0 { None } else { owners.checked_add(1) };
            match object.owners.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
                Ok(_) => Ok(()),
                Err(_) => Err(Failure::new(INVALID_ARGUMENT, "the batch has no owner left, or too many")),
            }
        })
    }
}

/// What a batch has, once more: the same as the read that gave it out has told. view: gets it.
///
/// Does not block. Any thread. Errors: CLOSED if it was released; INVALID_ARGUMENT, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_batch_get_view(
    batch: *mut thalweg_batch,
    view: *mut thalweg_batch_view,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&BATCHES, batch, error, |object| {
            check(view, "view")?;
            view.write(object.view());
            Ok(())
        })
    }
}

/// A header of a record. entry: the record's place in entries, from 0. index: the header's, from 0. header: gets its name
/// and value, which are readable until the batch is released; neither ends with a zero byte.
///
/// Does not block; takes longer for higher indexes. Any thread. Errors: NOT_FOUND if there is no such record or header;
/// CLOSED if the batch was released; INVALID_ARGUMENT, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_batch_header(
    batch: *mut thalweg_batch,
    entry: usize,
    index: usize,
    header: *mut thalweg_header,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&BATCHES, batch, error, |object| {
            check(header, "header")?;
            let count = usize::from(object.entry(entry)?.header_count);
            let found = match &object.memory {
                // Records may have offsets that skip, so their places are counted.
                Memory::Lent(batch) if index < count => batch.iter().nth(entry).and_then(|r| r.headers().nth(index)),
                _ => None,
            };
            let Some(found) = found else {
                return Err(Failure::new(NOT_FOUND, format!("header {index} of a record that has {count}")));
            };
            let name = thalweg_bytes::of(Some(found.name.as_bytes()));
            header.write(thalweg_header { name, value: thalweg_bytes::of(found.value) });
            Ok(())
        })
    }
}

/// When a record was appended, in ms since 1970: never before the one in front of it. entry: the record's place in entries.
/// append_time: gets it. The first call for a batch takes longer.
///
/// Does not block. Any thread. Errors: NOT_FOUND if there is no such record; CLOSED if the batch was released;
/// INVALID_ARGUMENT, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_batch_append_time(
    batch: *mut thalweg_batch,
    entry: usize,
    append_time: *mut i64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&BATCHES, batch, error, |object| {
            check(append_time, "append_time")?;
            append_time.write(object.stamp(entry)?.0);
            Ok(())
        })
    }
}

/// The term that a record's batch was appended with. entry: the record's place in entries. The first call for a batch takes
/// longer.
///
/// Does not block. Any thread. Errors: NOT_FOUND if there is no such record, or it has no term; CLOSED if the batch was
/// released; INVALID_ARGUMENT, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_batch_term(
    batch: *mut thalweg_batch,
    entry: usize,
    term: *mut u64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&BATCHES, batch, error, |object| {
            check(term, "term")?;
            let Some(found) = object.stamp(entry)?.1 else {
                return Err(Failure::new(NOT_FOUND, "the record was appended without a term"));
            };
            term.write(found);
            Ok(())
        })
    }
}

/// Copies records of a batch for whoever wants to keep them without holding it: those from the entry first on of which
/// keys, values and headers fit the buffer. entries gets their places, positions counted in the buffer.
///
/// buffer and capacity: where the bytes go. entries and entry_capacity: where their places go. count: gets how many records
/// were copied; 0 if first is behind the last.
///
/// Does not block. Any thread. Errors: TOO_LARGE if not even the first fits; CLOSED if the batch was released;
/// INVALID_ARGUMENT, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_batch_copy(
    batch: *mut thalweg_batch,
    first: usize,
    buffer: *mut c_void,
    capacity: usize,
    entries: *mut thalweg_entry,
    entry_capacity: usize,
    count: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&BATCHES, batch, error, |object| {
            check(count, "count")?;
            let target = Target::check(buffer, capacity, entries, entry_capacity)?;
            let rest = object.entries.get(first..).unwrap_or_default();
            count.write(target.copy(object.memory.bytes(), rest)?.count);
            Ok(())
        })
    }
}
