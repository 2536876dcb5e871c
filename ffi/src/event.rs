//! Events: what happens in an engine.

use std::ffi::c_char;
use std::os::fd::AsRawFd;

use thalweg::{Event, EventKind, Events};

use crate::arguments::{self, Prefixed, check};
use crate::call::{call_on, close};
use crate::engine::{ENGINES, thalweg_engine};
use crate::error::thalweg_error;
use crate::failure::Failure;
use crate::handle::Table;
use crate::status::{self, OK, WOULD_BLOCK, thalweg_status};
use crate::text::{put_message, put_text};

/// The events of an engine. Close it with thalweg_events_close.
pub struct thalweg_events {
    _opaque: (),
}

/// Event: another one, which this version has no number for; the message tells.
pub const THALWEG_EVENT_OTHER: u32 = 0;
/// Event: the store was brought to the state from which it goes on. clean: it had been closed cleanly, or is new.
pub const THALWEG_EVENT_RECOVERED: u32 = 1;
/// Event: the engine takes calls.
pub const THALWEG_EVENT_OPENED: u32 = 2;
/// Event: something slower, but no weaker in what it promises, takes the place of what is not to be had here; the
/// message says what. "no_journal": a file of a shard's journal could not be made, for want of space for instance.
/// Small durable appends for which the rest of the journal has no room then go to their segments, each in a write of
/// its own. It stays so until the store is opened again.
pub const THALWEG_EVENT_FALLBACK: u32 = 3;
/// Event: acknowledged records are damaged: topic, partition, start and end.
pub const THALWEG_EVENT_DAMAGE: u32 = 4;
/// Event: the operating system refused something: status and os_error.
pub const THALWEG_EVENT_IO_ERROR: u32 = 5;
/// Event: the partition refuses appends until the store is opened again: topic, partition, status and os_error.
pub const THALWEG_EVENT_PARTITION_FAILED: u32 = 6;
/// Event: no space is left for what is appended: topic, partition, status and os_error. Comes once for all partitions
/// of a shard until THALWEG_EVENT_SPACE_AVAILABLE, and names the first that was refused: others may be refused without
/// an event of their own.
pub const THALWEG_EVENT_NO_SPACE: u32 = 7;
/// Event: the program has truncated a partition: topic, partition, start (log start offset) and end (next offset).
pub const THALWEG_EVENT_TRUNCATED: u32 = 8;
/// Event: the engine has ended. clean: the next open recovers nothing. The last one.
pub const THALWEG_EVENT_CLOSED: u32 = 9;
/// Event: one of two copies of what the store consists of is damaged; the other one is used, and nothing is lost.
pub const THALWEG_EVENT_DAMAGED_COPY: u32 = 10;
/// Event: there is space again where THALWEG_EVENT_NO_SPACE told that there was none: topic and partition. It stands
/// for all partitions of the shard: after each of these events try all that were refused. No partition answers for the
/// time before; one that is refused with NO_SPACE again is followed by another pair of events.
pub const THALWEG_EVENT_SPACE_AVAILABLE: u32 = 11;

/// Something that happened in an engine. Make it ready with thalweg_event_init before the call. What does not belong to the
/// kind is 0 or empty.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_event {
    /// sizeof(thalweg_event).
    pub size: u32,
    /// THALWEG_EVENT_OPENED and its like.
    pub kind: u32,
    /// When, in ms since 1970.
    pub time: i64,
    /// An offset.
    pub start: u64,
    /// An offset.
    pub end: u64,
    /// With topic: the partition's index.
    pub partition: u32,
    /// 1: clean.
    pub clean: u32,
    /// Why something was refused; THALWEG_OK if nothing was.
    pub status: thalweg_status,
    /// The operating system's error number.
    pub os_error: i32,
    /// The topic's name. Ends with a zero byte.
    pub topic: [c_char; 256],
    /// A sentence to show: UTF-8, ends with a zero byte, cut where it is longer.
    pub message: [c_char; 1024],
}

// SAFETY: integers without padding.
unsafe impl Prefixed for thalweg_event {
    const NAME: &'static str = "thalweg_event";
}

/// Makes an event ready to be filled. size is sizeof(thalweg_event). NULL is allowed.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_event_init(event: *mut thalweg_event, size: usize) {
    // SAFETY: the caller's struct is as large as it says.
    unsafe { arguments::init(event, size) };
}

pub(crate) static EVENTS: Table<Events> = Table::new(8, "events");

