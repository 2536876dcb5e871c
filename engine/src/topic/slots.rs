//! The places of a topic's partitions: found without a lock, never moved, more of them at any time.

use std::sync::OnceLock;

use crate::limits::PARTITIONS_MAX;
use crate::sync::{AtomicU32, Ordering};

/// Bucket 0 has the first place, bucket `b` the places from 2^(b - 1) up to 2^b.
const BUCKETS: usize = PARTITIONS_MAX.ilog2() as usize + 1;

/// Places that are filled when they are first used; until then one costs a few words, and none that of a neighbour.
pub(super) struct Slots<T> {
    count: AtomicU32,
    buckets: [OnceLock<Box<[OnceLock<T>]>>; BUCKETS],
}

impl<T> Slots<T> {
    pub(super) fn new(count: u32) -> Slots<T> {
        Slots { count: AtomicU32::new(count), buckets: [const { OnceLock::new() }; BUCKETS] }
    }

    pub(super) fn len(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Raises the number of places. One caller at a time.
    pub(super) fn grow(&self, count: u32) {
        debug_assert!(count >= self.len() && count <= PARTITIONS_MAX, "topics only grow, up to their limit");
        self.count.store(count, Ordering::Release);
    }

    /// The place of an index; `None` beyond the last.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&OnceLock<T>> {
        if index >= self.len() {
            return None;
        }
        let bucket = index.checked_ilog2().map_or(0, |log| log as usize + 1);
        let (first, size) = if bucket == 0 { (0, 1) } else { (1_usize << (bucket - 1), 1_usize << (bucket - 1)) };
        let places = self.buckets[bucket].get_or_init(|| (0..size).map(|_| OnceLock::new()).collect());
        places.get(index as usize - first)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &OnceLock<T>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_its_own_and_stays() {
        let slots = Slots::new(3);
        assert!(slots.get(2).is_some() && slots.get(3).is_none());
        slots.get(2).expect("within").set(2).expect("empty");
        slots.grow(PARTITIONS_MAX);
        for index in (0..PARTITIONS_MAX).filter(|index| *index != 2) {
            slots.get(index).expect("within").set(index).expect("empty");
        }
        assert!(slots.get(PARTITIONS_MAX).is_none());
        assert!(slots.iter().map(|slot| *slot.get().expect("filled")).eq(0..PARTITIONS_MAX));
    }
}
