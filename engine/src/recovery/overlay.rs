//! A segment with the journal's ranges laid over it.

use std::io;
use std::sync::Arc;

use crate::ids::Generation;
use crate::io::File;
use crate::limits::SECTOR;
use crate::recovery::bytes::{Cache, Source, fill_from};
use crate::recovery::journal::JournalFile;

/// Bytes of a segment that stand in a journal file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub generation: Generation,
    /// Byte of the segment where they belong, and the one after them.
    pub position: u64,
    pub end: u64,
    /// Offset after the last record.
    pub end_offset: u64,
    /// The journal file, as a place in the list of those scanned, and the byte where they stand in it.
    pub file: usize,
    pub at: u64,
}

/// A segment's file with ranges laid over it. For a generation and a position the bytes never change, so that it says
/// nothing in which order they are laid.
pub(super) struct Overlaid<'a> {
    file: Arc<dyn File>,
    limit: u64,
    /// Of this segment, in the order of their positions.
    ranges: &'a [Range],
    /// The largest end of each range and those before it.
    reach: Vec<u64>,
    journals: &'a [JournalFile],
    cache: &'a mut Cache,
}

impl<'a> Overlaid<'a> {
    pub(super) fn new(
        file: Arc<dyn File>,
        limit: u64,
        ranges: &'a [Range],
        journals: &'a [JournalFile],
        cache: &'a mut Cache,
    ) -> Overlaid<'a> {
        let reach = ranges.iter().scan(0, |reach, range| {
            *reach = range.end.max(*reach);
            Some(*reach)
        });
        let reach = reach.collect();
        Overlaid { file, limit, ranges, reach, journals, cache }
    }

    /// The ranges that meet `start..end`.
    fn meeting(&self, start: u64, end: u64) -> &'a [Range] {
        let last = self.ranges.partition_point(|range| range.position < end);
        let first = self.reach[..last].partition_point(|reach| *reach <= start);
        &self.ranges[first..last]
    }

    /// Whether any range meets `start..end`.
    pub(super) fn covers_any(&self, start: u64, end: u64) -> bool {
        self.meeting(start, end).iter().any(|range| range.end > start)
    }

    /// What the segment's file itself says.
    pub(super) fn fill_raw(&self, position: u64, into: &mut [u8]) -> io::Result<()> {
        fill_from(&*self.file, position, into)
    }

    /// Whether ranges cover every byte of `start..end`.
    fn covers_all(&self, start: u64, end: u64) -> bool {
        let mut reached = start;
        for range in self.meeting(start, end) {
            if range.position <= reached {
                reached = reached.max(range.end);
            }
        }
        reached >= end
    }

    /// Sector by sector, so that one that cannot be read costs only itself, and nothing where ranges cover it.
    fn fill_sectors(&self, position: u64, into: &mut [u8]) -> io::Result<()> {
        for (i, sector) in into.chunks_mut(SECTOR as usize).enumerate() {
            let start = position + i as u64 * SECTOR;
            if let Err(error) = self.fill_raw(start, sector)
                && !self.covers_all(start, start + sector.len() as u64)
            {
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Source for Overlaid<'_> {
    fn limit(&self) -> u64 {
        self.limit
    }

    fn fill(&mut self, position: u64, into: &mut [u8]) -> io::Result<()> {
        if self.fill_raw(position, into).is_err() {
            self.fill_sectors(position, into)?;
        }
        let end = position + into.len() as u64;
        for range in self.meeting(position, end) {
            let (from, to) = (range.position.max(position), range.end.min(end));
            if from < to {
                let bytes = &mut into[(from - position) as usize..(to - position) as usize];
                let journal = &self.journals[range.file];
                self.cache.copy(range.file, &*journal.file, range.at + (from - range.position), bytes)?;
            }
        }
        Ok(())
    }
}
