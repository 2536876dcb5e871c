//! Reading ahead: how far, and what for.

use super::cold::extent_of;
use super::lender::{Cursor, Found, Lender};
use crate::ids::Generation;
use crate::partition::Partition;
use crate::segment::{SEGMENT_DATA_START, Segment};
use crate::sync::{Arc, AtomicU32, Ordering};

/// Bytes that are read ahead of a reader at first, and whatever else goes on.
const FIRST: u64 = 2 << 20;
/// Bytes that are read ahead at most: what a device needs under way to give all it can.
const MOST: u64 = 16 << 20;

/// Readers that go through what is not in memory. They share what may be read ahead.
#[derive(Clone, Default)]
pub(super) struct Readers(Arc<AtomicU32>);

/// How far the device was asked ahead of one reader.
pub(super) struct Ahead {
    readers: Readers,
    /// Bytes; twice as many each time that the reader has come half way.
    window: u64,
    /// The segment, and up to where.
    asked: Option<(Generation, u64)>,
}

impl Ahead {
    fn new(readers: &Readers) -> Ahead {
        readers.0.fetch_add(1, Ordering::Relaxed);
        Ahead { readers: readers.clone(), window: FIRST, asked: None }
    }
}

impl Clone for Ahead {
    /// Another reader at the same place.
    fn clone(&self) -> Ahead {
        let mut other = Ahead::new(&self.readers);
        (other.window, other.asked) = (self.window, self.asked);
        other
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.readers.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lender {
    /// Bytes that may be read ahead of each reader: together they leave half of the readers' memory to what is being
    /// read, so that nothing is evicted before anybody came to it.
    fn window_max(&self) -> u64 {
        let readers = self.readers.0.load(Ordering::Relaxed).max(1);
        (self.pool.budget().limits().cache as u64 / 2 / u64::from(readers)).clamp(FIRST, MOST)
    }

    /// Has the device asked for what the cursor comes to behind `position`, as far as there is memory for it.
    pub(super) fn read_ahead(&self, partition: &Partition, cursor: &mut Cursor, segment: &Arc<Segment>, position: u64) {
        let ahead = cursor.ahead.get_or_insert_with(|| Ahead::new(&self.readers));
        let known = ahead.asked.filter(|(generation, to)| *generation == segment.generation && *to >= position);
        let mut from = position;
        if let Some((_, to)) = known {
            if to - position > ahead.window / 2 {
                return;
            }
            from = to;
            ahead.window *= 2;
        }
        ahead.window = ahead.window.min(self.window_max());
        ahead.asked = Some(self.ask_ahead(partition, segment, from, (position + ahead.window).saturating_sub(from)));
    }

    /// Asks for so many bytes from a position on, rounded up to whole extents; how far it came.
    fn ask_ahead(&self, partition: &Partition, segment: &Arc<Segment>, position: u64, bytes: u64) -> (Generation, u64) {
        let (mut segment, mut position, mut left) = (Arc::clone(segment), position, bytes);
        while left > 0 {
            if segment.closed().is_some_and(|end| end.position <= position) {
                match partition.chain().after(segment.base_offset) {
                    Some(next) => (segment, position) = (next, SEGMENT_DATA_START),
                    None => break,
                }
            }
            let end = match self.cache.find(segment.generation, position) {
                Some(there) => there.end,
                None => {
                    let limit = partition.visible(&segment);
                    if segment.block_at(position).is_some() || position >= limit.position {
                        break;
                    }
                    let Ok(Found::There(index)) = self.index(partition, &segment) else { break };
                    let Some((start, end)) = extent_of(&segment, &index, position, limit) else { break };
                    if self.load(partition, &segment, start, end).is_none() {
                        break;
                    }
                    end.position
                }
            };
            left = left.saturating_sub(end - position);
            position = end;
        }
        (segment.generation, position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{Budget, HeapMemory, Pool};

    #[test]
    fn readers_share_what_may_be_read_ahead() {
        let lender = |memory: usize| Lender::new(Pool::new(Budget::new(memory, 0), Box::new(HeapMemory)));
        let large = lender(256 << 20);
        assert_eq!(large.window_max(), MOST);
        let small = lender(64 << 20);
        let alone = small.window_max();
        assert!((FIRST..=MOST).contains(&alone), "{alone}");
        let mut others: Vec<Ahead> = (0..8).map(|_| Ahead::new(&small.readers)).collect();
        let all = small.pool().budget().limits().cache as u64;
        assert_eq!(small.window_max(), all / 2 / 8, "half of what readers may have, divided by eight");
        others.extend(others.clone());
        assert_eq!(small.window_max(), FIRST, "a clone reads too");
        drop(others);
        assert_eq!(small.window_max(), alone);
    }
}
