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
}

/// What an open said about a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reopened {
    pub(crate) next_offset: u64,
    pub(crate) damaged: Option<(u64, u64)>,
    /// It answers with an error of the device.
    pub(crate) unavailable: bool,
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
        let next = partition.batches.last().map_or(0, Batch::end);
        ensure!(base >= next, "{place}: offset {base} was given twice; the next is {next}");
        ensure!(
            base == next || partition.batches.last().is_none_or(|b| b.end() <= partition.sealed),
            "{place}: offsets {next}..{base} were given to nobody"
        );
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
        let end = partition.batches.last().map_or(partition.sealed, Batch::end).max(partition.sealed);
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
        self.partitions.get(&place).map_or(0, |p| p.batches.last().map_or(p.sealed, Batch::end).max(p.sealed))
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
                partition.sealed = partition.batches.last().map_or(partition.sealed, Batch::end).max(partition.sealed);
            }
        }
    }

    /// The lowest offset at which a partition may end after the crash.
    fn floor(partition: &Partition, survives: Promise) -> u64 {
        let kept = |b: &&Batch| matches!(b.fate, Fate::Acknowledged(promise) if promise >= survives);
        let acknowledged = partition.batches.iter().rev().find(kept).map_or(0, Batch::end);
        let seen = if partition.promise.is_some_and(|p| p >= survives) { partition.seen } else { 0 };
        acknowledged.max(seen).max(partition.sealed)
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
        let whole = end == sealed || end == 0 || partition.batches.iter().any(|b| b.end() == end || b.base == end);
        ensure!(whole, "{place}: it ends at {end} inside a batch");
        let attempted = partition.batches.last().map_or(sealed, Batch::end).max(sealed);
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
        let kept = partition.batches.partition_point(|b| b.base < end);
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
        oracle.reopen(P, &Reopened { next_offset, damaged, unavailable: false }, excuses)
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
