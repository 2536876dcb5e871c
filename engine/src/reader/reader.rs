//! A reader: one place in one partition, moving on.

use std::sync::Arc as StdArc;
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::copies::Holder;
use super::lender::{Attempt, Cursor, Lender};
use crate::error::{Error, ErrorKind, Result};
use crate::gate::Gate;
use crate::partition::{Partition, Seat};
use crate::sync::Arc;

/// Where a [`Reader`] begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the log start offset: the oldest record that is kept.
    Earliest,
    /// At the high watermark: what becomes visible from now on.
    Latest,
    /// At this offset.
    Offset(u64),
    /// At the first record whose timestamp is this or later, in ms since 1970; at the high watermark if there is none.
    /// Create times need not be in order. Records that are damaged may have any time: the search stops before them,
    /// and the read tells.
    Time(i64),
    /// At the first record that was appended at this time or later, in ms since 1970; at the high watermark if there is
    /// none. Append times never fall within a partition, whatever the clock does.
    AppendTime(i64),
}

/// Reads one partition in order.
///
/// A reader asks the device ahead for what it will come to. It holds no memory of its own beside the batches it has
/// given out. It may be moved to another thread; one thread at a time uses it. It stays valid when the topic's handle
/// is dropped, and answers [`Closed`](crate::ErrorKind::Closed) once the engine is closed.
///
/// ```
/// # fn main() -> thalweg::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// use std::time::Duration;
/// use thalweg::{Engine, Options, Record, Start, TopicOptions};
/// let engine = Engine::open(dir.path(), Options::default())?;
/// let topic = engine.create_topic("orders", TopicOptions::default())?;
/// topic.append(&Record::new("paid"))?;
/// let mut reader = topic.reader(0, Start::Earliest)?;
/// let batch = reader.next(1 << 20, Some(Duration::from_secs(1)))?;
/// assert_eq!(batch.len(), 1);
/// assert!(reader.next(1 << 20, Some(Duration::ZERO))?.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Reader {
    source: Source,
    cursor: Cursor,
}

/// What a read needs beside its place.
#[derive(Clone)]
pub(crate) struct Source {
    seat: Arc<Seat>,
    _joined: StdArc<()>,
    /// The incarnation that was read last.
    pub(crate) partition: Arc<Partition>,
    pub(crate) lender: Arc<Lender>,
    pub(crate) gate: Arc<Gate>,
    holder: Holder,
}

impl Source {
    pub(crate) fn new(seat: Arc<Seat>, lender: Arc<Lender>, gate: Arc<Gate>) -> Source {
        Source { partition: seat.current(), _joined: seat.join(), seat, lender, gate, holder: Holder::default() }
    }

    /// Has what it copies counted together with what others of the same holder do.
    pub(crate) fn hold_as(&mut self, holder: &Holder) {
        self.holder.clone_from(holder);
    }

    /// One try to read at the cursor, in whichever incarnation of the partition counts.
    pub(crate) fn attempt(&mut self, cursor: &mut Cursor, max_bytes: usize) -> Result<Attempt> {
        cursor.holder.clone_from(&self.holder);
        loop {
            cursor.alone = self.seat.has_one_reader();
            if let Some(cut) = cursor.cut {
                let offset = cursor.offset;
                let message =
                    format!("the log was cut at offset {cut}, before the reader at {offset}; seek to read on");
                return Err(self.partition.named(Error::new(ErrorKind::OutOfRange, message)));
            }
            match self.lender.attempt(&self.partition, cursor, max_bytes) {
                Err(error) if error.kind() == ErrorKind::Truncated => self.follow(cursor),
                attempt => return attempt,
            }
        }
    }

    /// Goes on in the incarnation that counts.
    fn follow(&mut self, cursor: &mut Cursor) {
        let cut = self.seat.agree_below(self.partition.tail().epoch());
        self.partition = self.seat.current();
        let Cursor { offset, sequential, waited, .. } = *cursor;
        let (cut, holder) = ((offset > cut).then_some(cut), self.holder.clone());
        *cursor = Cursor { offset, sequential, waited, cut, holder, ..Cursor::default() };
    }

