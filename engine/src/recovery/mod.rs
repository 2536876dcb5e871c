//! Recovery: what an open finds, and how it becomes a store that can be appended to.
//!
//! The steps are those of docs/ARCHITECTURE.md. [`journal`] decides which journal writes count, [`notes`] which of
//! their ranges, [`examine`] how far each partition goes and whether more of it was durable, [`settle`] makes that
//! durable, and the commit at the end of [`recover`] makes it so. A crash before the commit begins anew. Every outcome
//! has a row in [`table`].

mod bytes;
mod examine;
mod frames;
mod journal;
mod notes;
mod overlay;
mod settle;
pub(crate) mod table;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use journal::DamagedJournal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::manifest::Edit;
use crate::ids::{Generation, PartitionId};
use crate::io::Disk;
use crate::limits::SECTOR;
use crate::manifest::{Damage, Manifest, ManifestStore, Segment, SegmentEnd, names, trim};
use crate::sim::bugs::{self, Bug};
use bytes::{Cache, Window};
use examine::{Bench, Finding, Outcome};
use journal::{JournalFile, Journals};
use notes::{Collector, Notes};
use table::{Row, Rows};

/// What recovery is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecoveryOptions {
    /// Shards of the journal set that begins now.
    pub shards: u32,
    /// Memory for pieces of journal files, beside two windows of 1 MiB and the largest frame. Bytes.
    pub cache: usize,
    /// Files of the journal that are missing are given up.
    pub give_up_journal: bool,
}

/// Is told how recovery goes on.
pub(crate) trait Observer {
    /// A partition was brought to its end; `left` others wait.
    fn partition(&mut self, _id: PartitionId, _left: usize) {}

    /// The open failed; these outcomes were met before.
    fn failed(&mut self, _rows: &Rows) {}
}

impl Observer for () {}

/// A partition as recovery leaves it.
#[derive(Clone, Debug)]
pub(crate) struct RecoveredPartition {
    /// Segments with data, oldest first, each with its end.
    pub segments: Vec<(Segment, SegmentEnd)>,
    /// Offsets below are gone on purpose.
    pub log_start: u64,
    /// The offset after the last whole record.
    pub end_offset: u64,
    /// The offset that the next append would take: behind damage, if there is any.
    pub next_offset: u64,
    /// No append may have an earlier time. Ms.
    pub last_time: i64,
    /// Acknowledged offsets that are not there; the partition takes no appends.
    pub damaged: Vec<Damage>,
    /// Why the partition can only be read as far as `segments` go, and takes no appends in this open.
    pub unavailable: Option<Error>,
}

/// What an open found.
#[derive(Clone, Debug)]
pub(crate) struct Recovered {
    /// The store had been closed cleanly.
    pub clean: bool,
    /// The journal set that begins now.
    pub set: u64,
    /// Every partition that anything is known of.
    pub partitions: BTreeMap<PartitionId, RecoveredPartition>,
    /// Journals in which durable writes cannot be read. The partitions that these are known to have held are damaged.
    pub damaged_journals: Vec<DamagedJournal>,
    /// Partitions that were being written, whose ends were found by reading.
    pub tails: usize,
    /// How often each outcome was met.
    #[cfg(any(test, feature = "sim"))]
    pub rows: Rows,
}

/// Brings a store to the state from which it can be appended to: every segment has its end, and a new journal set has
/// begun. Fails as a whole only if the manifest, or a journal file, cannot be read or is of another version; whatever
/// concerns one partition is said of that one.
pub(crate) fn recover(
    store: &mut ManifestStore,
    options: RecoveryOptions,
    observer: &mut dyn Observer,
) -> Result<Recovered> {
    let mut rows = Rows::default();
    let recovered = recover_counted(store, options, observer, &mut rows);
    if recovered.is_err() {
        observer.failed(&rows);
    }
    recovered
}

fn recover_counted(
    store: &mut ManifestStore,
    options: RecoveryOptions,
    observer: &mut dyn Observer,
    rows: &mut Rows,
) -> Result<Recovered> {
    // Segments without an end say the same as the mark does; either is enough.
    let clean = store.image().clean && (store.image().is_settled() || bugs::active(Bug::ForgetNotClean));
    rows.hit(if clean { Row::ManifestClean } else { Row::ManifestNotClean });
    let mut replay = Replay::default();
    if !clean {
        replay = Replay::run(store, options, observer, rows)?;
    }
    // A process that was killed between naming a file and making the name durable leaves a name that a loss of power
    // takes away. From now on what it names is relied on.
    for directory in [names::HOME, names::JOURNAL, names::SEGMENTS] {
        store.sync_dir(directory)?;
    }
    let mut edits = replay.edits(store.image(), rows)?;
    let set = store.image().set + 1;
    edits.push(Edit::JournalSet { set, shards: options.shards });
    if !bugs::active(Bug::ForgetNotClean) {
        edits.push(Edit::Clean(false));
    }
    if let Err(error) = store.commit(&edits) {
        rows.hit(Row::CommitFailed);
        return Err(error);
    }
    rows.hit(Row::Committed);
    remove_failed_files(store, &replay.journals);
    replay.trim(&**store.disk());
    let partitions = replay.partitions(store.image());
    Ok(Recovered {
        clean,
        set,
        partitions,
        damaged_journals: replay.damaged_journals,
        tails: usize::try_from(rows.of(Row::TornTail)).unwrap_or(usize::MAX),
        #[cfg(any(test, feature = "sim"))]
        rows: rows.clone(),
    })
}

