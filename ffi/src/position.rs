//! Positions: where consumers are, and making that durable.

use std::ffi::{c_char, c_void};

use thalweg::limits::{BATCH_RECORDS_MAX, POSITION_METADATA_MAX};
use thalweg::{ConsumerPosition, NamedPosition, Position};

use crate::arguments::{array, check, put_all};
use crate::call::{call_on, other};
use crate::consumer::{CONSUMERS, thalweg_consumer};
use crate::engine::{ENGINES, check_reserved, thalweg_engine};
use crate::error::thalweg_error;
use crate::failure::{Answer, Failure};
use crate::reader::alone;
use crate::start::start;
use crate::status::{NOT_FOUND, thalweg_status};
use crate::text::{copy_bytes, optional_string, put_text, string, thalweg_bytes};
use crate::topic::{TOPICS, thalweg_topic};

/// As a partition: all partitions of the topic.
pub const THALWEG_PARTITION_ALL: u32 = 0xffff_ffff;
/// As an offset: none was committed.
pub const THALWEG_NO_OFFSET: u64 = 0xffff_ffff_ffff_ffff;

/// A position to commit.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_position {
    /// The topic.
    pub topic: *mut thalweg_topic,
    /// The offset to go on at: one after the last record that was handled.
    pub offset: u64,
    /// Up to 4,096 bytes that are kept with it, and mean nothing to the engine. data NULL if there are none.
    pub metadata: thalweg_bytes,
    /// The partition's index.
    pub partition: u32,
    /// 0.
    pub reserved: u32,
}

/// Where a consumer is in a partition.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_consumer_position {
    /// The offset that is read next.
    pub offset: u64,
    /// The offset that is committed under the consumer's name, or THALWEG_NO_OFFSET.
    pub committed: u64,
    /// Offsets from offset, not from committed, to the high watermark: what is still to be read.
    pub lag: u64,
    /// The partition's index.
    pub partition: u32,
    /// 0.
    pub reserved: u32,
    /// The topic's name. Ends with a zero byte.
    pub topic: [c_char; 256],
}

/// A committed position.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_named_position {
    /// The offset at which the consumer goes on.
    pub offset: u64,
    /// The offset after the last record that readers see.
    pub high_watermark: u64,
    /// Offsets from the position to there.
    pub lag: u64,
    /// The partition's index.
    pub partition: u32,
    /// Bytes of what was committed with it; thalweg_position_metadata tells them.
    pub metadata_size: u32,
    /// The consumer's name. Ends with a zero byte.
    pub consumer: [c_char; 256],
    /// The topic's name. Ends with a zero byte.
    pub topic: [c_char; 256],
}

impl From<ConsumerPosition> for thalweg_consumer_position {
    fn from(position: ConsumerPosition) -> thalweg_consumer_position {
        let mut made = thalweg_consumer_position {
            offset: position.offset,
            committed: position.committed.unwrap_or(THALWEG_NO_OFFSET),
            lag: position.lag,
            partition: position.partition,
            reserved: 0,
            topic: [0; 256],
        };
        put_text(&mut made.topic, &position.topic);
        made
    }
}

impl From<&NamedPosition> for thalweg_named_position {
    fn from(position: &NamedPosition) -> thalweg_named_position {
        let mut made = thalweg_named_position {
            offset: position.offset,
            high_watermark: position.high_watermark,
            lag: position.lag,
            partition: position.partition,
            metadata_size: position.metadata.len() as u32,
            consumer: [0; 256],
            topic: [0; 256],
        };
        put_text(&mut made.consumer, &position.consumer);
        put_text(&mut made.topic, &position.topic);
        made
    }
}

/// Makes durable, under the consumer's name, that everything which polls have returned is handled: all partitions or none,
/// whatever crashes. Returns when it is.
///
/// Blocks: waits for the device. One thread at a time. Errors: INVALID_ARGUMENT, also for a consumer without a name;
/// TOO_LARGE for more than 65,535 positions at once, or when all positions of the store would exceed 8 MiB; READ_ONLY;
/// NO_SPACE, IO, PARTITION_FAILED, after which the next open tells whether they are committed; WOULD_BLOCK if another
/// thread is in a call of it; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_commit(
    consumer: *mut thalweg_consumer,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe { call_on(&CONSUMERS, consumer, error, |object| Ok(alone(&object.inside)?.consumer.commit()?)) }
}

