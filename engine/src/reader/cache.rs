//! Pieces of segments that readers share: what shards have written lately, and what was read from the device.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

use super::extent::Extent;
use crate::ids::Generation;
use crate::sync::{Arc, AtomicU32, Mutex, Ordering};

/// Parts with a lock each, so that readers of different files rarely meet.
const SHELVES: usize = 16;
/// Extents that are remembered as left behind.
const PASSED_MAX: usize = 1024;

/// Which extent: its file, and where it begins there.
pub(super) type Key = (Generation, u64);

/// Extents by file and position. Its size is what the budget leaves it: it grows until the pool asks for memory, and
/// then drops what the only reader of a partition has left behind, the last first, for that memory is still in the
/// processor's cache; and where there is none, what was not used since the hand came by last (the clock algorithm).
pub(crate) struct Cache {
    shelves: [Mutex<Shelf>; SHELVES],
    /// What readers have left behind, the last at the back. Locked before a shelf.
    passed: Mutex<VecDeque<Key>>,
    /// The shelf to evict from next.
    next: AtomicU32,
}

#[derive(Default)]
struct Shelf {
    extents: BTreeMap<Key, Arc<Extent>>,
    /// The last key that the clock's hand passed.
    hand: Option<Key>,
}

impl Cache {
    pub(crate) fn new() -> Cache {
        Cache {
            shelves: std::array::from_fn(|_| Mutex::new(Shelf::default())),
            passed: Mutex::default(),
            next: AtomicU32::new(0),
        }
    }

    fn shelf(&self, generation: Generation) -> &Mutex<Shelf> {
        // Generations are random, so their low bits spread files evenly.
        &self.shelves[generation.0 as usize % SHELVES]
    }

    /// The extent that holds a position of a file.
    pub(crate) fn find(&self, generation: Generation, position: u64) -> Option<Arc<Extent>> {
        self.shelf(generation).lock().find(generation, position)
    }

    /// Puts an extent in, unless one is there that covers as much: then that one, and `false`.
    pub(crate) fn insert(&self, extent: Arc<Extent>) -> (Arc<Extent>, bool) {
        let mut shelf = self.shelf(extent.generation()).lock();
        match shelf.find(extent.generation(), extent.position()) {
            Some(there) if there.end >= extent.end => (there, false),
            _ => {
                shelf.extents.insert((extent.generation(), extent.position()), Arc::clone(&extent));
                (extent, true)
            }
        }
    }

    /// Takes out this very extent, for example because the device did not give it.
    pub(crate) fn remove(&self, extent: &Arc<Extent>) {
        let key = (extent.generation(), extent.position());
        let mut shelf = self.shelf(extent.generation()).lock();
        if shelf.extents.get(&key).is_some_and(|there| Arc::ptr_eq(there, extent)) {
            shelf.extents.remove(&key);
        }
    }

    /// Takes out everything of a file.
    pub(crate) fn forget(&self, generation: Generation) {
        let mut shelf = self.shelf(generation).lock();
        let gone: Vec<Key> = shelf.extents.range((generation, 0)..=(generation, u64::MAX)).map(|(k, _)| *k).collect();
        for key in gone {
            shelf.extents.remove(&key);
        }
    }

    /// The only reader of its partition, which goes on in order, has left this extent behind.
    pub(super) fn pass(&self, key: Key) {
        match self.shelf(key.0).lock().extents.get(&key) {
            Some(extent) => extent.take_used(),
            None => return,
        };
        let mut passed = self.passed.lock();
        if passed.len() == PASSED_MAX {
            passed.pop_front();
        }
        passed.push_back(key);
    }

    /// Drops extents that nobody uses until `size` bytes are free: what was left behind, then the least recently used,
    /// more or less. Returns the bytes dropped.
    pub(crate) fn evict(&self, size: usize) -> usize {
        let mut freed = self.evict_passed(size);
        // Two rounds: the first takes from used extents the mark that they were used, the second finds them without.
        for _ in 0..2 * SHELVES {
            if freed >= size {
                break;
            }
            let at = self.next.fetch_add(1, Ordering::Relaxed) as usize % SHELVES;
            let dropped = self.shelves[at].lock().evict(size - freed);
            // Outside the shelf's lock: giving memory back wakes those who wait for it.
            freed += dropped.iter().map(|extent| extent.block.charged()).sum::<usize>();
        }
        freed
    }

    fn evict_passed(&self, size: usize) -> usize {
        let (mut freed, mut dropped, mut held) = (0, Vec::new(), Vec::new());
        let mut passed = self.passed.lock();
        while freed < size {
            let Some(key) = passed.pop_back() else { break };
            match self.shelf(key.0).lock().remove_unused(key) {
                Unused::Held => held.push(key),
                Unused::Not => {}
                Unused::Removed(extent) => {
                    freed += extent.block.charged();
                    dropped.push(extent);
                }
            }
        }
        passed.extend(held.into_iter().rev());
        drop(passed);
        freed
    }

    /// Extents, for reports and tests.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.shelves.iter().map(|shelf| shelf.lock().extents.len()).sum()
    }
}

/// What came of taking an extent out that was left behind.
enum Unused {
    Removed(Arc<Extent>),
    /// Its reader still holds some of it.
    Held,
    /// It is not there any more, or somebody else has come to it.
    Not,
}

impl Shelf {
    fn remove_unused(&mut self, key: Key) -> Unused {
        match self.extents.get(&key) {
            Some(extent) if extent.is_used() => Unused::Not,
            Some(extent) if !extent.is_evictable() => Unused::Held,
            _ => self.extents.remove(&key).map_or(Unused::Not, Unused::Removed),
        }
    }