impl From<&Event> for thalweg_event {
    fn from(event: &Event) -> thalweg_event {
        let mut made = thalweg_event {
            size: 0,
            kind: THALWEG_EVENT_OTHER,
            time: event.time,
            start: 0,
            end: 0,
            partition: 0,
            clean: 0,
            status: OK,
            os_error: 0,
            topic: [0; 256],
            message: [0; 1024],
        };
        put_message(&mut made.message, &event.to_string());
        let mut of = |topic: &str, partition, start, end| {
            put_text(&mut made.topic, topic);
            (made.partition, made.start, made.end) = (partition, start, end);
        };
        let (kind, error) = match &event.kind {
            EventKind::Recovered { clean, .. } => {
                made.clean = (*clean).into();
                (THALWEG_EVENT_RECOVERED, None)
            }
            EventKind::Opened { .. } => (THALWEG_EVENT_OPENED, None),
            EventKind::Fallback { .. } => (THALWEG_EVENT_FALLBACK, None),
            EventKind::Damage(range) => {
                of(&range.topic, range.partition, range.start, range.end);
                (THALWEG_EVENT_DAMAGE, None)
            }
            EventKind::IoError { error, .. } => (THALWEG_EVENT_IO_ERROR, Some(error)),
            EventKind::PartitionFailed { topic, partition, error, .. } => {
                of(topic, *partition, 0, 0);
                (THALWEG_EVENT_PARTITION_FAILED, Some(error))
            }
            EventKind::NoSpace { topic, partition, error, .. } => {
                of(topic, *partition, 0, 0);
                (THALWEG_EVENT_NO_SPACE, Some(error))
            }
            EventKind::SpaceAvailable { topic, partition, .. } => {
                of(topic, *partition, 0, 0);
                (THALWEG_EVENT_SPACE_AVAILABLE, None)
            }
            EventKind::Truncated { topic, partition, log_start, next_offset, .. } => {
                of(topic, *partition, *log_start, *next_offset);
                (THALWEG_EVENT_TRUNCATED, None)
            }
            EventKind::Closed { clean, .. } => {
                made.clean = (*clean).into();
                (THALWEG_EVENT_CLOSED, None)
            }
            EventKind::DamagedCopy { .. } => (THALWEG_EVENT_DAMAGED_COPY, None),
            _ => (THALWEG_EVENT_OTHER, None),
        };
        made.kind = kind;
        made.status = error.map_or(OK, |error| status::of(error.kind()));
        made.os_error = error.and_then(thalweg::Error::os_code).unwrap_or(0);
        made
    }
}

/// Opens the events of an engine: what happened since its open began, until somebody takes it or it gives way to newer
/// events, of which 1,024 are kept. All handles take from one queue. events: gets the handle, which is yours to close with
/// thalweg_events_close; it outlives the engine, to tell of its close.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_events_open(
    engine: *mut thalweg_engine,
    events: *mut *mut thalweg_events,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            check(events, "events")?;
            events.write(EVENTS.open(object.engine.events())?);
            Ok(())
        })
    }
}

/// Closes the handle. Events go on to be kept. NULL is allowed.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_events_close(
    events: *mut thalweg_events,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe { close(&EVENTS, events, error, |_| Ok(())) }
}

/// Takes the oldest event.
///
/// Does not block. Any thread. Errors: WOULD_BLOCK if there is none; INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_events_poll(
    events: *mut thalweg_events,
    event: *mut thalweg_event,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&EVENTS, events, error, |events| {
            let place = arguments::filled(event)?;
            let Some(next) = events.try_next() else {
                return Err(Failure::bare(WOULD_BLOCK));
            };
            place.put(&thalweg_event::from(&next));
            Ok(())
        })
    }
}

/// Events that were dropped because nobody took them, since the engine was opened. count: gets how many.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_events_dropped(
    events: *mut thalweg_events,
    count: *mut u64,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&EVENTS, events, error, |events| {
            check(count, "count")?;
            count.write(events.dropped());
            Ok(())
        })
    }
}

/// A descriptor (fd) that is readable exactly while events wait, for poll, epoll and their like. Do not read from it and do
/// not close it; it lives as long as the handle.
///
/// Does not block. Any thread. Errors: IO if the process has no descriptor left; INVALID_ARGUMENT; CLOSED, FORKED. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_events_eventfd(
    events: *mut thalweg_events,
    fd: *mut i32,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&EVENTS, events, error, |events| {
            check(fd, "fd")?;
            fd.write(events.eventfd()?.as_raw_fd());
            Ok(())
        })
    }
}
