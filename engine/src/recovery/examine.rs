//! Steps 4 and 5: how far a partition goes, and whether more of it was durable. Writes nothing.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::file::FileError;
use crate::format::segment::{SEGMENT_DATA_START, SEGMENT_HEADER_SIZE, SegmentHeader};
use crate::ids::{Generation, PartitionId};
use crate::io::{Disk, File, OpenMode, read_full};
use crate::limits::SECTOR;
use crate::manifest::{Manifest, Scratch, Segment, SegmentEnd, SegmentState, names};
use crate::recovery::bytes::{Cache, Window};
use crate::recovery::frames::{Frames, Scanned, Stop};
use crate::recovery::journal::JournalFile;
use crate::recovery::notes::Notes;
use crate::recovery::overlay::Overlaid;
use crate::recovery::table::{Row, Rows};
use crate::sim::bugs::{self, Bug};

/// What recovery works with.
pub(super) struct Bench<'a> {
    pub disk: &'a dyn Disk,
    pub image: &'a Manifest,
    pub journals: &'a [JournalFile],
    pub cache: &'a mut Cache,
    pub window: &'a mut Window,
    pub rows: &'a mut Rows,
}

/// What was found of a partition with open segments.
pub(super) struct Finding {
    pub id: PartitionId,
    /// From the first open one on.
    pub segments: Vec<FoundSegment>,
    pub damage: Option<FoundDamage>,
    /// Why the partition cannot be brought to an end in this open.
    pub unavailable: Option<Error>,
    /// What was accepted is durable in its segments.
    pub settled: bool,
}

/// Acknowledged offsets `start..end` that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FoundDamage {
    pub generation: Generation,
    pub start: u64,
    pub end: u64,
}

pub(super) struct FoundSegment {
    pub segment: Segment,
    pub outcome: Outcome,
}

/// What becomes of a segment.
pub(super) enum Outcome {
    /// It had its end before.
    Sealed(SegmentEnd),
    /// It ends here. `mark` is the last frame boundary below its first overlaid byte, `from` where the scan began.
    Accepted { end: SegmentEnd, from: SegmentEnd, mark: SegmentEnd },
    /// It lies behind a gap.
    BeyondGap,
}

/// What a segment's bytes say.
struct Read {
    scanned: Scanned,
    from: SegmentEnd,
    /// The highest offset that its frames say was durable.
    durable: Option<u64>,
}

