//! One journal write: many ranges, packed.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::buffer::Block;
use crate::format::journal::{JournalHeader, RangeEntry, WatermarkEntry, WriteBuilder};
use crate::ids::{Generation, Lsn, PartitionId};
use crate::segment::Prefix;

/// Entries of one write's table at most.
const ENTRIES_MAX: usize = 4096;

/// Where bytes lie in memory: block, first byte in it, size.
pub(crate) type Pieces = Vec<(Arc<Block>, usize, usize)>;

/// Published bytes of one segment, `start..end`, for the journal.
pub(crate) struct Range {
    /// What the shard knows the writer by.
    pub(crate) holder: usize,
    pub(crate) partition: PartitionId,
    pub(crate) generation: Generation,
    pub(crate) start: u64,
    pub(crate) end: Prefix,
    pub(crate) pieces: Pieces,
}

/// A write that was issued and not yet acknowledged.
pub(super) struct InFlightWrite {
    pub(super) write: u64,
    pub(super) lsn: Lsn,
    /// The file it went to.
    pub(super) number: u32,
    pub(super) holders: Vec<usize>,
    pub(super) done: bool,
}

/// What a write is sealed with.
pub(super) struct Stamp {
    pub(super) file: JournalHeader,
    pub(super) lsn: Lsn,
    /// The highest number that is durable.
    pub(super) durable: Lsn,
    pub(super) position: u64,
}

/// Fills `staging` from the front of `ranges` and `watermarks`. Returns the size of the write and what went in.
pub(super) fn pack(
    staging: &mut [u8],
    ranges: &mut VecDeque<Range>,
    watermarks: &mut VecDeque<WatermarkEntry>,
    stamp: Stamp,
) -> (usize, Vec<Range>) {
    let entries = (ranges.len() + watermarks.len()).min(ENTRIES_MAX);
    let mut builder = WriteBuilder::new(staging, entries);
    let mut taken = Vec::with_capacity(ranges.len());
    while let Some(range) = ranges.front() {
        let size = (range.end.position - range.start) as usize;
        if !builder.fits(size) {
            break;
        }
        let range = ranges.pop_front().expect("the front was just seen");
        put(&mut builder, &range, size as u32);
        taken.push(range);
    }
    while builder.fits(0) {
        let Some(watermark) = watermarks.pop_front() else { break };
        builder.watermark(watermark);
    }
    (builder.finish(&stamp.file, stamp.lsn, stamp.durable, stamp.position), taken)
}

fn put(builder: &mut WriteBuilder<'_>, range: &Range, size: u32) {
    let entry = RangeEntry {
        partition: range.partition,
        generation: range.generation,
        position: range.start,
        size,
        at: 0,
        end_offset: range.end.offset,
    };
    for (index, (block, at, size)) in range.pieces.iter().enumerate() {
        // SAFETY: the range lies below the published prefix, which never changes; its block is held by the range.
        let bytes = unsafe { block.bytes(*at, *size) };
        match index {
            0 => builder.range(entry, bytes),
            _ => builder.more(bytes),
        }
    }
}
