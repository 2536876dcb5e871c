//! What must be true, told by a model that shares no code with the engine.
//!
//! The model knows which batches were attempted, in the order of their offsets, which of them were acknowledged and
//! how, and what readers saw. After every crash it compares. It never looks at files.

use std::collections::BTreeMap;
use std::fmt;

/// What a promise survives. Ordered from the weakest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Promise {
    /// Nothing but a clean close.
    Nothing,
    /// The death of the process.
    Kill,
    /// The loss of power.
    PowerCut,
}

/// A promise of the engine that it broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation(pub(crate) String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) type Check = Result<(), Violation>;

macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(Violation(format!($($message)*)));
        }
    };
}

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Content {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) timestamp: Option<i64>,
}

/// A record as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) offset: u64,
    pub(crate) timestamp: i64,
    pub(crate) append_time: i64,
    pub(crate) content: Content,
}

/// A partition, by the number of its topic, which no other topic ever has, and its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) topic: u32,
    pub(crate) partition: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Attempted,
    Acknowledged(Promise),
    Failed,
}

#[derive(Clone, Debug)]
struct Batch {
    base: u64,
    count: u64,
    /// `None`: the reservation was abandoned; its offsets hold nothing.
    records: Option<Vec<Content>>,
    fate: Fate,
    /// Everything below was acknowledged as durable when this one was given: its frame says so.
    testifies: u64,
}

impl Batch {
    fn end(&self) -> u64 {
        self.base + self.count
    }

    /// Whether it has to be there after a crash that takes all promises below `survives`.
    fn survives(&self, survives: Promise) -> bool {
        matches!(self.fate, Fate::Acknowledged(promise) if promise >= survives)
    }
}

/// What an open said about a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reopened {
    pub(crate) log_start: u64,
    pub(crate) next_offset: u64,
    pub(crate) damaged: Option<(u64, u64)>,
    /// It answers with an error of the device.
    pub(crate) unavailable: bool,
}

/// Which end of a partition's log is moved, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truncation {
    Before(u64),
    After(u64),
}

/// A truncation that was asked for and not answered: it may have happened or not.
#[derive(Clone, Copy, Debug)]
struct Undecided {
    truncation: Truncation,
    /// The next offset when it was asked for. Nothing is acknowledged beyond it if the end is moved.
    next: u64,
}

/// What the world knows that may excuse the engine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Excuses {
    /// Acknowledged bytes that concern this partition were changed behind the engine's back.
    pub(crate) damaged: bool,
    /// The device acknowledged flushes that it did not do.
    pub(crate) lied: bool,
    /// The device reported errors since the last crash.
    pub(crate) errors: bool,
    /// One byte rotted, and nothing else was ever damaged: whatever testifies of it is whole.
    pub(crate) rotten_once: bool,
    /// A sync failed, and dropped what only power could have taken otherwise.
    pub(crate) dropped: bool,
}

#[derive(Debug, Default)]
struct Partition {
    /// In order of their offsets, without overlap.
    batches: Vec<Batch>,
    log_start: u64,
    /// Truncations that may have happened or not.
    undecided: Vec<Undecided>,
    /// What a reader saw lies below this offset.
    seen: u64,
    /// What an open, or a clean close, stood for lies below this offset.
    sealed: u64,
    /// The damage that was reported.
    damaged: Option<(u64, u64)>,
    /// The promise of its topic: how far the high watermark may run ahead.
    promise: Option<Promise>,
    /// The worst crash since the last time that the partition was open.
    crash: Option<Promise>,
}

impl Partition {
    /// The offset after the last one that was given, or passed over.
    fn next(&self) -> u64 {
        self.batches.last().map_or(0, Batch::end).max(self.sealed).max(self.log_start)
    }

    /// A truncation has happened: all that it left is durable.
    fn truncate(&mut self, truncation: Truncation) {
        match truncation {
            Truncation::Before(offset) => {
                let whole = self.damaged.is_some_and(|(_, end)| end <= offset);
                if whole {
                    self.damaged = None;
                }
                if whole || self.next() <= offset {
                    self.sealed = offset;
                }
                self.log_start = offset;
            }
            Truncation::After(offset) => {
                self.batches.retain(|b| b.end() <= offset);
                self.seen = self.seen.min(offset);
                self.sealed = offset;
            }
        }
    }

