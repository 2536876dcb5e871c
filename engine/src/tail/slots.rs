//! Reservations under way, in the order of their positions.

use std::collections::VecDeque;

use crate::limits::RESERVATIONS_MAX;
use crate::segment::{Prefix, Segment};
use crate::sim::bugs::{self, Bug};
use crate::sync::{Arc, Guard, held};

/// What was claimed and is not yet published, oldest first. Everything here happens under the append lock.
///
/// A reservation takes a slot and completes it later. What is complete at once (a small append, a pad) is published at
/// once when nothing is under way before it; otherwise it waits in a slot that is complete already, which it shares
/// with complete neighbours. So a stalled reservation holds up what is published, but not what is claimed, until the
/// slots run out.
#[derive(Debug, Default)]
pub(super) struct Slots {
    ring: VecDeque<Slot>,
    /// Number of the front slot; slots are numbered in the order in which they were taken.
    first: u64,
}

#[derive(Debug)]
struct Slot {
    segment: Arc<Segment>,
    end: Prefix,
    complete: bool,
}

impl Slots {
    /// Whether everything that was claimed is published.
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Slots in use.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether the slots suffice for a pad of `segment` (if there is one) and a frame behind it (in the next segment,
    /// if it `rolls`); and leave one over after a reservation, so that a flush can always pad.
    pub(super) fn suffice(&self, segment: Option<&Arc<Segment>>, pad: bool, rolls: bool, reserve: bool) -> bool {
        let joins = self.ring.is_empty() || segment.is_some_and(|segment| self.joins(segment));
        let for_pad = usize::from(pad && !joins);
        let for_frame = match (reserve, self.ring.is_empty()) {
            (true, _) => 2,
            (false, true) => 0,
            (false, false) => usize::from(rolls || !(joins || pad)),
        };
        self.ring.len() + for_pad + for_frame <= RESERVATIONS_MAX
    }

    fn joins(&self, segment: &Arc<Segment>) -> bool {
        self.ring.back().is_some_and(|back| back.complete && Arc::ptr_eq(&back.segment, segment))
    }

    /// Makes sure that taking a slot allocates nothing.
    pub(super) fn prepare(&mut self) {
        if self.ring.capacity() < RESERVATIONS_MAX {
            self.ring.reserve_exact(RESERVATIONS_MAX - self.ring.len());
        }
    }

    /// Something claimed and complete: published now, or once all before it is. Whether now.
    #[inline]
    pub(super) fn complete_at_once(&mut self, segment: &Arc<Segment>, end: Prefix) -> bool {
        if self.ring.is_empty() {
            segment.publish(end);
            return true;
        }
        match self.ring.back_mut() {
            Some(back) if back.complete && Arc::ptr_eq(&back.segment, segment) => back.end = end,
            _ => self.push(Slot { segment: Arc::clone(segment), end, complete: true }),
        }
        false
    }

    /// A reservation; the number names it to [`Slots::complete`].
    pub(super) fn reserve(&mut self, segment: &Arc<Segment>, end: Prefix) -> u64 {
        let number = self.first + self.ring.len() as u64;
        self.push(Slot { segment: Arc::clone(segment), end, complete: false });
        number
    }

    /// Completes a reservation, and publishes all that nothing is under way before. The offset up to which that is,
    /// if it moved.
    pub(super) fn complete(&mut self, number: u64) -> Option<u64> {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let slot = at.and_then(|at| self.ring.get_mut(at)).expect("a reservation keeps its slot until it completes");
        debug_assert!(!slot.complete, "a reservation completes once");
        slot.complete = true;
        if !held(Guard::PrefixInOrder) || bugs::active(Bug::PublishPastReservation) {
            slot.segment.publish(slot.end);
        }
        let mut published = None;
        while let Some(slot) = self.ring.front().filter(|slot| slot.complete) {
            slot.segment.publish(slot.end);
            published = Some(slot.end.offset);
            self.ring.pop_front();
            self.first += 1;
        }
        published
    }

    fn push(&mut self, slot: Slot) {
        debug_assert!(self.ring.len() < RESERVATIONS_MAX, "slots were counted before the claim");
        self.ring.push_back(slot);
    }
}
