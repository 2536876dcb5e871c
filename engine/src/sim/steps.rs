//! What happens between two crashes: one small thing at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::harness::{Got, Known, durability, seen, with_records};
use super::oracle::{Check, Content, Place, Promise, Seen, Violation};
use super::truncations::{Again, TICKET};
use super::workload;
use super::world::{Topic, TopicState, World};
use crate::error::{Error, ErrorKind};
use crate::format::plan::Plan;
use crate::ids::PartitionId;
use crate::io::Environment;
use crate::manifest::{MetaDone, MetaOrder, MetaResponse};
use crate::partition::Partition;
use crate::reader::{Batch, Cursor, Source};
use crate::tail::{Claim, Refusal};

/// Names that topics take, again and again.
const NAMES: [&str; 3] = ["orders", "payments", "a"];
/// Reservations that are under way at once.
const CLAIMS_MAX: usize = 4;
/// Batches that readers hold at once.
const HELD_MAX: usize = 3;
/// Rounds within which an append must be acknowledged when nothing fails.
const PROGRESS_ROUNDS: usize = 200;

/// Producers, readers and administrators, with what they are in the middle of.
#[derive(Default)]
pub(crate) struct Actors {
    batches: u64,
    waiting: Vec<Awaited>,
    claims: Vec<Reserved>,
    readers: BTreeMap<PartitionId, Reading>,
    held: Vec<Held>,
    /// Topics whose partitions the shards are forgetting: topic, shards that have, shards that must.
    deletions: Vec<(u32, Arc<AtomicU64>, u64)>,
    /// The partition that is being truncated.
    pub(super) truncating: Option<Place>,
    /// What the metadata thread answered to the truncation.
    pub(super) answer: Option<Result<MetaDone, Error>>,
    pub(super) again: Option<Again>,
}

/// A reader in the middle of a partition.
struct Reading {
    source: Source,
    cursor: Cursor,
    from: u64,
    /// The log was cut there, before the reader.
    cut: Option<u64>,
}

/// A batch whose acknowledgement a producer waits for.
struct Awaited {
    place: Place,
    base: u64,
    end: u64,
    promise: Promise,
    partition: Arc<Partition>,
    failed: bool,
}

/// A reservation that is not published yet.
struct Reserved {
    place: Place,
    partition: Arc<Partition>,
    claim: Claim,
    plan: Plan,
    records: Vec<Content>,
    promise: Promise,
    filled: bool,
}

/// A batch that a reader holds, and what it said when it was read.
struct Held {
    place: Place,
    batch: Batch,
    said: Vec<Seen>,
}

impl Actors {
    /// The process is gone.
    pub(crate) fn forget(&mut self) {
        let batches = self.batches;
        *self = Actors { batches, ..Actors::default() };
    }

    /// The number of the next batch.
    pub(super) fn next_number(&mut self) -> u64 {
        self.batches += 1;
        self.batches
    }

    /// A log was cut at an offset: producers wait no longer for what lay beyond it, and readers there must be told.
    pub(super) fn cut(&mut self, place: Place, id: PartitionId, offset: u64) {
        self.waiting.retain(|awaited| awaited.place != place || awaited.end <= offset);
        if let Some(reading) = self.readers.get_mut(&id).filter(|reading| reading.from > offset) {
            reading.cut.get_or_insert(offset);
        }
    }
}

impl World {
    /// One thing happens.
    pub(super) fn step(&mut self) -> Check {
        if self.engine.is_none() {
            return Ok(());
        }
        if self.topics.is_empty() {
            self.create_topic();
        }
        if self.setting.truncate_one_in > 0 && self.rng.one_in(self.setting.truncate_one_in) {
            return self.truncate();
        }
        match self.rng.below(100) {
            0..30 => self.append_somewhere(),
            30..36 => self.reserve_somewhere(),
            36..44 => self.go_on_with_reservation(),
            44..62 => {
                self.turn();
                Ok(())
            }
            62..78 => {
                self.complete();
                Ok(())
            }
            78..86 => {
                self.work_on_metadata();
                Ok(())
            }
            86..93 => self.read(),
            93..95 => self.drop_batch(),
            95..98 => {
                self.pass_time();
                Ok(())
            }
            98 => {
                if let Some(engine) = &self.engine {
                    engine.drop_caches();
                }
                Ok(())
            }
            _ => {
                self.administrate();
                Ok(())
            }
        }
    }