    /// Where the log was cut before the cursor since it got there.
    pub(crate) fn cut_before(&self, cursor: &Cursor) -> Option<u64> {
        let agree = self.seat.agree_below(self.partition.tail().epoch());
        cursor.cut.or((cursor.offset > agree).then_some(agree))
    }

    /// The offset below which an incarnation and the one that counts have the same records.
    pub(crate) fn agree_below(&self, epoch: u32) -> u64 {
        self.seat.agree_below(epoch)
    }

    /// The incarnation that counts.
    pub(crate) fn current(&self) -> Arc<Partition> {
        self.seat.current()
    }

    /// Reads at the cursor. Blocks while the device is asked.
    pub(crate) fn read(&mut self, cursor: &mut Cursor, max_bytes: usize) -> Result<Batch> {
        self.gate.check()?;
        loop {
            match self.attempt(cursor, max_bytes)? {
                Attempt::Batch(batch) => return Ok(batch),
                Attempt::Wait(extent) => {
                    extent.wait(None);
                }
            }
        }
    }

    /// As [`read`](Source::read), but waits until there is something, or `timeout` has passed.
    pub(crate) fn read_wait(
        &mut self,
        cursor: &mut Cursor,
        max_bytes: usize,
        timeout: Option<Duration>,
    ) -> Result<Batch> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let batch = self.read(cursor, max_bytes)?;
            if !batch.is_empty() || timeout == Some(Duration::ZERO) {
                return Ok(batch);
            }
            match self.partition.wait_beyond(cursor.offset, deadline) {
                Ok(true) => {}
                Ok(false) => return Ok(Batch::empty(cursor.offset)),
                Err(error) if error.kind() == ErrorKind::Truncated => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Goes to the incarnation that counts.
    pub(crate) fn renew(&mut self) {
        self.partition = self.seat.current();
    }

    /// The offset that a start means now. An error if it cannot be read from.
    pub(crate) fn resolve(&mut self, start: Start) -> Result<u64> {
        self.renew();
        let offset = match start {
            Start::Earliest => self.partition.log_start(),
            Start::Latest => self.partition.watermark().high(),
            Start::Offset(offset) => offset,
            Start::Time(time) => self.first_at(time)?,
            Start::AppendTime(time) => self.first_appended_at(time)?,
        };
        if let Start::Offset(_) = start {
            // Damage is the answer to the read, not to the positioning.
            match self.partition.check_readable(offset) {
                Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
                _ => {}
            }
        }
        Ok(offset)
    }
}

impl Reader {
    pub(crate) fn new(mut source: Source, start: Start) -> Result<Reader> {
        source.gate.check()?;
        let offset = source.resolve(start)?;
        Ok(Reader { source, cursor: Cursor::in_order(offset) })
    }

    /// The next records: up to `max_bytes` of them, but at least one batch as it was appended, whatever its size.
    /// Waits for them until `timeout` has passed (`None`: without end; zero: not at all), and is empty then.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) where acknowledged records are damaged: the error names the range, the
    /// reader stays before it, and [`seek`](Reader::seek) to its end reads on. [`Io`](crate::ErrorKind::Io) if the
    /// device refuses. [`WouldBlock`](crate::ErrorKind::WouldBlock) if batches that are held use up the readers' part
    /// of the memory budget. [`OutOfRange`](crate::ErrorKind::OutOfRange) if the log start has overtaken the reader, or
    /// the log was cut before it. After any of them the reader is where it was.
    pub fn next(&mut self, max_bytes: usize, timeout: Option<Duration>) -> Result<Batch> {
        self.source.read_wait(&mut self.cursor, max_bytes, timeout)
    }

    /// The offset that is read next.
    pub fn offset(&self) -> u64 {
        self.cursor.offset
    }

    /// Goes somewhere else.
    ///
    /// # Errors
    /// [`OutOfRange`](crate::ErrorKind::OutOfRange) for an offset below the log start or above the high watermark; the
    /// reader stays where it was.
    pub fn seek(&mut self, start: Start) -> Result<()> {
        self.source.gate.check()?;
        let offset = self.source.resolve(start)?;
        self.cursor = Cursor::in_order(offset);
        Ok(())
    }
}

impl core::fmt::Debug for Reader {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Reader({} at {})", self.source.partition, self.cursor.offset)
    }
}
