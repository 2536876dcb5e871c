//! Topics and their partitions.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use thalweg::limits::{KEY_MAX, PARTITIONS_MAX};
use thalweg::{Topic, TopicDescription, TopicOptions};

use crate::append::thalweg_record_result;
use crate::arguments::{self, Prefixed, check, put_all};
use crate::call::{call_on, close};
use crate::damage::thalweg_damaged_range;
use crate::engine::{ENGINES, EngineObject, check_reserved, durability, thalweg_engine};
use crate::error::thalweg_error;
use crate::failure::Answer;
use crate::handle::Table;
use crate::indexes::Indexes;
use crate::reasons::Reasons;
use crate::status::thalweg_status;
use crate::text::{bytes, put_text, string};

/// A topic to append to and to read from. Close it with thalweg_topic_close.
pub struct thalweg_topic {
    _opaque: (),
}

/// How a topic is laid out. Make it ready with thalweg_topic_options_init; what stays 0 is as by default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_topic_options {
    /// sizeof(thalweg_topic_options).
    pub size: u32,
    /// Number of partitions, 1 to 65,536; 1 by default.
    pub partitions: u32,
    /// THALWEG_DURABLE and its like; by default what the engine was opened with.
    pub durability: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: integers without padding.
unsafe impl Prefixed for thalweg_topic_options {
    const NAME: &'static str = "thalweg_topic_options";
}

/// A topic as it is now.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_topic_info {
    /// Its number; never used again in this store.
    pub id: u32,
    /// Its partitions.
    pub partitions: u32,
    /// THALWEG_DURABLE and its like: when its appends are acknowledged and become visible.
    pub durability: u32,
    /// 0.
    pub reserved: u32,
    /// Its name. Ends with a zero byte.
    pub name: [c_char; 256],
}

/// A partition as it is now.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_partition_info {
    /// The offset of the oldest record that is kept.
    pub log_start: u64,
    /// The offset after the last record that readers see.
    pub high_watermark: u64,
    /// Bytes of its frames, padding counted. Its files are larger: they have a header, an index, and space for what
    /// comes.
    pub stored_size: u64,
    /// Its index.
    pub partition: u32,
    /// Segment files. 0 until the first append.
    pub segments: u32,
    /// Damaged ranges that recovery found: thalweg_engine_list_damaged tells them.
    pub damaged: u32,
    /// 1: it takes no appends until the store is opened again; why says the reason.
    pub failed: u32,
    /// The reason, or empty. Ends with a zero byte.
    pub why: [c_char; 256],
}

pub(crate) struct TopicObject {
    pub(crate) topic: Topic,
    pub(crate) indexes: Arc<Indexes>,
    /// Of appends that are made of parts.
    pub(crate) reasons: Reasons,
}

pub(crate) static TOPICS: Table<TopicObject> = Table::new(2, "a topic");

fn open(object: &EngineObject, topic: Topic) -> Answer<*mut thalweg_topic> {
    TOPICS.open(TopicObject { topic, indexes: Arc::clone(&object.indexes), reasons: Reasons::default() })
}

impl From<&TopicDescription> for thalweg_topic_info {
    fn from(topic: &TopicDescription) -> thalweg_topic_info {
        let (id, durability) = (topic.id, topic.durability as u32);
        let partitions = topic.partitions.len() as u32;
        let mut info = thalweg_topic_info { id, partitions, durability, reserved: 0, name: [0; 256] };
        put_text(&mut info.name, &topic.name);
        info
    }
}

impl From<&thalweg::PartitionDescription> for thalweg_partition_info {
    fn from(partition: &thalweg::PartitionDescription) -> thalweg_partition_info {
        let mut info = thalweg_partition_info {
            log_start: partition.log_start,
            high_watermark: partition.high_watermark,
            stored_size: partition.size,
            partition: partition.partition,
            segments: partition.segments,
            damaged: partition.damaged.len() as u32,
            failed: partition.failed.is_some().into(),
            why: [0; 256],
        };
        put_text(&mut info.why, partition.failed.as_deref().unwrap_or_default());
        info
    }
}

/// Makes options ready: all as by default. size is sizeof(thalweg_topic_options). NULL is allowed.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_options_init(options: *mut thalweg_topic_options, size: usize) {
    // SAFETY: the caller's struct is as large as it says.
    unsafe { arguments::init(options, size) };
}

