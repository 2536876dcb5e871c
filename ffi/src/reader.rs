//! Readers of one partition, and reads without one.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use thalweg::{Batch, Reader};

use crate::arguments::check;
use crate::batch::{BatchObject, Origin, Place, thalweg_batch, thalweg_batch_view, thalweg_entry};
use crate::call::{call_on, close, timeout};
use crate::copy::Target;
use crate::error::thalweg_error;
use crate::failure::{Answer, Failure};
use crate::handle::Table;
use crate::indexes::Indexes;
use crate::start::start;
use crate::status::{PANIC, TIMED_OUT, WOULD_BLOCK, thalweg_status};
use crate::topic::{TOPICS, thalweg_topic};

/// A place in one partition, moving on. One thread at a time. Close it with thalweg_reader_close.
pub struct thalweg_reader {
    _opaque: (),
}

pub(crate) struct ReaderObject {
    reader: Mutex<Reader>,
    origin: Origin,
    indexes: Arc<Indexes>,
}

pub(crate) static READERS: Table<ReaderObject> = Table::new(5, "a reader");

/// Enters what one thread at a time may use.
pub(crate) fn alone<T>(mutex: &Mutex<T>) -> Answer<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Ok(guard),
        Err(TryLockError::WouldBlock) => Err(Failure::new(WOULD_BLOCK, "another thread is in a call of this handle")),
        Err(TryLockError::Poisoned(_)) => Err(Failure::new(PANIC, "an earlier call has panicked inside")),
    }
}

/// The answer when nothing was there in the time given.
pub(crate) fn nothing(timeout: Option<Duration>) -> Failure {
    match timeout {
        Some(Duration::ZERO) => Failure::bare(WOULD_BLOCK),
        _ => Failure::bare(TIMED_OUT),
    }
}

/// Opens a reader of one partition, which moves on by itself and has the device asked ahead.
///
/// start_at and value: THALWEG_START_EARLIEST and its like, but THALWEG_START_COMMITTED. reader: gets the handle, which is
/// yours to close with thalweg_reader_close; the topic's may be closed before.
///
/// Blocks: a start by time reads the device. Any thread. Errors: OUT_OF_RANGE for an offset below the log start offset or
/// beyond the high watermark; NOT_FOUND for a partition that the topic does not have; INVALID_ARGUMENT; CORRUPT, IO;
/// DELETED; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_reader_open(
    topic: *mut thalweg_topic,
    partition: u32,
    start_at: u32,
    value: u64,
    reader: *mut *mut thalweg_reader,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            check(reader, "reader")?;
            let opened = object.topic.reader(partition, start(start_at, value)?)?;
            let origin = Origin::new(&object.topic, partition);
            let made = ReaderObject { reader: Mutex::new(opened), origin, indexes: Arc::clone(&object.indexes) };
            reader.write(READERS.open(made)?);
            Ok(())
        })
    }
}

/// Closes a reader. Its batches stay. A call that another thread is in goes on to its end. NULL is allowed.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_reader_close(
    reader: *mut thalweg_reader,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe { close(&READERS, reader, error, |_| Ok(())) }
}

/// The next records of a reader: up to max_bytes, but at least one batch as it was appended, whatever its size; often
/// less, though more is there, for they lie in one piece of memory. Waits for them until the time is over.
///
/// timeout_ms: negative is without end, 0 for the device only. batch: gets the handle, which is yours to release with
/// thalweg_batch_release. view: gets what is in it.
///
/// Blocks: waits for the device and for records. One thread at a time. Errors: TIMED_OUT, or WOULD_BLOCK with timeout_ms 0,
/// if there is nothing; CORRUPT where acknowledged records are damaged: a seek to the end of the range that the error
/// names reads on; OUT_OF_RANGE if the log start has overtaken the reader or the log was cut before it; NO_MEMORY if
/// batches that are held use up the readers' part of the memory; IO; PARTITION_FAILED behind the last record of a
/// partition that takes no more; INVALID_ARGUMENT; DELETED; CLOSED, FORKED. The reader then is where it was. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_reader_next(
    reader: *mut thalweg_reader,
    max_bytes: usize,
    timeout_ms: i64,
    batch: *mut *mut thalweg_batch,
    view: *mut thalweg_batch_view,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&READERS, reader, error, |object| {
            let place = Place::check(batch, view)?;
            object.indexes.check()?;
            let timeout = timeout(timeout_ms);
            let read = alone(&object.reader)?.next(max_bytes, timeout).map_err(Failure::of_read)?;
            lend(read, timeout, &object.origin, &object.indexes, place)
        })
    }
}

