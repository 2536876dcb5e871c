//! The sparse index of a segment: from offsets and times to positions.

use std::sync::OnceLock;

use super::IndexEntry;
use crate::limits::{BLOCK_MIN, SEGMENT_MAX};
use crate::sync::{AtomicU32, Cell, Guard, Ordering, held, order};

/// Entries of the first bucket; each further one holds twice as many.
const FIRST: usize = 16;
/// Buckets for the most entries that a segment can have: one per smallest block.
const BUCKETS: usize = ((SEGMENT_MAX as usize / BLOCK_MIN) / FIRST).ilog2() as usize + 1;

/// An append-only list of entries that readers search without a lock.
///
/// One writer, under the partition's append lock; entries never move and never change, and one release store of the
/// length publishes them. An index is a cache: it is checked against the log, never believed over it.
pub(crate) struct Index {
    len: AtomicU32,
    buckets: [OnceLock<Bucket>; BUCKETS],
}

type Bucket = Box<[Cell<IndexEntry>]>;

// SAFETY: a cell is written once, before the length that covers it is released, and read only below that length.
unsafe impl Sync for Index {}
// SAFETY: the index owns its entries, which are plain values.
unsafe impl Send for Index {}

impl Index {
    pub(crate) fn new() -> Index {
        Index { len: AtomicU32::new(0), buckets: [const { OnceLock::new() }; BUCKETS] }
    }

    /// An index over entries that are known already, in the order of the log.
    pub(crate) fn from_entries(entries: impl IntoIterator<Item = IndexEntry>) -> Index {
        let index = Index::new();
        for entry in entries {
            index.reserve();
            index.push(entry);
        }
        index
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire) as usize
    }

    /// Makes sure that the next [`push`](Index::push) allocates nothing. The writer only.
    pub(crate) fn reserve(&self) {
        let (bucket, _) = locate(self.len.load(Ordering::Relaxed) as usize);
        self.buckets[bucket].get_or_init(|| (0..FIRST << bucket).map(|_| Cell::new(IndexEntry::default())).collect());
    }

    /// Appends an entry whose offset, position and time are not below the last one's. The writer only, after
    /// [`reserve`](Index::reserve).
    pub(crate) fn push(&self, entry: IndexEntry) {
        let len = self.len.load(Ordering::Relaxed);
        if !held(Guard::IndexEntryFirst) {
            self.len.store(len + 1, Ordering::Release);
        }
        let (bucket, at) = locate(len as usize);
        let bucket = self.buckets[bucket].get().expect("the writer reserved before it pushed");
        // SAFETY: the entry lies beyond the published length, so the only writer has it to itself.
        bucket[at].with_mut(|slot| unsafe { *slot = entry });
        if held(Guard::IndexEntryFirst) {
            self.len.store(len + 1, order(Guard::IndexReleases, Ordering::Release));
        }
    }

    /// Entry `at`, below [`len`](Index::len).
    pub(crate) fn entry(&self, at: usize) -> IndexEntry {
        debug_assert!(at < self.len(), "only published entries are read");
        let (bucket, at) = locate(at);
        let bucket = self.buckets[bucket].get().expect("published entries lie in buckets that exist");
        // SAFETY: the entry lies below the published length, so it is written and never changes.
        bucket[at].with(|slot| unsafe { *slot })
    }

    /// The last frame known to begin at or before `relative_offset`.
    pub(crate) fn lookup_offset(&self, relative_offset: u32) -> Option<IndexEntry> {
        self.last(|entry| entry.relative_offset <= relative_offset)
    }

    /// The last entry before which no record is of `time` or later: the first one that is, if there is one, stands
    /// behind it.
    pub(crate) fn lookup_time(&self, time: i64) -> Option<IndexEntry> {
        self.last(|entry| entry.newest < time)
    }

    /// The block that holds `position`: where it begins, and where the next one does, if there is one.
    pub(crate) fn block_at(&self, position: u64) -> Option<(u64, Option<u64>)> {
        let len = self.len();
        let after = self.partition_point(len, |entry| entry.position() <= position);
        let start = (0..after).rev().map(|at| self.entry(at)).find(IndexEntry::is_block_start)?;
        let next = (after..len).map(|at| self.entry(at)).find(IndexEntry::is_block_start);
        Some((start.position(), next.map(|entry| entry.position())))
    }

    /// The first entry at or behind `position`.
    pub(crate) fn first_from(&self, position: u64) -> Option<IndexEntry> {
        let len = self.len();
        let at = self.partition_point(len, |entry| entry.position() < position);
        (at < len).then(|| self.entry(at))
    }

    /// All entries published so far.
    pub(crate) fn iter(&self) -> impl Iterator<Item = IndexEntry> {
        (0..self.len()).map(|at| self.entry(at))
    }

    fn last(&self, holds: impl Fn(&IndexEntry) -> bool) -> Option<IndexEntry> {
        let count = self.partition_point(self.len(), holds);
        count.checked_sub(1).map(|at| self.entry(at))
    }

    fn partition_point(&self, len: usize, holds: impl Fn(&IndexEntry) -> bool) -> usize {
        let (mut low, mut high) = (0, len);
        while low < high {
            let middle = low.midpoint(high);
            if holds(&self.entry(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

impl core::fmt::Debug for Index {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Index({} entries)", self.len())
    }
}

/// Bucket and place in it of the entry `at`.
fn locate(at: usize) -> (usize, usize) {
    let bucket = (at / FIRST + 1).ilog2() as usize;
    (bucket, at - FIRST * ((1 << bucket) - 1))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn entry(number: u32) -> IndexEntry {
        IndexEntry::new(number * 10, u64::from(number) * 4096, number.is_multiple_of(3), i64::from(number / 2) * 100)
    }

    #[test]
    fn entries_keep_their_places_over_buckets() {
        let index = Index::from_entries((0..1000).map(entry));
        assert_eq!(index.len(), 1000);
        assert!(index.iter().eq((0..1000).map(entry)));
    }

    #[test]
    fn lookups_answer_the_last_entry_before() {
        let index = Index::from_entries((1..100).map(entry));
        assert_eq!(index.lookup_offset(9), None);
        assert_eq!(index.lookup_offset(10), Some(entry(1)));
        assert_eq!(index.lookup_offset(555), Some(entry(55)));
        assert_eq!(index.lookup_offset(u32::MAX), Some(entry(99)));
        assert_eq!(index.block_at(4096 * 7 + 8), Some((4096 * 6, Some(4096 * 9))));
        assert_eq!(index.block_at(4096 * 99), Some((4096 * 99, None)));
        assert_eq!(index.block_at(4096), None);
        assert_eq!(Index::new().lookup_offset(5), None);
        // Entries 8 and 9 both say that the latest before them is of 400.
        assert_eq!(index.lookup_time(400), Some(entry(7)));
        assert_eq!(index.lookup_time(401), Some(entry(9)));
        assert_eq!(index.lookup_time(0), None);
    }

    #[test]
    fn buckets_cover_every_place_once() {
        let mut expected = (0, 0);
        for at in 0..10_000 {
            assert_eq!(locate(at), expected);
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
    }
}
