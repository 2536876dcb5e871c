//! The place of a partition in its topic. Truncations put another incarnation of the partition there.

use std::sync::{Arc as StdArc, Weak};
use std::time::Instant;

use super::Partition;
use crate::sync::{Arc, AtomicU64, Mutex, Notify, Ordering, Swap, WaitQueue, Waiter};

/// Cuts that are told apart. Beyond them the oldest ones count as one.
const CUTS_MAX: usize = 64;

/// Which incarnation of a partition counts.
pub(crate) struct Seat {
    current: Swap<Partition>,
    /// Truncations that came to an end, whatever they did.
    truncations: AtomicU64,
    waiters: WaitQueue,
    /// Of incarnations up to an epoch, the offset that all of them still agree below. Both rise.
    cuts: Mutex<Vec<(u32, u64)>>,
    /// Incarnations before, for as long as tickets ask them.
    former: Mutex<Vec<Weak<Partition>>>,
    /// Each reader of the partition holds it.
    readers: StdArc<()>,
}

impl Seat {
    pub(crate) fn new(partition: Partition) -> Seat {
        Seat {
            current: Swap::new(partition),
            truncations: AtomicU64::new(0),
            waiters: WaitQueue::new(),
            cuts: Mutex::default(),
            former: Mutex::default(),
            readers: StdArc::default(),
        }
    }

    /// To be held by a reader, so that it counts as one.
    pub(crate) fn join(&self) -> StdArc<()> {
        StdArc::clone(&self.readers)
    }

    /// Whether there is no reader beside the one that asks.
    pub(crate) fn has_one_reader(&self) -> bool {
        StdArc::strong_count(&self.readers) == 2
    }

    pub(crate) fn current(&self) -> Arc<Partition> {
        self.current.load_full()
    }

    /// For [`wait_truncated`](Seat::wait_truncated).
    pub(crate) fn truncations(&self) -> u64 {
        self.truncations.load(Ordering::Acquire)
    }

    /// Waits until a truncation has come to an end that was not over when `before` was told, or until `deadline`;
    /// whether it has.
    pub(crate) fn wait_truncated(&self, before: u64, deadline: Option<Instant>) -> bool {
        self.waiters.wait(before + 1, deadline, || self.truncations() > before)
    }

    /// Has somebody told when a truncation has come to an end that was not over when `before` was told. `true`: one has
    /// already, and nobody is told.
    pub(crate) fn tell_truncated(&self, before: u64, who: &std::sync::Arc<dyn Notify>) -> bool {
        let waiter = Waiter::Entry(std::sync::Arc::clone(who), 0);
        self.waiters.tell(before + 1, waiter, || self.truncations() > before)
    }

    /// A truncation has come to an end: appends that it held up go on.
    pub(crate) fn release(&self) {
        let over = self.truncations.fetch_add(1, Ordering::AcqRel) + 1;
        self.waiters.wake(over);
    }

    /// Puts another incarnation in, which agrees with the one before below `cut`.
    pub(crate) fn replace(&self, partition: Partition, cut: u64) {
        let mut cuts = self.cuts.lock();
        let epoch = partition.tail().epoch() - 1;
        while cuts.last().is_some_and(|(_, offset)| *offset >= cut) {
            cuts.pop();
        }
        cuts.push((epoch, cut));
        if cuts.len() > CUTS_MAX {
            let (_, lowest) = cuts.remove(0);
            cuts[0].1 = lowest;
        }
        drop(cuts);
        let mut former = self.former.lock();
        former.retain(|partition| partition.strong_count() > 0);
        former.iter().filter_map(Weak::upgrade).for_each(|partition| partition.watermark().lower_cut(cut));
        former.push(Arc::downgrade(&self.current()));
        drop(former);
        self.current.store(partition);
    }

    /// The offset below which an incarnation and the present one have the same records.
    pub(crate) fn agree_below(&self, epoch: u32) -> u64 {
        self.cuts.lock().iter().find(|(until, _)| *until >= epoch).map_or(u64::MAX, |(_, cut)| *cut)
    }
}
