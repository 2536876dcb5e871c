//! Truncations: the way that a program's go, and while one waits for others, the world goes on.

use std::collections::VecDeque;
use std::sync::Arc;

use super::harness::Got;
use super::oracle::{Check, Content, Place, Truncation, Violation};
use super::workload;
use super::world::World;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::PartitionId;
use crate::manifest::{MetaDone, MetaOrder};
use crate::partition::{Partition, Seat};
use crate::reader::{Batch, Cursor};
use crate::shard::Reach;
use crate::topic::{self, Others};

/// The ticket of what a truncation asks of the metadata thread. Others are numbers of topics.
pub(super) const TICKET: u64 = u64::MAX;
/// Steps and rounds within which a truncation is over.
const ROUNDS_MAX: u64 = 2000;
/// One step in so many, while a truncation waits, is a crash.
const CRASH_ONE_IN: u64 = 100;

/// Batches that were cut off, to be appended again in the same sizes.
pub(super) struct Again {
    place: Place,
    id: PartitionId,
    batches: VecDeque<Vec<Content>>,
}

/// What a truncation waits for.
struct Meanwhile<'a> {
    world: &'a mut World,
    place: Place,
    id: PartitionId,
    truncation: Truncation,
    /// Steps before everything only hurries to let the truncation come to its end.
    patience: u64,
    rounds: u64,
    broken: Check,
}

impl Meanwhile<'_> {
    /// Lets the world go on until `done`. `false`: the machine went off, or a promise was broken.
    fn go_on(&mut self, mut done: impl FnMut(&World) -> bool) -> bool {
        while self.broken.is_ok() && self.world.device.is_on() {
            if done(self.world) {
                return true;
            }
            self.rounds += 1;
            self.broken = if self.rounds > ROUNDS_MAX {
                Err(Violation(format!("{}: {:?} does not come to its end", self.place, self.truncation)))
            } else if self.rounds > self.patience {
                self.world.hurry()
            } else if self.world.rng.one_in(CRASH_ONE_IN) {
                self.world.device.turn_off();
                Ok(())
            } else {
                self.world.step().and_then(|()| self.world.poll())
            };
        }
        false
    }
}

impl Others for Meanwhile<'_> {
    fn settle(&mut self, partition: &Partition, reach: Reach) -> bool {
        let over = partition.begin_settling(reach);
        self.go_on(|_| over.try_recv().is_ok())
    }

    fn order(&mut self, order: MetaOrder) -> Result<MetaDone> {
        let truncates = !matches!(order, MetaOrder::RecycleSegments { .. });
        if truncates {
            self.broken = self.world.oracle.begin_truncation(self.place, self.truncation);
        }
        self.world.actors.answer = None;
        if let Some(engine) = &mut self.world.engine {
            engine.ask(TICKET, order);
        }
        if !self.go_on(|world| world.actors.answer.is_some()) {
            return Err(crate::gate::closed());
        }
        let answer = self.world.actors.answer.take().unwrap_or_else(|| Err(crate::gate::closed()));
        if truncates && answer.is_ok() {
            self.broken = self.world.truncated(self.place, self.id, self.truncation);
        }
        answer
    }

    fn read(&mut self, seat: &Arc<Seat>, cursor: &mut Cursor) -> Result<Batch> {
        loop {
            let Some(engine) = &self.world.engine else { return Err(crate::gate::closed()) };
            if let Got::Batch(batch) = engine.read(&seat.current(), cursor, 1)? {
                return Ok(batch);
            }
            let mut went = false;
            if !self.go_on(|_| std::mem::replace(&mut went, true)) {
                return Err(crate::gate::closed());
            }
        }
    }
}