    /// What was undecided is what the open shows.
    fn decide(&mut self, reopened: &Reopened, survives: Promise) {
        for Undecided { truncation, next } in core::mem::take(&mut self.undecided) {
            let happened = match truncation {
                Truncation::Before(offset) => offset == reopened.log_start && offset > self.log_start,
                Truncation::After(offset) => {
                    let end = reopened.damaged.map_or(reopened.next_offset, |(_, end)| end);
                    let kept = |b: &Batch| b.base >= next && b.survives(survives);
                    end == offset && !self.batches.iter().any(kept)
                }
            };
            if happened {
                self.truncate(truncation);
            }
        }
    }
}

/// How often things happened, to show that a run tested something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) acknowledged: u64,
    pub(crate) failed: u64,
    pub(crate) records_compared: u64,
    pub(crate) cut: u64,
    pub(crate) damage_reported: u64,
    /// Acknowledged batches of the last window that damage took, with nothing left to testify.
    pub(crate) undecidable: u64,
    /// Truncations that were answered, at each end, and those that a crash or an error left undecided.
    pub(crate) truncated_before: u64,
    pub(crate) truncated_after: u64,
    pub(crate) undecided: u64,
}

impl Tally {
    /// Adds that of another world.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.acknowledged += other.acknowledged;
        self.failed += other.failed;
        self.records_compared += other.records_compared;
        self.cut += other.cut;
        self.damage_reported += other.damage_reported;
        self.undecidable += other.undecidable;
        self.truncated_before += other.truncated_before;
        self.truncated_after += other.truncated_after;
        self.undecided += other.undecided;
    }
}

/// The model of all partitions.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    partitions: BTreeMap<Place, Partition>,
    /// Everything that was ever attempted, by number; for worlds whose device lies.
    pub(crate) tally: Tally,
}

impl Oracle {
    /// A partition exists from now on; its topic has this promise.
    pub(crate) fn create(&mut self, place: Place, promise: Promise) {
        self.partitions.entry(place).or_default().promise = Some(promise);
    }

    /// A partition is gone.
    pub(crate) fn delete(&mut self, place: Place) {
        self.partitions.remove(&place);
    }

    fn partition(&mut self, place: Place) -> Result<&mut Partition, Violation> {
        self.partitions.get_mut(&place).ok_or_else(|| Violation(format!("partition {place} should not exist")))
    }

    /// A batch got its offsets.
    pub(crate) fn attempt(&mut self, place: Place, base: u64, records: Vec<Content>) -> Check {
        let partition = self.partition(place)?;
        let next = partition.next();
        ensure!(base >= next, "{place}: offset {base} was given twice; the next is {next}");
        ensure!(base == next, "{place}: offsets {next}..{base} were given to nobody");
        let count = records.len() as u64;
        let durable = |b: &&Batch| b.fate == Fate::Acknowledged(Promise::PowerCut);
        let testifies = partition.batches.iter().rev().find(durable).map_or(0, Batch::end);
        let fate = Fate::Attempted;
        partition.batches.push(Batch { base, count, records: Some(records), fate, testifies });
        Ok(())
    }

    /// A reservation was abandoned.
    pub(crate) fn abandon(&mut self, place: Place, base: u64) -> Check {
        let batch = Self::find(self.partition(place)?, place, base)?;
        batch.records = None;
        Ok(())
    }

    /// The end of a log is about to be moved.
    pub(crate) fn begin_truncation(&mut self, place: Place, truncation: Truncation) -> Check {
        let partition = self.partition(place)?;
        partition.undecided.push(Undecided { truncation, next: partition.next() });
        self.tally.undecided += 1;
        Ok(())
    }

    /// The engine answered that it is done.
    pub(crate) fn truncated(&mut self, place: Place, truncation: Truncation) -> Check {
        let partition = self.partition(place)?;
        // Those before it, if the manifest took them, are part of what it was made of.
        partition.undecided.clear();
        partition.truncate(truncation);
        self.tally.undecided -= 1;
        match truncation {
            Truncation::Before(_) => self.tally.truncated_before += 1,
            Truncation::After(_) => self.tally.truncated_after += 1,
        }
        Ok(())
    }

    /// Where a log begins, and where it begins if all that is undecided has happened.
    pub(crate) fn log_start(&self, place: Place) -> (u64, u64) {
        let Some(partition) = self.partitions.get(&place) else { return (0, 0) };
        let before = partition.undecided.iter().filter_map(|undecided| match undecided.truncation {
            Truncation::Before(offset) => Some(offset),
            Truncation::After(_) => None,
        });
        (partition.log_start, before.fold(partition.log_start, u64::max))
    }