fn lend(batch: Batch, timeout: Option<Duration>, origin: &Origin, indexes: &Arc<Indexes>, place: Place) -> Answer {
    if batch.is_empty() {
        return Err(nothing(timeout));
    }
    place.put(BatchObject::lent(batch, origin.clone(), indexes))
}

/// The offset that a reader reads next.
///
/// Does not block. One thread at a time. Errors: INVALID_ARGUMENT; WOULD_BLOCK if another thread is in a call of it;
/// CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_reader_offset(
    reader: *mut thalweg_reader,
    offset: *mut u64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&READERS, reader, error, |object| {
            check(offset, "offset")?;
            offset.write(alone(&object.reader)?.offset());
            Ok(())
        })
    }
}

/// Goes somewhere else. start_at and value: as for thalweg_reader_open.
///
/// Blocks: a start by time reads the device. One thread at a time. Errors: OUT_OF_RANGE for an offset that is;
/// INVALID_ARGUMENT; CORRUPT, IO; WOULD_BLOCK if another thread is in a call of it; DELETED; CLOSED, FORKED. The reader
/// then stays where it was. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_reader_seek(
    reader: *mut thalweg_reader,
    start_at: u32,
    value: u64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe { call_on(&READERS, reader, error, |object| Ok(alone(&object.reader)?.seek(start(start_at, value)?)?)) }
}

/// Reads from an offset, without a reader: up to max_bytes, but at least one batch as it was appended. The first entry may
/// lie behind the offset, because offsets may skip; read on at next_offset of the view.
///
/// The other arguments are those of thalweg_reader_next.
///
/// Blocks: waits for the device and for records. Any thread. Errors: as thalweg_reader_next; NOT_FOUND for a partition that
/// the topic does not have. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_read(
    topic: *mut thalweg_topic,
    partition: u32,
    offset: u64,
    max_bytes: usize,
    timeout_ms: i64,
    batch: *mut *mut thalweg_batch,
    view: *mut thalweg_batch_view,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            let place = Place::check(batch, view)?;
            object.indexes.check()?;
            let timeout = timeout(timeout_ms);
            let read = object.topic.read_wait(partition, offset, max_bytes, timeout).map_err(Failure::of_read)?;
            lend(read, timeout, &Origin::new(&object.topic, partition), &object.indexes, place)
        })
    }
}

/// As thalweg_topic_read, for whoever wants no memory lent: copies the records from an offset on of which keys, values and
/// headers fit.
///
/// buffer and capacity: where the bytes go. entries and entry_capacity: where their places go, positions counted in the
/// buffer. count: gets how many records were copied, 1 or more. next_offset: gets where to read on.
///
/// Blocks: waits for the device and for records. Any thread. Errors: TOO_LARGE if not even the first record fits, whose
/// size the error tells; otherwise as thalweg_topic_read. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_read_copy(
    topic: *mut thalweg_topic,
    partition: u32,
    offset: u64,
    timeout_ms: i64,
    buffer: *mut c_void,
    capacity: usize,
    entries: *mut thalweg_entry,
    entry_capacity: usize,
    count: *mut usize,
    next_offset: *mut u64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            let target = Target::check(buffer, capacity, entries, entry_capacity)?;
            check(count, "count")?;
            check(next_offset, "next_offset")?;
            let timeout = timeout(timeout_ms);
            let read = object.topic.read_wait(partition, offset, capacity, timeout).map_err(Failure::of_read)?;
            if read.is_empty() {
                return Err(nothing(timeout));
            }
            let lent = BatchObject::lent(read, Origin::new(&object.topic, partition), &object.indexes);
            let copied = lent.copy_to(target)?;
            count.write(copied.count);
            next_offset.write(lent.offset_behind(copied.count));
            Ok(())
        })
    }
}
