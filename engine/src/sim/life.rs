//! The lives of a world: how one begins, how it ends, and what is checked between.

use std::collections::BTreeSet;

use super::disk::Crash;
use super::faults::Faults;
use super::harness::{Got, Incarnation, Opened, seen};
use super::oracle::{Check, Place, Promise, Violation};
use super::world::{TopicState, World};
use crate::ErrorKind;
use crate::ids::PartitionId;
use crate::io::Environment;
use crate::reader::Cursor;

/// Rounds in which every shard, operation and request moves on; whatever takes longer hangs.
const ROUNDS_MAX: usize = 2000;

impl World {
    /// Starts the engine, as often as it takes. `false`: the store said that it is damaged beyond use, and it is.
    pub(super) fn boot(&mut self, calm: bool) -> Result<bool, Violation> {
        for attempt in 0.. {
            let calm = calm || attempt > 2 || self.rng.one_in(2);
            let faults = if calm { Faults::default() } else { self.setting.faults };
            self.device.set_faults(faults);
            self.before = self.device.damage();
            let disk = self.device.attach();
            let interrupted = attempt < 3 && self.rng.one_in(self.setting.interrupted_one_in);
            let after = interrupted.then(|| self.rng.log_between(1, 150));
            self.device.crash_after(after);
            let shards = *self.rng.pick(&[1, 3, 2]);
            self.device.note(|| format!("== open with {shards} shards"), shards);
            let opened =
                Incarnation::open(disk, &self.environment, &self.setting, shards as usize, &mut self.counts.rows);
            if !self.device.is_on() {
                drop(opened);
                self.counts.interrupted_opens += 1;
                self.go_down();
                continue;
            }
            self.device.crash_after(None);
            match opened {
                Ok((engine, found)) => {
                    self.counts.opens += 1;
                    self.counts.rows.add(&found.rows);
                    self.engine = Some(engine);
                    if self.device.damage().errors == self.before.errors && faults.capacity.is_none() {
                        self.manifest_rotten = 0;
                    }
                    self.check_opened(found.topics)?;
                    self.device.set_faults(if calm && attempt > 2 { faults } else { self.setting.faults });
                    return Ok(true);
                }
                Err(error) => {
                    self.counts.refused_opens += 1;
                    let damage = self.device.damage();
                    let errors = damage.errors > self.before.errors;
                    let misread = damage.misdirected_reads > self.before.misdirected_reads;
                    let damaged = !damage.files.is_empty() || damage.lies > 0;
                    let excused = match error.kind() {
                        ErrorKind::Corrupt | ErrorKind::Unsupported | ErrorKind::Io if damaged && calm => {
                            self.device.note(|| format!("== lost: {error}"), 1);
                            return Ok(false);
                        }
                        ErrorKind::Corrupt | ErrorKind::Unsupported => damaged || misread || errors,
                        // What an open needs was reserved when the store was made.
                        ErrorKind::NoSpace => {
                            faults.capacity.is_some() && (self.counts.opens == 0 || damage.errors > 0)
                        }
                        ErrorKind::Io | ErrorKind::NotFound | ErrorKind::PartitionFailed => {
                            errors || damaged || misread
                        }
                        _ => false,
                    };
                    // What a calm device does not give at once, it does not give later.
                    if !excused || attempt > 10 {
                        return Err(Violation(format!("the store does not open: {:?} {error}", error.kind())));
                    }
                    self.device.note(|| format!("== refused: {error}"), 2);
                    self.device.turn_off();
                    self.device.settle(Crash::Kill);
                }
            }
        }
        unreachable!("calm attempts open or answer")
    }

    /// Random steps until the machine goes down or the engine is closed.
    pub(super) fn live(&mut self) -> Check {
        let steps = self.rng.between(1, self.setting.steps);
        if self.rng.one_in(3) {
            let after = self.rng.log_between(1, 200);
            self.device.crash_after(Some(after));
        }
        if !self.rng.one_in(5) {
            self.warm_up()?;
        }
        for step in 0..steps + 40 {
            if !self.device.is_on() || step >= steps && self.oracle.is_in_the_middle() {
                break;
            }
            self.step()?;
            self.poll()?;
        }
        if self.device.is_on() && self.rng.one_in(self.setting.close_one_in) {
            return self.close();
        }
        self.go_down();
        Ok(())
    }

    /// Brings a few partitions to where they have acknowledged something: a crash before that tests little.
    fn warm_up(&mut self) -> Check {
        if self.topics.is_empty() {
            self.create_topic();
        }
        for _ in 0..8 {
            for _ in 0..2 {
                self.append_somewhere()?;
            }
            if let Some(engine) = &mut self.engine {
                engine.round(&mut self.rng);
            }
            if !self.device.is_on() {
                return Ok(());
            }
            self.poll()?;
            if self.oracle.is_in_the_middle() {
                break;
            }
        }
        Ok(())
    }

