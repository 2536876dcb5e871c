//! Consumers: many partitions read as one.

use std::ffi::{CStr, c_char};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};

use thalweg::{Consumer, ConsumerOptions, OutOfRange, Polled, Start, Wakeup};

use crate::arguments::{self, Prefixed, check};
use crate::batch::{BatchObject, Origin, Place, c_name, thalweg_batch, thalweg_batch_view};
use crate::call::{call_on, close, other, timeout};
use crate::engine::{ENGINES, check_reserved, thalweg_engine};
use crate::error::thalweg_error;
use crate::failure::{Answer, Failure};
use crate::handle::Table;
use crate::indexes::Indexes;
use crate::reader::{alone, nothing};
use crate::start::{THALWEG_START_COMMITTED, start};
use crate::status::{INVALID_ARGUMENT, thalweg_status};
use crate::text::optional_string;
use crate::topic::{TOPICS, thalweg_topic};

/// Reads any number of topics and partitions as one, in turns, and remembers under a name where it was. One thread at a
/// time. Close it with thalweg_consumer_close.
pub struct thalweg_consumer {
    _opaque: (),
}

/// Where a consumer goes on whose position is out of range: nowhere, polls answer OUT_OF_RANGE until it seeks.
pub const THALWEG_OUT_OF_RANGE_ERROR: u32 = 0;
/// At the oldest record that is kept.
pub const THALWEG_OUT_OF_RANGE_EARLIEST: u32 = 1;
/// At the high watermark.
pub const THALWEG_OUT_OF_RANGE_LATEST: u32 = 2;
/// At the first record with the timestamp out_of_range_time or a later one.
pub const THALWEG_OUT_OF_RANGE_TIME: u32 = 3;

/// How a consumer begins. Make it ready with thalweg_consumer_options_init; what stays 0 is as by default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_consumer_options {
    /// sizeof(thalweg_consumer_options).
    pub size: u32,
    /// Where partitions begin of which the name has no position: THALWEG_START_EARLIEST and its like, but
    /// THALWEG_START_OFFSET and THALWEG_START_COMMITTED.
    pub start: u32,
    /// The time of a start by time, in ms since 1970.
    pub start_time: i64,
    /// THALWEG_OUT_OF_RANGE_ERROR and its like.
    pub out_of_range: u32,
    /// 0.
    pub reserved: u32,
    /// In ms since 1970.
    pub out_of_range_time: i64,
    /// The name under which positions are committed, and found again: 1 to 249 of A-Z a-z 0-9 . _ - with a zero byte at its
    /// end. NULL: nothing can be committed. A name is open once at a time.
    pub name: *const c_char,
}

// SAFETY: integers and a pointer without padding.
unsafe impl Prefixed for thalweg_consumer_options {
    const NAME: &'static str = "thalweg_consumer_options";
}

pub(crate) struct Inside {
    pub(crate) consumer: Consumer,
    /// Names of topics as C has them, each made once.
    names: Vec<(Arc<str>, Arc<CStr>)>,
}

pub(crate) struct ConsumerObject {
    pub(crate) inside: Mutex<Inside>,
    wakeup: Wakeup,
    indexes: Arc<Indexes>,
}

pub(crate) static CONSUMERS: Table<ConsumerObject> = Table::new(6, "a consumer");

impl Inside {
    fn origin(&mut self, polled: &Polled) -> Origin {
        let (topic_id, partition) = (polled.topic_id, polled.partition);
        let known = self.names.iter().find(|(name, _)| Arc::ptr_eq(name, &polled.topic));
        if let Some((_, topic)) = known {
            return Origin { topic: Arc::clone(topic), topic_id, partition };
        }
        let topic = c_name(&polled.topic);
        self.names.push((Arc::clone(&polled.topic), Arc::clone(&topic)));
        Origin { topic, topic_id, partition }
    }
}

impl ConsumerObject {
    fn lend(&self, inside: &mut Inside, polled: Polled, place: Place) -> Answer {
        let origin = inside.origin(&polled);
        place.put(BatchObject::lent(polled.batch, origin, &self.indexes))
    }
}

impl thalweg_consumer_options {
    /// # Safety
    /// The name is what it says.
    unsafe fn options(&self) -> Answer<ConsumerOptions> {
        check_reserved(self.reserved, Self::NAME)?;
        let value = self.start_time as u64;
        let out_of_range = match self.out_of_range {
            THALWEG_OUT_OF_RANGE_ERROR => OutOfRange::Error,
            THALWEG_OUT_OF_RANGE_EARLIEST => OutOfRange::Earliest,
            THALWEG_OUT_OF_RANGE_LATEST => OutOfRange::Latest,
            THALWEG_OUT_OF_RANGE_TIME => OutOfRange::Time(self.out_of_range_time),
            other => {
                return Err(Failure::new(INVALID_ARGUMENT, format!("out_of_range is {other}; allowed are 0 to 3")));
            }
        };
        let options = ConsumerOptions::default().start(start(self.start, value)?).out_of_range(out_of_range);
        // SAFETY: as the caller says.
        Ok(match unsafe { optional_string(self.name, "name")? } {
            Some(name) => options.name(name),
            None => options,
        })
    }
}