    fn turn(&mut self) {
        if let Some(engine) = &mut self.engine {
            let shard = self.rng.index(engine.shards.len());
            engine.turn(shard);
        }
    }

    /// Some of the operations in flight complete, in any order.
    fn complete(&mut self) {
        let Some(engine) = &mut self.engine else { return };
        for _ in 0..self.rng.between(1, 3) {
            if engine.operations() > 0 {
                let starved = self.rng.per_million(self.setting.starved);
                engine.complete(self.rng.index(engine.operations()), starved);
            }
        }
    }

    fn work_on_metadata(&mut self) {
        let Some(engine) = &mut self.engine else { return };
        let (requests, answers) = engine.metadata();
        if answers > 0 && self.rng.one_in(2) {
            engine.deliver();
        } else if requests > 0 {
            let count = self.rng.between(1, requests as u64) as usize;
            engine.run_metadata(count);
        }
    }

    fn pass_time(&mut self) {
        let ns = self.rng.log_between(1_000, 4_000_000_000);
        self.environment.advance_ns(ns);
        if self.rng.one_in(5) {
            let back = self.rng.log_between(1, 100_000_000) as i64;
            self.environment.step_wall_ms(if self.rng.one_in(2) { -back } else { back });
        }
    }

    fn somewhere(&mut self) -> Option<(Place, Arc<Partition>, Promise)> {
        let places = self.places();
        if places.is_empty() {
            return None;
        }
        let (place, id) = *self.rng.pick(&places);
        let promise = self.topics.iter().find(|t| t.number == place.topic)?.promise;
        Some((place, self.engine.as_ref()?.partition(id)?, promise))
    }

    fn next_batch(&mut self) -> Vec<Content> {
        let number = self.actors.next_number();
        let loot = self.rng.per_million(self.setting.loot).then(|| self.device.loot(&mut self.rng, 2000));
        let loot = loot.filter(|bytes| !bytes.is_empty());
        workload::batch(&mut self.rng, self.setting.sizes, number, loot)
    }

    /// What a producer asks for: mostly what its topic promises.
    fn wish(&mut self, topic: Promise) -> Promise {
        if self.rng.one_in(6) { *self.rng.pick(&[Promise::Nothing, Promise::Kill, Promise::PowerCut]) } else { topic }
    }

    pub(super) fn append_somewhere(&mut self) -> Check {
        if self.append_again()? {
            return Ok(());
        }
        let Some((place, partition, topic)) = self.somewhere() else { return Ok(()) };
        let records = self.next_batch();
        let promise = self.wish(topic);
        self.append(place, &partition, records, promise).map(|_| ())
    }

    /// Appends a batch in one step. `false`: it was refused.
    pub(super) fn append(
        &mut self,
        place: Place,
        partition: &Arc<Partition>,
        records: Vec<Content>,
        promise: Promise,
    ) -> Result<bool, Violation> {
        let now = self.environment.now_ms();
        let appended = with_records(&records, |records| {
            let plan = Plan::new(records).map_err(Refusal::Failed)?;
            partition.tail().append(&plan, records, now)
        });
        if let Some(engine) = &self.engine
            && !appended.as_ref().is_ok_and(|appended| appended.heard)
        {
            engine.announce(partition);
        }
        match appended {
            Err(refusal) => self.judge_refusal(place, &refusal).map(|()| false),
            Ok(appended) => {
                let count = records.len() as u64;
                self.device.note(|| format!("== {place}: {count} records at {}", appended.base_offset), count);
                self.oracle.attempt(place, appended.base_offset, records)?;
                self.wait_for(place, partition, appended.base_offset, count, promise);
                Ok(true)
            }
        }
    }

    fn wait_for(&mut self, place: Place, partition: &Arc<Partition>, base: u64, count: u64, promise: Promise) {
        if promise == Promise::PowerCut
            && let Some(engine) = &self.engine
        {
            partition.tail().want_durable(base + count);
            engine.announce(partition);
        }
        let partition = Arc::clone(partition);
        self.actors.waiting.push(Awaited { place, base, end: base + count, promise, partition, failed: false });
    }

