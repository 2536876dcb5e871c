//! Large appends: claimed under the lock, filled outside it, published through a slot.

use std::panic::resume_unwind;

use super::append::end_of;
use super::counts::Batch;
use super::place::Frame;
use super::room::Refusal;
use super::tail::{Appended, Tail};
use crate::buffer::Block;
use crate::durability::Durability;
use crate::format::frame::{self, Fields, Place, Stamp};
use crate::format::plan::Plan;
use crate::format::source::Encode;
use crate::segment::Prefix;
use crate::sync::Arc;

/// A piece of a block that nobody else may touch, on its way to be published. To be held by a [`Reservation`]; on its
/// own, dropped, it would hold up its partition for good.
#[derive(Debug)]
pub(crate) struct Claim {
    block: Arc<Block>,
    place: Place,
    size: usize,
    count: u16,
    /// Bytes of keys, values and headers.
    payload: u32,
    stamp: Stamp,
    slot: u64,
    /// Known once the body has been written.
    fields: Option<Fields>,
}

impl Claim {
    /// Offset of the first record.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn base_offset(&self) -> u64 {
        self.stamp.base_offset
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        let at = (self.place.position - self.block.position()) as usize;
        // SAFETY: the range was claimed for this reservation, which alone may touch it until it is published.
        unsafe { self.block.bytes_mut(at, self.size) }
    }

    fn appended(&self, heard: bool) -> Appended {
        let start = Prefix { position: self.place.position, offset: self.stamp.base_offset };
        Appended {
            base_offset: self.stamp.base_offset,
            count: self.count,
            append_time: self.stamp.append_time,
            generation: self.place.generation,
            end: end_of(start, self.size, self.count),
            heard,
        }
    }
}

impl Tail {
    /// Claims offset, position and time for a batch, to be filled and published outside the lock. Never waits but for
    /// the lock. The caller [announces](Tail::announce) a refusal, and later the publication.
    pub(crate) fn reserve(&self, plan: &Plan, now_ms: i64) -> Result<Reservation<'_>, Refusal> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let (size, count) = (plan.frame_size(), plan.count());
        let time = frame::append_time(now_ms, state.last_time);
        state.slots.prepare();
        self.make_room(state, Frame { size, count, time, reserve: true, base_offset: plan.base_offset() })?;

        let stamp = self.stamp(state, time);
        let current = state.current.as_mut().expect("room was made in a current segment");
        let block = Arc::clone(&current.block.as_ref().expect("room was made in an open block").block);
        let place = current.place(self.partition);
        current.advance(size, &stamp, plan.newest(time));
        state.next_offset = stamp.base_offset + u64::from(count);
        state.last_time = time;
        let slot = state.slots.reserve(&current.segment, current.prefix(state.next_offset));
        Ok(Reservation {
            tail: self,
            claim: Some(Claim { block, place, size, count, payload: plan.payload(), stamp, slot, fields: None }),
        })
    }

    #[cfg(any(test, feature = "sim"))]
    /// Takes up a reservation that was [detached](Reservation::detach).
    pub(crate) fn attach(&self, claim: Claim) -> Reservation<'_> {
        Reservation { tail: self, claim: Some(claim) }
    }

    /// Whether the shard looks by itself.
    fn publish(&self, slot: u64, batch: Option<Batch>) -> bool {
        let completed = self.complete(slot, batch);
        if let Some((published, event)) = completed.published {
            self.watermark.mark(Durability::LoseOnKill).waiters().wake(published);
            self.room.wake(event);
        }
        completed.heard
    }
}

/// A claimed place for one batch. Dropped without being published, also by a panic, it leaves a VOID frame: its
/// offsets become a gap.
#[must_use = "a reservation that is dropped becomes a gap"]
pub(crate) struct Reservation<'a> {
    tail: &'a Tail,
    claim: Option<Claim>,
}

impl Reservation<'_> {
    fn claim(&mut self) -> &mut Claim {
        self.claim.as_mut().expect("the claim is taken out by the functions that consume the reservation")
    }

    /// Copies the records in. `plan` is the one that was reserved for, `records` are those that it was made of.
    pub(crate) fn fill(&mut self, plan: &Plan, records: &(impl Encode + ?Sized)) {
        let claim = self.claim();
        assert!(plan.frame_size() == claim.size && plan.count() == claim.count, "filled with what was reserved");
        claim.fields = None;
        if let Err(panic) = records.encode(plan, claim.bytes_mut()) {
            // Dropped without being published.
            resume_unwind(panic);
        }
        claim.fields = Some(plan.fields(claim.stamp));
    }

    /// Seals the frame and publishes it, or lets it be published with what is still under way before it.
    pub(crate) fn publish(mut self) -> Appended {
        let fields = self.claim().fields.expect("a reservation is filled before it is published");
        let mut claim = self.claim.take().expect("it was just looked at");
        let place = claim.place;
        frame::seal(claim.bytes_mut(), &place, &fields);
        let batch = Batch { records: claim.count, bytes: claim.payload };
        let heard = self.tail.publish(claim.slot, Some(batch));
        claim.appended(heard)
    }

    #[cfg(any(test, feature = "sim"))]
    /// Separates the claim from the tail, to carry on later. It must be [attached](Tail::attach) again.
    pub(crate) fn detach(mut self) -> Claim {
        self.claim.take().expect("the claim is taken out by the functions that consume the reservation")
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(mut claim) = self.claim.take() {
            let Claim { place, count, stamp, slot, .. } = claim;
            frame::void(claim.bytes_mut(), &place, count, &stamp);
            self.tail.publish(slot, None);
            self.tail.announce_unattended();
        }
    }
}