/// Makes options ready: all as by default. size is sizeof(thalweg_consumer_options). NULL is allowed.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_options_init(options: *mut thalweg_consumer_options, size: usize) {
    // SAFETY: the caller's struct is as large as it says.
    unsafe { arguments::init(options, size) };
}

/// Opens a consumer, which reads nothing yet.
///
/// options: NULL for the defaults. consumer: gets the handle, which is yours to close with thalweg_consumer_close.
///
/// Blocks: the first use of named positions reads them from the device. Any thread. Errors: ALREADY_OPEN if a consumer of
/// the same name is open; INVALID_ARGUMENT; UNSUPPORTED for options of a later version; CORRUPT, IO; CLOSED, FORKED. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_open(
    engine: *mut thalweg_engine,
    options: *const thalweg_consumer_options,
    consumer: *mut *mut thalweg_consumer,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            check(consumer, "consumer")?;
            let opened = object.engine.consumer(arguments::options(options)?.options()?)?;
            let wakeup = opened.wakeup();
            let inside = Mutex::new(Inside { consumer: opened, names: Vec::new() });
            let made = ConsumerObject { inside, wakeup, indexes: Arc::clone(&object.indexes) };
            consumer.write(CONSUMERS.open(made)?);
            Ok(())
        })
    }
}

/// Closes a consumer. What was committed stays, and so do batches. A thread that waits in thalweg_consumer_wait is woken,
/// and answers TIMED_OUT; the name is free once no thread is in a call any more. NULL is allowed.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_close(
    consumer: *mut thalweg_consumer,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe {
        close(&CONSUMERS, consumer, error, |object| {
            object.wakeup.wake();
            Ok(())
        })
    }
}

/// Reads all partitions of a topic: from the positions committed under the consumer's name, or where there is none from
/// where its options say. Partitions that are added later are read from their beginning. The topic's handle may be closed
/// afterwards.
///
/// Blocks: may read positions from the device, and a start by time records. One thread at a time. Errors: INVALID_ARGUMENT,
/// also for a topic of another engine; CORRUPT if the positions cannot be read; WOULD_BLOCK if another thread is in a call
/// of it; IO; DELETED; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_subscribe(
    consumer: *mut thalweg_consumer,
    topic: *mut thalweg_topic,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe {
        call_on(&CONSUMERS, consumer, error, |object| {
            let topic = other(&TOPICS, topic)?;
            Ok(alone(&object.inside)?.consumer.subscribe(&topic.topic)?)
        })
    }
}

/// Reads one partition, or goes somewhere else in one that is read already.
///
/// start_at and value: THALWEG_START_EARLIEST and its like; THALWEG_START_COMMITTED is as thalweg_consumer_subscribe does,
/// and leaves a partition that is read already where it is.
///
/// Blocks: as thalweg_consumer_subscribe. One thread at a time. Errors: NOT_FOUND for a partition that the topic does not
/// have; OUT_OF_RANGE for an offset that is; otherwise as thalweg_consumer_subscribe. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_assign(
    consumer: *mut thalweg_consumer,
    topic: *mut thalweg_topic,
    partition: u32,
    start_at: u32,
    value: u64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe {
        call_on(&CONSUMERS, consumer, error, |object| {
            let topic = other(&TOPICS, topic)?;
            let from = (start_at != THALWEG_START_COMMITTED).then(|| start(start_at, value)).transpose()?;
            Ok(alone(&object.inside)?.consumer.assign(&topic.topic, partition, from)?)
        })
    }
}

/// Stops reading a topic, all its partitions. What was committed stays.
///
/// Does not block. One thread at a time. Errors: INVALID_ARGUMENT; WOULD_BLOCK if another thread is in a call of it;
/// CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_unsubscribe(
    consumer: *mut thalweg_consumer,
    topic: *mut thalweg_topic,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe {
        call_on(&CONSUMERS, consumer, error, |object| {
            let topic = other(&TOPICS, topic)?;
            alone(&object.inside)?.consumer.unsubscribe(&topic.topic);
            Ok(())
        })
    }
}

/// Goes somewhere else in a partition that is read. start_at and value: as for thalweg_consumer_assign, but
/// THALWEG_START_COMMITTED.
///
/// Blocks: a start by time reads the device. One thread at a time. Errors: OUT_OF_RANGE for an offset that is; NOT_FOUND for
/// a partition that is not read; INVALID_ARGUMENT; CORRUPT, IO; WOULD_BLOCK if another thread is in a call of it; DELETED;
/// CLOSED, FORKED. The consumer then stays where it was. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_seek(
    consumer: *mut thalweg_consumer,
    topic: *mut thalweg_topic,
    partition: u32,
    start_at: u32,
    value: u64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe {
        call_on(&CONSUMERS, consumer, error, |object| {
            let topic = other(&TOPICS, topic)?;
            Ok(alone(&object.inside)?.consumer.seek(&topic.topic, partition, start(start_at, value)?)?)
        })
    }
}

