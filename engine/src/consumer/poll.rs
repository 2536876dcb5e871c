//! Polling: what is there, from each partition in turns, and waiting for more.

use std::time::{Duration, Instant};

use super::consumer::{Consumer, TOPIC};
use super::polling::Polling;
use super::slot::{Read, Slot};
use crate::error::{Error, ErrorKind, Result};
use crate::reader::Batch;
use crate::sync::Arc;

/// The least that a partition is asked for in its turn. Bytes.
const SHARE_MIN: usize = 16 << 10;

/// Records of one partition, as a [`Consumer`] polls them.
#[derive(Debug)]
#[non_exhaustive]
pub struct Polled {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic's number.
    pub topic_id: u32,
    /// The partition's index.
    pub partition: u32,
    /// The records, lent from the engine's memory.
    pub batch: Batch,
}

impl Consumer {
    /// Records from all partitions that have some, up to `max_bytes` together, but at least one batch as it was
    /// appended, whatever its size. Waits for them until `timeout` has passed (`None`: without end; zero: for the
    /// device only), and is empty then. Sleeps until there is something: it is woken once, however much arrives.
    ///
    /// Partitions come in turns. Each that has records gets an equal part of `max_bytes` first; one that waited goes
    /// before one that was served. Of one partition there may be several batches, in order.
    ///
    /// # Errors
    /// An error concerns one partition or topic, which it names; the others go on with the next poll.
    /// [`Corrupt`](ErrorKind::Corrupt) where acknowledged records are damaged: the consumer stays before the range,
    /// and [`seek`](Consumer::seek) to its end reads on. [`OutOfRange`](ErrorKind::OutOfRange) where the position is
    /// not there, if the options say so. [`Deleted`](ErrorKind::Deleted), once, for a topic that is gone;
    /// [`PartitionFailed`](ErrorKind::PartitionFailed), once, behind the last record of a partition that takes no
    /// more. [`WouldBlock`](ErrorKind::WouldBlock) if batches that are held use up the readers' part of the memory
    /// budget. [`InvalidArgument`](ErrorKind::InvalidArgument) if nothing is read.
    pub fn poll(&mut self, max_bytes: usize, timeout: Option<Duration>) -> Result<Vec<Polled>> {
        self.wait(max_bytes, usize::MAX, timeout)
    }

    /// As [`poll`](Consumer::poll), but one batch only, out of the partition whose turn it is. `None`: the time has
    /// passed.
    ///
    /// # Errors
    /// As [`poll`](Consumer::poll).
    pub fn next(&mut self, max_bytes: usize, timeout: Option<Duration>) -> Result<Option<Polled>> {
        Ok(self.wait(max_bytes, 1, timeout)?.pop())
    }

    /// As [`next`](Consumer::next), and never waits, not for the device either: it is asked, and a later call has the
    /// answer. `None`: nothing is there now; [`eventfd`](Consumer::eventfd) tells when to ask again.
    ///
    /// # Errors
    /// As [`poll`](Consumer::poll).
    pub fn try_next(&mut self, max_bytes: usize) -> Result<Option<Polled>> {
        Ok(self.take(max_bytes, 1)?.pop())
    }