    /// The batches from an offset on, as they were appended: those that a truncation there cuts.
    pub(crate) fn batches_from(&self, place: Place, offset: u64) -> Vec<Vec<Content>> {
        let batches = self.partitions.get(&place).map_or(&[][..], |partition| &partition.batches);
        batches.iter().filter(|b| b.base >= offset).filter_map(|b| b.records.clone()).collect()
    }

    /// Where batches begin or end that the log still holds.
    pub(crate) fn bounds(&self, place: Place) -> Vec<u64> {
        let Some(partition) = self.partitions.get(&place) else { return Vec::new() };
        let kept = partition.batches.iter().filter(|b| b.base >= partition.log_start);
        kept.map(|b| b.base).chain([partition.next()]).collect()
    }

    /// Whether an offset lies inside of a batch.
    pub(crate) fn is_inside_a_batch(&self, place: Place, offset: u64) -> bool {
        let batches = self.partitions.get(&place).map_or(&[][..], |partition| &partition.batches);
        batches.iter().any(|b| b.base < offset && offset < b.end())
    }

    /// Whether a batch with records begins or ends at an offset.
    pub(crate) fn is_bound(&self, place: Place, offset: u64) -> bool {
        let batches = self.partitions.get(&place).map_or(&[][..], |partition| &partition.batches);
        batches.iter().any(|b| (b.base == offset || b.end() == offset) && b.records.is_some())
    }

    fn find(partition: &mut Partition, place: Place, base: u64) -> Result<&mut Batch, Violation> {
        let index = partition.batches.binary_search_by_key(&base, |b| b.base);
        let index = index.map_err(|_| Violation(format!("{place}: there is no batch at offset {base}")))?;
        Ok(&mut partition.batches[index])
    }

    /// The engine answered that a batch is kept, as `promise` says.
    pub(crate) fn acknowledge(&mut self, place: Place, base: u64, promise: Promise) -> Check {
        let batch = Self::find(self.partition(place)?, place, base)?;
        batch.fate = match batch.fate {
            Fate::Failed => {
                return Err(Violation(format!("{place}: the batch at {base} was acknowledged after it had failed")));
            }
            Fate::Attempted => Fate::Acknowledged(promise),
            Fate::Acknowledged(before) => Fate::Acknowledged(before.max(promise)),
        };
        self.tally.acknowledged += 1;
        Ok(())
    }

    /// The engine answered that a batch failed. It may still be there after a crash, never acknowledged.
    pub(crate) fn fail(&mut self, place: Place, base: u64) -> Check {
        let batch = Self::find(self.partition(place)?, place, base)?;
        if batch.fate == Fate::Attempted {
            batch.fate = Fate::Failed;
        }
        self.tally.failed += 1;
        Ok(())
    }

    /// A reader that asked for `from` got these records and was told to go on at `next`.
    pub(crate) fn read(&mut self, place: Place, from: u64, next: u64, records: &[Seen], excuses: Excuses) -> Check {
        self.tally.records_compared += records.len() as u64;
        let partition = self.partition(place)?;
        ensure!(next >= from, "{place}: a read from {from} went back to {next}");
        let start = partition.log_start;
        ensure!(from >= start, "{place}: a read from {from} did not fail, but the log begins at {start}");
        let end = partition.next();
        ensure!(next <= end, "{place}: a read reached {next}, but offsets end at {end}");
        if let Some((start, _)) = partition.damaged {
            ensure!(next <= start, "{place}: a read reached {next} past the damage at {start}");
        }
        let first = partition.batches.partition_point(|b| b.end() <= from);
        let mut expected = partition.batches[first..]
            .iter()
            .filter_map(|b| b.records.as_ref().map(|r| (b.base, r)))
            .flat_map(|(base, records)| records.iter().enumerate().map(move |(i, r)| (base + i as u64, r)))
            .skip_while(|(offset, _)| *offset < from)
            .take_while(|(offset, _)| *offset < next);
        let mut time = i64::MIN;
        for seen in records {
            let Some((offset, content)) = expected.next() else {
                return Err(Violation(format!("{place}: record {} was never appended", seen.offset)));
            };
            ensure!(seen.offset == offset, "{place}: record {} stands where {offset} should", seen.offset);
            let same = seen.content.key == content.key
                && seen.content.value == content.value
                && seen.content.headers == content.headers;
            ensure!(same, "{place}: record {offset} reads {:?}, appended was {content:?}", seen.content);
            let timestamp = content.timestamp.unwrap_or(seen.append_time);
            ensure!(seen.timestamp == timestamp, "{place}: record {offset} has time {}", seen.timestamp);
            ensure!(seen.append_time >= time, "{place}: append time goes back at {offset}");
            time = seen.append_time;
        }
        if let Some((offset, _)) = expected.next() {
            return Err(Violation(format!("{place}: a read from {from} to {next} left out record {offset}")));
        }
        if !excuses.lied {
            partition.seen = partition.seen.max(next);
        }
        Ok(())
    }

