//! One partition of a consumer.

use super::signal::Signal;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::PartitionId;
use crate::reader::{Attempt, Batch, Cursor, Found, Search, Source, Start};
use crate::sync::{Arc, Notify, WaitKey, Waiter};
use crate::topic::Topic;

/// What a look at a partition came to.
pub(super) enum Read {
    Records(Batch),
    /// Nothing yet; the signal will tell when there is.
    Nothing,
    /// The device has been asked; the signal will tell when it has answered.
    Asked,
}

/// A partition that is read, and where.
pub(super) struct Slot {
    pub(super) topic: Topic,
    pub(super) source: Source,
    cursor: Cursor,
    /// What is being looked for, to go on there.
    search: Option<Search>,
    /// What was committed under the consumer's name, and the incarnation of the partition that counted then.
    committed: Option<(u64, u32)>,
    /// Where the signal is registered for more records.
    waiting: Option<WaitKey>,
    /// The device was asked, and the signal has not told yet.
    pub(super) asked: bool,
    /// It was said that the partition will never show more.
    pub(super) told: bool,
}

impl Slot {
    pub(super) fn new(topic: &Topic, source: Source, offset: u64, committed: Option<u64>) -> Slot {
        let cursor = Cursor::in_order(offset);
        let committed = committed.map(|committed| (committed, source.partition.tail().epoch()));
        Slot { topic: topic.clone(), source, cursor, search: None, committed, waiting: None, asked: false, told: false }
    }

    pub(super) fn id(&self) -> PartitionId {
        self.source.partition.id()
    }

    /// The offset that is read next.
    pub(super) fn offset(&self) -> u64 {
        self.cursor.offset
    }

    /// What is committed under the consumer's name: a position goes back with each cut before it.
    pub(super) fn committed(&self) -> Option<u64> {
        self.committed.map(|(offset, epoch)| offset.min(self.source.agree_below(epoch)))
    }

    /// It was committed.
    pub(super) fn commit(&mut self, offset: u64) {
        self.committed = Some((offset, self.source.current().tail().epoch()));
    }

    /// Where it is, to be returned to.
    pub(super) fn place(&self) -> Cursor {
        self.cursor.clone()
    }

    /// What was read since is read again.
    pub(super) fn return_to(&mut self, place: Cursor) {
        self.cursor = place;
    }

    /// Whether the log was cut before that: other records have come, or will come, to where it stands.
    pub(super) fn is_cut(&self) -> bool {
        self.source.cut_before(&self.cursor).is_some()
    }

    pub(super) fn seek(&mut self, start: Start) -> Result<()> {
        let offset = self.source.resolve(start)?;
        self.go(offset);
        Ok(())
    }

    /// As [`seek`](Slot::seek), without waiting: where the device has to be asked for it, the next read does.
    pub(super) fn seek_later(&mut self, start: Start) -> Result<()> {
        let Start::Time(time) = start else { return self.seek(start) };
        self.source.renew();
        self.search = Some(Search::new(time));
        Ok(())
    }

    fn go(&mut self, offset: u64) {
        self.search = None;
        self.cursor = Cursor::in_order(offset);
    }

    /// Reads on, or has the signal told under `token` when there is more. Never waits.
    pub(super) fn read(&mut self, max_bytes: usize, signal: &Arc<Signal>, token: u64) -> Result<Read> {
        self.stop_waiting();
        let notify: Arc<dyn Notify> = Arc::clone(signal) as Arc<dyn Notify>;
        if let Some(search) = &mut self.search {
            match self.source.search(search)? {
                Found::There(offset) => self.go(offset),
                Found::Wait(extent) => {
                    self.asked = true;
                    extent.tell(&notify, token);
                    return Ok(Read::Asked);
                }
            }
        }
        loop {
            match self.source.attempt(&mut self.cursor, max_bytes)? {
                Attempt::Batch(batch) if !batch.is_empty() => return Ok(Read::Records(batch)),
                Attempt::Batch(_) => {}
                Attempt::Wait(extent) => {
                    self.asked = true;
                    extent.tell(&notify, token);
                    return Ok(Read::Asked);
                }
            }
            let partition = Arc::clone(&self.source.partition);
            let mark = partition.watermark().visible();
            let target = self.cursor.offset.saturating_add(1);
            let key = mark.waiters().register(target, Waiter::Entry(Arc::clone(&notify), token));
            let failure = partition.watermark().failure();
            if mark.offset() < target && failure.is_none() {
                self.waiting = Some(key);
                return Ok(Read::Nothing);
            }
            mark.waiters().cancel(key);
            if mark.offset() < target
                && let Some(error) = failure.filter(|error| error.kind() != ErrorKind::Truncated)
            {
                return self.tell(error);
            }
        }
    }

    /// Says once why there will never be more.
    fn tell(&mut self, error: &Error) -> Result<Read> {
        if self.told && error.kind() != ErrorKind::Deleted {
            return Ok(Read::Nothing);
        }
        self.told = true;
        Err(self.source.partition.named(error.clone()))
    }

    pub(super) fn stop_waiting(&mut self) {
        if let Some(key) = self.waiting.take() {
            self.source.partition.watermark().visible().waiters().cancel(key);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.stop_waiting();
    }
}
