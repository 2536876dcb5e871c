//! Making an index out of the frames themselves.

use crate::format::frame::{self, Header, Kind, Place};
use crate::limits::{BATCH_IN_BLOCK_MAX, BLOCK_MAX, INDEX_INTERVAL, SECTOR, TIME_MAX};
use crate::segment::{Index, IndexEntry, NEVER, SEGMENT_DATA_START, Segment};
use crate::sync::Arc;

/// A part of the file in memory.
pub(super) struct Window<'a> {
    /// What the file has of it.
    pub(super) bytes: &'a [u8],
    /// Byte of the file at its beginning, and after its end: on sectors.
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The window has to begin in the sector of this byte.
struct Elsewhere(u64);

impl Window<'_> {
    /// At least `size` bytes from `position`, or as many as the window that begins there or the frames, which end at
    /// `limit`, have.
    fn at(&self, position: u64, size: usize, limit: u64) -> Result<&[u8], Elsewhere> {
        let wanted = (position + size as u64).min(limit);
        let covers = self.start <= position && wanted <= self.end;
        if !covers && self.start != position / SECTOR * SECTOR {
            return Err(Elsewhere(position));
        }
        let end = (limit.min(self.end) - self.start) as usize;
        Ok(self.bytes.get((position - self.start) as usize..end.min(self.bytes.len())).unwrap_or_default())
    }
}

/// What came of looking at a window.
pub(super) enum Progress {
    /// Go on with the window that begins here, on a sector.
    Read(u64),
    Done,
}

/// The entries of a sealed segment, and the latest timestamp of its records, as far as they are known.
///
/// Headers have their own check, so bodies are not read for more than it takes; whoever reads them checks them. Behind
/// a header that cannot be believed the walk goes on at the next whole frame that begins a sector, or stands where
/// hints, an index that may be wrong, say.
pub(super) struct Rebuild {
    segment: Arc<Segment>,
    hints: Option<Arc<Index>>,
    entries: Vec<IndexEntry>,
    newest: i64,
    position: u64,
    /// No frame at `position` can be believed; the search for the next has come to here.
    searched: Option<u64>,
    /// The offset that the next frame has, at least.
    expected: u64,
    block_start: bool,
    /// The byte from which on the next frame gets an entry.
    due: u64,
}

impl Rebuild {
    pub(super) fn new(segment: &Arc<Segment>, hints: Option<Arc<Index>>) -> Rebuild {
        Rebuild {
            segment: Arc::clone(segment),
            hints,
            entries: Vec::new(),
            newest: NEVER,
            position: SEGMENT_DATA_START,
            searched: None,
            expected: segment.base_offset,
            block_start: true,
            due: SEGMENT_DATA_START,
        }
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    pub(super) fn hints(&self) -> Option<&Arc<Index>> {
        self.hints.as_ref()
    }

    /// The index, and the latest timestamp.
    pub(super) fn finish(&mut self) -> (Index, i64) {
        (Index::from_entries(std::mem::take(&mut self.entries)), self.newest)
    }

    /// Where the frames end.
    fn limit(&self) -> u64 {
        self.segment.published().position
    }

    /// The bytes of the window that begins at `start` and takes `most` bytes.
    pub(super) fn window(&self, start: u64, most: usize) -> usize {
        (self.limit().next_multiple_of(SECTOR) - start).min(most as u64) as usize
    }

    /// Goes on as far as the window reaches.
    pub(super) fn advance(&mut self, window: &Window<'_>) -> Progress {
        while self.position < self.limit() {
            if let Err(Elsewhere(position)) = self.step(window) {
                return Progress::Read(position / SECTOR * SECTOR);
            }
        }
        Progress::Done
    }

    /// Passes one frame, or what lies before the next one that can be believed.
    fn step(&mut self, window: &Window<'_>) -> Result<(), Elsewhere> {
        let position = self.position;
        if self.searched.is_none() {
            if let Some(header) = self.frame_at(window, position)? {
                self.pass(&header);
                return Ok(());
            }
            self.searched = Some(position);
        }
        let next = self.next_frame(window)?;
        self.searched = None;
        // What cannot be believed is divided too, so that no read is larger than a block.
        let mut piece = position.next_multiple_of(SECTOR);
        while self.entries.is_empty() || piece + (BLOCK_MAX as u64) < next {
            self.entries.push(entry(&self.segment, self.expected, piece, true, self.newest));
            piece += BLOCK_MAX as u64;
        }
        (self.position, self.block_start, self.due) = (next, true, next);
        // What is lost may have been of any time.
        self.newest = TIME_MAX;
        Ok(())
    }

    fn pass(&mut self, header: &Header) {
        let position = self.position;
        let starts_block = self.block_start && position.is_multiple_of(SECTOR);
        if starts_block || position >= self.due {
            self.entries.push(entry(&self.segment, header.base_offset, position, starts_block, self.newest));
            self.due = position + INDEX_INTERVAL;
        }
        // A block ends with a pad, or where a large batch has a block of its own.
        self.block_start = header.kind == Kind::Pad || header.size as usize > BATCH_IN_BLOCK_MAX;
        self.position += u64::from(header.size);
        if header.kind == Kind::Data {
            self.newest = self.newest.max(header.newest());
        }
        self.expected = header.end_offset();
    }

    /// The header at a position, if it can be believed.
    fn frame_at(&self, window: &Window<'_>, position: u64) -> Result<Option<Header>, Elsewhere> {
        let bytes = window.at(position, frame::HEADER_SIZE, self.limit())?;
        let header = frame::peek(bytes, &place(&self.segment, position)).ok();
        let most = self.segment.published().offset;
        Ok(header.filter(|h| h.base_offset >= self.expected && h.end_offset() <= most))
    }

    /// Where the next frame begins that can be found behind what was searched, or the end.
    fn next_frame(&mut self, window: &Window<'_>) -> Result<u64, Elsewhere> {
        loop {
            let behind = self.searched.unwrap_or(self.position) + 1;
            let sector = behind.next_multiple_of(SECTOR);
            let hint = self.hints.as_ref().and_then(|hints| hints.first_from(behind)).map(|entry| entry.position());
            let at = hint.filter(|hint| *hint < sector && hint.is_multiple_of(8)).unwrap_or(sector);
            if at >= self.limit() {
                return Ok(self.limit());
            }
            if let Some(header) = self.frame_at(window, at)? {
                let bytes = window.at(at, header.size as usize, self.limit())?;
                // What is larger than the window has the check of its header only.
                if bytes.len() < header.size as usize || frame::verify(bytes, &place(&self.segment, at)).is_ok() {
                    return Ok(at);
                }
            }
            self.searched = Some(at);
        }
    }
}

fn entry(segment: &Segment, offset: u64, position: u64, block_start: bool, newest: i64) -> IndexEntry {
    let relative = u32::try_from(offset - segment.base_offset).unwrap_or(u32::MAX);
    IndexEntry::new(relative, position, block_start, newest)
}

fn place(segment: &Segment, position: u64) -> Place {
    Place { partition: segment.partition, generation: segment.generation, position, segment_base: segment.base_offset }
}