impl Bench<'_> {
    /// Examines a partition that has an open segment, or of which the journal knows one that the manifest does not.
    pub(super) fn examine(&mut self, id: PartitionId, notes: &Notes) -> Result<Finding> {
        let partition = self.image.partitions.get(&id).cloned().unwrap_or_default();
        let all: Vec<Segment> = partition.segments.into_values().filter(|s| s.state != SegmentState::Dropped).collect();
        let first = all.iter().position(Segment::is_open).unwrap_or(all.len());
        let before = all[..first].last().and_then(Segment::end);
        let list = &all[first..];
        let mut walk = Walk {
            id,
            tail: before.map(|end| end.offset),
            log_start: partition.log_start,
            segments: Vec::new(),
            broken: false,
            evidence: None,
            stopped: None,
        };
        for (i, segment) in list.iter().enumerate() {
            self.step(&mut walk, segment, list.get(i + 1), notes)?;
        }
        Ok(self.verdict(walk, list, notes))
    }

    /// Takes the next segment of the chain.
    fn step(&mut self, walk: &mut Walk, segment: &Segment, next: Option<&Segment>, notes: &Notes) -> Result<()> {
        // Below the log start nothing is missed.
        let tail = walk.tail.map_or(segment.base_offset, |tail| tail.max(walk.log_start));
        if !walk.broken && segment.base_offset > tail {
            if segment.gap {
                self.rows.hit(Row::SuccessorGapRecorded);
            } else if !bugs::active(Bug::KeepSuccessorBeyondGap) {
                walk.broken = true;
            }
        } else if !walk.broken && walk.tail.is_some() {
            self.rows.hit(Row::SuccessorContinues);
        }
        if walk.broken {
            self.rows.hit(Row::SuccessorBeyondGap);
            walk.testify(self.evidence_of(walk.id, segment, notes)?);
            walk.segments.push(FoundSegment { segment: *segment, outcome: Outcome::BeyondGap });
            return Ok(());
        }
        if let Some(end) = segment.end() {
            walk.accept(segment, end, Outcome::Sealed(end));
            return Ok(());
        }
        let read = match self.read(walk.id, segment, next.map(|next| next.base_offset), notes)? {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                // It was activated, so it was written: what it held is missing.
                let held = notes.marks.get(&segment.generation).copied().unwrap_or(0);
                let held = notes.ranges_of(segment.generation).iter().map(|r| r.end_offset).fold(held, u64::max);
                walk.tail.get_or_insert(segment.base_offset);
                walk.testify(Some(held.max(tail.saturating_add(1))));
                walk.broken = true;
                walk.segments.push(FoundSegment { segment: *segment, outcome: Outcome::BeyondGap });
                return Ok(());
            }
            Err(error) => {
                // Without its file nothing is known of the segment, and nothing behind it can be accepted.
                walk.stopped = Some(Stop::Unreadable(error));
                walk.broken = true;
                walk.tail.get_or_insert(segment.base_offset);
                return Ok(());
            }
        };
        walk.testify(read.durable);
        self.rows.hit(read.scanned.stop.row());
        if read.scanned.cuts {
            self.rows.hit(Row::SuccessorCuts);
        }
        let Scanned { end, mark, stop, .. } = read.scanned;
        if let Stop::BadBody(after) = stop {
            walk.testify(Some(after));
        }
        if matches!(stop, Stop::Unreadable(_) | Stop::Unsupported(_)) {
            walk.broken = true;
        }
        walk.stopped = Some(stop);
        walk.accept(segment, end, Outcome::Accepted { end, from: read.from, mark });
        Ok(())
    }

    /// Step 5.
    fn verdict(&mut self, mut walk: Walk, list: &[Segment], notes: &Notes) -> Finding {
        let known = self.image.partitions.get(&walk.id).map_or(&[][..], |partition| &partition.damaged);
        // Where an earlier recovery left no segment, the damage that it found says where the records end.
        let tail = walk.tail.or_else(|| known.iter().map(|damage| damage.start).min());
        let tail = tail.map_or(walk.log_start, |tail| tail.max(walk.log_start));
        for segment in list {
            if let SegmentState::Open { settled: Some(settled) } = segment.state {
                walk.testify(Some(settled.offset));
            }
            if let Some(end) = segment.end() {
                walk.testify(Some(end.offset));
            }
            walk.testify(notes.marks.get(&segment.generation).copied());
        }
        walk.testify(notes.unknown.map(|offset| offset.max(tail.saturating_add(1))));
        walk.testify(self.lost_behind(&walk, list, notes));
        let unavailable = match walk.stopped.take() {
            Some(Stop::Unreadable(error) | Stop::Unsupported(error)) => Some(error.context(walk.id)),
            _ => None,
        };
        let evidence = walk.evidence.filter(|evidence| *evidence > tail && !bugs::active(Bug::DamageIsTornTail));
        let damage = match (&unavailable, evidence) {
            (None, Some(evidence)) if known.iter().any(|d| d.start <= tail && d.end >= evidence) => {
                // An earlier recovery found it; what is kept of it says so again.
                let known = known.iter().find(|d| d.start <= tail && d.end >= evidence);
                known.map(|d| FoundDamage { generation: d.generation, start: d.start, end: d.end })
            }
            (None, Some(end)) => {
                let accepted = walk.segments.iter().rev().find(|s| !matches!(s.outcome, Outcome::BeyondGap));
                let generation = accepted.map_or(Generation(0), |s| s.segment.generation);
                Some(FoundDamage { generation, start: tail, end })
            }
            _ => None,
        };
        if unavailable.is_none() {
            self.rows.hit(if damage.is_some() { Row::Damaged } else { Row::TornTail });
        }
        Finding { id: walk.id, segments: walk.segments, damage, unavailable, settled: false }
    }

    /// How far ranges that were durable and are lost go on from the end without a hole: so far was acknowledged.
    fn lost_behind(&self, walk: &Walk, list: &[Segment], notes: &Notes) -> Option<u64> {
        let last = walk.segments.iter().rev().find(|s| !matches!(s.outcome, Outcome::BeyondGap));
        let (mut generation, mut position, mut offset) = match last.map(|s| (s.segment.generation, &s.outcome)) {
            Some((generation, Outcome::Accepted { end, .. } | Outcome::Sealed(end))) => {
                (generation, end.position, end.offset)
            }
            _ => (list.first()?.generation, SEGMENT_DATA_START, list.first()?.base_offset),
        };
        let mut reached = None;
        for lost in &notes.lost {
            let begins = list.iter().any(|s| s.generation == lost.generation && s.base_offset == offset);
            if lost.generation != generation && begins && lost.position == SEGMENT_DATA_START {
                (generation, position) = (lost.generation, SEGMENT_DATA_START);
            }
            if lost.generation != generation || lost.position > position {
                continue;
            }
            (position, offset) = (position.max(lost.position + u64::from(lost.size)), offset.max(lost.end_offset));
            for range in notes.ranges_of(generation) {
                if range.position <= position && range.end > position {
                    (position, offset) = (range.end, offset.max(range.end_offset));
                }
            }
            reached = Some(offset);
        }
        reached
    }

    /// Reads a segment from its checkpoint, or its start, to its end. `next` is the base of the one after it. The
    /// inner error is the partition's, the outer one the store's.
    fn read(
        &mut self,
        id: PartitionId,
        segment: &Segment,
        next: Option<u64>,
        notes: &Notes,
    ) -> Result<core::result::Result<Read, Error>> {
        let file = match self.open(id, segment)? {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        let start = SegmentEnd { position: SEGMENT_DATA_START, offset: segment.base_offset, time: segment.base_time };
        let from = match segment.state {
            SegmentState::Open { settled: Some(settled) } => {
                self.rows.hit(Row::ScanFromCheckpoint);
                settled
            }
            _ => {
                self.rows.hit(Row::ScanFromStart);
                start
            }
        };
        if bugs::active(Bug::TrustIndex)
            && let Some(end) = recorded_end(segment, notes)
        {
            let scanned = Scanned { end, stop: Stop::Full, durable: None, mark: from, cuts: false };
            return Ok(Ok(Read { scanned, from, durable: None }));
        }
        let ranges = notes.ranges_of(segment.generation);
        let first = ranges.first().map_or(0, |range| range.position);
        let limit = segment.capacity / SECTOR * SECTOR;
        let mut source = Overlaid::new(file, limit, ranges, self.journals, self.cache);
        self.window.reset();
        let mut frames = Frames { partition: id, segment, source: &mut source, window: self.window };
        let scanned = frames.scan(from, next, first);
        let mut durable = scanned.durable;
        // Where a successor begins exactly here, nothing can be missing.
        if next.is_none_or(|next| next > scanned.end.offset) {
            let behind = frames.evidence_behind(scanned.end.position);
            if behind.is_some() {
                self.rows.hit(Row::EvidenceBehindEnd);
            }
            durable = durable.max(behind);
        }
        // Ranges that lie behind the end may begin between sectors; their frames testify as well.
        let mut reached = scanned.end.position + 1;
        for range in ranges {
            if range.position >= reached {
                let (testimony, end) = frames.testimony_at(range.position);
                durable = durable.max(testimony);
                reached = end.max(range.end);
            }
        }
        Ok(Ok(Read { scanned, from, durable }))
    }

    /// What a segment behind a gap testifies.
    fn evidence_of(&mut self, id: PartitionId, segment: &Segment, notes: &Notes) -> Result<Option<u64>> {
        if segment.end().is_some() {
            return Ok(segment.end().map(|end| end.offset));
        }
        Ok(self.read(id, segment, None, notes)?.ok().and_then(|read| read.durable))
    }

    /// Opens a segment's file. Its header is held against the manifest, which knows the same.
    fn open(&mut self, id: PartitionId, segment: &Segment) -> Result<core::result::Result<Arc<dyn File>, Error>> {
        let path = names::segment(id, segment.sequence);
        let file = match self.disk.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(error) => {
                let error = Error::file(format_args!("opening {path}"), &error);
                if error.kind() == ErrorKind::Corrupt {
                    self.rows.hit(Row::SegmentFileMissing);
                }
                return Ok(Err(error));
            }
        };
        let mut sector = Scratch::zeroed(SEGMENT_HEADER_SIZE)?;
        let there = read_full(&*file, 0, sector.bytes_mut()).unwrap_or(false);
        match SegmentHeader::parse(sector.bytes()) {
            Ok(header) if there && header == segment.header(self.image.store, id) => {}
            Err(FileError::Unsupported(what)) => {
                return Err(Error::new(ErrorKind::Unsupported, what).context(path));
            }
            _ => self.rows.hit(Row::SegmentHeaderUnreadable),
        }
        Ok(Ok(file))
    }
}

/// The planted bug's idea of a segment's end.
fn recorded_end(segment: &Segment, notes: &Notes) -> Option<SegmentEnd> {
    let settled = match segment.state {
        SegmentState::Open { settled } => settled,
        _ => None,
    };
    let last = notes.ranges_of(segment.generation).iter().max_by_key(|range| range.end);
    let last = last.map(|range| SegmentEnd { position: range.end, offset: range.end_offset, time: segment.base_time });
    last.or(settled)
}

/// The way along a partition's chain.
struct Walk {
    id: PartitionId,
    /// Where the accepted records end; `None` before the first segment.
    tail: Option<u64>,
    log_start: u64,
    segments: Vec<FoundSegment>,
    /// Nothing that follows can be accepted.
    broken: bool,
    evidence: Option<u64>,
    /// Why the last scan stopped.
    stopped: Option<Stop>,
}

impl Walk {
    fn testify(&mut self, offset: Option<u64>) {
        self.evidence = self.evidence.max(offset);
    }

    fn accept(&mut self, segment: &Segment, end: SegmentEnd, outcome: Outcome) {
        self.tail = Some(end.offset);
        self.segments.push(FoundSegment { segment: *segment, outcome });
    }
}
