//! Which blocks are read from the device together.

use crate::segment::Index;

/// Neighbouring blocks up to this size are read together. Bytes.
const SMALL: u64 = 256 << 10;
/// Pieces of the file within which they are. Bytes.
const WINDOW: u64 = 256 << 10;

/// The extent that holds `position`: whole blocks, all of which the device holds. `device_end` is where the device's
/// bytes end, perhaps in the middle of a block; `limit`, a frame boundary, ends the last block of the index.
///
/// A block larger than [`SMALL`] is an extent of its own. Smaller ones that begin in the same window are one together.
/// The answer does not depend on the reader, so that readers share extents.
pub(crate) fn extent_at(index: &Index, position: u64, device_end: u64, limit: u64) -> Option<(u64, u64)> {
    let block = |at: u64| {
        let (start, next) = index.block_at(at)?;
        let end = next.unwrap_or(limit);
        (start < end && end <= device_end).then_some((start, end))
    };
    let (mut start, mut to) = block(position)?;
    if to <= position {
        return None;
    }
    if to - start > SMALL {
        return Some((start, to));
    }
    let window = start / WINDOW * WINDOW;
    while start > window {
        match block(start - 1) {
            Some((before, next)) if before >= window && next - before <= SMALL => start = before,
            _ => break,
        }
    }
    while to < window + WINDOW {
        match block(to) {
            Some((at, next)) if at == to && next > at && next - at <= SMALL => to = next,
            _ => break,
        }
    }
    Some((start, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::IndexEntry;

    const K: u64 = 1 << 10;

    /// An index of blocks that begin at these positions, with an entry between any two.
    fn index(starts: &[u64]) -> Index {
        let mut number = 0;
        let entries = starts.iter().flat_map(|start| {
            number += 2;
            [IndexEntry::new(number, *start, true, 0), IndexEntry::new(number + 1, *start + 8, false, 0)]
        });
        Index::from_entries(entries)
    }

    #[test]
    fn a_large_block_stands_alone() {
        let index = index(&[4 * K, 8 * K, 1024 * K]);
        assert_eq!(extent_at(&index, 500 * K, 2000 * K, 2000 * K), Some((8 * K, 1024 * K)));
        assert_eq!(extent_at(&index, 4 * K, 2000 * K, 2000 * K), Some((4 * K, 8 * K)), "and is no neighbour");
        assert_eq!(extent_at(&index, 1999 * K, 2000 * K, 2000 * K), Some((1024 * K, 2000 * K)));
    }

    #[test]
    fn small_blocks_of_a_window_are_one_extent_whichever_is_asked_for() {
        let starts: Vec<u64> = (1..200).map(|i| i * 4 * K).collect();
        let index = index(&starts);
        for position in (4 * K..256 * K).step_by(3333) {
            assert_eq!(extent_at(&index, position, 800 * K, 800 * K), Some((4 * K, 256 * K)));
        }
        for position in (256 * K..512 * K).step_by(3333) {
            assert_eq!(extent_at(&index, position, 800 * K, 800 * K), Some((256 * K, 512 * K)));
        }
        assert_eq!(extent_at(&index, 700 * K, 704 * K, 704 * K), Some((512 * K, 704 * K)), "clipped at the end");
    }

    #[test]
    fn a_block_that_the_device_holds_in_part_is_in_no_extent() {
        let index = index(&[4 * K, 8 * K, 512 * K]);
        assert_eq!(extent_at(&index, 6 * K, 300 * K, 600 * K), Some((4 * K, 8 * K)));
        assert_eq!(extent_at(&index, 8 * K, 300 * K, 600 * K), None, "it ends at 512 K");
        assert_eq!(extent_at(&index, 8 * K, 512 * K, 600 * K), Some((8 * K, 512 * K)));
        assert_eq!(extent_at(&index, 520 * K, 596 * K, 600 * K), None, "its visible frames end at 600 K");
        assert_eq!(extent_at(&index, 520 * K, 604 * K, 600 * K), Some((512 * K, 600 * K)));
    }

    #[test]
    fn positions_without_a_block_have_no_extent() {
        assert_eq!(extent_at(&Index::new(), 4096, 8192, 8192), None);
        let index = index(&[4 * K]);
        assert_eq!(extent_at(&index, 0, 8 * K, 8 * K), None);
        assert_eq!(extent_at(&index, 8 * K, 8 * K, 8 * K), None);
    }
}