    /// The machine goes down, or has; what was under way may still reach the device.
    pub(super) fn go_down(&mut self) {
        self.device.turn_off();
        let crash = if self.rng.one_in(self.setting.kill_one_in) { Crash::Kill } else { Crash::PowerCut };
        if self.engine.is_some() && self.oracle.is_in_the_middle() {
            self.counts.crashes += 1;
        } else {
            self.counts.idle_crashes += 1;
        }
        if let Some(mut engine) = self.engine.take() {
            for driven in &mut engine.shards {
                for op in driven.operations.drain(..) {
                    if self.rng.one_in(2) {
                        self.device.land(|| drop(op.run()));
                    }
                }
            }
        }
        self.actors.forget();
        self.device.settle(crash);
        if self.rng.per_million(self.setting.faults.rot) {
            self.rot();
        }
        self.oracle.crash(if crash == Crash::Kill { Promise::Kill } else { Promise::PowerCut });
    }

    /// Bits flip somewhere. The manifest stands twice: one place of it may rot, and has no excuse, until it is whole again.
    fn rot(&mut self) {
        let manifest = |path: &str| !path.contains('/');
        match *self.rng.pick(&["segments/", "segments/", "journal/", ""]) {
            "" => {
                let Some(path) = self.device.rot(manifest) else { return };
                self.manifest_rotten += 1;
                if self.manifest_rotten > 1 {
                    self.device.blame(path);
                }
            }
            directory => {
                if let Some(path) = self.device.rot(|path| path.starts_with(directory)) {
                    self.device.blame(path);
                }
            }
        }
    }

    /// Closes the engine properly, if the machine stays on for so long.
    pub(super) fn close(&mut self) -> Check {
        if self.rng.one_in(2) {
            self.end_reservations()?;
        }
        let Some(engine) = &mut self.engine else { return Ok(()) };
        engine.begin_close();
        // Appends that were under way when the close began.
        engine.round(&mut self.rng);
        self.end_reservations()?;
        self.device.note(|| "== close".into(), 3);
        if !self.settle(|engine| engine.is_closed())? {
            self.go_down();
            return Ok(());
        }
        self.poll()?;
        let Some(engine) = &mut self.engine else { return Ok(()) };
        let clean = engine.is_clean();
        let closed = engine.close_clean();
        if !self.device.is_on() {
            self.go_down();
            return Ok(());
        }
        if clean {
            self.check_answered()?;
        }
        let kept = clean && matches!(closed, Ok(true));
        self.device.note(|| format!("== closed, all durable: {clean}, {closed:?}"), 4);
        self.counts.closes += 1;
        if kept {
            self.oracle.close();
        }
        self.engine = None;
        self.actors.forget();
        self.device.turn_off();
        // What a proper close leaves is durable: power may go.
        self.device.settle(Crash::PowerCut);
        self.oracle.crash(Promise::PowerCut);
        Ok(())
    }

    /// Moves everything on until `done`. `false`: the machine went off.
    pub(super) fn settle(&mut self, done: impl Fn(&Incarnation) -> bool) -> Result<bool, Violation> {
        for _ in 0..ROUNDS_MAX {
            let Some(engine) = &mut self.engine else { return Ok(false) };
            engine.round(&mut self.rng);
            self.poll()?;
            if !self.device.is_on() {
                return Ok(false);
            }
            let Some(engine) = &self.engine else { return Ok(false) };
            if done(engine) {
                return Ok(true);
            }
            self.pass_idle_time();
        }
        Err(Violation(format!("nothing more happens, and the engine is not done after {ROUNDS_MAX} rounds")))
    }

    /// If nothing is left to do, time passes until there is.
    fn pass_idle_time(&self) {
        if let Some(engine) = self.engine.as_ref().filter(|engine| engine.is_idle()) {
            let now = self.environment.monotonic_ns();
            let wait = engine.next_deadline().map_or(1_000_000, |at| at.saturating_sub(now) + 1);
            self.environment.advance_ns(wait);
        }
    }

    /// Everything that is under way moves on by one round, and nothing new begins.
    pub(super) fn hurry(&mut self) -> Check {
        self.end_reservations()?;
        if let Some(engine) = &mut self.engine {
            engine.round(&mut self.rng);
        }
        self.poll()?;
        self.pass_idle_time();
        Ok(())
    }

