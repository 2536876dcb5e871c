//! Making an index out of the frames themselves.

use std::io;

use crate::format::frame::{self, Kind, Place};
use crate::io::{File, read_full};
use crate::limits::{INDEX_INTERVAL, SECTOR};
use crate::segment::{IndexEntry, SEGMENT_DATA_START, Segment};

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
            if !read_full(self.file, self.start, into)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let (from, to) = ((position - self.start) as usize, (self.end.min(self.limit) - self.start) as usize);
        Ok(&self.memory[from..to])
    }
}

/// The entries of a sealed segment. `memory` is whole sectors, at least two.
///
/// Headers have their own check, so bodies are not read for more than it takes; whoever reads them checks them. Behind
/// a header that cannot be believed the walk goes on at the next sector that begins with a whole frame.
pub(super) fn entries(file: &dyn File, segment: &Segment, memory: &mut [u8]) -> io::Result<Vec<IndexEntry>> {
    let end = segment.published();
    let mut window = Window { file, memory, start: 0, end: 0, limit: end.position };
    let mut entries: Vec<IndexEntry> = Vec::new();
    let (mut position, mut expected) = (SEGMENT_DATA_START, segment.base_offset);
    let (mut block_start, mut due) = (true, SEGMENT_DATA_START);
    while position < end.position {
        let place = Place {
            partition: segment.partition,
            generation: segment.generation,
            position,
            segment_base: segment.base_offset,
        };
        let header = frame::peek(window.at(position, frame::HEADER_SIZE)?, &place).ok();
        let Some(header) = header.filter(|h| h.base_offset >= expected && h.end_offset() <= end.offset) else {
            position = next_frame(&mut window, &place, expected, end.offset)?;
            (block_start, due) = (true, position);
            continue;
        };
        let starts_block = block_start && position.is_multiple_of(SECTOR);
        if starts_block || position >= due {
            let relative = u32::try_from(header.base_offset - segment.base_offset).unwrap_or(u32::MAX);
            entries.push(IndexEntry::new(relative, position, starts_block, header.append_time.cast_unsigned()));
            due = position + INDEX_INTERVAL;
        }
        // A block ends with a pad, or where a large batch has a block of its own.
        block_start = header.kind == Kind::Pad;
        position += u64::from(header.size);
        block_start |= u64::from(header.size) > crate::limits::BATCH_IN_BLOCK_MAX as u64;
        expected = header.end_offset();
    }
    Ok(entries)
}

/// The first sector behind `place` that begins with a frame of this segment, or the end.
fn next_frame(window: &mut Window<'_>, place: &Place, expected: u64, last: u64) -> io::Result<u64> {
    let mut position = (place.position + 1).next_multiple_of(SECTOR);
    while position < window.limit {
        let at = Place { position, ..*place };
        let header = frame::peek(window.at(position, frame::HEADER_SIZE)?, &at).ok();
        if let Some(header) = header.filter(|h| h.base_offset >= expected && h.end_offset() <= last) {
            let size = header.size as usize;
            let bytes = window.at(position, size)?;
            // What is larger than the window has the check of its header only.
            if bytes.len() < size || frame::verify(bytes, &at).is_ok() {
                return Ok(position);
            }
        }
        position += SECTOR;
    }
    Ok(window.limit)
}
