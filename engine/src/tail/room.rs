//! Why an append was refused, and what to wait for.

use std::time::Instant;

use super::Tail;
use super::state::State;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Notify, Ordering, Waiter};

/// Why nothing was claimed. The number in those that may be waited for is what [`Tail::wait_room`] needs to miss nothing
/// that happened since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The appenders' memory is used up; wait until the device has taken some.
    Memory(u64),
    /// A segment has to be made first. The tail now wishes for one: announce it.
    Segment(u64),
    /// All reservation slots are taken; wait for one to be published.
    Slots(u64),
    /// The segment that was wished for could not be made: the device is full, for instance. The wish is renewed, so
    /// announce it; whoever may wait learns whether that still is so.
    Full(u64, Error),
    /// The system gives no memory for so many bytes, though the appenders' part of the budget has room. Nobody has
    /// any to give back.
    NoMemory(usize),
    /// The tail takes no more appends.
    Failed(Error),
}

/// A segment that the tail needs, or soon will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentWish {
    /// Bytes of frames that it must be able to hold at least.
    pub size: u64,
}

impl Tail {
    /// Blocks until what refused an append may have changed, or until `deadline`; `false` at the deadline. An error if
    /// it changed for the worse. The caller has announced the tail before.
    pub(crate) fn wait_room(&self, refusal: &Refusal, deadline: Option<Instant>) -> Result<bool> {
        match refusal {
            Refusal::Memory(since) => Ok(self.pool.wait_for_memory(*since, deadline)),
            Refusal::Segment(since) | Refusal::Full(since, _) | Refusal::Slots(since) => {
                let changed = self.room.wait(since + 1, deadline, || self.events() > *since);
                let State { not_offered, told, .. } = &mut *self.state.lock();
                match not_offered {
                    Some((event, error)) if *event > *since && !matches!(refusal, Refusal::Slots(_)) => {
                        // Later appends ask anew: by then there may be space again.
                        *told = true;
                        Err(error.clone())
                    }
                    _ => Ok(changed),
                }
            }
            Refusal::NoMemory(size) => {
                Err(Error::new(ErrorKind::NoMemory, format!("the system gave no memory for a block of {size} bytes")))
            }
            Refusal::Failed(error) => Err(error.clone()),
        }
    }

    /// Has somebody told, once, when what refused an append may have changed. `true`: it has already, and nobody is
    /// told. The caller has announced the tail before.
    pub(crate) fn tell_of_room(&self, refusal: &Refusal, who: &std::sync::Arc<dyn Notify>) -> bool {
        let waiter = Waiter::Entry(std::sync::Arc::clone(who), 0);
        match refusal {
            Refusal::Memory(since) => self.pool.tell_of_memory(*since, waiter),
            Refusal::Segment(since) | Refusal::Slots(since) => {
                self.room.tell(since + 1, waiter, || self.events() > *since)
            }
            Refusal::Full(..) | Refusal::NoMemory(_) | Refusal::Failed(_) => true,
        }
    }

    /// Counts what may let a refused append succeed.
    pub(super) fn events(&self) -> u64 {
        self.events.load(Ordering::Acquire)
    }

    /// Under the append lock; the caller wakes the waiters once it has let go of it.
    pub(super) fn count_event(&self) -> u64 {
        self.events.fetch_add(1, Ordering::AcqRel) + 1
    }
}