/// What the replay of the journals gave.
#[derive(Default)]
struct Replay {
    findings: Vec<Finding>,
    notes: BTreeMap<PartitionId, Notes>,
    journals: Vec<JournalFile>,
    damaged_journals: Vec<DamagedJournal>,
}

impl Replay {
    /// Gives back what the segments do not use that have got their end. Behind damage may lie what somebody rescues.
    fn trim(&self, disk: &dyn Disk) {
        for finding in self.findings.iter().filter(|finding| finding.settled && finding.damage.is_none()) {
            for found in &finding.segments {
                if let Outcome::Accepted { end, .. } = found.outcome
                    && end.offset > found.segment.base_offset
                {
                    let path = names::segment(finding.id, found.segment.sequence);
                    trim(disk, &path, end.position.next_multiple_of(SECTOR));
                }
            }
        }
    }

    /// Steps 2 to 6.
    fn run(
        store: &mut ManifestStore,
        options: RecoveryOptions,
        observer: &mut dyn Observer,
        rows: &mut Rows,
    ) -> Result<Replay> {
        let disk = Arc::clone(store.disk());
        let mut window = Window::default();
        let mut collector = Collector { image: store.image(), rows: Rows::default(), notes: BTreeMap::new() };
        let mut journals = Journals::find(&*disk, store.image(), options.give_up_journal, &mut window, rows)?;
        journals.scan(store.image(), options.shards, &mut window, &mut collector, rows)?;
        rows.add(&collector.rows);
        let mut notes = collector.notes;
        notes.values_mut().for_each(Notes::sort);
        let mut cache = Cache::new(options.cache);
        let none = Notes::default();
        let mut bench = Bench {
            disk: &*disk,
            image: store.image(),
            journals: &journals.files,
            cache: &mut cache,
            window: &mut window,
            rows,
        };
        let mut findings = Vec::new();
        for id in to_examine(store.image(), &notes) {
            findings.push(bench.examine(id, notes.get(&id).unwrap_or(&none))?);
        }
        // Up to here nothing was written.
        if store.image().clean && !bugs::active(Bug::ForgetNotClean) {
            store.commit(&[Edit::Clean(false)])?;
        }
        let mut bench = Bench {
            disk: &*disk,
            image: store.image(),
            journals: &journals.files,
            cache: &mut cache,
            window: &mut window,
            rows,
        };
        let mut left = findings.len();
        for finding in &mut findings {
            bench.settle(finding, notes.get(&finding.id).unwrap_or(&none));
            left -= 1;
            observer.partition(finding.id, left);
        }
        Ok(Replay { findings, notes, journals: journals.files, damaged_journals: journals.damaged })
    }

    /// Step 7: what the commit says.
    fn edits(&self, image: &Manifest, rows: &mut Rows) -> Result<Vec<Edit>> {
        let mut edits = Vec::new();
        let mut needed: BTreeSet<usize> = self.notes.values().flat_map(|n| n.salvage.iter().copied()).collect();
        for finding in &self.findings {
            let notes = self.notes.get(&finding.id);
            let behind = notes.map_or(0, |notes| finding.ranges_behind(notes));
            (0..behind).for_each(|_| rows.hit(Row::RangeBeyondHole));
            if finding.unavailable.is_some() || (finding.damage.is_some() && behind > 0) {
                needed.extend(notes.iter().flat_map(|notes| notes.files.iter().copied()));
            }
            if finding.unavailable.is_none() {
                finding.edits(rows, &mut edits);
            }
        }
        for (at, file) in self.journals.iter().enumerate() {
            let JournalFile { name: number, set, shard, generation, first_lsn, end_lsn, .. } = *file;
            match (needed.contains(&at), file.kept) {
                (true, false) => {
                    rows.hit(Row::JournalKept);
                    file.make_durable()?;
                    edits.push(Edit::JournalKept { set, number, shard, generation, first_lsn, end_lsn });
                }
                (false, true) => {
                    rows.hit(Row::JournalReleased);
                    edits.push(Edit::JournalReleased { set, number });
                }
                _ => {}
            }
        }
        // Kept files that are not there any more.
        for (set, number) in image.kept.keys().filter(|_| !self.journals.is_empty() || !self.findings.is_empty()) {
            if !self.journals.iter().any(|f| f.kept && (f.set, f.name) == (*set, *number)) {
                edits.push(Edit::JournalReleased { set: *set, number: *number });
            }
        }
        Ok(edits)
    }

