//! The tail of a partition, as appenders, shard and tests hold it.

use std::sync::OnceLock;

use super::counts::{AppendTotals, Counts};
use super::room::SegmentWish;
use super::slots::Slots;
use super::state::{BlockSize, State};
use super::watermark::Watermark;
use crate::buffer::{Block, Pool};
use crate::durability::Durability;
use crate::error::{Error, ErrorKind};
use crate::ids::{Generation, PartitionId};
use crate::segment::{Chain, Prefix, PreparedSegment, Segment};
use crate::sync::{AppendLock, Arc, AtomicBool, AtomicU64, Guard, Ordering, Swap, WaitQueue, order};

/// Brings a tail that has news to its shard. Only for news that no caller is there to announce.
pub(crate) trait Announce: Send + Sync {
    fn announce(&self);
}

/// Where a partition begins to grow.
pub(crate) struct TailStart {
    pub partition: PartitionId,
    pub durability: Durability,
    /// The offset of the next record.
    pub next_offset: u64,
    /// Append time of the last record, ms since 1970; 0 if there is none.
    pub last_time: i64,
}

/// An append that was claimed and published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// Offset of the first record.
    pub base_offset: u64,
    pub count: u16,
    /// Ms since 1970.
    pub append_time: i64,
    /// The segment.
    pub generation: Generation,
    /// Byte after the frame, and the offset after its records.
    pub end: Prefix,
    /// The shard looks at it by itself: it need not be announced.
    pub heard: bool,
}

/// The growing end of one partition.
///
/// Appenders claim under a short lock, in which offset, position and time are decided together. The shard reads one
/// published prefix per segment and is told by an announcement that there is something new. Readers take no lock.
pub(crate) struct Tail {
    pub(super) partition: PartitionId,
    /// How many tails of the partition came before it in this engine. After a truncation another one goes on.
    epoch: u32,
    pub(super) pool: Arc<Pool>,
    pub(super) chain: Arc<Chain>,
    /// Segments that the shard has not sealed yet, oldest first.
    pub(super) active: Swap<Vec<Arc<Segment>>>,
    pub(super) watermark: Watermark,
    pub(super) state: AppendLock<State>,
    /// Raised under the append lock.
    pub(super) counts: Counts,
    /// Bytes that the next segment must hold; 0: none is wished for. Written under the append lock.
    pub(super) wish: AtomicU64,
    announced: AtomicBool,
    /// The offset below which somebody asked for durability, in a topic that does without.
    durable_wanted: AtomicU64,
    /// A reader was here since the shard looked.
    followed: AtomicBool,
    /// What may let a refused append succeed is counted here.
    pub(super) events: AtomicU64,
    pub(super) room: WaitQueue,
    announcer: OnceLock<Box<dyn Announce>>,
}

impl Tail {
    /// A tail that will open a segment of its own with its first append. It adds its segments to `chain`.
    pub(crate) fn new(start: TailStart, pool: Arc<Pool>, chain: Arc<Chain>) -> Tail {
        Tail {
            partition: start.partition,
            epoch: 0,
            pool,
            chain,
            active: Swap::new(Vec::new()),
            watermark: Watermark::new(start.durability, start.next_offset),
            state: AppendLock::new(State {
                next_offset: start.next_offset,
                last_time: start.last_time,
                current: None,
                prepared: None,
                not_offered: None,
                told: false,
                needed: false,
                heard: 0,
                slots: Slots::default(),
                block_size: BlockSize::smallest(),
                failed: None,
            }),
            counts: Counts::default(),
            wish: AtomicU64::new(0),
            announced: AtomicBool::new(false),
            durable_wanted: AtomicU64::new(0),
            followed: AtomicBool::new(false),
            events: AtomicU64::new(0),
            room: WaitQueue::new(),
            announcer: OnceLock::new(),
        }
    }

    /// Makes it the one that goes on after `before`, which is held and settled. It takes over the segment that was
    /// prepared, and what was counted.
    pub(crate) fn following(mut self, before: &Tail) -> Tail {
        self.epoch = before.epoch + 1;
        self.counts = Counts::from(before.appended());
        if let Some(prepared) = before.take_prepared() {
            self.offer_segment(Ok(prepared));
        }
        self
    }