    fn wait(&mut self, max_bytes: usize, batches: usize, timeout: Option<Duration>) -> Result<Vec<Polled>> {
        let at_once = timeout == Some(Duration::ZERO);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let polled = self.take(max_bytes, batches)?;
            if !polled.is_empty() || (at_once && self.asked == 0) {
                return Ok(polled);
            }
            if !self.signal.sleep(deadline.filter(|_| !at_once)) {
                return Ok(Vec::new());
            }
        }
    }

    /// As [`poll`](Consumer::poll), as a `Future`: it waits for records without end, and without a thread. Dropped
    /// before it is ready, it has taken nothing. For its waker the same holds as for those of [tickets](crate::Ticket#wakers).
    pub fn poll_async(&mut self, max_bytes: usize) -> Polling<'_> {
        Polling::new(self, max_bytes)
    }

    /// What is there now, of at most so many batches.
    pub(super) fn take(&mut self, max_bytes: usize, batches: usize) -> Result<Vec<Polled>> {
        let taken = self.look(max_bytes, batches);
        self.signal.settle(self.has_more() || taken.is_err());
        taken
    }

    fn look(&mut self, max_bytes: usize, batches: usize) -> Result<Vec<Polled>> {
        self.common.gate.check()?;
        self.take_news();
        if let Some(error) = self.errors.pop_front() {
            return Err(error);
        }
        if self.by_partition.is_empty() && self.subscriptions.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "the consumer reads nothing; subscribe it to a topic"));
        }
        let (mut polled, mut left) = (Vec::new(), max_bytes);
        while let Some(index) = self.queue.pop_front() {
            self.queued.remove(&index);
            let turns = (self.queue.len() + 1).min(batches - polled.len());
            let share = (left / turns).max(SHARE_MIN).min(left);
            let before = self.slots.get(&index).filter(|_| !polled.is_empty()).map(Slot::place);
            match self.read(index, share) {
                // A batch is never divided. What does not fit any more comes first the next time.
                Ok(Some(found)) if before.is_some() && found.batch.size() > left => {
                    if let (Some(slot), Some(before)) = (self.slots.get_mut(&index), before) {
                        slot.return_to(before);
                    }
                    self.queued.insert(index);
                    self.queue.push_front(index);
                    break;
                }
                Ok(Some(found)) => {
                    left = left.saturating_sub(found.batch.size());
                    polled.push(found);
                    self.enqueue(index);
                }
                Ok(None) => {}
                Err(error) => {
                    self.put_back(index, &error);
                    if polled.is_empty() {
                        return Err(error);
                    }
                    // What was taken is given first; who failed comes again, or has been noted.
                    if error.kind() == ErrorKind::Deleted || error.kind() == ErrorKind::PartitionFailed {
                        self.errors.push_back(error);
                    }
                    break;
                }
            }
            if left == 0 || polled.len() == batches {
                break;
            }
        }
        Ok(polled)
    }

    /// What concerns an error that will be met again is looked at again.
    fn put_back(&mut self, index: u64, error: &Error) {
        match error.kind() {
            ErrorKind::Deleted => {
                if let Some(slot) = self.slots.get(&index) {
                    self.remove(slot.id().topic);
                }
            }
            ErrorKind::PartitionFailed => {}
            ErrorKind::WouldBlock => {
                self.queued.insert(index);
                self.queue.push_front(index);
            }
            _ => self.enqueue(index),
        }
    }

    fn take_news(&mut self) {
        for token in self.signal.take() {
            if token & TOPIC != 0 {
                self.watch(token ^ TOPIC);
                continue;
            }
            if let Some(slot) = self.slots.get_mut(&token) {
                if std::mem::take(&mut slot.asked) {
                    self.asked -= 1;
                }
                self.enqueue(token);
            }
        }
    }

    fn read(&mut self, index: u64, share: usize) -> Result<Option<Polled>> {
        let Some(slot) = self.slots.get_mut(&index) else { return Ok(None) };
        let asked = slot.asked;
        let read = match slot.read(share, &self.signal, index) {
            Err(error) if error.kind() == ErrorKind::OutOfRange => match self.options.out_of_range.start() {
                Some(start) => {
                    slot.seek_later(start)?;
                    slot.read(share, &self.signal, index)
                }
                None => Err(error.hint("seek, or open the consumer with an option out_of_range that goes elsewhere")),
            },
            // A shard may have met the end of the topic first, and does not know its name.
            Err(error) if error.kind() == ErrorKind::Deleted => Err(slot.topic.state().check().err().unwrap_or(error)),
            read => read,
        };
        self.asked += usize::from(slot.asked && !asked);
        let named = |error: Error| match error.kind() {
            // They concern the consumer.
            ErrorKind::WouldBlock | ErrorKind::NoMemory | ErrorKind::Closed | ErrorKind::Forked => error,
            _ => error.of(slot.topic.name(), Some(slot.id().partition)),
        };
        match read.map_err(named)? {
            Read::Records(batch) => {
                let (topic, id) = (Arc::clone(&slot.topic.state().name), slot.id());
                Ok(Some(Polled { topic, topic_id: id.topic.0, partition: id.partition, batch }))
            }
            Read::Nothing | Read::Asked => Ok(None),
        }
    }
}