    /// Every partition, after the commit.
    fn partitions(&self, image: &Manifest) -> BTreeMap<PartitionId, RecoveredPartition> {
        let mut partitions = BTreeMap::new();
        for (id, partition) in &image.partitions {
            let segments: Vec<(Segment, SegmentEnd)> =
                partition.segments.values().filter_map(|s| s.end().map(|end| (*s, end))).collect();
            let last = segments.last().map(|(_, end)| *end);
            let sealed = last.map_or(partition.log_start, |end| end.offset.max(partition.log_start));
            // Where nothing is left in front of the damage, the damage says where it begins.
            let end_offset = partition.damaged.iter().map(|d| d.start).min().map_or(sealed, |start| start.max(sealed));
            let recovered = RecoveredPartition {
                segments,
                log_start: partition.log_start,
                end_offset,
                next_offset: partition.damaged.iter().map(|d| d.end).fold(end_offset, u64::max),
                last_time: last.map_or(0, |end| end.time),
                damaged: partition.damaged.clone(),
                unavailable: None,
            };
            partitions.insert(*id, recovered);
        }
        for finding in self.findings.iter().filter(|f| f.unavailable.is_some()) {
            if let Some(partition) = partitions.get_mut(&finding.id) {
                finding.make_unavailable(partition);
            }
        }
        partitions
    }
}

impl Finding {
    /// Ranges that begin behind what was accepted of their segment.
    fn ranges_behind(&self, notes: &Notes) -> usize {
        let end = |generation: Generation| {
            self.segments.iter().find(|s| s.segment.generation == generation).map_or(0, |s| match s.outcome {
                Outcome::Accepted { end, .. } | Outcome::Sealed(end) => end.position,
                Outcome::BeyondGap => 0,
            })
        };
        notes.ranges.iter().filter(|range| range.position >= end(range.generation)).count()
    }

    fn edits(&self, rows: &mut Rows, edits: &mut Vec<Edit>) {
        let partition = self.id;
        if let Some(damage) = self.damage {
            let examine::FoundDamage { generation, start, end } = damage;
            edits.push(Edit::Damaged { partition, generation, start, end });
        }
        for found in &self.segments {
            let Segment { generation, base_offset, .. } = found.segment;
            match found.outcome {
                Outcome::Sealed(_) => {}
                Outcome::Accepted { end, .. } if end.offset > base_offset => {
                    rows.hit(Row::SegmentSealed);
                    edits.push(Edit::SegmentSealed {
                        generation,
                        partition,
                        end_position: end.position,
                        end_offset: end.offset,
                        end_time: end.time,
                        footer_size: 0,
                    });
                }
                Outcome::Accepted { .. } => {
                    rows.hit(Row::SegmentEmptyDropped);
                    edits.push(Edit::SegmentDropped { partition, generation });
                }
                Outcome::BeyondGap => {
                    rows.hit(Row::SuccessorDropped);
                    edits.push(Edit::SegmentDropped { partition, generation });
                }
            }
        }
    }

    /// What could be made durable can be read; the rest waits for the next open.
    fn make_unavailable(&self, partition: &mut RecoveredPartition) {
        partition.unavailable.clone_from(&self.unavailable);
        for found in self.segments.iter().filter(|_| self.settled) {
            if let Outcome::Accepted { end, .. } = found.outcome
                && end.offset > found.segment.base_offset
            {
                partition.segments.push((found.segment, end));
                partition.end_offset = partition.end_offset.max(end.offset);
                partition.last_time = partition.last_time.max(end.time);
            }
        }
        partition.segments.sort_by_key(|(segment, _)| segment.sequence);
        partition.next_offset = partition.next_offset.max(partition.end_offset);
    }
}

/// Partitions with an open segment, and those of which the journal knows more than the manifest.
fn to_examine(image: &Manifest, notes: &BTreeMap<PartitionId, Notes>) -> BTreeSet<PartitionId> {
    let open = image.partitions.iter().filter(|(_, p)| p.segments.values().any(Segment::is_open)).map(|(id, _)| *id);
    let unknown = notes.iter().filter(|(_, n)| n.unknown.is_some()).map(|(id, _)| *id);
    open.chain(unknown).collect()
}

/// A file in which a write failed is not used again.
fn remove_failed_files(store: &ManifestStore, journals: &[JournalFile]) {
    let image = store.image();
    for file in journals.iter().filter(|f| f.failed && !image.kept.contains_key(&(f.set, f.name))) {
        // Left over if this fails, and used again: whoever writes it finds out.
        let _ = store.disk().remove(&names::journal(file.name));
    }
}
