//! Indexes of sealed segments: loaded when they are needed, bounded in memory, rebuilt when they cannot be trusted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::extent::{Extent, Look};
use super::lender::{Found, Lender, full};
use super::rebuild;
use crate::buffer::{Block, Share};
use crate::error::{Error, ErrorKind, Result};
use crate::format::segment::Footer;
use crate::ids::Generation;
use crate::limits::{BLOCK_MAX, INDEX_INTERVAL, SECTOR};
use crate::partition::Partition;
use crate::segment::{Index, Prefix, Segment};
use crate::sync::{Arc, Mutex};

/// Bytes of one entry in memory.
const ENTRY_SIZE: usize = 16;
/// The part of the memory budget that indexes of sealed segments may take beside it.
const BUDGET_PART: usize = 32;

/// What is known of indexes.
#[derive(Default)]
pub(super) struct Indexes {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Segments whose index was made out of the log itself.
    rebuilt: BTreeSet<Generation>,
    /// Indexes that can be loaded again, oldest first, and their bytes.
    loaded: BTreeMap<u64, (std::sync::Weak<Segment>, usize)>,
    bytes: usize,
    next: u64,
}

impl Indexes {
    pub(super) fn forget(&self, generation: Generation) {
        self.state.lock().rebuilt.remove(&generation);
    }

    /// Notes an index that can be loaded again, and drops the oldest ones beyond `most` bytes.
    fn note(&self, segment: &Arc<Segment>, entries: usize, most: usize) {
        let mut state = self.state.lock();
        let (number, size) = (state.next, entries * ENTRY_SIZE);
        state.next += 1;
        state.bytes += size;
        state.loaded.insert(number, (Arc::downgrade(segment), size));
        if state.bytes > most {
            state.sweep();
        }
        while state.bytes > most && state.loaded.len() > 1 {
            let Some((_, (segment, size))) = state.loaded.pop_first() else { break };
            state.bytes -= size;
            if let Some(segment) = segment.upgrade() {
                segment.set_index(None);
            }
        }
    }
}

impl State {
    /// Counts no more what is gone with its segment.
    fn sweep(&mut self) {
        let bytes = &mut self.bytes;
        self.loaded.retain(|_, (segment, size)| {
            let alive = segment.strong_count() > 0;
            *bytes -= if alive { 0 } else { *size };
            alive
        });
    }
}

/// Entries that most segments with frames up to `end` have no more of.
fn usual_entries(end: u64) -> usize {
    (end / INDEX_INTERVAL) as usize * 2 + 64
}

/// All that readers see of a segment.
fn whole(partition: &Partition, segment: &Segment) -> Range<u64> {
    segment.base_offset..partition.visible(segment).offset
}

/// Whether a footer is that of a sealed segment.
pub(super) fn is_footer_of(footer: &Footer, segment: &Segment) -> bool {
    let end = segment.published();
    footer.header.generation == segment.generation
        && footer.header.partition == segment.partition
        && (footer.end_position, footer.end_offset) == (end.position, end.offset)
}

impl Lender {
    /// The index of a segment. A sealed one's is read from its footer when it is not in memory.
    pub(super) fn index(&self, partition: &Partition, segment: &Arc<Segment>) -> Result<Found<Arc<Index>>> {
        if let Some(index) = segment.index() {
            return Ok(Found::There(index));
        }
        // A segment that was cut has no footer, but is asked for it like any other: that opens its file.
        let end = segment.published().position.next_multiple_of(SECTOR);
        let extent = match self.cache.find(segment.generation, end) {
            Some(extent) => extent,
            None => self.load_footer(partition, segment, end, Footer::size(usual_entries(end)))?,
        };
        match extent.look() {
            Ok(Look::Wait) => Ok(Found::Wait(extent)),
            Ok(Look::Check(size)) => {
                let found = self.read_footer(partition, segment, &extent, size);
                extent.checked(Arc::new([]));
                self.cache.remove(&extent);
                found
            }
            // Another reader has just put the index where it belongs, or it was dropped since: look again.
            Ok(Look::Ready(_)) => {
                self.cache.remove(&extent);
                self.index(partition, segment)
            }
            Err(error) => {
                self.cache.remove(&extent);
                // The log is there even if its index cannot be read.
                if error.kind() == ErrorKind::Io && segment.file().is_some() {
                    return self.rebuild(partition, segment, None).map(Found::There);
                }
                Err(partition.unreadable(error, whole(partition, segment)))
            }
        }
    }

    /// As [`index`](Lender::index); blocks while the device is asked.
    pub(super) fn index_now(&self, partition: &Partition, segment: &Arc<Segment>) -> Result<Arc<Index>> {
        loop {
            match self.index(partition, segment)? {
                Found::There(index) => return Ok(index),
                Found::Wait(extent) => extent.wait(None),
            };
        }
    }

    fn load_footer(&self, partition: &Partition, segment: &Arc<Segment>, end: u64, size: usize) -> Result<Arc<Extent>> {
        self.load(partition, segment, end, Prefix { position: end + size as u64, offset: u64::MAX })
            .map_err(|why| full(partition, why))
    }

