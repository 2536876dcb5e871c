//! What is not in memory: extents from the device, their check, and reading ahead.

use super::bounds::extent_at;
use super::check::{self, Damage, Landmark};
use super::extent::{Extent, Look};
use super::lender::{Cursor, Found, Lender, Mark, Step, full};
use crate::buffer::{Block, Share, Shortage};
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{FrameError, Place};
use crate::gate::closed;
use crate::limits::SECTOR;
use crate::partition::Partition;
use crate::segment::{Index, Prefix, SEGMENT_DATA_START, Segment};
use crate::shard::ReadRequest;
use crate::sync::Arc;

/// Extents that are read ahead of a reader that goes through a partition in order.
const AHEAD: usize = 2;

impl Lender {
    /// One step where the frames at `mark` are not in a block that is appended to.
    pub(super) fn step_cold(
        &self,
        partition: &Partition,
        cursor: &mut Cursor,
        mark: &Mark,
        limit: Prefix,
        max: usize,
    ) -> Result<Step> {
        let extent = match self.extent(partition, cursor, mark, limit)? {
            Found::There(extent) => extent,
            Found::Wait(extent) => return Ok(Step::Wait(extent)),
        };
        let damage = match extent.look() {
            Ok(Look::Ready(damage)) => damage,
            Ok(Look::Wait) => return Ok(Step::Wait(extent)),
            Ok(Look::Check(size)) => {
                check(&mark.segment, &extent, size);
                return Ok(Step::On);
            }
            Err(error) => {
                self.cache.remove(&extent);
                cursor.private = None;
                let index = mark.segment.index().unwrap_or_else(|| Arc::new(Index::new()));
                let first = first_offset(&mark.segment, &index, &extent).min(cursor.offset);
                return Err(partition.unreadable(error, first..extent.end_offset.max(cursor.offset + 1)));
            }
        };
        let mut end = extent.end.min(limit.position);
        if let Some(hit) = damage.iter().find(|damage| damage.end > mark.position) {
            if hit.start <= mark.position {
                if let Some(goal) = self.confirm(partition, &mark.segment, &extent, &damage)? {
                    (cursor.place, cursor.private) = (None, None);
                    return Ok(Step::Wait(goal));
                }
                if cursor.offset < hit.next {
                    return Err(damage_error(partition, hit));
                }
                cursor.place = Some(Mark { position: hit.end, says: None, ..mark.clone() });
                return Ok(Step::On);
            }
            end = end.min(hit.start);
        }
        let step = self.lend(partition, cursor, mark, &extent.block, end, max)?;
        if let Step::Lent(_) = step {
            let passed = cursor.place.as_ref().is_some_and(|mark| mark.position >= extent.end);
            let key = (extent.generation(), extent.position());
            if let Some(left) = cursor.extent.replace(key).filter(|left| *left != key)
                && cursor.sequential
                && cursor.alone
            {
                self.cache.pass(left);
            }
            if cursor.sequential || passed {
                self.read_ahead(partition, &mark.segment, extent.end);
            }
        }
        Ok(step)
    }

    /// The extent that holds the mark: cached, or from now on being read.
    fn extent(
        &self,
        partition: &Partition,
        cursor: &mut Cursor,
        mark: &Mark,
        limit: Prefix,
    ) -> Result<Found<Arc<Extent>>> {
        let Mark { segment, position, .. } = mark;
        if let Some(cached) = self.cache.find(segment.generation, *position) {
            cursor.private = None;
            return Ok(Found::There(cached));
        }
        let covers = |private: &&Arc<Extent>| private.generation() == segment.generation && private.covers(*position);
        if let Some(private) = cursor.private.as_ref().filter(covers) {
            return Ok(Found::There(Arc::clone(private)));
        }
        cursor.private = None;
        let index = match self.index(partition, segment)? {
            Found::There(index) => index,
            Found::Wait(extent) => return Ok(Found::Wait(extent)),
        };
        let Some((start, end)) = extent_of(segment, &index, *position, limit) else {
            // The index says nothing of it: the device gave something else when the index was read, or rebuilt.
            if segment.closed().is_some() {
                segment.set_index(None);
                self.forget(segment);
            }
            let damage = partition.damage(cursor.offset, segment.published().offset.max(cursor.offset + 1));
            return Err(Error::corrupt(damage, format_args!("no frame can be found at byte {position}")));
        };
        if let Ok(extent) = self.load(partition, segment, start, end) {
            return Ok(Found::There(extent));
        }
        // Nothing is left but what is never lent: enough to copy a little out of.
        let block = take(self, Share::Reserve, segment, start, end.position).map_err(|why| full(partition, why))?;
        let extent = Arc::new(Extent::loading(block, end));
        cursor.private = Some(Arc::clone(&extent));
        request(partition, segment, &extent);
        Ok(Found::There(extent))
    }

    /// Has an extent read into the cache, unless it is there or on its way.
    pub(super) fn load(
        &self,
        partition: &Partition,
        segment: &Arc<Segment>,
        start: u64,
        end: Prefix,
    ) -> core::result::Result<Arc<Extent>, Shortage> {
        let block = take(self, Share::Cache, segment, start, end.position)?;
        let (extent, new) = self.cache.insert(Arc::new(Extent::loading(block, end)));
        if new {
            request(partition, segment, &extent);
        }
        Ok(extent)
    }

