//! Appends: submitted, and waited for.

use std::time::{Duration, Instant};

use thalweg::limits::BATCH_RECORDS_MAX;
use thalweg::{AppendOptions, Appended, Target};

use crate::arguments::{self, Prefixed, check};
use crate::call::{call_on, other, timeout};
use crate::completion::{QUEUES, thalweg_completion_queue};
use crate::engine::{check_flags, check_reserved, durability};
use crate::error::thalweg_error;
use crate::failure::{Answer, Failure};
use crate::record::{Given, gather, thalweg_record, with_list, with_record, with_records};
use crate::status::{self, INVALID_ARGUMENT, OK, TOO_LARGE, thalweg_status};
use crate::text::thalweg_bytes;
use crate::topic::{TOPICS, TopicObject, thalweg_topic};

/// As a partition: the one that the key of the (first) record belongs to, or without a key the next by turns.
pub const THALWEG_PARTITION_BY_KEY: u32 = 0xffff_ffff;
/// As a partition: the next one, by turns.
pub const THALWEG_PARTITION_ROUND_ROBIN: u32 = 0xffff_fffe;

/// Append option: expected_offset is set. The batch is appended only if it gets that offset; else OFFSET_MISMATCH.
pub const THALWEG_APPEND_EXPECTED_OFFSET: u32 = 1;
/// Append option: term is set. It is kept with the batch.
pub const THALWEG_APPEND_TERM: u32 = 2;
/// Append option, of a submit with a queue: if it answers WOULD_BLOCK for want of room, a completion with its token and the
/// status WOULD_BLOCK arrives once another try may succeed. It says that there is room, and nothing of the try: each try
/// that is refused has one of its own, and it may arrive when a later try with the same token has long succeeded. So submit
/// again what you still hold, not what the token once stood for. Not so if the queue is full: take completions.
pub const THALWEG_APPEND_NOTIFY: u32 = 4;

/// How an append behaves. Make it ready with thalweg_append_options_init; what stays 0 is as by default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_append_options {
    /// sizeof(thalweg_append_options).
    pub size: u32,
    /// THALWEG_APPEND_EXPECTED_OFFSET and its like, together.
    pub flags: u32,
    /// THALWEG_DURABLE and its like: when the append is acknowledged; by default as its topic says.
    pub durability: u32,
    /// 0.
    pub reserved: u32,
    /// The offset that the batch has to get, if flags say so.
    pub expected_offset: u64,
    /// A number that is kept with the batch, if flags say so: the term of a consensus protocol.
    pub term: u64,
}

// SAFETY: integers without padding.
unsafe impl Prefixed for thalweg_append_options {
    const NAME: &'static str = "thalweg_append_options";
}

/// Where a batch stands.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_appended {
    /// The offset of the first record. The others follow without a gap.
    pub base_offset: u64,
    /// The partition's index.
    pub partition: u32,
    /// The number of records.
    pub count: u32,
}

/// What became of one record of thalweg_topic_append_split.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_record_result {
    /// Its offset, if status is OK; else 0.
    pub offset: u64,
    /// The partition's index.
    pub partition: u32,
    /// THALWEG_OK: it is acknowledged. Else why it is not.
    pub status: thalweg_status,
    /// What thalweg_topic_failure knows it by, if it has failed; else 0.
    pub failure: u64,
}

impl From<Appended> for thalweg_appended {
    fn from(appended: Appended) -> thalweg_appended {
        let Appended { partition, base_offset, count } = appended;
        thalweg_appended { base_offset, partition, count }
    }
}

/// Makes of what is asked for by default what the caller asks for. In its place: few ask, and all would pay for the move.
///
/// # Safety
/// NULL, or readable as far as its size says.
#[inline(always)]
unsafe fn read_options(options: *const thalweg_append_options, asked: &mut AppendOptions) -> Answer {
    // SAFETY: as the caller says.
    if options.is_null() { Ok(()) } else { unsafe { read_given_options(options, asked) } }
}

