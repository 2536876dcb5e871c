//! What the append lock protects.

use super::slots::Slots;
use crate::buffer::Block;
use crate::error::Error;
use crate::limits::{BLOCK_MAX, BLOCK_MIN, SECTOR};
use crate::segment::{Index, Prefix, PreparedSegment, Segment};
use crate::sync::Arc;

/// The claimed end of a partition, and what is at hand to move it.
#[derive(Debug)]
pub(super) struct State {
    /// The offset of the next record.
    pub next_offset: u64,
    /// Append time of the last frame.
    pub last_time: i64,
    /// Where frames go now.
    pub current: Option<Current>,
    /// Where they will go next.
    pub prepared: Option<PreparedSegment>,
    /// The last segment that was wished for by a refused append and could not be made, and the event that said so.
    pub not_offered: Option<(u64, Error)>,
    /// Whether that error has been given to an append.
    pub told: bool,
    /// An append was refused for want of the segment that is being wished for.
    pub needed: bool,
    /// The shard looks at what is published below this position without being told.
    pub heard: u64,
    pub slots: Slots,
    pub block_size: BlockSize,
    pub failed: Option<Error>,
}

/// The segment that frames go to.
#[derive(Debug)]
pub(super) struct Current {
    pub segment: Arc<Segment>,
    pub index: Arc<Index>,
    /// Claimed end of the segment. Bytes of the file.
    pub position: u64,
    /// An index entry is due for the first frame at or beyond this position.
    pub index_due: u64,
    /// The latest timestamp of the segment's records so far.
    pub newest: i64,
    /// Frames go here while they fit.
    pub block: Option<Open>,
}

/// A block that frames go to.
#[derive(Debug)]
pub(super) struct Open {
    pub block: Arc<Block>,
    /// It was made for one large batch and takes no other.
    pub own: bool,
}

impl Open {
    /// Byte of the file after the block.
    pub(super) fn end(&self) -> u64 {
        self.block.position() + self.block.capacity() as u64
    }
}

impl Current {
    pub(super) fn prefix(&self, offset: u64) -> Prefix {
        Prefix { position: self.position, offset }
    }
}

/// The size of the next block, in whole sectors: it grows while blocks fill and shrinks when the partition falls quiet.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockSize(usize);

impl BlockSize {
    pub(super) fn smallest() -> BlockSize {
        BlockSize(BLOCK_MIN)
    }

    pub(super) fn bytes(self) -> usize {
        self.0
    }

    pub(super) fn grow(&mut self) {
        self.0 = (self.0 * 4).min(BLOCK_MAX);
    }

    pub(super) fn shrink(&mut self) {
        self.0 = (self.0 / 4).next_multiple_of(SECTOR as usize).max(BLOCK_MIN);
    }

    /// Memory was refused at the present size and granted at `size`.
    pub(super) fn settle(&mut self, size: usize) {
        self.0 = size.clamp(BLOCK_MIN, BLOCK_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block that ended inside a sector would take a frame that leaves no room for its pad.
    #[test]
    fn blocks_end_on_sectors_whatever_size_was_settled_for() {
        for sectors in 1..=BLOCK_MAX / SECTOR as usize {
            let mut size = BlockSize::smallest();
            size.settle(sectors * SECTOR as usize);
            for change in [BlockSize::shrink, BlockSize::grow, BlockSize::grow, BlockSize::shrink, BlockSize::shrink] {
                change(&mut size);
                let bytes = size.bytes();
                assert!(bytes.is_multiple_of(SECTOR as usize) && (BLOCK_MIN..=BLOCK_MAX).contains(&bytes), "{bytes}");
            }
        }
    }
}