    /// Compares what the engine found with what it promised.
    fn check_opened(&mut self, opened: Vec<Opened>) -> Check {
        let mut found = BTreeSet::new();
        for Opened { known, partitions } in opened {
            let topic = self.topics.iter_mut().find(|t| match t.id {
                Some(id) => id == known.id,
                None => t.name == known.name && t.state == TopicState::Creating,
            });
            let Some(topic) = topic else {
                return Err(Violation(format!("topic {known:?} was never created, or deleted for good")));
            };
            topic.id = Some(known.id);
            let expected = (&topic.name, topic.partitions, topic.promise);
            if expected != (&known.name, known.partitions, known.promise) {
                return Err(Violation(format!("topic {topic:?} came back as {known:?}")));
            }
            topic.state = TopicState::Present;
            found.insert(topic.number);
            let number = topic.number;
            for (partition, reopened) in partitions {
                let place = Place { topic: number, partition };
                let excuses = self.excuses(place);
                self.device.note(|| format!("== {place}: {reopened:?}"), reopened.next_offset);
                self.oracle.reopen(place, &reopened, excuses)?;
                if reopened.unavailable && reopened.damaged.is_none() {
                    self.check_unavailable(place, PartitionId { topic: known.id, partition })?;
                }
            }
        }
        let lied = self.device.damage().lies > 0;
        for topic in &self.topics {
            if found.contains(&topic.number) {
                continue;
            }
            if topic.state == TopicState::Present && !lied {
                return Err(Violation(format!("topic {topic:?} is gone")));
            }
            for partition in 0..topic.partitions {
                self.oracle.delete(Place { topic: topic.number, partition });
            }
        }
        self.topics.retain(|t| found.contains(&t.number));
        self.read_everything()
    }

    /// A partition that recovery could not bring to its end must not look as if it ended.
    fn check_unavailable(&mut self, place: Place, id: PartitionId) -> Check {
        let Some(engine) = &self.engine else { return Ok(()) };
        let partition = engine.partitions[&id].current();
        match engine.read(&partition, &mut Cursor::new(partition.watermark().high()), 1) {
            Err(error) if error.kind() != ErrorKind::OutOfRange => Ok(()),
            _ => Err(Violation(format!("{place}: its end could not be read, and it looks as if there were none"))),
        }
    }

    /// Reads every partition, mostly from its start, and compares.
    fn read_everything(&mut self) -> Check {
        let all = self.rng.one_in(3);
        let partitions: Vec<(Place, PartitionId)> = self.places();
        for (place, id) in partitions {
            let end = self.oracle.end(place);
            let first = self.oracle.log_start(place).0;
            let start = if all || end == first { first } else { first + self.rng.below(end - first) };
            self.read_from(place, id, start)?;
        }
        Ok(())
    }

    /// Reads a partition from `start` to its high watermark.
    pub(super) fn read_from(&mut self, place: Place, id: PartitionId, start: u64) -> Check {
        let mut cursor = Cursor::new(start);
        for _ in 0..ROUNDS_MAX {
            let from = cursor.offset;
            let Some(engine) = &mut self.engine else { return Ok(()) };
            let Some(partition) = engine.partition(id) else { return Ok(()) };
            if from >= partition.watermark().high() {
                return Ok(());
            }
            let max = self.rng.log_between(1, 1 << 20) as usize;
            match engine.read(&partition, &mut cursor, max) {
                Ok(Got::Batch(batch)) => {
                    let records = seen(&batch);
                    let excuses = self.excuses(place);
                    self.oracle.read(place, from, cursor.offset, &records, excuses)?;
                }
                Ok(Got::Wait) => engine.round(&mut self.rng),
                Err(error) => return self.judge_read(place, from, &error),
            }
            if !self.device.is_on() {
                return Ok(());
            }
        }
        Err(Violation(format!("{place}: reading from {start} does not come to an end")))
    }

    /// Whether a read may fail like this.
    pub(super) fn judge_read(&mut self, place: Place, from: u64, error: &crate::Error) -> Check {
        if !self.device.is_on() {
            return Ok(()); // The machine went off in the middle of the read.
        }
        let excuses = self.excuses(place);
        let damaged = excuses.damaged || excuses.lied || self.oracle.is_damaged(place);
        let excused = match error.kind() {
            // What a weaker topic had only written, a failed sync may have dropped.
            ErrorKind::Corrupt => damaged || (excuses.dropped && self.promise_of(place) < Promise::PowerCut),
            ErrorKind::Io => excuses.errors || damaged,
            ErrorKind::NotFound => excuses.lied,
            ErrorKind::WouldBlock => true,
            ErrorKind::OutOfRange => from < self.oracle.log_start(place).1,
            _ => false,
        };
        self.device.note(|| format!("== {place}: reading at {from}: {error}"), from);
        if excused { Ok(()) } else { Err(Violation(format!("{place}: reading at {from}: {:?} {error}", error.kind()))) }
    }

    /// Partitions of topics that are there.
    pub(super) fn places(&self) -> Vec<(Place, PartitionId)> {
        let present = self.topics.iter().filter(|t| t.state == TopicState::Present);
        present
            .filter_map(|t| Some((t, t.id?)))
            .flat_map(|(t, id)| {
                (0..t.partitions)
                    .map(move |partition| (Place { topic: t.number, partition }, PartitionId { topic: id, partition }))
            })
            .collect()
    }
}