    fn judge_refusal(&mut self, place: Place, refusal: &Refusal) -> Check {
        let excuses = self.excuses(place);
        let excused = match refusal {
            Refusal::Memory(_) | Refusal::Segment(_) | Refusal::Slots(_) => true,
            Refusal::Failed(error) if error.kind() == ErrorKind::Truncated => self.actors.truncating == Some(place),
            Refusal::Full(..) | Refusal::NoMemory(_) | Refusal::Failed(_) => {
                excuses.errors || excuses.damaged || excuses.lied || self.oracle.is_damaged(place)
            }
        };
        self.device.note(|| format!("== {place}: refused: {:.60}", format!("{refusal:?}")), 5);
        if excused { Ok(()) } else { Err(Violation(format!("{place}: refused without reason: {refusal:?}"))) }
    }

    fn reserve_somewhere(&mut self) -> Check {
        if self.actors.claims.len() >= CLAIMS_MAX {
            return Ok(());
        }
        let Some((place, partition, topic)) = self.somewhere() else { return Ok(()) };
        let records = self.next_batch();
        let promise = self.wish(topic);
        let now = self.environment.now_ms();
        let reserved = with_records(&records, |records| {
            let plan = Plan::new(records).map_err(Refusal::Failed)?;
            partition.tail().reserve(&plan, now).map(|reservation| (reservation.detach(), plan))
        });
        match reserved {
            Err(refusal) => {
                if let Some(engine) = &self.engine {
                    engine.announce(&partition);
                }
                self.judge_refusal(place, &refusal)
            }
            Ok((claim, plan)) => {
                let base = claim.base_offset();
                self.device.note(|| format!("== {place}: {} records reserved at {base}", records.len()), base);
                self.oracle.attempt(place, base, records.clone())?;
                self.actors.claims.push(Reserved { place, partition, claim, plan, records, promise, filled: false });
                Ok(())
            }
        }
    }

    fn go_on_with_reservation(&mut self) -> Check {
        if self.actors.claims.is_empty() {
            return Ok(());
        }
        let at = self.rng.index(self.actors.claims.len());
        let abandon = self.rng.one_in(10);
        if !abandon && !self.actors.claims[at].filled {
            let reserved = self.actors.claims.swap_remove(at);
            let Reserved { place, partition, claim, plan, records, promise, .. } = reserved;
            let mut reservation = partition.tail().attach(claim);
            with_records(&records, |records| reservation.fill(&plan, records));
            let claim = reservation.detach();
            let filled = Reserved { place, partition, claim, plan, records, promise, filled: true };
            self.actors.claims.push(filled);
            return Ok(());
        }
        self.end_reservation(at, abandon)
    }

    /// Publishes or abandons a reservation.
    fn end_reservation(&mut self, at: usize, abandon: bool) -> Check {
        let Reserved { place, partition, claim, plan, records, promise, filled } = self.actors.claims.swap_remove(at);
        let base = claim.base_offset();
        let mut reservation = partition.tail().attach(claim);
        self.device.note(|| format!("== {place}: reservation at {base}, abandoned: {abandon}"), base);
        if abandon {
            drop(reservation);
            return self.oracle.abandon(place, base);
        }
        if !filled {
            with_records(&records, |records| reservation.fill(&plan, records));
        }
        let appended = reservation.publish();
        if let Some(engine) = &self.engine
            && !appended.heard
        {
            engine.announce(&partition);
        }
        self.wait_for(place, &partition, base, records.len() as u64, promise);
        Ok(())
    }

    /// Ends all reservations.
    pub(super) fn end_reservations(&mut self) -> Check {
        while !self.actors.claims.is_empty() {
            let abandon = self.rng.one_in(4);
            self.end_reservation(0, abandon)?;
        }
        Ok(())
    }

    /// Producers look for their acknowledgements; administrators for their answers.
    pub(super) fn poll(&mut self) -> Check {
        if !self.device.is_on() {
            // Nobody is there any more to see an answer.
            return Ok(());
        }
        let mut waiting = core::mem::take(&mut self.actors.waiting);
        let mut result = Ok(());
        waiting.retain_mut(|awaited| {
            let watermark = awaited.partition.watermark();
            if watermark.reached(durability(awaited.promise), awaited.end) {
                result = result.clone().and(self.oracle.acknowledge(awaited.place, awaited.base, awaited.promise));
                return false;
            }
            // A failed one is watched on: it must never be acknowledged.
            if watermark.failure().is_some() && !awaited.failed {
                awaited.failed = true;
                result = result.clone().and(self.oracle.fail(awaited.place, awaited.base));
            }
            true
        });
        self.actors.waiting = waiting;
        result?;
        let answers = self.engine.as_mut().map(|engine| core::mem::take(&mut engine.own_answers));
        answers.into_iter().flatten().try_for_each(|answer| self.answered(answer))?;
        self.delete_stopped();
        Ok(())
    }

