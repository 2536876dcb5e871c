//! One segment: a file of frames, the part of it that is in memory, and how far each party has got.

use std::sync::{Arc as StdArc, Mutex as StdMutex, PoisonError};

use super::{Index, IndexEntry, NEVER, Prefix, PrefixWord, SEGMENT_DATA_START};
use crate::buffer::Block;
use crate::ids::{Generation, PartitionId};
use crate::io::File;
use crate::sync::{Arc, AtomicU64, Ordering, Swap};

/// A file that is ready to become a segment: its space is reserved, its generation chosen, its base not yet known.
#[derive(Clone)]
pub(crate) struct PreparedSegment {
    pub sequence: u32,
    pub generation: Generation,
    /// Byte of the file up to which frames may reach; a multiple of the sector.
    pub capacity: u64,
    pub file: StdArc<dyn File>,
}

impl core::fmt::Debug for PreparedSegment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PreparedSegment({:05x}, {}, {} bytes)", self.sequence, self.generation, self.capacity)
    }
}

/// One segment. What names it never changes; how far it goes is told by words that one party each moves.
pub(crate) struct Segment {
    pub partition: PartitionId,
    pub sequence: u32,
    pub generation: Generation,
    pub base_offset: u64,
    /// Append time of the first record, ms since 1970.
    pub base_time: i64,
    /// Byte of the file up to which frames may reach.
    pub capacity: u64,
    /// Bytes of the footer that it had when the store was opened; 0 if there was none.
    pub footer_size: u32,

    // Moved by appenders, under the append lock.
    published: PrefixWord,
    closed: PrefixWord,
    last_time: AtomicU64,
    newest: AtomicU64,

    // Moved by the shard.
    visible: PrefixWord,
    device_end: AtomicU64,

    blocks: Swap<Vec<Arc<Block>>>,
    index: Swap<Option<Arc<Index>>>,
    file: StdMutex<Option<StdArc<dyn File>>>,
}

impl Segment {
    /// The segment that a partition's next append goes to.
    pub(crate) fn activate(
        prepared: PreparedSegment,
        partition: PartitionId,
        base_offset: u64,
        base_time: i64,
    ) -> Segment {
        let start = Prefix { position: SEGMENT_DATA_START, offset: base_offset };
        let PreparedSegment { sequence, generation, capacity, file } = prepared;
        Segment {
            partition,
            sequence,
            generation,
            base_offset,
            base_time,
            capacity,
            footer_size: 0,
            published: PrefixWord::new(start, base_offset),
            closed: PrefixWord::unset(),
            last_time: AtomicU64::new(base_time.max(0).cast_unsigned()),
            newest: AtomicU64::new(NEVER.cast_unsigned()),
            visible: PrefixWord::new(start, base_offset),
            device_end: AtomicU64::new(SEGMENT_DATA_START),
            blocks: Swap::new(Vec::new()),
            index: Swap::new(Some(Arc::new(Index::new()))),
            file: StdMutex::new(Some(file)),
        }
    }

    /// A segment that is complete on the device. Its file and index are opened when somebody reads it.
    #[expect(clippy::too_many_arguments, reason = "the columns of the manifest's row")]
    pub(crate) fn sealed(
        partition: PartitionId,
        sequence: u32,
        generation: Generation,
        base_offset: u64,
        base_time: i64,
        capacity: u64,
        end: Prefix,
        end_time: i64,
    ) -> Segment {
        Segment {
            partition,
            sequence,
            generation,
            base_offset,
            base_time,
            capacity,
            footer_size: 0,
            published: PrefixWord::new(end, base_offset),
            closed: PrefixWord::new(end, base_offset),
            last_time: AtomicU64::new(end_time.max(0).cast_unsigned()),
            newest: AtomicU64::new(i64::MAX.cast_unsigned()),
            visible: PrefixWord::new(end, base_offset),
            device_end: AtomicU64::new(end.position),
            blocks: Swap::new(Vec::new()),
            index: Swap::new(None),
            file: StdMutex::new(None),
        }
    }

    /// The same, with a footer.
    pub(crate) fn with_footer(self, footer_size: u32) -> Segment {
        Segment { footer_size, ..self }
    }

    /// Whether `count` records at `offset` can be told by 32 bits from the base.
    #[inline]
    pub(crate) fn takes_offsets(&self, offset: u64, count: u16) -> bool {
        (offset - self.base_offset).saturating_add(u64::from(count)) <= u64::from(u32::MAX)
            && offset.checked_add(u64::from(count)).is_some()
    }

    /// Everything below is written by appenders and never changes.
    #[inline]
    pub(crate) fn published(&self) -> Prefix {
        self.published.load(self.base_offset).expect("a segment begins with a published prefix")
    }

    /// Moves the published prefix; under the append lock.
    #[inline]
    pub(crate) fn publish(&self, end: Prefix) {
        self.published.store(end, self.base_offset);
    }