    /// Damage is believed only if the index that led to it is: until then there is something to wait for, after which it
    /// has to be looked for anew. Tells of it, once.
    fn confirm(
        &self,
        partition: &Partition,
        segment: &Arc<Segment>,
        extent: &Extent,
        damage: &[Damage],
    ) -> Result<Option<Arc<Extent>>> {
        if extent.is_told() {
            return Ok(None);
        }
        if let Found::Wait(goal) = self.distrust_if_readable(partition, segment)? {
            return Ok(Some(goal));
        }
        if extent.tell_damage() {
            for damage in damage.iter().filter(|damage| damage.next > damage.first) {
                if !matches!(damage.why, FrameError::Unsupported(_)) {
                    partition.tell_damage(damage.first, damage.next);
                }
            }
        }
        Ok(None)
    }

    /// Has the device asked for what a reader in order comes to next, as far as there is memory for it.
    fn read_ahead(&self, partition: &Partition, segment: &Arc<Segment>, mut position: u64) {
        let mut segment = Arc::clone(segment);
        for _ in 0..AHEAD {
            if segment.closed().is_some_and(|end| end.position <= position) {
                match partition.chain().after(segment.base_offset) {
                    Some(next) => (segment, position) = (next, SEGMENT_DATA_START),
                    None => return,
                }
            }
            if let Some(there) = self.cache.find(segment.generation, position) {
                position = there.end;
                continue;
            }
            let limit = partition.visible(&segment);
            if segment.block_at(position).is_some() || position >= limit.position {
                return;
            }
            let Ok(Found::There(index)) = self.index(partition, &segment) else { return };
            let Some((start, end)) = extent_of(&segment, &index, position, limit) else { return };
            if self.load(partition, &segment, start, end).is_err() {
                return;
            }
            position = end.position;
        }
    }
}

pub(super) fn take(
    lender: &Lender,
    share: Share,
    segment: &Segment,
    start: u64,
    end: u64,
) -> core::result::Result<Arc<Block>, Shortage> {
    let size = (end - start).next_multiple_of(SECTOR) as usize;
    Block::take(&lender.pool, share, segment.generation, start, size)
}

/// The extent of whole blocks that holds a position of a segment whose visible frames end at `limit`.
pub(super) fn extent_of(segment: &Segment, index: &Index, position: u64, limit: Prefix) -> Option<(u64, Prefix)> {
    let (start, end) = extent_at(index, position, segment.device_end(), limit.position)?;
    let next = index.first_from(end).filter(|entry| entry.position() == end);
    let offset = next.map_or(limit.offset, |entry| segment.base_offset + u64::from(entry.relative_offset));
    Some((start, Prefix { position: end, offset }))
}

/// The offset that an extent begins with, as far as the index says.
pub(super) fn first_offset(segment: &Segment, index: &Index, extent: &Extent) -> u64 {
    let entry = index.first_from(extent.position()).filter(|entry| entry.position() == extent.position());
    segment.base_offset + entry.map_or(0, |entry| u64::from(entry.relative_offset))
}

/// Completes an extent, also if nobody ever answers.
struct Answer {
    extent: Option<Arc<Extent>>,
    what: String,
}

impl Answer {
    fn give(mut self, result: Result<usize>) {
        if let Some(extent) = self.extent.take() {
            extent.loaded(result.map_err(|error| match error.kind() {
                ErrorKind::Closed => error,
                _ => error.context(&self.what),
            }));
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(extent) = self.extent.take() {
            extent.loaded(Err(closed()));
        }
    }
}

/// Asks the shard to read an extent.
pub(super) fn request(partition: &Partition, segment: &Arc<Segment>, extent: &Arc<Extent>) {
    let (start, end) = (extent.position(), extent.end);
    let what = format!("bytes {start}..{end} of segment {:05x}", segment.sequence);
    let answer = Answer { extent: Some(Arc::clone(extent)), what };
    partition.read_from_device(ReadRequest {
        segment: Arc::clone(segment),
        position: start,
        size: extent.size().next_multiple_of(SECTOR as usize),
        block: Arc::clone(&extent.block),
        done: Box::new(move |result| answer.give(result)),
    });
}

/// Checks what the device gave.
fn check(segment: &Segment, extent: &Extent, size: usize) {
    let index = segment.index().unwrap_or_else(|| Arc::new(Index::new()));
    // SAFETY: the read is over, and nobody writes the block again.
    let bytes = unsafe { extent.block.bytes(0, size.min(extent.size())) };
    extent.checked(damage_of(segment, &index, extent, bytes).into());
}

pub(super) fn damage_of(segment: &Segment, index: &Index, extent: &Extent, bytes: &[u8]) -> Vec<Damage> {
    let landmark = |entry: crate::segment::IndexEntry| Landmark {
        position: entry.position(),
        offset: segment.base_offset + u64::from(entry.relative_offset),
    };
    let first = first_offset(segment, index, extent);
    let place = Place {
        partition: segment.partition,
        generation: segment.generation,
        position: extent.position(),
        segment_base: segment.base_offset,
    };
    let end = Landmark { position: extent.end, offset: extent.end_offset };
    check::extent(bytes, place, first, end, |position| index.first_from(position).map(landmark))
}

fn damage_error(partition: &Partition, damage: &Damage) -> Error {
    match &damage.why {
        FrameError::Unsupported(what) => {
            let message = format!("{partition} offsets {}..{}: {what}", damage.first, damage.next);
            Error::new(ErrorKind::Unsupported, message)
        }
        why => Error::corrupt(partition.damage(damage.first, damage.next), why),
    }
}