/// Creates a topic. Durable when it returns.
///
/// name: 1 to 249 of A-Z a-z 0-9 . _ - and not . or .., ends with a zero byte. options: NULL for the defaults. topic: gets
/// the handle, which is yours to close with thalweg_topic_close; NULL if you do not need one.
///
/// Blocks: waits for the device. Any thread. Errors: ALREADY_EXISTS; INVALID_ARGUMENT for a name or an option outside its
/// range; UNSUPPORTED for options of a later version; READ_ONLY; NO_SPACE, IO; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_create(
    engine: *mut thalweg_engine,
    name: *const c_char,
    options: *const thalweg_topic_options,
    topic: *mut *mut thalweg_topic,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            let (name, options) = (string(name, "name")?, arguments::options(options)?);
            check_reserved(options.reserved, thalweg_topic_options::NAME)?;
            let mut asked = TopicOptions::default();
            if options.partitions != 0 {
                asked = asked.partitions(options.partitions);
            }
            if let Some(durability) = durability(options.durability)? {
                asked = asked.durability(durability);
            }
            if !topic.is_null() {
                check(topic, "topic")?;
            }
            let created = object.engine.create_topic(name, asked)?;
            if !topic.is_null() {
                topic.write(open(object, created)?);
            }
            Ok(())
        })
    }
}

/// The topic of a name. topic: gets a handle, which is yours to close with thalweg_topic_close.
///
/// Blocks only while another thread creates or deletes a topic. Any thread. Errors: NOT_FOUND; INVALID_ARGUMENT; CLOSED,
/// FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_open(
    engine: *mut thalweg_engine,
    name: *const c_char,
    topic: *mut *mut thalweg_topic,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            check(topic, "topic")?;
            let found = object.engine.topic(string(name, "name")?)?;
            topic.write(open(object, found)?);
            Ok(())
        })
    }
}

/// Closes the handle. The topic and its records stay; readers, consumers and batches of it go on. NULL is allowed.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_close(topic: *mut thalweg_topic, error: *mut thalweg_error) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe { close(&TOPICS, topic, error, |_| Ok(())) }
}

/// Deletes the topic of a name, and its records. Durable when it returns. Handles of it answer DELETED from then on;
/// batches stay readable.
///
/// Blocks: waits for the device. Any thread. Errors: NOT_FOUND; READ_ONLY; INVALID_ARGUMENT; NO_SPACE, IO, after which
/// the next open tells whether it is gone; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_delete(
    engine: *mut thalweg_engine,
    name: *const c_char,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe { call_on(&ENGINES, engine, error, |object| Ok(object.engine.delete_topic(string(name, "name")?)?)) }
}

/// All topics, by name. topics gets as many as capacity allows, count how many there are.
///
/// Blocks only while another thread creates or deletes a topic. Any thread. Errors: INVALID_ARGUMENT; CLOSED, FORKED.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_list(
    engine: *mut thalweg_engine,
    topics: *mut thalweg_topic_info,
    capacity: usize,
    count: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            let all = object.engine.topics()?;
            put_all(topics, capacity, count, all.iter().map(thalweg_topic_info::from))
        })
    }
}

/// What a topic looks like now: info gets it.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT; DELETED; NO_MEMORY; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_describe(
    topic: *mut thalweg_topic,
    info: *mut thalweg_topic_info,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            check(info, "info")?;
            info.write(thalweg_topic_info::from(&object.topic.describe()?));
            Ok(())
        })
    }
}

/// The partitions of a topic, from the index first on. partitions gets as many as capacity allows, count how many there
/// are from there on.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT; DELETED; NO_MEMORY; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_list_partitions(
    topic: *mut thalweg_topic,
    first: u32,
    partitions: *mut thalweg_partition_info,
    capacity: usize,
    count: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            let all = object.topic.describe()?.partitions;
            let from = all.iter().skip(first as usize);
            put_all(partitions, capacity, count, from.map(thalweg_partition_info::from))
        })
    }
}

