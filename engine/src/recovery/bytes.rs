//! Reading files piece by piece in bounded memory: a window that slides over bytes, whatever they come from.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use crate::io::{File, read_full};
use crate::limits::SECTOR;
use crate::manifest::Scratch;

/// What a window reads at once. Bytes.
pub(super) const WINDOW: usize = 1 << 20;
/// A piece of a journal file in the cache. Bytes.
const CHUNK: usize = 64 << 10;

/// Bytes that a window can slide over.
pub(super) trait Source {
    /// The first byte that does not exist. A multiple of the sector.
    fn limit(&self) -> u64;
    /// Fills whole sectors from `position`, below the limit.
    fn fill(&mut self, position: u64, into: &mut [u8]) -> io::Result<()>;
}

/// Memory that slides over a source. It grows to the largest piece that is asked for.
#[derive(Default)]
pub(super) struct Window {
    memory: Scratch,
    start: u64,
    size: usize,
}

/// Why a view cannot be had.
pub(super) enum NoView {
    /// The device gives an error.
    Unreadable(io::Error),
    /// There is no memory for it.
    NoMemory(crate::error::Error),
}

impl Window {
    /// Forgets what was read: the next view is of another source.
    pub(super) fn reset(&mut self) {
        self.size = 0;
    }

    /// At least `size` bytes from `position`, or as many as there are below the limit; more if they are at hand.
    pub(super) fn view(
        &mut self,
        source: &mut dyn Source,
        position: u64,
        size: usize,
    ) -> core::result::Result<&[u8], NoView> {
        let limit = source.limit();
        let end = position.saturating_add(size as u64).min(limit);
        let have = self.start..self.start + self.size as u64;
        if position < have.start || end > have.end || self.size == 0 {
            self.slide(source, position, end)?;
        }
        let at = usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX);
        Ok(self.memory.bytes()[..self.size].get(at..).unwrap_or_default())
    }

    fn slide(&mut self, source: &mut dyn Source, position: u64, end: u64) -> core::result::Result<(), NoView> {
        self.size = 0;
        if position >= end {
            return Ok(());
        }
        let start = position / SECTOR * SECTOR;
        let needed = (end - start).next_multiple_of(SECTOR);
        let ahead = needed.max(WINDOW as u64).min(source.limit() - start);
        // Reading ahead may meet an error that nobody asked about.
        let mut first_error = None;
        for size in [ahead, needed] {
            let size = usize::try_from(size).expect("views are bounded by the largest frame");
            self.memory.resize(size).map_err(NoView::NoMemory)?;
            match source.fill(start, &mut self.memory.bytes_mut()[..size]) {
                Ok(()) => {
                    (self.start, self.size) = (start, size);
                    return Ok(());
                }
                Err(e) => first_error = Some(e),
            }
        }
        Err(NoView::Unreadable(first_error.expect("both attempts failed")))
    }
}

/// A file as a source; what lies behind its end reads as zeros.
pub(super) struct Plain {
    file: Arc<dyn File>,
    limit: u64,
}

impl Plain {
    pub(super) fn new(file: Arc<dyn File>, limit: u64) -> Plain {
        Plain { file, limit }
    }
}

impl Source for Plain {
    fn limit(&self) -> u64 {
        self.limit
    }

    fn fill(&mut self, position: u64, into: &mut [u8]) -> io::Result<()> {
        fill_from(&*self.file, position, into)
    }
}

/// Reads from a file; what lies behind its end becomes zeros.
pub(super) fn fill_from(file: &dyn File, position: u64, into: &mut [u8]) -> io::Result<()> {
    if !read_full(file, position, into)? {
        let there = usize::try_from(file.size()?.saturating_sub(position)).unwrap_or(usize::MAX).min(into.len());
        into[there..].fill(0);
        if !read_full(file, position, &mut into[..there / SECTOR as usize * SECTOR as usize])? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Pieces of journal files, the last used at hand: ranges of one partition lie scattered among those of others.
pub(super) struct Cache {
    chunks: BTreeMap<(usize, u64), Scratch>,
    order: VecDeque<(usize, u64)>,
    max: usize,
}

impl Cache {
    /// A cache of so many bytes, at the least one chunk.
    pub(super) fn new(size: usize) -> Cache {
        Cache { chunks: BTreeMap::new(), order: VecDeque::new(), max: (size / CHUNK).max(1) }
    }

    /// Copies bytes of file number `file` of the scan.
    pub(super) fn copy(&mut self, file: usize, bytes: &dyn File, mut at: u64, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            let key = (file, at / CHUNK as u64);
            let from = (at % CHUNK as u64) as usize;
            let size = into.len().min(CHUNK - from);
            let (now, rest) = into.split_at_mut(size);
            now.copy_from_slice(&self.chunk(key, bytes)?[from..from + size]);
            at += size as u64;
            into = rest;
        }
        Ok(())
    }

    fn chunk(&mut self, key: (usize, u64), file: &dyn File) -> io::Result<&[u8]> {
        if !self.chunks.contains_key(&key) {
            let mut chunk = match self.order.len() >= self.max {
                true => self.order.pop_front().and_then(|oldest| self.chunks.remove(&oldest)).unwrap_or_default(),
                false => Scratch::default(),
            };
            chunk.resize(CHUNK).map_err(io::Error::other)?;
            fill_from(file, key.1 * CHUNK as u64, chunk.bytes_mut())?;
            self.chunks.insert(key, chunk);
            self.order.push_back(key);
        }
        Ok(self.chunks[&key].bytes())
    }
}