#[cold]
unsafe fn read_given_options(options: *const thalweg_append_options, asked: &mut AppendOptions) -> Answer {
    // SAFETY: as the caller says.
    let options = unsafe { arguments::options(options)? };
    let known = THALWEG_APPEND_EXPECTED_OFFSET | THALWEG_APPEND_TERM | THALWEG_APPEND_NOTIFY;
    check_flags(options.flags, known, thalweg_append_options::NAME)?;
    check_reserved(options.reserved, thalweg_append_options::NAME)?;
    if let Some(durability) = durability(options.durability)? {
        *asked = asked.durability(durability);
    }
    if options.flags & THALWEG_APPEND_EXPECTED_OFFSET != 0 {
        *asked = asked.expected_offset(options.expected_offset);
    }
    if options.flags & THALWEG_APPEND_TERM != 0 {
        *asked = asked.term(options.term);
    }
    if options.flags & THALWEG_APPEND_NOTIFY != 0 {
        *asked = asked.notify();
    }
    Ok(())
}

#[inline]
fn target(partition: u32, key: Option<&[u8]>) -> Target<'_> {
    match partition {
        THALWEG_PARTITION_BY_KEY => key.map_or(Target::RoundRobin, Target::Key),
        THALWEG_PARTITION_ROUND_ROBIN => Target::RoundRobin,
        index => Target::Partition(index),
    }
}

/// How the caller learns of an append that it does not wait for.
#[derive(Clone, Copy)]
struct Report {
    queue: *mut thalweg_completion_queue,
    token: u64,
}

impl Report {
    /// Appends to memory, or answers that there is no room.
    ///
    /// # Safety
    /// `place` is NULL or valid for writes.
    #[inline(always)]
    unsafe fn submit(
        self,
        object: &TopicObject,
        partition: u32,
        given: Given<'_>,
        options: AppendOptions,
        place: *mut thalweg_appended,
    ) -> Answer {
        let (target, records) = (target(partition, given.key), given.records);
        let appended = if self.queue.is_null() {
            object.topic.submit(target, records, options)?.appended()
        } else {
            let queue = other(&QUEUES, self.queue)?;
            object.topic.submit_to(&queue.queue, self.token, target, records, options)?
        };
        // SAFETY: as the caller says.
        unsafe { put(place, appended.into()) };
        Ok(())
    }
}

/// Appends, and waits until it is acknowledged or the time is over.
fn append(
    object: &TopicObject,
    partition: u32,
    given: Given<'_>,
    options: AppendOptions,
    timeout: Option<Duration>,
) -> Answer<thalweg_appended> {
    let (target, records) = (target(partition, given.key), given.records);
    let Some(timeout) = timeout else {
        let ticket = object.topic.submit(target, records, options)?;
        return Ok(ticket.wait(None)?.into());
    };
    let begun = Instant::now();
    let options = options.memory_timeout(timeout);
    let ticket = object.topic.submit(target, records, options)?;
    Ok(ticket.wait(Some(timeout.saturating_sub(begun.elapsed())))?.into())
}

/// Checks a place that the caller need not give.
#[inline]
fn check_optional<T>(pointer: *mut T, name: &str) -> Answer {
    if pointer.is_null() { Ok(()) } else { check(pointer, name) }
}

/// Writes to a place that the caller need not give.
///
/// # Safety
/// NULL or valid for writes.
#[inline]
unsafe fn put<T>(pointer: *mut T, value: T) {
    if !pointer.is_null() {
        // SAFETY: as the caller says.
        unsafe { pointer.write(value) };
    }
}

/// Runs with a record whose value comes in pieces.
///
/// # Safety
/// What the arguments point to is readable.
unsafe fn with_parts<T>(
    record: *const thalweg_record,
    parts: *const thalweg_bytes,
    part_count: usize,
    run: impl FnOnce(Given<'_>) -> Answer<T>,
) -> Answer<T> {
    check(record, "record")?;
    // SAFETY: as the caller says.
    unsafe {
        if !(*record).value.data.is_null() || (*record).value.size != 0 {
            return Err(Failure::new(INVALID_ARGUMENT, "a record whose value comes in parts has no value of its own"));
        }
        let value = gather(parts, part_count)?;
        let whole = thalweg_record { value: thalweg_bytes::of(Some(&value)), ..*record };
        with_record(&whole, run)
    }
}

/// Makes options ready: all as by default. size is sizeof(thalweg_append_options). NULL is allowed.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_append_options_init(options: *mut thalweg_append_options, size: usize) {
    // SAFETY: the caller's struct is as large as it says.
    unsafe { arguments::init(options, size) };
}

