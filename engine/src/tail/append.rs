//! Small appends: whole, under the lock.

use std::panic::resume_unwind;

use super::Tail;
use super::counts::Batch;
use super::place::Frame;
use super::room::Refusal;
use super::tail::{Appended, waits_for_reservations};
use crate::durability::Durability;
use crate::format::frame;
use crate::format::plan::Plan;
use crate::format::source::Encode;
use crate::segment::Prefix;

impl Tail {
    /// Appends a batch: claims, copies, seals and publishes under the append lock. For small ones; larger ones had
    /// better [`reserve`](Tail::reserve). `records` are those of the plan.
    ///
    /// Never waits but for the lock. The caller [announces](Tail::announce) afterwards, also a refusal.
    pub(crate) fn append(
        &self,
        plan: &Plan,
        records: &(impl Encode + ?Sized),
        now_ms: i64,
    ) -> Result<Appended, Refusal> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let (size, count) = (plan.frame_size(), plan.count());
        let time = frame::append_time(now_ms, state.last_time);
        self.make_room(state, Frame { size, count, time, reserve: false, base_offset: plan.base_offset() })?;

        let stamp = self.stamp(state, time);
        let current = state.current.as_mut().expect("room was made in a current segment");
        let place = current.place(self.partition);
        let block = &current.block.as_ref().expect("room was made in an open block").block;
        // SAFETY: the range lies beyond the claimed end, and the append lock is held: nobody else has it.
        let bytes = unsafe { block.bytes_mut((current.position - block.position()) as usize, size) };
        let encoded = records.encode(plan, bytes);
        match &encoded {
            Ok(()) => frame::seal(bytes, &place, &plan.fields(stamp)),
            // As a dropped reservation: room that was made never stays without a frame.
            Err(_) => frame::void(bytes, &place, count, &stamp),
        }

        // Only now is it claimed.
        current.advance(size, &stamp, plan.newest(time));
        state.next_offset = stamp.base_offset + u64::from(count);
        state.last_time = time;
        let end = current.prefix(state.next_offset);
        let generation = current.segment.generation;
        let heard = end.position < state.heard;
        let published = state.slots.complete_at_once(&current.segment, end);
        if published {
            self.watermark.mark(Durability::LoseOnKill).store(end.offset);
        }
        if let Err(panic) = encoded {
            drop(guard);
            self.announce_unattended();
            resume_unwind(panic);
        }
        self.counts.count(Batch { records: count, bytes: plan.payload() });
        drop(guard);
        // Where readers wait for what is durable, nobody waits for the publication of what is published at once.
        if published && self.watermark.durability() == Durability::LoseOnKill {
            self.watermark.visible().waiters().wake(end.offset);
        }
        Ok(Appended { base_offset: stamp.base_offset, count, append_time: time, generation, end, heard })
    }

    /// Under the append lock: a reservation is complete; with the batch, or without one.
    ///
    /// After a failure nothing is published any more: whoever waited has been told that it failed, and what readers
    /// see must not grow either. A tail that is merely closed, or held for a truncation, is not failed: the shard waits
    /// for what is under way.
    pub(super) fn complete(&self, number: u64, batch: Option<Batch>) -> Completed {
        let mut guard = self.state.lock();
        if guard.failed.as_ref().is_some_and(|error| !waits_for_reservations(error)) {
            return Completed::default();
        }
        if let Some(batch) = batch {
            self.counts.count(batch);
        }
        let published = guard.slots.complete(number);
        let end = guard.current.as_ref().map_or(u64::MAX, |current| current.position);
        let heard = end < guard.heard;
        let published = published.map(|published| {
            self.watermark.mark(Durability::LoseOnKill).store(published);
            (published, self.count_event())
        });
        Completed { published, heard }
    }
}

/// What the completion of a reservation led to.
#[derive(Default)]
pub(super) struct Completed {
    /// The offset that is published now, if it moved, and the event to wake for.
    pub published: Option<(u64, u64)>,
    /// The shard looks by itself at everything that is claimed so far.
    pub heard: bool,
}

/// The end of a frame of `size` bytes and `count` records at `start`.
pub(super) fn end_of(start: Prefix, size: usize, count: u16) -> Prefix {
    Prefix { position: start.position + size as u64, offset: start.offset + u64::from(count) }
}