    /// The offset that everything published lies below, for reading all of it.
    pub(crate) fn end(&self, place: Place) -> u64 {
        self.partitions.get(&place).map_or(0, Partition::next)
    }

    /// Whether damage of the partition was reported.
    pub(crate) fn is_damaged(&self, place: Place) -> bool {
        self.partitions.get(&place).is_some_and(|p| p.damaged.is_some())
    }

    /// Whether a crash now would test something: acknowledged records, and others under way, since the last open.
    pub(crate) fn is_in_the_middle(&self) -> bool {
        let recent = |p: &Partition| {
            let recent = p.batches.iter().rev().take_while(|b| b.base >= p.sealed);
            recent.fold((false, false), |(acknowledged, under_way), b| match b.fate {
                Fate::Acknowledged(_) => (true, under_way),
                Fate::Attempted => (acknowledged, true),
                Fate::Failed => (acknowledged, under_way),
            })
        };
        let states: Vec<(bool, bool)> = self.partitions.values().map(recent).collect();
        states.iter().any(|s| s.0) && states.iter().any(|s| s.1)
    }

    /// The machine went down, in a way that promises below `survives` do not survive.
    pub(crate) fn crash(&mut self, survives: Promise) {
        for partition in self.partitions.values_mut() {
            partition.crash = partition.crash.max(Some(survives));
        }
    }

    /// The engine was closed properly: everything published is kept.
    pub(crate) fn close(&mut self) {
        for partition in self.partitions.values_mut() {
            if partition.damaged.is_none() {
                partition.sealed = partition.next();
            }
        }
    }

    /// The lowest offset at which a partition may end after the crash.
    fn floor(partition: &Partition, survives: Promise) -> u64 {
        let kept = |b: &&Batch| b.survives(survives);
        let acknowledged = partition.batches.iter().rev().find(kept).map_or(0, Batch::end);
        let seen = if partition.promise.is_some_and(|p| p >= survives) { partition.seen } else { 0 };
        acknowledged.max(seen).max(partition.sealed).max(partition.log_start)
    }