    /// Where the segment ends, once appends have moved on to the next.
    pub(crate) fn closed(&self) -> Option<Prefix> {
        self.closed.load(self.base_offset)
    }

    /// Ends the segment; under the append lock, once.
    pub(crate) fn close(&self, end: Prefix) {
        debug_assert!(self.closed().is_none(), "a segment is closed once");
        self.closed.store(end, self.base_offset);
    }

    /// Whether everything that the segment will ever hold is published.
    #[cfg(test)]
    pub(crate) fn is_complete(&self) -> bool {
        self.closed() == Some(self.published())
    }

    /// What readers may see.
    #[inline]
    pub(crate) fn visible(&self) -> Prefix {
        self.visible.load(self.base_offset).expect("a segment begins with a visible prefix")
    }

    /// Lets readers see more; the shard only.
    pub(crate) fn show(&self, end: Prefix) {
        debug_assert!(end >= self.visible(), "what was shown stays visible");
        self.visible.store(end, self.base_offset);
    }

    /// Byte of the file below which the device holds everything.
    pub(crate) fn device_end(&self) -> u64 {
        self.device_end.load(Ordering::Acquire)
    }

    /// The shard only.
    pub(crate) fn set_device_end(&self, position: u64) {
        self.device_end.store(position, Ordering::Release);
    }

    /// Append time of the last frame claimed, ms since 1970.
    pub(crate) fn last_time(&self) -> i64 {
        self.last_time.load(Ordering::Relaxed).cast_signed()
    }

    /// Under the append lock.
    #[inline]
    pub(crate) fn set_last_time(&self, time: i64) {
        self.last_time.store(time.cast_unsigned(), Ordering::Relaxed);
    }

    /// The latest timestamp of its records, ms since 1970: no visible one has a later. The largest number while it is
    /// not known, as of a segment whose index has not been read.
    pub(crate) fn newest(&self) -> i64 {
        self.newest.load(Ordering::Relaxed).cast_signed()
    }

    /// Under the append lock, before the records are published; or by whoever reads the index of a sealed segment.
    #[inline]
    pub(crate) fn set_newest(&self, time: i64) {
        self.newest.store(time.cast_unsigned(), Ordering::Relaxed);
    }

    /// The blocks that are in memory, in the order of their positions.
    pub(crate) fn blocks(&self) -> Arc<Vec<Arc<Block>>> {
        self.blocks.load_full()
    }

    /// The block in memory that holds `position`.
    pub(crate) fn block_at(&self, position: u64) -> Option<Arc<Block>> {
        let blocks = self.blocks.load();
        let after = blocks.partition_point(|block| block.position() <= position);
        let block = blocks[..after].last()?;
        (position - block.position() < block.capacity() as u64).then(|| Arc::clone(block))
    }

    /// Appends a block; under the append lock.
    pub(crate) fn push_block(&self, block: &Arc<Block>) {
        self.blocks.update(|blocks| {
            let mut blocks = blocks.clone();
            blocks.push(Arc::clone(block));
            blocks
        });
    }

    /// Takes out one block.
    pub(crate) fn remove_block(&self, block: &Arc<Block>) {
        self.blocks.update(|blocks| blocks.iter().filter(|other| !Arc::ptr_eq(block, other)).cloned().collect());
    }

    /// Takes out the blocks that end at or below `position` and get no more frames: the shard does when the device
    /// holds them.
    pub(crate) fn take_blocks_below(&self, position: u64) -> Vec<Arc<Block>> {
        let mut taken = 0;
        let mut before = Vec::new();
        self.blocks.update(|blocks| {
            let ends = blocks.iter().skip(1).map(|block| block.position()).chain(blocks.last().map(|last| {
                let full = last.position() + last.capacity() as u64;
                self.closed().map_or(full, |closed| closed.position.min(full))
            }));
            taken = ends.take_while(|end| *end <= position).count();
            before = blocks[..taken].to_vec();
            blocks[taken..].to_vec()
        });
        before
    }

    /// The index, if it is in memory.
    pub(crate) fn index(&self) -> Option<Arc<Index>> {
        self.index.load().as_ref().as_ref().map(Arc::clone)
    }

    /// Brings the index into memory, or, once the segment is sealed, drops it from there.
    pub(crate) fn set_index(&self, index: Option<Arc<Index>>) {
        self.index.store(index);
    }

    /// All index entries, for the footer.
    pub(crate) fn index_entries(&self) -> Vec<IndexEntry> {
        self.index().map_or_else(Vec::new, |index| index.iter().collect())
    }

    /// The file, if it is open.
    pub(crate) fn file(&self) -> Option<StdArc<dyn File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens or closes the file, which happens lazily; operations in flight keep theirs.
    pub(crate) fn set_file(&self, file: Option<StdArc<dyn File>>) {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
    }
}

impl core::fmt::Debug for Segment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "Segment({}, {:05x}, {}, from {}, published {:?}, closed {:?})",
            self.partition,
            self.sequence,
            self.generation,
            self.base_offset,
            self.published(),
            self.closed()
        )
    }
}