    fn find(&self, generation: Generation, position: u64) -> Option<Arc<Extent>> {
        let (key, extent) = self.extents.range(..=(generation, position)).next_back()?;
        (key.0 == generation && extent.covers(position)).then(|| Arc::clone(extent))
    }

    /// One round of the hand, at most.
    fn evict(&mut self, size: usize) -> Vec<Arc<Extent>> {
        let (mut dropped, mut freed) = (Vec::new(), 0);
        for _ in 0..self.extents.len() {
            if freed >= size {
                break;
            }
            let behind = self.hand.map_or(Unbounded, Excluded);
            let next = self.extents.range((behind, Unbounded)).next().or_else(|| self.extents.first_key_value());
            let Some((&key, extent)) = next else { break };
            self.hand = Some(key);
            if !extent.take_used() && extent.is_evictable() {
                freed += extent.block.charged();
                dropped.extend(self.extents.remove(&key));
            }
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{Block, Budget, HeapMemory, Pool, Share};
    use crate::segment::Prefix;

    const A: Generation = Generation(1);
    const B: Generation = Generation(17);

    fn pool() -> Arc<Pool> {
        Pool::new(Budget::new(64 << 20, 1 << 20), Box::new(HeapMemory))
    }

    fn extent(pool: &Arc<Pool>, generation: Generation, position: u64, size: usize) -> Arc<Extent> {
        let block = Block::take(pool, Share::Cache, generation, position, size).expect("within the budget");
        Arc::new(Extent::whole(block, position + size as u64))
    }

    #[test]
    fn an_extent_is_found_by_any_position_in_it_and_by_no_other() {
        let (pool, cache) = (pool(), Cache::new());
        cache.insert(extent(&pool, A, 4096, 8192));
        cache.insert(extent(&pool, A, 20480, 4096));
        let found = |generation, position| cache.find(generation, position).map(|e| e.position());
        assert_eq!(found(A, 4095), None);
        assert_eq!(found(A, 4096), Some(4096));
        assert_eq!(found(A, 12287), Some(4096));
        assert_eq!(found(A, 12288), None);
        assert_eq!(found(A, 20480), Some(20480));
        assert_eq!(found(B, 4096), None, "another file, on the same shelf");
    }

    #[test]
    fn the_first_of_two_equal_extents_stays_and_a_longer_one_replaces_it() {
        let (pool, cache) = (pool(), Cache::new());
        let (short, other) = (extent(&pool, A, 4096, 4096), extent(&pool, A, 4096, 4096));
        assert!(cache.insert(Arc::clone(&short)).1);
        let (there, new) = cache.insert(Arc::clone(&other));
        assert!(!new && Arc::ptr_eq(&there, &short));
        assert!(cache.insert(extent(&pool, A, 4096, 8192)).1);
        cache.remove(&short);
        assert_eq!(cache.len(), 1, "removing one that was replaced leaves its successor");
    }

    #[test]
    fn eviction_passes_over_what_is_pinned_loading_or_just_used() {
        let (pool, cache) = (pool(), Cache::new());
        let pinned = extent(&pool, A, 0, 4096);
        let pin = Block::pin(&pinned.block).expect("within the pins' share");
        let block = Block::take(&pool, Share::Cache, A, 8192, 4096).expect("within the budget");
        let loading = Arc::new(Extent::loading(block, Prefix { position: 12288, offset: 1 }));
        let idle = extent(&pool, A, 16384, 4096);
        let used = extent(&pool, A, 32768, 4096);
        for one in [&pinned, &loading, &idle, &used] {
            cache.insert(Arc::clone(one));
            one.take_used();
        }
        used.look().expect("whole");
        assert_eq!(cache.evict(1), 4096);
        assert!(cache.find(A, 16384).is_none() && cache.find(A, 32768).is_some());
        assert_eq!(cache.evict(1 << 20), 4096, "then the one that was used");
        assert_eq!(cache.len(), 2);
        drop(pin);
        assert_eq!(cache.evict(1 << 20), 4096);
        loading.loaded(Ok(4096));
        assert_eq!(cache.evict(1 << 20), 4096);
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn what_a_lone_reader_left_behind_goes_first_and_the_last_of_it_before_the_rest() {
        let (pool, cache) = (pool(), Cache::new());
        let extents: Vec<_> = (0..6).map(|n| extent(&pool, A, n * 4096, 4096)).collect();
        for one in &extents {
            cache.insert(Arc::clone(one));
        }
        (1..5).for_each(|n| cache.pass((A, n * 4096)));
        extents[2].look().expect("somebody else comes to it");
        let pin = Block::pin(&extents[4].block).expect("within the pins' share");
        let there = || (0..6).filter(|n| cache.find(A, n * 4096).is_some()).collect::<Vec<_>>();
        assert_eq!(cache.evict(1), 4096);
        assert_eq!(there(), [0, 1, 2, 4, 5], "the last but one, for the last is held");
        drop(pin);
        assert_eq!(cache.evict(1), 4096);
        assert_eq!(there(), [0, 1, 2, 5]);
        assert_eq!(cache.evict(1), 4096);
        assert_eq!(there(), [0, 2, 5]);
        assert_eq!(cache.evict(1 << 20), 3 * 4096, "then the others, by the clock");
    }

    #[test]
    fn forgetting_a_file_leaves_the_others() {
        let (pool, cache) = (pool(), Cache::new());
        for position in [0, 4096, 8192] {
            cache.insert(extent(&pool, A, position, 4096));
        }
        cache.insert(extent(&pool, B, 0, 4096));
        cache.forget(A);
        assert_eq!(cache.len(), 1);
        assert!(cache.find(B, 0).is_some());
    }
}
