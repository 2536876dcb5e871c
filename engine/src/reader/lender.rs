//! Finding what a reader asks for, and lending it: the way of a read.

use super::batch::Batch;
use super::cache::{Cache, Key};
use super::copies::{COPY_MAX, Copies, Holder};
use super::extent::Extent;
use super::index::Indexes;
use super::walk;
use crate::buffer::{Block, Pool, Shortage};
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame;
use crate::partition::{Partition, ReadFrom};
use crate::segment::{SEGMENT_DATA_START, Segment};
use crate::shard::Keep;
use crate::sync::Arc;

/// Where a reader is.
#[derive(Clone, Default)]
pub(crate) struct Cursor {
    /// The next offset to deliver.
    pub(crate) offset: u64,
    /// Reads in order, so that the device may be asked ahead.
    pub(crate) sequential: bool,
    /// No other reader is at the partition.
    pub(super) alone: bool,
    pub(super) place: Option<Mark>,
    /// The cached extent that was lent from last.
    pub(super) extent: Option<Key>,
    /// The device was waited for since the last batch.
    pub(super) waited: bool,
    /// A read into the reserve, for this cursor alone, until it has been copied out of: others wait for their turn.
    pub(super) private: Option<Arc<Extent>>,
    /// Whose copies count together with its own.
    pub(super) holder: Holder,
    /// The log was cut here, before the cursor: what it would come to is not what it was on its way to.
    pub(super) cut: Option<u64>,
}

/// A frame boundary at or before the cursor's offset.
#[derive(Clone)]
pub(super) struct Mark {
    pub(super) segment: Arc<Segment>,
    pub(super) position: u64,
    /// The offset that the index says a frame begins with there; `None` once a walk has passed it.
    pub(super) says: Option<u64>,
}

impl Cursor {
    pub(crate) fn new(offset: u64) -> Cursor {
        Cursor { offset, ..Cursor::default() }
    }

    /// Byte of its segment that it has come to.
    pub(crate) fn position(&self) -> Option<u64> {
        self.place.as_ref().map(|mark| mark.position)
    }

    /// A cursor that reads on from `offset`, so that the device may be asked ahead.
    pub(crate) fn in_order(offset: u64) -> Cursor {
        Cursor { sequential: true, ..Cursor::new(offset) }
    }
}

/// What a try to read came to.
pub(crate) enum Attempt {
    Batch(Batch),
    /// Wait for this, and try again.
    Wait(Arc<Extent>),
}

/// What one step of a try came to.
pub(super) enum Step {
    Lent(Batch),
    Wait(Arc<Extent>),
    /// The cursor, or what is known, has moved; try again.
    On,
}

/// What is there now, or what to wait for before asking again.
pub(crate) enum Found<T> {
    There(T),
    Wait(Arc<Extent>),
}

impl<T> Found<T> {
    /// Tries until it is there; blocks while the device is asked.
    pub(super) fn now(mut attempt: impl FnMut() -> Result<Found<T>>) -> Result<T> {
        loop {
            match attempt()? {
                Found::There(found) => return Ok(found),
                Found::Wait(extent) => extent.wait(None),
            };
        }
    }
}

/// Lends records to readers: out of the blocks that are appended to, out of the cache, or from the device.
pub(crate) struct Lender {
    pub(super) pool: Arc<Pool>,
    pub(super) cache: Arc<Cache>,
    pub(super) indexes: Arc<Indexes>,
    copies: Arc<Copies>,
    /// Everybody who reads without a reader.
    unnamed: Holder,
}

impl Lender {
    pub(crate) fn new(pool: Arc<Pool>) -> Lender {
        let (cache, indexes, unnamed) = (Arc::new(Cache::new()), Arc::default(), Holder::unnamed());
        Lender { pool, cache, indexes, copies: Arc::default(), unnamed }
    }