    pub(crate) fn partition(&self) -> PartitionId {
        self.partition
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(crate) fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(crate) fn watermark(&self) -> &Watermark {
        &self.watermark
    }

    /// What was appended since the tail was made.
    pub(crate) fn appended(&self) -> AppendTotals {
        self.counts.totals()
    }

    /// Segments that are not sealed yet, oldest first. All but the last are closed.
    pub(crate) fn active(&self) -> Arc<Vec<Arc<Segment>>> {
        self.active.load_full()
    }

    /// The offset of the next append.
    pub(crate) fn next_offset(&self) -> u64 {
        self.state.lock().next_offset
    }

    /// Append time of the last frame. Ms.
    pub(crate) fn last_time(&self) -> i64 {
        self.state.lock().last_time
    }

    /// Takes a segment off the active ones: it is sealed.
    pub(crate) fn retire(&self, generation: Generation) {
        self.active
            .update(|active| active.iter().filter(|segment| segment.generation != generation).cloned().collect());
    }

    /// To be called after each append, publication and refusal. `true`: the caller must now tell the shard; otherwise
    /// somebody has, and the shard will see what was published before this call.
    #[inline]
    pub(crate) fn announce(&self) -> bool {
        // A read-modify-write on both sides: either this one comes first, and the shard's acquires what was published
        // before it, or the shard's comes first, and this one reads "not announced".
        !self.announced.swap(true, order(Guard::AnnounceOrders, Ordering::AcqRel))
    }

    /// The shard promises to look, in its own time, at what is published below `position`: appends that end there need
    /// no announcement. It takes the promise back (0) before it looks. Both happen under the append lock, so an append
    /// comes before, and is seen, or after, and announces itself.
    pub(crate) fn promise_look(&self, position: u64) {
        self.state.lock().heard = position;
    }

    /// The shard has received the announcement. It reads what is published, wished for and failed after this call.
    pub(crate) fn accept(&self) {
        self.announced.swap(false, order(Guard::AnnounceOrders, Ordering::AcqRel));
    }

    /// Asks for everything below `offset` to become durable. The caller announces it.
    pub(crate) fn want_durable(&self, offset: u64) {
        self.durable_wanted.fetch_max(offset, Ordering::AcqRel);
    }

    /// The offset below which everything is to become durable.
    pub(crate) fn durable_wanted(&self) -> u64 {
        self.durable_wanted.load(Ordering::Acquire)
    }

    /// A reader is here: what is written will be read.
    pub(crate) fn follow(&self) {
        // Written only where it changes, for readers share the line.
        if !self.followed.load(Ordering::Relaxed) {
            self.followed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a reader was here since the last call.
    pub(crate) fn take_followed(&self) -> bool {
        self.followed.load(Ordering::Relaxed) && self.followed.swap(false, Ordering::Relaxed)
    }

    /// Whether an announcement is on its way.
    #[cfg(test)]
    #[cfg(loom)]
    pub(crate) fn is_announced(&self) -> bool {
        self.announced.load(Ordering::Relaxed)
    }

    /// Who tells the shard when a reservation is dropped and nobody else can. The first one stands.
    pub(crate) fn set_announcer(&self, announcer: Box<dyn Announce>) {
        let _kept = self.announcer.set(announcer);
    }

    pub(super) fn announce_unattended(&self) {
        if let Some(announcer) = self.announcer.get()
            && self.announce()
        {
            announcer.announce();
        }
    }

    /// The segment that is wished for, until one is offered.
    pub(crate) fn wants_segment(&self) -> Option<SegmentWish> {
        Some(self.wish.load(Ordering::Acquire)).filter(|size| *size > 0).map(|size| SegmentWish { size })
    }

    /// Answers the wish. What comes back is not needed: an earlier offer that was too small, or this one if the tail
    /// has failed.
    pub(crate) fn offer_segment(&self, offer: Result<PreparedSegment, Error>) -> Option<PreparedSegment> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let event = self.count_event();
        let unneeded = match offer {
            Ok(prepared) if state.failed.is_some() => Some(prepared),
            Ok(prepared) => {
                state.not_offered = None;
                // The wish may have grown meanwhile; then it stands.
                if super::place::holds(&prepared) >= self.wish.load(Ordering::Relaxed) {
                    self.wish.store(0, Ordering::Release);
                    state.needed = false;
                }
                state.prepared.replace(prepared)
            }
            Err(error) => {
                // Nobody asked for a segment that was only to be ready in time: whoever needs one will ask again.
                state.not_offered = state.needed.then_some((event, error));
                state.told = false;
                state.needed = false;
                self.wish.store(0, Ordering::Release);
                None
            }
        };
        drop(guard);
        self.room.wake(event);
        unneeded
    }

    /// There is space again: no append answers any more for the time when there was none.
    pub(crate) fn forget_want_of_space(&self) {
        self.state.lock().not_offered.take_if(|(_, error)| error.kind() == ErrorKind::NoSpace);
    }

    /// Ends the claimed frames on a sector, so that they can be written directly. Answers the current segment and its
    /// claimed end: the shard writes when that is published.
    pub(crate) fn flush_to_sector(&self) -> Option<(Arc<Segment>, Prefix)> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        self.pad(state);
        let offset = state.next_offset;
        state.current.as_ref().map(|current| (Arc::clone(&current.segment), current.prefix(offset)))
    }

    /// Ends the current segment at its claimed end. The next append takes another.
    pub(crate) fn seal(&self) -> Option<(Arc<Segment>, Prefix)> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        self.pad(state);
        let current = state.current.take()?;
        let end = current.prefix(state.next_offset);
        current.segment.close(end);
        Some((current.segment, end))
    }