impl World {
    /// Truncates a partition, unless another truncation waits for this step.
    pub(super) fn truncate(&mut self) -> Check {
        let places = self.places();
        if self.actors.truncating.is_some() || places.is_empty() {
            return Ok(());
        }
        let (place, id) = *self.rng.pick(&places);
        let Some(engine) = &self.engine else { return Ok(()) };
        let (seat, lender) = (Arc::clone(&engine.partitions[&id]), Arc::clone(engine.lender()));
        let truncation = self.choose(place, &seat.current());
        self.device.note(|| format!("== {place}: truncate {truncation:?}"), 7);
        let again = match truncation {
            Truncation::After(offset) => self.oracle.batches_from(place, offset),
            Truncation::Before(_) => Vec::new(),
        };
        self.actors.truncating = Some(place);
        let patience = self.rng.log_between(1, 100);
        let others = Meanwhile { world: self, place, id, truncation, patience, rounds: 0, broken: Ok(()) };
        let mut truncating = topic::Truncation { seat: &seat, lender: &lender, others };
        let result = match truncation {
            Truncation::Before(offset) => truncating.before(offset),
            Truncation::After(offset) => truncating.after(offset),
        };
        truncating.others.broken?;
        self.actors.truncating = None;
        if !self.device.is_on() {
            return Ok(());
        }
        self.device.note(|| format!("== {place}: {truncation:?} is over: {result:?}"), 8);
        match result {
            Ok(()) => {
                self.actors.again = Some(Again { place, id, batches: again.into() });
                self.check_truncated(place, truncation, &seat.current())
            }
            Err(error) => self.judge_truncation(place, truncation, &error),
        }
    }

    /// Which end, and mostly where a batch ends.
    fn choose(&mut self, place: Place, partition: &Partition) -> Truncation {
        let next = partition.tail().next_offset();
        if let Some(damage) = partition.damaged().last() {
            return Truncation::Before(next.max(damage.end) + self.rng.below(3));
        }
        let (bounds, start) = (self.oracle.bounds(place), self.oracle.log_start(place).0);
        let anywhere = self.rng.between(start, next);
        let bound = *self.rng.pick(&bounds);
        if self.rng.one_in(3) {
            return Truncation::Before(match self.rng.below(6) {
                0 => next + self.rng.between(1, 50),
                1 => anywhere,
                _ => bound,
            });
        }
        let bases: Vec<u64> = partition.chain().segments().iter().map(|segment| segment.base_offset).collect();
        let bases: Vec<u64> = bases.into_iter().filter(|base| bounds.contains(base)).collect();
        Truncation::After(match self.rng.below(8) {
            0 => anywhere,
            1..4 if !bases.is_empty() => *self.rng.pick(&bases),
            _ => bound,
        })
    }

    /// The truncation is durable from now on.
    fn truncated(&mut self, place: Place, id: PartitionId, truncation: Truncation) -> Check {
        self.poll()?;
        if let Truncation::After(offset) = truncation {
            self.actors.cut(place, id, offset);
        }
        self.oracle.truncated(place, truncation)
    }

    fn check_truncated(&self, place: Place, truncation: Truncation, partition: &Partition) -> Check {
        let (start, next) = (partition.log_start(), partition.tail().next_offset());
        let expected = (self.oracle.log_start(place).0, self.oracle.end(place));
        if (start, next) != expected {
            return Err(Violation(format!("{place}: {truncation:?} made it {start}..{next}, not {expected:?}")));
        }
        match truncation {
            Truncation::After(offset) if self.oracle.is_inside_a_batch(place, offset) && offset != start => {
                Err(Violation(format!("{place}: a batch was cut in two at {offset}")))
            }
            _ => Ok(()),
        }
    }

    fn judge_truncation(&mut self, place: Place, truncation: Truncation, error: &Error) -> Check {
        let excuses = self.excuses(place);
        let excused = match (error.kind(), truncation) {
            (ErrorKind::WouldBlock, _) => true,
            (ErrorKind::InvalidArgument, Truncation::After(offset)) if !self.oracle.is_bound(place, offset) => true,
            _ => excuses.errors || excuses.damaged || excuses.lied || self.oracle.is_damaged(place),
        };
        if excused { Ok(()) } else { Err(Violation(format!("{place}: {truncation:?} fails without reason: {error}"))) }
    }

    /// Mostly appends again what was cut off last, in the same sizes. `false`: nothing was.
    pub(super) fn append_again(&mut self) -> std::result::Result<bool, Violation> {
        let Some(again) = &self.actors.again else { return Ok(false) };
        let (place, id) = (again.place, again.id);
        let Some(batch) = again.batches.front().cloned() else { return Ok(false) };
        if self.rng.one_in(4) || self.actors.truncating.is_some() || !self.places().contains(&(place, id)) {
            return Ok(false);
        }
        let Some(records) = workload::again(&batch, self.actors.next_number()) else {
            self.actors.again = None;
            return Ok(false);
        };
        let Some(partition) = self.engine.as_ref().and_then(|engine| engine.partition(id)) else { return Ok(false) };
        let promise = self.promise_of(place);
        if self.append(place, &partition, records, promise)?
            && let Some(again) = &mut self.actors.again
        {
            again.batches.pop_front();
        }
        Ok(true)
    }
}