/// As thalweg_consumer_commit, but count positions of the caller: of partitions that are read or are not, with metadata.
/// Where the consumer reads on does not change.
///
/// Blocks: waits for the device. One thread at a time. Errors: as thalweg_consumer_commit; NOT_FOUND for a partition that
/// its topic does not have; OUT_OF_RANGE for an offset above the high watermark, to which no reader can have come; DELETED.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_commit_positions(
    consumer: *mut thalweg_consumer,
    positions: *const thalweg_position,
    count: usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&CONSUMERS, consumer, error, |object| {
            let positions = array(positions, count, BATCH_RECORDS_MAX, "positions")?;
            let topics = positions.iter().map(|position| other(&TOPICS, position.topic)).collect::<Answer<Vec<_>>>()?;
            let made = positions.iter().zip(&topics).map(|(position, topic)| {
                check_reserved(position.reserved, "thalweg_position")?;
                let metadata = position.metadata.read(POSITION_METADATA_MAX, "metadata")?.unwrap_or_default();
                let (partition, offset) = (position.partition, position.offset);
                Ok(Position { topic: &topic.topic, partition, offset, metadata })
            });
            let made = made.collect::<Answer<Vec<Position<'_>>>>()?;
            Ok(alone(&object.inside)?.consumer.commit_positions(&made)?)
        })
    }
}

/// Where a consumer is, by topic number and partition. positions gets as many as capacity allows, count how many there are.
///
/// Does not block. One thread at a time. Errors: INVALID_ARGUMENT; WOULD_BLOCK if another thread is in a call of it; CLOSED,
/// FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_positions(
    consumer: *mut thalweg_consumer,
    positions: *mut thalweg_consumer_position,
    capacity: usize,
    count: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&CONSUMERS, consumer, error, |object| {
            let all = alone(&object.inside)?.consumer.positions();
            put_all(positions, capacity, count, all.into_iter().map(thalweg_consumer_position::from))
        })
    }
}

/// The committed positions of a consumer, or with NULL of all, by name, topic number and partition. Those of deleted topics
/// are left out. positions gets as many as capacity allows, count how many there are.
///
/// Blocks: the first use of named positions reads them from the device. Any thread. Errors: INVALID_ARGUMENT; CORRUPT if the
/// positions cannot be read; IO; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_position_list(
    engine: *mut thalweg_engine,
    consumer: *const c_char,
    positions: *mut thalweg_named_position,
    capacity: usize,
    count: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            let all = object.engine.positions().list(optional_string(consumer, "consumer")?)?;
            put_all(positions, capacity, count, all.iter().map(thalweg_named_position::from))
        })
    }
}

/// What was committed with a position. buffer gets as many bytes as capacity allows, size how many there are.
///
/// Blocks: as thalweg_position_list. Any thread. Errors: NOT_FOUND if there is no such position; otherwise as
/// thalweg_position_list. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_position_metadata(
    engine: *mut thalweg_engine,
    consumer: *const c_char,
    topic: *const c_char,
    partition: u32,
    buffer: *mut c_void,
    capacity: usize,
    size: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            check(size, "size")?;
            let (consumer, topic) = (string(consumer, "consumer")?, string(topic, "topic")?);
            let all = object.engine.positions().list(Some(consumer))?;
            let found = all.iter().find(|position| position.topic == topic && position.partition == partition);
            let Some(found) = found else {
                let text = format!("consumer {consumer:?} has no position in topic {topic:?} partition {partition}");
                return Err(Failure::new(NOT_FOUND, text));
            };
            size.write(copy_bytes(&found.metadata, buffer, capacity)?);
            Ok(())
        })
    }
}

/// Puts a consumer at a start in one partition of a topic, or with THALWEG_PARTITION_ALL in all of them: all or none, and
/// durable when it returns. The consumer need not exist before. start_at and value: as for thalweg_reader_open.
///
/// Blocks: waits for the device. Any thread. Errors: ALREADY_OPEN while a consumer of this name is open; OUT_OF_RANGE for
/// an offset that is; NOT_FOUND for a partition that the topic does not have; otherwise as thalweg_consumer_commit. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_position_reset(
    engine: *mut thalweg_engine,
    consumer: *const c_char,
    topic: *mut thalweg_topic,
    partition: u32,
    start_at: u32,
    value: u64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            let (consumer, topic) = (string(consumer, "consumer")?, other(&TOPICS, topic)?);
            let partition = (partition != THALWEG_PARTITION_ALL).then_some(partition);
            let to = start(start_at, value)?;
            Ok(object.engine.positions().reset(consumer, &topic.topic, partition, to)?)
        })
    }
}

/// Removes the positions of a consumer in one topic, or with NULL all of them. Durable when it returns.
///
/// Blocks: waits for the device. Any thread. Errors: NOT_FOUND if there are none; otherwise as thalweg_position_reset. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_position_delete(
    engine: *mut thalweg_engine,
    consumer: *const c_char,
    topic: *mut thalweg_topic,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            let consumer = string(consumer, "consumer")?;
            let topic = (!topic.is_null()).then(|| other(&TOPICS, topic)).transpose()?;
            Ok(object.engine.positions().delete(consumer, topic.as_ref().map(|topic| &topic.topic))?)
        })
    }
}