    /// Lets go of the block of a partition that fell silent: all of it is on the device. The next append opens a small
    /// one. The block that the segment held too comes back, for the cache.
    pub(crate) fn release_idle(&self) -> Option<Arc<Block>> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let current = state.current.as_mut()?;
        if !state.slots.is_empty() || current.position != current.segment.device_end() {
            return None;
        }
        let open = current.block.take()?;
        current.segment.remove_block(&open.block);
        state.block_size.shrink();
        Some(open.block)
    }

    /// Refuses appends from now on. Reservations under way are still published if the error is that of a close or of a
    /// truncation, which wait for them, and not after a failure. The first failure stands. Whoever waits for room gets
    /// it. Waiters for acknowledgements are the business of [`Watermark::fail`].
    pub(crate) fn fail(&self, error: Error) {
        let mut guard = self.state.lock();
        if guard.failed.as_ref().is_none_or(waits_for_reservations) {
            guard.failed = Some(error);
        }
        self.wish.store(0, Ordering::Release);
        self.count_event();
        drop(guard);
        self.room.wake_all();
        self.pool.nudge();
    }

    /// Takes appends again after it was failed for a truncation that did not come about.
    pub(crate) fn resume(&self) {
        let mut guard = self.state.lock();
        if guard.failed.as_ref().is_some_and(|error| error.kind() == ErrorKind::Truncated) {
            guard.failed = None;
        }
    }

    /// The segment that was offered and not used, at the end.
    pub(crate) fn take_prepared(&self) -> Option<PreparedSegment> {
        self.state.lock().prepared.take()
    }

    /// The state behind the lock, to look at.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn snapshot(&self) -> TailSnapshot {
        let state = self.state.lock();
        TailSnapshot {
            next_offset: state.next_offset,
            last_time: state.last_time,
            position: state.current.as_ref().map(|current| current.position),
            slots: state.slots.len(),
            block_size: state.block_size.bytes(),
            block: state.current.as_ref().and_then(|current| Some(current.block.as_ref()?.block.capacity())),
            prepared: state.prepared.is_some(),
            failed: state.failed.clone(),
        }
    }
}

/// Whether whoever had a tail refuse appends with this error waits for those that are under way.
pub(super) fn waits_for_reservations(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Closed | ErrorKind::Truncated)
}

/// What [`Tail::snapshot`] shows.
#[cfg(any(test, feature = "sim"))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TailSnapshot {
    /// The offset of the next record.
    pub next_offset: u64,
    /// Append time of the last frame.
    pub last_time: i64,
    /// Claimed end of the current segment.
    pub position: Option<u64>,
    /// Reservation slots in use.
    pub slots: usize,
    /// Size of the next block.
    pub block_size: usize,
    /// Capacity of the open block.
    pub block: Option<usize>,
    /// A segment is ready.
    pub prepared: bool,
    pub failed: Option<Error>,
}

impl core::fmt::Debug for Tail {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Tail({}, high {})", self.partition, self.watermark.high())
    }
}