/// Appends one record, and returns as soon as it is in memory and has its offset. The acknowledgement arrives in the
/// queue.
///
/// partition: its index, THALWEG_PARTITION_BY_KEY or THALWEG_PARTITION_ROUND_ROBIN. record: copied during the call.
/// options: NULL for the defaults. queue and token: a completion with this token arrives there, once, unless the call
/// fails; NULL if nobody wants to know. appended: gets where the record stands, by which nothing is promised; NULL if you
/// do not need it.
///
/// Does not block. Any thread. Errors: WOULD_BLOCK if the appenders' part of the memory is used up, the device is behind
/// with preparing files, or the queue is full: try again after the next completion, and with THALWEG_APPEND_NOTIFY there is
/// one; NO_MEMORY if the system has none; TOO_LARGE beyond a limit; INVALID_ARGUMENT; NOT_FOUND for a partition that the
/// topic does not have; OFFSET_MISMATCH; NO_SPACE, after which a later append may succeed; PARTITION_FAILED, CORRUPT for a
/// partition that takes no appends; READ_ONLY; DELETED; CLOSED, FORKED. After each of them nothing was appended. The first
/// submit to a partition after each open is refused with WOULD_BLOCK while its first segment is made. After NO_SPACE no
/// completion comes, also with THALWEG_APPEND_NOTIFY: THALWEG_EVENT_SPACE_AVAILABLE tells when to try again. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_submit(
    topic: *mut thalweg_topic,
    partition: u32,
    record: *const thalweg_record,
    options: *const thalweg_append_options,
    queue: *mut thalweg_completion_queue,
    token: u64,
    appended: *mut thalweg_appended,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            check(record, "record")?;
            check_optional(appended, "appended")?;
            let mut asked = AppendOptions::default().wait_for_memory(false);
            read_options(options, &mut asked)?;
            let submit = |given: Given<'_>| Report { queue, token }.submit(object, partition, given, asked, appended);
            with_record(&*record, submit)
        })
    }
}

/// As thalweg_topic_submit, but count records as one batch, which is there whole or not at all: 1 to 65,535, 20 MiB
/// together.
///
/// Does not block. Any thread. Errors: as thalweg_topic_submit. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_submit_batch(
    topic: *mut thalweg_topic,
    partition: u32,
    records: *const thalweg_record,
    count: usize,
    options: *const thalweg_append_options,
    queue: *mut thalweg_completion_queue,
    token: u64,
    appended: *mut thalweg_appended,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            check_optional(appended, "appended")?;
            let mut asked = AppendOptions::default().wait_for_memory(false);
            read_options(options, &mut asked)?;
            let submit = |given: Given<'_>| Report { queue, token }.submit(object, partition, given, asked, appended);
            with_records(records, count, submit)
        })
    }
}

/// As thalweg_topic_submit, but the record's value is put together from parts, part_count pieces of memory; the record
/// itself has none.
///
/// Does not block. Any thread. Errors: as thalweg_topic_submit. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_submit_parts(
    topic: *mut thalweg_topic,
    partition: u32,
    record: *const thalweg_record,
    parts: *const thalweg_bytes,
    part_count: usize,
    options: *const thalweg_append_options,
    queue: *mut thalweg_completion_queue,
    token: u64,
    appended: *mut thalweg_appended,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            check_optional(appended, "appended")?;
            let mut asked = AppendOptions::default().wait_for_memory(false);
            read_options(options, &mut asked)?;
            let submit = |given: Given<'_>| Report { queue, token }.submit(object, partition, given, asked, appended);
            with_parts(record, parts, part_count, submit)
        })
    }
}

