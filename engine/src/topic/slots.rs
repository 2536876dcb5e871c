//! The places of a topic's partitions: found without a lock, never moved, more of them at any time.

use std::collections::TryReserveError;
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

    /// The place of an index; `None` beyond the last. The error: there is no memory for it and its neighbours.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Result<Option<&OnceLock<T>>, TryReserveError> {
        if index >= self.len() {
            return Ok(None);
        }
        let (bucket, first) = bucket_of(index);
        let places = match self.buckets[bucket].get() {
            Some(places) => places,
            None => self.make(bucket, first.max(1))?,
        };
        Ok(places.get(index as usize - first))
    }

    #[cold]
    fn make(&self, bucket: usize, size: usize) -> Result<&[OnceLock<T>], TryReserveError> {
        let mut places = Vec::new();
        places.try_reserve_exact(size)?;
        places.extend((0..size).map(|_| OnceLock::new()));
        Ok(self.buckets[bucket].get_or_init(|| places.into_boxed_slice()))
    }

    /// What the place of an index is filled with.
    pub(super) fn filled(&self, index: u32) -> Option<&T> {
        let (bucket, first) = bucket_of(index);
        self.buckets.get(bucket)?.get()?.get(index as usize - first)?.get()
    }

    /// What places are filled with.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.buckets.iter().filter_map(OnceLock::get).flatten().filter_map(OnceLock::get)
    }
}

/// The bucket of an index, and the index of its first place. It has as many places, or one.
fn bucket_of(index: u32) -> (usize, usize) {
    match index.checked_ilog2() {
        None => (0, 0),
        Some(log) => (log as usize + 1, 1 << log),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_its_own_and_stays() {
        let slots = Slots::new(3);
        let get = |index| slots.get(index).expect("there is memory");
        assert!(get(2).is_some() && get(3).is_none());
        assert!(slots.filled(2).is_none() && slots.filled(70_000).is_none() && slots.filled(u32::MAX).is_none());
        get(2).expect("within").set(2).expect("empty");
        assert_eq!((slots.filled(2), slots.iter().count()), (Some(&2), 1));
        slots.grow(PARTITIONS_MAX);
        for index in (0..PARTITIONS_MAX).filter(|index| *index != 2) {
            get(index).expect("within").set(index).expect("empty");
        }
        assert!(get(PARTITIONS_MAX).is_none());
        assert!(slots.iter().copied().eq(0..PARTITIONS_MAX));
        assert!((0..PARTITIONS_MAX).all(|index| slots.filled(index) == Some(&index)));
    }
}