    fn read_footer(
        &self,
        partition: &Partition,
        segment: &Arc<Segment>,
        extent: &Arc<Extent>,
        size: usize,
    ) -> Result<Found<Arc<Index>>> {
        // SAFETY: the read is over, and nobody writes the block again.
        let bytes = unsafe { extent.block.bytes(0, size.min(extent.size())) };
        let most = Footer::size((extent.position() / SECTOR) as usize);
        let claimed = Footer::claimed_size(bytes).filter(|claimed| *claimed <= most);
        if let Some(claimed) = claimed.filter(|claimed| *claimed > extent.size()) {
            // The guess was too small.
            return self.load_footer(partition, segment, extent.position(), claimed).map(Found::Wait);
        }
        let footer = claimed
            .and_then(|claimed| Footer::parse(bytes.get(..claimed)?).ok())
            .filter(|(footer, _)| is_footer_of(footer, segment));
        let Some((footer, entries)) = footer else { return self.rebuild(partition, segment, None).map(Found::There) };
        let index = Arc::new(Index::from_entries(entries.iter()));
        segment.set_newest(footer.newest);
        self.install(segment, &index);
        Ok(Found::There(index))
    }

    fn install(&self, segment: &Arc<Segment>, index: &Arc<Index>) {
        segment.set_index(Some(Arc::clone(index)));
        self.note_index(segment);
    }

    /// Counts an index that can be loaded again, which may cost others their place in memory.
    pub(super) fn note_index(&self, segment: &Arc<Segment>) {
        if let Some(index) = segment.index() {
            self.indexes.note(segment, index.len(), self.most_indexed());
        }
    }

    fn most_indexed(&self) -> usize {
        self.pool.budget().total / BUDGET_PART
    }

    /// Bytes of indexes of sealed segments, and their limit.
    pub(crate) fn indexed(&self) -> (usize, usize) {
        (self.indexes.state.lock().bytes, self.most_indexed())
    }

    /// An index led nowhere. Makes it anew out of the log, once; whether it was different.
    pub(super) fn distrust(&self, partition: &Partition, segment: &Arc<Segment>) -> Result<bool> {
        if segment.closed().is_none() || self.indexes.state.lock().rebuilt.contains(&segment.generation) {
            return Ok(false);
        }
        let old = segment.index();
        let new = self.rebuild(partition, segment, old.as_deref())?;
        let same = old.is_some_and(|old| old.iter().eq(new.iter()));
        if !same {
            self.cache.forget(segment.generation);
        }
        Ok(!same)
    }

    /// As [`distrust`](Lender::distrust), but where the log cannot be read to make a new one, the index has to do.
    pub(super) fn distrust_if_readable(&self, partition: &Partition, segment: &Arc<Segment>) -> Result<bool> {
        match self.distrust(partition, segment) {
            Err(error) if error.damaged().is_some() => Ok(false),
            result => result,
        }
    }

    /// Makes an index out of the log itself, on the caller's thread: a rare way, and a long one. `hints`, an index that
    /// may be wrong, helps to find the way on behind damage.
    fn rebuild(&self, partition: &Partition, segment: &Arc<Segment>, hints: Option<&Index>) -> Result<Arc<Index>> {
        let what = || format!("rebuilding the index of segment {:05x}", segment.sequence);
        let closed = || partition.unreadable(Error::new(ErrorKind::Io, what()), whole(partition, segment));
        let file = segment.file().ok_or_else(closed)?;
        let take = |share| Block::take(&self.pool, share, segment.generation, 0, BLOCK_MAX);
        let block = take(Share::Cache).or_else(|_| take(Share::Reserve)).map_err(|why| full(partition, why))?;
        // SAFETY: the block was just taken, and nobody else knows it.
        let memory = unsafe { block.bytes_mut(0, BLOCK_MAX) };
        let (entries, newest) = rebuild::entries(&*file, segment, memory, hints)
            .map_err(|error| partition.unreadable(Error::file(what(), &error), whole(partition, segment)))?;
        let index = Arc::new(Index::from_entries(entries));
        segment.set_newest(newest);
        self.indexes.state.lock().rebuilt.insert(segment.generation);
        self.install(segment, &index);
        Ok(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{Budget, HeapMemory, Pool};
    use crate::ids::PartitionId;
    use crate::segment::IndexEntry;
    use crate::shard::Keep;

    /// What an appender leaves behind counts as what is read from a footer does: a store that only grows would
    /// otherwise hold 16 bytes for every 32 KiB that it ever took in.
    #[test]
    fn indexes_of_sealed_segments_stay_within_their_part_of_the_budget() {
        let pool = Pool::new(Budget::new(1 << 20, 0), Box::new(HeapMemory));
        let lender = Lender::new(pool);
        let segment = |sequence: u32| {
            let end = Prefix { position: 1 << 20, offset: 1000 };
            let generation = Generation(u64::from(sequence) + 1);
            let segment = Segment::sealed(PartitionId::default(), sequence, generation, 0, 0, 1 << 20, end, 0);
            let entries = (0..1000).map(|number| IndexEntry::new(number, u64::from(number) * 8, true, 0));
            segment.set_index(Some(Arc::new(Index::from_entries(entries))));
            Arc::new(segment)
        };
        let segments: Vec<Arc<Segment>> = (0..10).map(segment).collect();
        segments.iter().for_each(|segment| lender.keep_index(segment));
        let kept: Vec<usize> = (0..10).filter(|at| segments[*at].index().is_some()).collect();
        assert_eq!(kept, [8, 9], "two of 16,000 bytes fit into 32 KiB, and the newest stay");
        assert_eq!(lender.indexed(), (32_000, 32 << 10));
    }
}