/// Why a part of thalweg_topic_append_split failed: what a call that fails tells in its error. The last 1,024 failures of
/// a handle are kept.
///
/// result: as it was told by a split of this handle. why: made ready with thalweg_error_init; gets the status, the operating
/// system's error number, the offsets that are damaged, and a sentence.
///
/// Does not block. Any thread. Errors: NOT_FOUND if the part has not failed, or the failure is not kept any more;
/// INVALID_ARGUMENT, also for a why that is not ready; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_failure(
    topic: *mut thalweg_topic,
    result: *const thalweg_record_result,
    why: *mut thalweg_error,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            check(result, "result")?;
            object.reasons.tell((*result).failure, why)
        })
    }
}

/// The damaged offsets that recovery found in a partition. ranges gets as many as capacity allows, count how many there
/// are.
///
/// Does not block. Any thread. Errors: NOT_FOUND for a partition that the topic does not have; INVALID_ARGUMENT; DELETED;
/// NO_MEMORY; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_list_damaged(
    topic: *mut thalweg_topic,
    partition: u32,
    ranges: *mut thalweg_damaged_range,
    capacity: usize,
    count: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            // Answers for a partition that is not there.
            object.topic.next_offset(partition)?;
            let described = object.topic.describe()?;
            let damaged = described.partitions.get(partition as usize).map(|partition| &partition.damaged[..]);
            put_all(ranges, capacity, count, damaged.unwrap_or_default().iter().map(thalweg_damaged_range::from))
        })
    }
}

/// Raises the number of partitions to total, at most 65,536. Keys may belong to other partitions from then on. Durable
/// when it returns.
///
/// Blocks: waits for the device. Any thread. Errors: INVALID_ARGUMENT if total is not more than now, or beyond the limit;
/// READ_ONLY; NO_SPACE, IO; DELETED; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_add_partitions(
    topic: *mut thalweg_topic,
    total: u32,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe { call_on(&TOPICS, topic, error, |object| Ok(object.topic.add_partitions(total)?)) }
}

/// The partition that a key belongs to: murmur2, exactly as Kafka's Java client. partition: gets its index.
///
/// Does not block. Any thread. Errors: TOO_LARGE for a key beyond 1 MiB; INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_partition_of(
    topic: *mut thalweg_topic,
    key: *const c_void,
    key_size: usize,
    partition: *mut u32,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            check(partition, "partition")?;
            let found = object.topic.partition_of(bytes(key, key_size, KEY_MAX, "key")?);
            debug_assert!(found < PARTITIONS_MAX);
            partition.write(found);
            Ok(())
        })
    }
}

/// The offset that the next append to a partition gets: beyond the high watermark while appends are under way, and old as
/// soon as it is told where others append too.
///
/// Does not block. Any thread. Errors: NOT_FOUND for a partition that the topic does not have; INVALID_ARGUMENT; DELETED;
/// CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_next_offset(
    topic: *mut thalweg_topic,
    partition: u32,
    offset: *mut u64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            check(offset, "offset")?;
            offset.write(object.topic.next_offset(partition)?);
            Ok(())
        })
    }
}

/// Removes the records below offset: it becomes the log start offset. Durable when it returns. Batches that are held stay
/// as they are. Beyond the next offset it removes everything, and offset is the next one from then on: for good, since
/// offsets never fall by this. At or below the log start it does nothing.
///
/// Blocks: waits for the device. Any thread. Errors: NOT_FOUND for a partition that the topic does not have;
/// INVALID_ARGUMENT beyond 2^64 - 2^32 - 1, the highest offset that a log may begin at; PARTITION_FAILED; READ_ONLY; NO_SPACE, IO; DELETED;
/// CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_truncate_before(
    topic: *mut thalweg_topic,
    partition: u32,
    offset: u64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe { call_on(&TOPICS, topic, error, |object| Ok(object.topic.truncate_before(partition, offset)?)) }
}

/// Cuts off the records at offset and beyond: it becomes the next offset. Durable when it returns. Appends meanwhile wait.
/// Batches that are held stay as they are.
///
/// Blocks: waits for the device. Any thread. Errors: OUT_OF_RANGE below the log start offset or beyond the next offset;
/// INVALID_ARGUMENT in the middle of a batch as it was appended, whose bounds it names; NOT_FOUND for a partition that the
/// topic does not have; CORRUPT, PARTITION_FAILED; READ_ONLY; NO_SPACE, IO; DELETED; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_truncate_after(
    topic: *mut thalweg_topic,
    partition: u32,
    offset: u64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe { call_on(&TOPICS, topic, error, |object| Ok(object.topic.truncate_after(partition, offset)?)) }
}
