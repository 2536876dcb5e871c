//! One event.

use core::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{DamagedRange, Error, Place};

/// Something that happened in an engine. Taken from [`Events`](crate::Events).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When, in ms since 1970.
    pub time: i64,
    /// What.
    pub kind: EventKind,
}

/// What happened. In an engine whose device does as it should there are [`Recovered`](EventKind::Recovered),
/// [`Opened`](EventKind::Opened) and [`Closed`](EventKind::Closed), [`Truncated`](EventKind::Truncated) if the program
/// does that, and no others, but for an [`IoError`](EventKind::IoError) when a segment that was cut is first read after
/// an open (it has no index where one is looked for), and a [`DamagedCopy`](EventKind::DamagedCopy) of `MANIFEST` when a
/// loss of power tore a write to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// The store was brought to the state from which it goes on. Comes with every open.
    #[non_exhaustive]
    Recovered {
        /// It had been closed cleanly, or is new.
        clean: bool,
        /// How long it took.
        duration: Duration,
        /// Partitions that were being written, whose ends were found by reading. Appends that were under way in them
        /// may have been cut off; none of them had been acknowledged.
        tails: usize,
        /// Damaged ranges; each has an event of its own.
        damaged: usize,
        /// Partitions whose files refused to be made durable.
        unavailable: usize,
        /// Journals in which durable writes cannot be read.
        damaged_journals: usize,
        /// Places of the store's metadata that cannot be read, and were taken from their second copy; each has an event of
        /// its own.
        damaged_copies: usize,
    },
    /// The engine takes calls.
    #[non_exhaustive]
    Opened {
        /// The store's directory.
        path: PathBuf,
        /// What moves the bytes: `"uring"` or `"posix"`.
        runtime: &'static str,
        /// The store is only read.
        read_only: bool,
    },
    /// Something that is slower, or weaker in no guarantee, takes the place of what is not to be had here.
    #[non_exhaustive]
    Fallback {
        /// What does without what.
        what: Fallback,
        /// Why.
        reason: String,
    },
    /// Acknowledged records are damaged. May come again when they are read again.
    Damage(DamagedRange),
    /// The store says twice what it consists of, and a place of one copy cannot be read. Nothing is lost: the other was
    /// taken, and an open that may write has written both anew. In `MANIFEST` it may also be a write that a loss of power
    /// has torn.
    #[non_exhaustive]
    DamagedCopy {
        /// The file within the store.
        file: String,
        /// The first byte of the place.
        start: u64,
        /// The byte after the last.
        end: u64,
    },
    /// The operating system refused something in the background, or on behalf of a reader.
    #[non_exhaustive]
    IoError {
        /// `"read"`, `"write"`, `"flush"`, `"open"`, or `"metadata"` for anything else that concerns files.
        operation: &'static str,
        /// The file within the store, as far as it is known; else its directory.
        file: String,
        /// Why.
        error: Error,
    },
    /// The partition refuses appends until the store is opened again. What was acknowledged stays readable.
    #[non_exhaustive]
    PartitionFailed {
        /// The topic's name.
        topic: String,
        /// The partition's index.
        partition: u32,
        /// Why.
        error: Error,
    },
    /// No space is left for what is appended. Appends are refused until there is some; each asks anew, so that nothing
    /// else has to be done. Comes once for all partitions of a shard until
    /// [`SpaceAvailable`](EventKind::SpaceAvailable), and names the first that was refused: other partitions may be
    /// refused without an event of their own.
    #[non_exhaustive]
    NoSpace {
        /// The topic's name.
        topic: String,
        /// The partition's index: the first that needed space.
        partition: u32,
        /// Why.
        error: Error,
    },
    /// There is space again where [`NoSpace`](EventKind::NoSpace) told that there was none: for the smallest segment that
    /// was refused in its shard. Looked for once a second, and with each append. It stands for all partitions of the shard:
    /// try each that was refused. None of them answers for the time before any more, and one that is refused again, as
    /// where somebody else took the space, is followed by another `NoSpace` and another of these.
    #[non_exhaustive]
    SpaceAvailable {
        /// The topic's name.
        topic: String,
        /// The partition's index.
        partition: u32,
    },
    /// The program has truncated a partition's log; durably.
    #[non_exhaustive]
    Truncated {
        /// The topic's name.
        topic: String,
        /// The partition's index.
        partition: u32,
        /// The log start offset from then on.
        log_start: u64,
        /// The next offset from then on.
        next_offset: u64,
    },
    /// The engine has ended. The last event.
    #[non_exhaustive]
    Closed {
        /// All of it is whole on the device: the next open recovers nothing.
        clean: bool,
    },
}