    /// An open says where a partition ends.
    pub(crate) fn reopen(&mut self, place: Place, reopened: &Reopened, excuses: Excuses) -> Check {
        let partition = self.partition(place)?;
        let mut survives = partition.crash.unwrap_or(Promise::Nothing);
        if excuses.dropped && survives == Promise::Kill {
            survives = Promise::PowerCut;
        }
        if reopened.unavailable {
            ensure!(excuses.errors || excuses.damaged || excuses.lied, "{place}: unavailable without any error");
            return Ok(());
        }
        partition.decide(reopened, survives);
        let start = partition.log_start;
        ensure!(
            reopened.log_start == start || excuses.lied,
            "{place}: it begins at {}, and it was truncated to begin at {start}",
            reopened.log_start
        );
        partition.log_start = reopened.log_start;
        let floor = Self::floor(partition, survives);
        let sealed = partition.sealed;
        let before = partition.damaged;
        let end = match reopened.damaged {
            Some((start, end)) => {
                ensure!(start < end, "{place}: the damaged range {start}..{end} is empty");
                let excused = excuses.damaged || excuses.lied || before.is_some();
                ensure!(excused, "{place}: reports damage at {start}..{end}, and there is none");
                ensure!(end >= sealed || excuses.lied, "{place}: damage {start}..{end} leaves {end}..{sealed} untold");
                start
            }
            None => {
                ensure!(before.is_none() || excuses.lied, "{place}: damage {before:?} was forgotten");
                reopened.next_offset
            }
        };
        let whole = end == sealed
            || end == start
            || end == 0
            || partition.batches.iter().any(|b| b.end() == end || b.base == end);
        ensure!(whole, "{place}: it ends at {end} inside a batch");
        let attempted = partition.next();
        ensure!(end <= attempted, "{place}: it ends at {end}, but only {attempted} were ever given");
        let mut undecidable = 0;
        if end < floor && reopened.damaged.is_none() && !excuses.lied {
            ensure!(excuses.damaged, "{place}: it ends at {end}, but {floor} was promised to survive {survives:?}");
            ensure!(end >= sealed, "{place}: it ends at {end} without a word, but {sealed} had been recovered before");
            let durable = |b: &&Batch| b.fate == Fate::Acknowledged(Promise::PowerCut);
            let testified = partition.batches.iter().filter(durable).map(|b| b.testifies).max().unwrap_or(0);
            ensure!(
                end >= testified || !excuses.rotten_once,
                "{place}: it ends at {end} without a word, though later frames say that {testified} was durable"
            );
            undecidable = 1;
        }
        // The log may begin inside of a batch that is lost.
        let kept = partition.batches.partition_point(|b| b.end() <= end);
        let cut = partition.batches.len() - kept;
        partition.batches.truncate(kept);
        partition.seen = partition.seen.min(end);
        partition.sealed = end;
        partition.damaged = reopened.damaged;
        partition.crash = None;
        for batch in &mut partition.batches {
            batch.fate = Fate::Acknowledged(Promise::PowerCut);
        }
        self.tally.cut += cut as u64;
        self.tally.undecidable += undecidable;
        self.tally.damage_reported += u64::from(reopened.damaged.is_some() && before.is_none());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Place = Place { topic: 1, partition: 0 };

    fn content(byte: u8) -> Content {
        Content { value: Some(vec![byte; 3]), ..Content::default() }
    }

    fn seen(offset: u64, byte: u8) -> Seen {
        Seen { offset, timestamp: 5, append_time: 5, content: content(byte) }
    }

    /// A partition with batches at 0 (two records), 2 and 3, of which the first two are acknowledged.
    fn oracle(promise: Promise) -> Oracle {
        let mut oracle = Oracle::default();
        oracle.create(P, Promise::PowerCut);
        for (base, records) in [(0, vec![content(0), content(1)]), (2, vec![content(2)]), (3, vec![content(3)])] {
            oracle.attempt(P, base, records).expect("offsets follow each other");
        }
        oracle.acknowledge(P, 0, promise).expect("it was attempted");
        oracle.acknowledge(P, 2, promise).expect("it was attempted");
        assert!(oracle.is_in_the_middle());
        oracle
    }

    fn reopen(oracle: &mut Oracle, next_offset: u64, damaged: Option<(u64, u64)>, excuses: Excuses) -> Check {
        oracle.reopen(P, &Reopened { next_offset, damaged, ..Reopened::default() }, excuses)
    }

    #[test]
    fn every_prefix_that_holds_the_acknowledged_is_allowed_and_no_other() {
        let none = Excuses::default();
        for (end, allowed) in [(0, false), (1, false), (2, false), (3, true), (4, true), (5, false)] {
            let mut oracle = oracle(Promise::PowerCut);
            oracle.crash(Promise::PowerCut);
            assert_eq!(reopen(&mut oracle, end, None, none).is_ok(), allowed, "{end}");
        }
    }

    #[test]
    fn weaker_promises_bind_only_for_what_they_survive() {
        let none = Excuses::default();
        let mut weak = oracle(Promise::Kill);
        weak.crash(Promise::PowerCut);
        assert!(reopen(&mut weak, 0, None, none).is_ok());
        let mut weak = oracle(Promise::Kill);
        weak.crash(Promise::Kill);
        assert!(reopen(&mut weak, 2, None, none).is_err());
    }

    #[test]
    fn what_a_reader_saw_is_not_taken_back() {
        let mut oracle = oracle(Promise::Nothing);
        oracle.read(P, 0, 3, &[seen(0, 0), seen(1, 1), seen(2, 2)], Excuses::default()).expect("it reads as appended");
        oracle.crash(Promise::PowerCut);
        assert!(reopen(&mut oracle, 2, None, Excuses::default()).is_err());
    }

    #[test]
    fn reads_must_be_complete_and_equal() {
        let mut oracle = oracle(Promise::PowerCut);
        let none = Excuses::default();
        assert!(oracle.read(P, 1, 3, &[seen(1, 1), seen(2, 2)], none).is_ok());
        assert!(oracle.read(P, 1, 3, &[seen(1, 1)], none).is_err(), "one is left out");
        assert!(oracle.read(P, 1, 2, &[seen(1, 9)], none).is_err(), "one differs");
        assert!(oracle.read(P, 3, 5, &[seen(3, 3), seen(4, 4)], none).is_err(), "one was never appended");
        assert!(oracle.read(P, 2, 1, &[], none).is_err(), "it goes back");
        oracle.abandon(P, 3).expect("it was attempted");
        assert!(oracle.read(P, 2, 4, &[seen(2, 2)], none).is_ok(), "abandoned offsets hold nothing");
    }

    #[test]
    fn damage_is_told_exactly_where_there_is_some() {
        let damaged = Excuses { damaged: true, ..Excuses::default() };
        let crashed = || {
            let mut oracle = oracle(Promise::PowerCut);
            oracle.crash(Promise::PowerCut);
            oracle
        };
        assert!(reopen(&mut crashed(), 2, Some((2, 3)), Excuses::default()).is_err(), "nothing was damaged");
        assert!(reopen(&mut crashed(), 2, Some((2, 3)), damaged).is_ok());
        let mut last_window = crashed();
        assert!(reopen(&mut last_window, 2, None, damaged).is_ok(), "nothing testifies about the last window");
        assert_eq!(last_window.tally.undecidable, 1);
        let mut closed = oracle(Promise::PowerCut);
        closed.close();
        assert!(reopen(&mut closed, 2, None, damaged).is_err(), "the close testifies");
    }

    /// The partition after a truncation that was asked for, and answered or not, and a crash.
    fn truncated(truncation: Truncation, answered: bool) -> Oracle {
        let mut oracle = oracle(Promise::PowerCut);
        oracle.begin_truncation(P, truncation).expect("the partition exists");
        if answered {
            oracle.truncated(P, truncation).expect("the partition exists");
        }
        oracle.crash(Promise::PowerCut);
        oracle
    }

    #[test]
    fn a_truncation_has_happened_if_it_was_answered_and_may_have_if_not() {
        let open = |oracle: &mut Oracle, log_start, next_offset| {
            let reopened = Reopened { log_start, next_offset, ..Reopened::default() };
            oracle.reopen(P, &reopened, Excuses::default()).is_ok()
        };
        for (truncation, happened) in
            [(Truncation::After(2), (0, 2)), (Truncation::Before(2), (2, 4)), (Truncation::Before(9), (9, 9))]
        {
            for answered in [true, false] {
                assert!(open(&mut truncated(truncation, answered), happened.0, happened.1));
                assert_eq!(open(&mut truncated(truncation, answered), 0, 4), !answered, "{truncation:?}");
            }
        }
        assert!(!open(&mut truncated(Truncation::After(2), false), 0, 0), "more is gone than was cut");
    }

    #[test]
    fn what_was_cut_is_told_from_what_took_its_place() {
        let none = Excuses::default();
        let mut oracle = oracle(Promise::PowerCut);
        oracle.begin_truncation(P, Truncation::After(2)).expect("the partition exists");
        oracle.truncated(P, Truncation::After(2)).expect("the partition exists");
        oracle.attempt(P, 2, vec![content(7)]).expect("the end is there");
        assert!(oracle.read(P, 2, 3, &[seen(2, 2)], none).is_err(), "that was cut");
        assert!(oracle.read(P, 2, 3, &[seen(2, 7)], none).is_ok());
        oracle.begin_truncation(P, Truncation::Before(2)).expect("the partition exists");
        assert!(oracle.read(P, 1, 3, &[seen(1, 1), seen(2, 7)], none).is_ok(), "it is not answered");
        oracle.truncated(P, Truncation::Before(2)).expect("the partition exists");
        assert!(oracle.read(P, 1, 3, &[seen(1, 1), seen(2, 7)], none).is_err(), "the log begins later");
    }

    #[test]
    fn a_failed_batch_is_never_acknowledged() {
        let mut oracle = oracle(Promise::PowerCut);
        oracle.fail(P, 3).expect("it was attempted");
        assert!(oracle.acknowledge(P, 3, Promise::PowerCut).is_err());
        oracle.crash(Promise::PowerCut);
        assert!(reopen(&mut oracle, 4, None, Excuses::default()).is_ok(), "it may still be there");
        assert!(oracle.attempt(P, 3, vec![content(4)]).is_err(), "its offset is taken");
        assert!(oracle.attempt(P, 4, vec![content(4)]).is_ok());
    }
}
