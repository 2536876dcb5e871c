//! What the rest of the engine knows of a shard: a box to put messages in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::buffer::Block;
use crate::error::{Error, Result};
use crate::events::{EventKind, Events};
use crate::ids::PartitionId;
use crate::segment::Segment;
use crate::shard::counts::ShardCounts;
use crate::tail::Tail;

/// Wakes the thread or task that drives a shard.
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);
}

/// What a shard is told.
pub(crate) enum Message {
    /// The partition has something new: published bytes, a wish for a segment, or a wish for durability.
    Announced(Arc<Tail>),
    /// Read a piece of a segment.
    Read(ReadRequest),
    /// Appenders wait for memory: destage and give blocks back.
    Pressure,
    /// The topic of these partitions is being deleted: refuse appends, and call back when nothing of them is under way.
    Stop(Vec<PartitionId>, Box<dyn FnOnce() + Send>),
    /// The topic of these partitions is deleted, durably: the journal need not hold their bytes any more.
    Forget(Vec<PartitionId>),
    /// The log of the partition is to be truncated: call back when it is settled so far, or has failed.
    Settle(Arc<Tail>, Reach, Box<dyn FnOnce() + Send>),
    /// Make everything durable, seal, and end.
    Close,
}

/// How much of a partition has to be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Every segment that has ended at or below this offset.
    Ended(u64),
    /// Everything that was appended. The tail refuses appends.
    All,
}

/// A read of `size` bytes at `position` into the beginning of `block`, which nobody else knows yet.
pub(crate) struct ReadRequest {
    pub(crate) segment: Arc<Segment>,
    pub(crate) position: u64,
    pub(crate) size: usize,
    pub(crate) block: Arc<Block>,
    /// Called once, on the shard's thread or that of who asks, with the bytes read (fewer than `size` at the file's
    /// end). Must be short.
    pub(crate) done: Box<dyn FnOnce(Result<usize>) + Send>,
}

/// The box. Any thread may put in; the shard takes out.
pub(crate) struct ShardHandle {
    inbox: Mutex<VecDeque<Message>>,
    /// Nobody takes messages out any more, and why.
    failed: OnceLock<Error>,
    waker: Mutex<Option<Arc<dyn Wake>>>,
    counts: ShardCounts,
    /// Whoever wants to know what happens.
    events: Option<Events>,
}

impl ShardHandle {
    pub(crate) fn new(events: Option<Events>) -> ShardHandle {
        ShardHandle {
            inbox: Mutex::new(VecDeque::new()),
            failed: OnceLock::new(),
            waker: Mutex::new(None),
            counts: ShardCounts::default(),
            events,
        }
    }

    /// Something has happened, to a partition of this shard or to the shard itself.
    pub(crate) fn raise(&self, event: impl FnOnce(&Events) -> EventKind) {
        if let Some(events) = &self.events {
            events.raise(event(events));
        }
    }

    /// What the shard has done. It alone raises them.
    pub(crate) fn counts(&self) -> &ShardCounts {
        &self.counts
    }

    /// Says whom [`send`](ShardHandle::send) wakes. Without one (simulation), the shard is driven anyway.
    pub(crate) fn set_waker(&self, waker: Arc<dyn Wake>) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }

    /// Puts a message in, and wakes the shard if the box was empty: it takes everything out at once.
    pub(crate) fn send(&self, message: Message) {
        let was_empty = {
            let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(error) = self.failed.get() {
                drop(inbox);
                return refuse(message, error);
            }
            inbox.push_back(message);
            inbox.len() == 1
        };
        if was_empty && let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake();
        }
    }

    /// Nobody takes messages out any more: those in the box, and all that follow, get the error.
    pub(crate) fn fail(&self, error: &Error) {
        let _first = self.failed.set(error.clone());
        let messages = std::mem::take(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        messages.into_iter().for_each(|message| refuse(message, error));
    }

    /// Announces a partition, unless it is announced already.
    pub(crate) fn announce(&self, tail: &Arc<Tail>) {
        if tail.announce() {
            self.send(Message::Announced(Arc::clone(tail)));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(crate) fn take_all(&self, into: &mut VecDeque<Message>) {
        std::mem::swap(into, &mut self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Lets whoever waits for a message know that it will not be read.
fn refuse(message: Message, error: &Error) {
    match message {
        Message::Announced(tail) => {
            tail.fail(error.clone());
            tail.watermark().fail(error.clone());
        }
        Message::Read(request) => (request.done)(Err(error.clone())),
        Message::Stop(_, done) | Message::Settle(_, _, done) => done(),
        Message::Forget(_) => {}
        Message::Pressure | Message::Close => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{Budget, HeapMemory, Pool, Share};
    use crate::gate::closed;
    use crate::ids::Generation;
    use crate::segment::Prefix;

    /// They were told of a broken pipe, whatever had happened.
    #[test]
    fn reads_that_nobody_will_do_get_the_error_that_ended_the_shard() {
        let pool = Pool::new(Budget::new(64 << 20, 1 << 20), Box::new(HeapMemory));
        let end = Prefix { position: 8192, offset: 1 };
        let segment = Segment::sealed(PartitionId::default(), 0, Generation(1), 0, 0, 8192, end, 0);
        let segment = Arc::new(segment);
        let (sender, receiver) = std::sync::mpsc::channel();
        let read = || {
            let sender = sender.clone();
            Message::Read(ReadRequest {
                segment: Arc::clone(&segment),
                position: 4096,
                size: 4096,
                block: Block::take(&pool, Share::Cache, Generation(1), 4096, 4096).expect("within the budget"),
                done: Box::new(move |result| sender.send(result).expect("the test listens")),
            })
        };
        let handle = ShardHandle::new(None);
        handle.send(read());
        handle.fail(&closed());
        handle.send(read());
        for _ in 0..2 {
            assert_eq!(receiver.try_recv().expect("answered"), Err(closed()));
        }
    }
}
