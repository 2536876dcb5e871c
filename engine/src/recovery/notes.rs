//! Step 3: what the journal says of each partition, and which of it counts.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};
use crate::format::journal::{RangeEntry, WatermarkEntry};
use crate::ids::{Generation, PartitionId};
use crate::manifest::{Known, Manifest, SegmentState};
use crate::recovery::journal::Sink;
use crate::recovery::overlay::Range;
use crate::recovery::table::{Row, Rows};

/// What the journal says of one partition.
#[derive(Default)]
pub(super) struct Notes {
    /// Ranges of open segments; by generation and position once they are sorted.
    pub ranges: Vec<Range>,
    /// Ranges that were durable and cannot be used, in the order of their writes.
    pub lost: Vec<RangeEntry>,
    /// The highest offset known durable, by the generation that it was in.
    pub marks: BTreeMap<Generation, u64>,
    /// The highest offset of generations that the manifest should know.
    pub unknown: Option<u64>,
    /// Files that testify.
    pub files: BTreeSet<usize>,
    /// Files with bytes behind damage, which stay whatever becomes of the rest.
    pub salvage: BTreeSet<usize>,
}

/// Takes the scan's findings in, sorted by partition.
pub(super) struct Collector<'a> {
    pub image: &'a Manifest,
    pub rows: Rows,
    pub notes: BTreeMap<PartitionId, Notes>,
}

impl Collector<'_> {
    fn notes(&mut self, partition: PartitionId) -> &mut Notes {
        self.notes.entry(partition).or_default()
    }

    /// A topic or partition that the manifest never knew: it has lost edits that were durable before the journal was
    /// written, so that nothing it says can be built on.
    fn check_partition(&self, partition: PartitionId) -> Result<()> {
        let unknown = match self.image.topics.get(&partition.topic) {
            Some(topic) => partition.partition >= topic.partitions,
            None => partition.topic.0 >= self.image.next_topic,
        };
        if !unknown {
            return Ok(());
        }
        let why = format!("the journal holds records of {partition}, which the manifest does not know");
        Err(Error::new(ErrorKind::Corrupt, why))
    }

    fn unknown_generation(&mut self, partition: PartitionId, offset: u64, file: Option<usize>) {
        self.rows.hit(Row::RangeUnknownGeneration);
        let notes = self.notes(partition);
        notes.salvage.extend(file);
        notes.unknown = notes.unknown.max(Some(offset));
    }

    /// Files the range under its partition if it counts. Answers the row.
    fn file_range(&mut self, entry: &RangeEntry, file: usize, at: u64) -> Row {
        let segment = match self.image.known(entry.partition, entry.generation) {
            Known::TopicDeleted => return Row::RangeTopicDeleted,
            Known::Gone => return Row::RangeRetired,
            Known::Unknown => {
                self.unknown_generation(entry.partition, entry.end_offset, Some(file));
                return Row::RangeUnknownGeneration;
            }
            Known::Segment(segment) => *segment,
        };
        let end = entry.position.saturating_add(u64::from(entry.size));
        let partition = &self.image.partitions[&entry.partition];
        // What is still appended to is needed from its beginning, wherever the log starts.
        if entry.end_offset <= partition.log_start && !segment.is_open() {
            return Row::RangeBelowLogStart;
        }
        let damaged = !partition.damaged.is_empty();
        match segment.state {
            SegmentState::Sealed { end: sealed, .. } if end <= sealed.position => Row::RangeInSealedSegment,
            SegmentState::Sealed { .. } | SegmentState::Dropped => {
                if damaged {
                    self.notes(entry.partition).salvage.insert(file);
                }
                Row::RangeBeyondSealedEnd
            }
            SegmentState::Open { settled: Some(settled) } if end <= settled.position => Row::RangeBelowCheckpoint,
            SegmentState::Open { .. } => {
                let (generation, position, end_offset) = (entry.generation, entry.position, entry.end_offset);
                let notes = self.notes(entry.partition);
                notes.ranges.push(Range { generation, position, end, end_offset, file, at });
                notes.files.insert(file);
                Row::RangeOverlaid
            }
        }
    }
}

impl Sink for Collector<'_> {
    fn range(&mut self, entry: &RangeEntry, file: usize, at: u64) -> Result<()> {
        self.check_partition(entry.partition)?;
        let row = self.file_range(entry, file, at);
        if row != Row::RangeUnknownGeneration {
            self.rows.hit(row);
        }
        Ok(())
    }

    fn lost(&mut self, entry: &RangeEntry) -> Result<()> {
        self.check_partition(entry.partition)?;
        match self.image.known(entry.partition, entry.generation) {
            Known::Segment(segment) if segment.is_open() => {
                self.rows.hit(Row::RangeLost);
                self.notes(entry.partition).lost.push(*entry);
            }
            Known::Unknown => self.unknown_generation(entry.partition, entry.end_offset, None),
            Known::Segment(_) | Known::Gone | Known::TopicDeleted => {}
        }
        Ok(())
    }

    fn watermark(&mut self, entry: &WatermarkEntry, file: usize) -> Result<()> {
        self.check_partition(entry.partition)?;
        let testifies = match self.image.known(entry.partition, entry.generation) {
            Known::Segment(segment) => match segment.state {
                SegmentState::Open { .. } => true,
                SegmentState::Sealed { end, .. } => entry.position <= end.position,
                SegmentState::Dropped => false,
            },
            Known::Gone | Known::TopicDeleted => false,
            Known::Unknown => {
                self.unknown_generation(entry.partition, entry.offset, Some(file));
                return Ok(());
            }
        };
        self.rows.hit(if testifies { Row::WatermarkEvidence } else { Row::WatermarkDropped });
        if testifies {
            let notes = self.notes(entry.partition);
            let mark = notes.marks.entry(entry.generation).or_default();
            *mark = entry.offset.max(*mark);
            notes.files.insert(file);
        }
        Ok(())
    }
}

impl Notes {
    pub(super) fn sort(&mut self) {
        self.ranges.sort_unstable_by_key(|range| (range.generation, range.position, range.end));
        self.ranges.dedup_by_key(|range| (range.generation, range.position, range.end));
    }

    /// The ranges of one generation.
    pub(super) fn ranges_of(&self, generation: Generation) -> &[Range] {
        let first = self.ranges.partition_point(|range| range.generation < generation);
        let end = self.ranges.partition_point(|range| range.generation <= generation);
        &self.ranges[first..end]
    }
}