    pub(crate) fn unnamed(&self) -> &Holder {
        &self.unnamed
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Bytes of batches that were copied beside the budget, and the most that there can be.
    pub(crate) fn copied(&self) -> (usize, usize) {
        self.copies.used()
    }

    /// Drops cached memory that nobody uses; the bytes dropped.
    pub(crate) fn evict(&self, size: usize) -> usize {
        self.cache.evict(size)
    }

    /// Forgets a segment that is gone.
    pub(crate) fn forget(&self, segment: &Segment) {
        self.cache.forget(segment.generation);
        self.indexes.forget(segment.generation);
    }

    /// Finds the records at the cursor, up to `max_bytes` of them but one batch at least, and moves the cursor behind
    /// them. An empty batch: there is nothing beyond the cursor yet. Does not wait.
    pub(crate) fn attempt(&self, partition: &Partition, cursor: &mut Cursor, max_bytes: usize) -> Result<Attempt> {
        let high = partition.check_readable(cursor.offset)?;
        partition.tail().follow();
        while cursor.offset < high {
            let Some(segment) = segment_at(partition, cursor)? else { break };
            match self.step(partition, &segment, cursor, max_bytes)? {
                Step::Lent(batch) => return Ok(Attempt::Batch(batch)),
                Step::Wait(extent) => {
                    cursor.waited = true;
                    return Ok(Attempt::Wait(extent));
                }
                Step::On => {}
            }
        }
        Ok(Attempt::Batch(Batch::empty(cursor.offset)))
    }

    fn step(&self, partition: &Partition, segment: &Arc<Segment>, cursor: &mut Cursor, max: usize) -> Result<Step> {
        // Looked at before the blocks: what is visible now is in one of them, or on the device.
        let limit = partition.visible(segment);
        let mark = match &cursor.place {
            Some(mark) => mark.clone(),
            None => match self.locate(partition, segment, cursor.offset)? {
                Found::There(mark) => mark,
                Found::Wait(extent) => return Ok(Step::Wait(extent)),
            },
        };
        let (step, from) = match resident(segment, mark.position, limit.position) {
            Some((block, end)) => (self.lend(partition, cursor, &mark, &block, end, max)?, ReadFrom::Appenders),
            None => (self.step_cold(partition, cursor, &mark, limit, max)?, ReadFrom::Cache),
        };
        if let Step::Lent(batch) = &step {
            let from = if std::mem::take(&mut cursor.waited) { ReadFrom::Device } else { from };
            partition.reads().count(from, batch.size() as u64);
        }
        Ok(step)
    }

    /// A frame boundary at or before the frame that holds `offset`.
    fn locate(&self, partition: &Partition, segment: &Arc<Segment>, offset: u64) -> Result<Found<Mark>> {
        let first = Mark { segment: Arc::clone(segment), position: SEGMENT_DATA_START, says: None };
        if offset <= segment.base_offset {
            return Ok(Found::There(first));
        }
        let index = match self.index(partition, segment)? {
            Found::There(index) => index,
            Found::Wait(extent) => return Ok(Found::Wait(extent)),
        };
        // Offsets of a segment fit u32, because it rolls before they do not.
        let relative = u32::try_from(offset - segment.base_offset).unwrap_or(u32::MAX);
        let mark = index.lookup_offset(relative).map_or(first, |entry| Mark {
            segment: Arc::clone(segment),
            position: entry.position(),
            says: Some(segment.base_offset + u64::from(entry.relative_offset)),
        });
        Ok(Found::There(mark))
    }

    /// Lends the frames that begin at `mark`, in a block whose whole frames there end at `end`.
    pub(super) fn lend(
        &self,
        partition: &Partition,
        cursor: &mut Cursor,
        mark: &Mark,
        block: &Arc<Block>,
        end: u64,
        max: usize,
    ) -> Result<Step> {
        let segment = &mark.segment;
        let at = (mark.position - block.position()) as usize;
        // SAFETY: frames below the visible prefix, or checked after the device gave them, never change again.
        let bytes = unsafe { block.bytes(at, (end - mark.position) as usize) };
        let header = frame::trusted(bytes, segment.base_offset);
        if mark.says.is_some_and(|says| header.is_none_or(|header| header.base_offset != says)) {
            cursor.place = None;
            return Ok(match self.distrust(partition, segment)? {
                Found::There(()) => Step::On,
                Found::Wait(goal) => Step::Wait(goal),
            });
        }
        let mut span = walk::span(bytes, segment.base_offset, cursor.offset, max);
        if span.end == 0 {
            let message = format!("{partition}: no frame at byte {} of segment {}", mark.position, segment.generation);
            return Err(Error::new(ErrorKind::Panic, message));
        }
        let mut batch = None;
        if span.count > 0 {
            batch = match Block::pin(block) {
                Some(pin) => Some(Batch::pinned(pin, at, &span, segment.base_offset, cursor.offset)),
                None => {
                    cursor.private = None;
                    span = walk::span(bytes, segment.base_offset, cursor.offset, max.min(COPY_MAX));
                    let Some(copied) = self.copies.copy(&cursor.holder, &bytes[span.at..span.at + span.size]) else {
                        return Err(full(partition, Shortage::Share));
                    };
                    Some(Batch::copied(copied, &span, segment.base_offset, cursor.offset))
                }
            };
        }
        cursor.offset = span.next;
        let position = mark.position + span.end as u64;
        cursor.place = Some(Mark { segment: Arc::clone(segment), position, says: None });
        Ok(batch.map_or(Step::On, Step::Lent))
    }
}

/// There is no memory to read into.
pub(super) fn full(partition: &Partition, shortage: Shortage) -> Error {
    let (kind, why) = match shortage {
        Shortage::Share => {
            (ErrorKind::WouldBlock, "the readers' part of the memory budget is used up; drop batches that are held")
        }
        Shortage::System => (ErrorKind::NoMemory, "the system gave no memory to read into"),
    };
    Error::new(kind, format!("{partition}: {why}"))
}

/// The segment that the cursor's next records are in, if any of it is visible.
fn segment_at(partition: &Partition, cursor: &mut Cursor) -> Result<Option<Arc<Segment>>> {
    let known = cursor.place.as_ref().map(|mark| Arc::clone(&mark.segment));
    let mut found = known.or_else(|| partition.chain().find(cursor.offset));
    while let Some(segment) = found {
        if partition.visible(&segment).offset > cursor.offset {
            return Ok(Some(segment));
        }
        // All that is visible of it was passed; the next one may begin behind a gap.
        found = partition.chain().after(segment.base_offset);
        if found.as_ref().is_some_and(|next| partition.visible(next).offset > next.base_offset) {
            cursor.place = None;
        }
        if found.as_ref().is_some_and(|next| next.base_offset > cursor.offset) {
            break;
        }
    }
    let next = partition.chain().after(cursor.offset);
    let Some(next) = next.filter(|next| partition.visible(next).offset > next.base_offset) else { return Ok(None) };
    if let Some(damage) = partition.damage_in(cursor.offset..next.base_offset) {
        return Err(Error::corrupt(damage, "recovery found acknowledged records missing or damaged"));
    }
    cursor.offset = next.base_offset;
    cursor.place = None;
    Ok(Some(next))
}

/// The block in memory that holds `position`, and where its frames below `limit` end.
pub(super) fn resident(segment: &Segment, position: u64, limit: u64) -> Option<(Arc<Block>, u64)> {
    let blocks = segment.blocks();
    let after = blocks.partition_point(|block| block.position() <= position);
    let block = blocks[..after].last()?;
    // A block that was closed early ends where the next one begins.
    let full = block.position() + block.capacity() as u64;
    let end = blocks.get(after).map_or(full, |next| next.position().min(full)).min(limit);
    (position < end).then(|| (Arc::clone(block), end))
}

impl Keep for Lender {
    fn keep(&self, segment: &Arc<Segment>, block: Arc<Block>, followed: bool) {
        let full = block.position() + block.capacity() as u64;
        let next = segment.index().and_then(|index| index.block_at(block.position())?.1);
        let end = next.or_else(|| segment.closed().map(|end| end.position)).unwrap_or_else(|| segment.device_end());
        if end.min(full) > block.position() && block.retire_to_cache(followed) {
            self.cache.insert(Arc::new(Extent::whole(block, end.min(full))));
        }
    }

    fn keep_index(&self, segment: &Arc<Segment>) {
        self.note_index(segment);
    }
}