/// Goes somewhere else in all partitions that are read. start_at and value: as for thalweg_consumer_seek, but
/// THALWEG_START_OFFSET.
///
/// Blocks: a start by time reads the device. One thread at a time. Errors: as thalweg_consumer_seek; after one, some
/// partitions have moved and others not. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_seek_all(
    consumer: *mut thalweg_consumer,
    start_at: u32,
    value: u64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe {
        call_on(&CONSUMERS, consumer, error, |object| {
            let to = start(start_at, value)?;
            if let Start::Offset(_) = to {
                return Err(Failure::new(INVALID_ARGUMENT, "an offset belongs to one partition; seek there instead"));
            }
            Ok(alone(&object.inside)?.consumer.seek_all(to)?)
        })
    }
}

/// Records that are there: one batch, out of the partition whose turn it is, up to max_bytes, but at least one batch as it
/// was appended; often less, though more is there, for it lies in one piece of memory. What is on the device is asked for,
/// and comes with a later call.
///
/// batch: gets the handle, which is yours to release with thalweg_batch_release. view: gets what is in it.
///
/// Does not block. One thread at a time. Errors: WOULD_BLOCK if there is nothing now, or another thread is in a call of it:
/// thalweg_consumer_eventfd tells when to ask again; NO_MEMORY if batches that are held use up the readers' part of the
/// memory: release some. Others concern one partition or topic, which the error names, and the next call goes on with the
/// others: CORRUPT where acknowledged records are damaged: a seek to the end of the range that the error names reads on;
/// OUT_OF_RANGE where the position is not there, if the options say so; DELETED, once, for a topic that is gone;
/// PARTITION_FAILED, once, behind the last record of a partition that takes no more; IO. INVALID_ARGUMENT, also if nothing
/// is read; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_poll(
    consumer: *mut thalweg_consumer,
    max_bytes: usize,
    batch: *mut *mut thalweg_batch,
    view: *mut thalweg_batch_view,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&CONSUMERS, consumer, error, |object| {
            let place = Place::check(batch, view)?;
            object.indexes.check()?;
            let mut inside = alone(&object.inside)?;
            match inside.consumer.try_next(max_bytes).map_err(Failure::of_read)? {
                Some(polled) => object.lend(&mut inside, polled, place),
                None => Err(nothing(timeout(0))),
            }
        })
    }
}

/// As thalweg_consumer_poll, but waits for records until the time is over, or thalweg_consumer_wakeup.
///
/// timeout_ms: negative is without end, 0 for the device only.
///
/// Blocks. One thread at a time. Errors: TIMED_OUT, or WOULD_BLOCK with timeout_ms 0, if there is nothing; otherwise as
/// thalweg_consumer_poll. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_wait(
    consumer: *mut thalweg_consumer,
    max_bytes: usize,
    timeout_ms: i64,
    batch: *mut *mut thalweg_batch,
    view: *mut thalweg_batch_view,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&CONSUMERS, consumer, error, |object| {
            let place = Place::check(batch, view)?;
            object.indexes.check()?;
            let mut inside = alone(&object.inside)?;
            let timeout = timeout(timeout_ms);
            match inside.consumer.next(max_bytes, timeout).map_err(Failure::of_read)? {
                Some(polled) => object.lend(&mut inside, polled, place),
                None => Err(nothing(timeout)),
            }
        })
    }
}

/// Ends a thalweg_consumer_wait early, which answers TIMED_OUT; if no thread is in one, the next that would wait.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_wakeup(
    consumer: *mut thalweg_consumer,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe {
        call_on(&CONSUMERS, consumer, error, |object| {
            object.wakeup.wake();
            Ok(())
        })
    }
}

/// A descriptor (fd) that is readable while a poll has something to look at, for poll, epoll and their like; then call
/// thalweg_consumer_poll as long as it answers OK. After WOULD_BLOCK there is nothing more now; after another error
/// others may have some, and it stays readable: also while polls answer NO_MEMORY, or an error that does not go away by
/// itself, as OUT_OF_RANGE until a seek. Do not read from it and do not close it; it lives as long as the consumer.
///
/// Does not block. One thread at a time. Errors: IO if the process has no descriptor left; INVALID_ARGUMENT; WOULD_BLOCK if
/// another thread is in a call of it; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_eventfd(
    consumer: *mut thalweg_consumer,
    fd: *mut i32,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&CONSUMERS, consumer, error, |object| {
            check(fd, "fd")?;
            fd.write(alone(&object.inside)?.consumer.eventfd()?.as_raw_fd());
            Ok(())
        })
    }
}

/// What is still to be read of all partitions together (lag), in offsets, of which some may have no record.
///
/// Does not block. One thread at a time. Errors: INVALID_ARGUMENT; WOULD_BLOCK if another thread is in a call of it; CLOSED,
/// FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_consumer_lag(
    consumer: *mut thalweg_consumer,
    lag: *mut u64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&CONSUMERS, consumer, error, |object| {
            check(lag, "lag")?;
            lag.write(alone(&object.inside)?.consumer.lag());
            Ok(())
        })
    }
}
