//! Making an index out of the frames themselves.

use std::io;

use crate::format::frame::{self, Header, Kind, Place};
use crate::io::{File, read_up_to};
use crate::limits::{BATCH_IN_BLOCK_MAX, BLOCK_MAX, INDEX_INTERVAL, SECTOR, TIME_MAX};
use crate::segment::{Index, IndexEntry, NEVER, SEGMENT_DATA_START, Segment};

/// A part of the file in memory.
struct Window<'a> {
    file: &'a dyn File,
    memory: &'a mut [u8],
    /// Byte of the file at the beginning of the memory, and after the bytes that are there.
    start: u64,
    end: u64,
    /// Where the frames end.
    limit: u64,
}

impl Window<'_> {
    /// At least `size` bytes from `position`, or as many as the memory or the frames have.
    fn at(&mut self, position: u64, size: usize) -> io::Result<&[u8]> {
        let wanted = (position + size as u64).min(self.limit);
        if position < self.start || wanted > self.end {
            self.start = position / SECTOR * SECTOR;
            let most = self.memory.len() as u64;
            self.end = (self.start + most).min(self.limit.next_multiple_of(SECTOR));
            let into = &mut self.memory[..(self.end - self.start) as usize];
            let got = read_up_to(self.file, self.start, into)?;
            // What the file does not have is no frame.
            into[got..].fill(0);
        }
        let (from, to) = ((position - self.start) as usize, (self.end.min(self.limit) - self.start) as usize);
        Ok(&self.memory[from..to])
    }
}

/// The entries of a sealed segment, and the latest timestamp of its records. `memory` is whole sectors, at least two.
///
/// Headers have their own check, so bodies are not read for more than it takes; whoever reads them checks them. Behind
/// a header that cannot be believed the walk goes on at the next whole frame that begins a sector, or stands where
/// `hints`, an index that may be wrong, says.
pub(super) fn entries(
    file: &dyn File,
    segment: &Segment,
    memory: &mut [u8],
    hints: Option<&Index>,
) -> io::Result<(Vec<IndexEntry>, i64)> {
    let end = segment.published();
    let mut window = Window { file, memory, start: 0, end: 0, limit: end.position };
    let mut entries: Vec<IndexEntry> = Vec::new();
    let (mut position, mut expected, mut newest) = (SEGMENT_DATA_START, segment.base_offset, NEVER);
    let (mut block_start, mut due) = (true, SEGMENT_DATA_START);
    while position < end.position {
        let Some(header) = frame_at(&mut window, segment, position, expected)? else {
            let next = next_frame(&mut window, segment, position, expected, hints)?;
            // What cannot be believed is divided too, so that no read is larger than a block.
            let mut piece = position.next_multiple_of(SECTOR);
            while entries.is_empty() || piece + (BLOCK_MAX as u64) < next {
                entries.push(entry(segment, expected, piece, true, newest));
                piece += BLOCK_MAX as u64;
            }
            (position, block_start, due) = (next, true, next);
            // What is lost may have been of any time.
            newest = TIME_MAX;
            continue;
        };
        let starts_block = block_start && position.is_multiple_of(SECTOR);
        if starts_block || position >= due {
            entries.push(entry(segment, header.base_offset, position, starts_block, newest));
            due = position + INDEX_INTERVAL;
        }
        // A block ends with a pad, or where a large batch has a block of its own.
        block_start = header.kind == Kind::Pad || header.size as usize > BATCH_IN_BLOCK_MAX;
        position += u64::from(header.size);
        if header.kind == Kind::Data {
            newest = newest.max(header.newest());
        }
        expected = header.end_offset();
    }
    Ok((entries, newest))
}

fn entry(segment: &Segment, offset: u64, position: u64, block_start: bool, newest: i64) -> IndexEntry {
    let relative = u32::try_from(offset - segment.base_offset).unwrap_or(u32::MAX);
    IndexEntry::new(relative, position, block_start, newest)
}

fn place(segment: &Segment, position: u64) -> Place {
    Place { partition: segment.partition, generation: segment.generation, position, segment_base: segment.base_offset }
}

/// The header at a position, if it can be believed.
fn frame_at(window: &mut Window<'_>, segment: &Segment, position: u64, expected: u64) -> io::Result<Option<Header>> {
    let header = frame::peek(window.at(position, frame::HEADER_SIZE)?, &place(segment, position)).ok();
    Ok(header.filter(|h| h.base_offset >= expected && h.end_offset() <= segment.published().offset))
}

/// Where the next frame behind `position` begins that can be found, or the end.
fn next_frame(
    window: &mut Window<'_>,
    segment: &Segment,
    position: u64,
    expected: u64,
    hints: Option<&Index>,
) -> io::Result<u64> {
    let mut at = position;
    loop {
        let sector = (at + 1).next_multiple_of(SECTOR);
        let hint = hints.and_then(|hints| hints.first_from(at + 1)).map(|entry| entry.position());
        at = hint.filter(|hint| *hint < sector && hint.is_multiple_of(8)).unwrap_or(sector);
        if at >= window.limit {
            return Ok(window.limit);
        }
        if let Some(header) = frame_at(window, segment, at, expected)? {
            let bytes = window.at(at, header.size as usize)?;
            // What is larger than the window has the check of its header only.
            if bytes.len() < header.size as usize || frame::verify(bytes, &place(segment, at)).is_ok() {
                return Ok(at);
            }
        }
    }
}