/// What does without what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fallback {
    /// Plain system calls take the place of io_uring.
    Posix,
    /// Transfers go through the page cache.
    BufferedIo,
    /// A write and a flush take the place of one durable write.
    WriteThenSync,
    /// No memory, or only a part of what is wanted, is registered with io_uring: its writes cost a little more.
    UnregisteredMemory,
    /// Small durable writes go to their segments one by one, because no journal file can be made.
    NoJournal,
}

impl Fallback {
    /// The name that logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Fallback::Posix => "posix",
            Fallback::BufferedIo => "buffered_io",
            Fallback::WriteThenSync => "write_then_sync",
            Fallback::UnregisteredMemory => "unregistered_memory",
            Fallback::NoJournal => "no_journal",
        }
    }
}

impl EventKind {
    /// The name that logs use: `"opened"`, `"partition_failed"`.
    pub fn name(&self) -> &'static str {
        match self {
            EventKind::Recovered { .. } => "recovered",
            EventKind::Opened { .. } => "opened",
            EventKind::Fallback { .. } => "fallback",
            EventKind::Damage(_) => "damage",
            EventKind::DamagedCopy { .. } => "damaged_copy",
            EventKind::IoError { .. } => "io_error",
            EventKind::PartitionFailed { .. } => "partition_failed",
            EventKind::NoSpace { .. } => "no_space",
            EventKind::SpaceAvailable { .. } => "space_available",
            EventKind::Truncated { .. } => "truncated",
            EventKind::Closed { .. } => "closed",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventKind::Recovered { clean: true, duration, .. } => write!(f, "ready after {duration:.1?}"),
            EventKind::Recovered {
                duration, tails, damaged, unavailable, damaged_journals, damaged_copies, ..
            } => write!(
                f,
                "recovered in {duration:.1?}: {tails} partitions were being written, {damaged} damaged ranges, \
                 {unavailable} unavailable partitions, {damaged_journals} damaged journals, {damaged_copies} damaged \
                 copies"
            ),
            EventKind::Opened { path, runtime, read_only } => {
                let how = if *read_only { ", to be read only" } else { "" };
                write!(f, "opened {} with {runtime}{how}", path.display())
            }
            EventKind::Fallback { what, reason } => write!(f, "fell back to {}: {reason}", what.as_str()),
            EventKind::Damage(range) => write!(f, "{range} are damaged"),
            EventKind::DamagedCopy { file, start, end } => {
                write!(f, "bytes {start}..{end} of {file:?} are damaged; their other copy is whole")
            }
            EventKind::IoError { operation, file, error } => write!(f, "{operation} of {file:?} failed: {error}"),
            EventKind::PartitionFailed { topic, partition, error } => {
                write!(f, "{} refuses appends: {error}", Place(topic, *partition))
            }
            EventKind::NoSpace { topic, partition, error } => {
                write!(f, "no space for {}: {error}", Place(topic, *partition))
            }
            EventKind::SpaceAvailable { topic, partition } => {
                write!(f, "there is space again for {}", Place(topic, *partition))
            }
            EventKind::Truncated { topic, partition, log_start, next_offset } => {
                write!(f, "topic {topic:?} partition {partition} was truncated to offsets {log_start}..{next_offset}")
            }
            EventKind::Closed { clean } => f.write_str(if *clean { "closed" } else { "closed, but not clean" }),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.kind, f)
    }
}