/// Appends one record, and returns when it is as durable as its topic or the options ask for.
///
/// timeout_ms: negative is without end. The other arguments are those of thalweg_topic_submit.
///
/// Blocks: waits for the device. Any thread. Errors: as thalweg_topic_submit, but WOULD_BLOCK only if there was no room
/// within the time; TIMED_OUT if the record was appended and is not acknowledged yet: it may still become durable, and
/// a second try may append it twice. With timeout_ms 0 that is what an append answers for which there is room: it is
/// made, and not waited for. IO, NO_SPACE, PARTITION_FAILED also if the device refuses this very record: it is not
/// acknowledged, and the next open decides. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_append(
    topic: *mut thalweg_topic,
    partition: u32,
    record: *const thalweg_record,
    options: *const thalweg_append_options,
    timeout_ms: i64,
    appended: *mut thalweg_appended,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            check(record, "record")?;
            check_optional(appended, "appended")?;
            let mut asked = AppendOptions::default();
            read_options(options, &mut asked)?;
            let run = |given: Given<'_>| append(object, partition, given, asked, timeout(timeout_ms));
            put(appended, with_record(&*record, run)?);
            Ok(())
        })
    }
}

/// As thalweg_topic_append, but count records as one batch.
///
/// Blocks: waits for the device. Any thread. Errors: as thalweg_topic_append. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_append_batch(
    topic: *mut thalweg_topic,
    partition: u32,
    records: *const thalweg_record,
    count: usize,
    options: *const thalweg_append_options,
    timeout_ms: i64,
    appended: *mut thalweg_appended,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            check_optional(appended, "appended")?;
            let mut asked = AppendOptions::default();
            read_options(options, &mut asked)?;
            let run = |given: Given<'_>| append(object, partition, given, asked, timeout(timeout_ms));
            put(appended, with_records(records, count, run)?);
            Ok(())
        })
    }
}

/// As thalweg_topic_append, but the record's value is put together from parts, part_count pieces of memory; the record
/// itself has none.
///
/// Blocks: waits for the device. Any thread. Errors: as thalweg_topic_append. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_append_parts(
    topic: *mut thalweg_topic,
    partition: u32,
    record: *const thalweg_record,
    parts: *const thalweg_bytes,
    part_count: usize,
    options: *const thalweg_append_options,
    timeout_ms: i64,
    appended: *mut thalweg_appended,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            check_optional(appended, "appended")?;
            let mut asked = AppendOptions::default();
            read_options(options, &mut asked)?;
            let run = |given: Given<'_>| append(object, partition, given, asked, timeout(timeout_ms));
            put(appended, with_parts(record, parts, part_count, run)?);
            Ok(())
        })
    }
}

/// Divides records by the partitions of their keys, and appends each part as one batch; those without a key go together to
/// the next partition by turns. Returns when all are durable, or have failed.
///
/// results: gets count entries, one for each record. The call answers OK also if parts have failed: look at each status;
/// thalweg_topic_failure tells more.
///
/// Blocks: waits for the device, without a time-out. Any thread. Errors: of the call as a whole, before anything was
/// appended: INVALID_ARGUMENT, TOO_LARGE; READ_ONLY; DELETED; CLOSED, FORKED; of each part: as thalweg_topic_append. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_append_split(
    topic: *mut thalweg_topic,
    records: *const thalweg_record,
    count: usize,
    results: *mut thalweg_record_result,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            if count > BATCH_RECORDS_MAX {
                let text = format!("records has {count} entries; the limit is {BATCH_RECORDS_MAX}");
                return Err(Failure::new(TOO_LARGE, text));
            }
            if count > 0 {
                check(results, "results")?;
            }
            let parts = with_list(records, count, |records| Ok(object.topic.append_split(records)?))?;
            for part in parts {
                let partition = part.partition;
                let (base, status, failure) = match part.result {
                    Ok(appended) => (Some(appended.base_offset), OK, 0),
                    Err(refused) => (None, status::of(refused.kind()), object.reasons.keep(refused)),
                };
                for (nth, record) in part.records.into_iter().enumerate() {
                    let offset = base.map_or(0, |base| base + nth as u64);
                    results.add(record).write(thalweg_record_result { offset, partition, status, failure });
                }
            }
            Ok(())
        })
    }
}