    /// After a clean close every producer has its answer.
    pub(super) fn check_answered(&self) -> Check {
        match self.actors.waiting.iter().find(|a| !a.failed && a.promise <= self.promise_of(a.place)) {
            Some(open) => Err(Violation(format!("{}: the batch at {} has no answer at close", open.place, open.base))),
            None => Ok(()),
        }
    }

    pub(super) fn promise_of(&self, place: Place) -> Promise {
        self.topics.iter().find(|t| t.number == place.topic).map_or(Promise::Nothing, |t| t.promise)
    }

    fn read(&mut self) -> Check {
        let Some((place, partition, _)) = self.somewhere() else { return Ok(()) };
        let id = partition.id();
        let high = partition.watermark().high();
        let mut reading = match self.actors.readers.remove(&id) {
            Some(reading) => reading,
            None => {
                let start =
                    if self.rng.one_in(3) { self.rng.below(high + 1) } else { high.saturating_sub(self.rng.below(10)) };
                let Some(engine) = &self.engine else { return Ok(()) };
                Reading { source: engine.source(id), cursor: Cursor::new(start), from: start, cut: None }
            }
        };
        let max = self.rng.log_between(1, 1 << 17) as usize;
        let from = reading.from;
        match reading.source.attempt(&mut reading.cursor, max).map(Got::from) {
            Err(error) if error.kind() == ErrorKind::OutOfRange && reading.cut.is_some() => Ok(()),
            Ok(_) if reading.cut.is_some() => {
                Err(Violation(format!("{place}: a reader at {from} was not told of the cut at {:?}", reading.cut)))
            }
            Ok(Got::Wait) => {
                // Offsets without records may have been passed.
                let next = reading.cursor.offset;
                if next > from {
                    let excuses = self.excuses(place);
                    self.oracle.read(place, from, next, &[], excuses)?;
                    reading.from = next;
                }
                self.actors.readers.insert(id, reading);
                Ok(())
            }
            Ok(Got::Batch(batch)) => {
                let said = seen(&batch);
                let next = reading.cursor.offset;
                self.device.note(|| format!("== {place}: read {from}..{next}"), said.len() as u64);
                let excuses = self.excuses(place);
                self.oracle.read(place, from, next, &said, excuses)?;
                if !batch.is_empty() && self.actors.held.len() < HELD_MAX {
                    self.actors.held.push(Held { place, batch, said });
                }
                if self.rng.one_in(2) {
                    reading.from = next;
                    self.actors.readers.insert(id, reading);
                }
                Ok(())
            }
            Err(error) => self.judge_read(place, from, &error),
        }
    }

    /// A reader gives a batch back: it must still say what it said.
    fn drop_batch(&mut self) -> Check {
        let Some(Held { place, batch, said }) = self.actors.held.pop() else { return Ok(()) };
        let now = seen(&batch);
        let same = now.len() == said.len()
            && now.iter().zip(&said).all(|(a, b)| (a.offset, &a.content) == (b.offset, &b.content));
        if same { Ok(()) } else { Err(Violation(format!("{place}: a batch that a reader holds has changed"))) }
    }

    fn administrate(&mut self) {
        if self.topics.len() < self.setting.topics as usize && self.rng.one_in(2) {
            self.create_topic();
        } else if self.rng.one_in(6) {
            self.begin_deletion();
        }
    }

    pub(super) fn create_topic(&mut self) {
        let name = *self.rng.pick(&NAMES);
        if self.topics.iter().any(|t| t.name == name) {
            return;
        }
        let number = self.next_topic;
        self.next_topic += 1;
        let promise = self.setting.promise(&mut self.rng);
        let partitions = self.rng.between(1, self.setting.partitions) as u32;
        let Some(engine) = &mut self.engine else { return };
        let order = MetaOrder::CreateTopic { name: name.into(), partitions, durability: durability(promise) };
        engine.ask(u64::from(number), order);
        for partition in 0..partitions {
            self.oracle.create(Place { topic: number, partition }, promise);
        }
        let state = TopicState::Creating;
        self.device.note(|| format!("== create topic {number} {name:?} of {partitions}"), u64::from(number));
        self.topics.push(Topic { number, id: None, name: name.into(), partitions, promise, state });
    }

    /// Deleting begins in the shards, which must let go of the partitions.
    fn begin_deletion(&mut self) {
        let present: Vec<usize> =
            (0..self.topics.len()).filter(|&i| self.topics[i].state == TopicState::Present).collect();
        if present.is_empty() {
            return;
        }
        let topic = &mut self.topics[*self.rng.pick(&present)];
        let (number, Some(id), Some(engine)) = (topic.number, topic.id, &mut self.engine) else { return };
        if self.actors.claims.iter().map(|c| c.place).chain(self.actors.truncating).any(|p| p.topic == number) {
            return;
        }
        topic.state = TopicState::Deleting;
        self.actors.waiting.retain(|a| a.place.topic != number);
        self.actors.readers.retain(|p, _| p.topic != id);
        let done = Arc::new(AtomicU64::new(0));
        engine.stop(id, &done);
        let shards = engine.shards.len() as u64;
        self.device.note(|| format!("== delete topic {number}"), u64::from(number));
        self.actors.deletions.push((number, done, shards));
    }

    /// Topics that all shards have stopped with are deleted from the manifest.
    fn delete_stopped(&mut self) {
        let Some(engine) = &mut self.engine else { return };
        self.actors.deletions.retain(|(number, done, shards)| {
            let gone = done.load(Ordering::Relaxed) >= *shards;
            let topic = self.topics.iter().find(|t| t.number == *number).and_then(|t| t.id);
            if let (true, Some(topic)) = (gone, topic) {
                engine.ask(u64::from(*number), MetaOrder::DeleteTopic { topic });
            }
            !gone
        });
    }

    /// The metadata thread has answered the world.
    pub(super) fn answered(&mut self, answer: MetaResponse) -> Check {
        if answer.ticket == TICKET {
            self.actors.answer = Some(answer.result);
            return Ok(());
        }
        let Some(at) = self.topics.iter().position(|t| u64::from(t.number) == answer.ticket) else { return Ok(()) };
        let topic = &mut self.topics[at];
        match answer.result {
            Ok(MetaDone::TopicCreated { topic: id }) => {
                topic.id = Some(id);
                topic.state = TopicState::Present;
                let (name, partitions, promise) = (topic.name.clone(), topic.partitions, topic.promise);
                if let Some(engine) = &mut self.engine {
                    engine.add_topic(&Known { id, name, partitions, promise });
                }
                Ok(())
            }
            Ok(MetaDone::TopicDeleted) => {
                let topic = self.topics.swap_remove(at);
                if let (Some(engine), Some(id)) = (&mut self.engine, topic.id) {
                    engine.forget(id);
                    engine.remove_topic(id);
                }
                for partition in 0..topic.partitions {
                    self.oracle.delete(Place { topic: topic.number, partition });
                }
                Ok(())
            }
            Ok(_) => Err(Violation("the answer to a request about a topic is another's".into())),
            Err(error) => {
                let before = self.before.errors;
                // Deleting makes space, and needs none.
                let creating = topic.state == TopicState::Creating && self.setting.faults.capacity.is_some();
                let excused = self.device.damage().errors > before || error.kind() == ErrorKind::NoSpace && creating;
                self.device.note(|| format!("== topic {}: {error}", topic.number), 6);
                if excused { Ok(()) } else { Err(Violation(format!("topic {topic:?}: {error}"))) }
            }
        }
    }

    /// Without faults each partition that is whole takes an append and acknowledges it.
    pub(super) fn check_progress(&mut self) -> Check {
        for (place, id) in self.places() {
            if self.oracle.is_damaged(place) {
                continue;
            }
            let Some(partition) = self.engine.as_ref().and_then(|e| e.partition(id)) else { continue };
            let excuses = self.excuses(place);
            if partition.watermark().failure().is_some() && (excuses.damaged || excuses.lied) {
                continue;
            }
            let mut appended = false;
            for round in 0.. {
                if round > PROGRESS_ROUNDS {
                    return Err(Violation(format!("{place}: no progress though nothing fails")));
                }
                if !appended {
                    let records = self.next_batch();
                    let promise = self.promise_of(place);
                    appended = self.append(place, &partition, records, promise)?;
                }
                if let Some(engine) = &mut self.engine {
                    engine.round(&mut self.rng);
                }
                self.environment.advance_ns(1_000_000);
                self.poll()?;
                if appended && !self.actors.waiting.iter().any(|a| a.place == place) {
                    break;
                }
            }
        }
        Ok(())
    }
}
