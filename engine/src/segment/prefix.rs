//! How far a segment goes: a position and the offset there, moved by one store.

use crate::limits::{FRAME_ALIGN, SEGMENT_MAX};
use crate::sync::{AtomicU64, Guard, Ordering, order};

const UNIT: u64 = FRAME_ALIGN as u64;
/// No prefix: a position beyond every segment.
const UNSET: u64 = u64::MAX;

const _: () = assert!(SEGMENT_MAX / UNIT < u32::MAX as u64, "a position in units fits half a word");

/// The frames below a position, and the offset after them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix {
    /// Byte of the segment file; a frame boundary.
    pub position: u64,
    /// The offset that the next record gets, or got.
    pub offset: u64,
}

/// A [`Prefix`] in one atomic word: offset relative to the segment's base, position in units of eight bytes.
///
/// Whoever loads a prefix may read every byte below its position: the store releases them, the load acquires them.
#[derive(Debug)]
pub(crate) struct PrefixWord {
    word: AtomicU64,
}

impl PrefixWord {
    /// No prefix yet.
    pub(crate) fn unset() -> PrefixWord {
        PrefixWord { word: AtomicU64::new(UNSET) }
    }

    pub(crate) fn new(prefix: Prefix, base_offset: u64) -> PrefixWord {
        PrefixWord { word: AtomicU64::new(pack(prefix, base_offset)) }
    }

    /// Stores the prefix; one thread at a time stores.
    #[inline]
    pub(crate) fn store(&self, prefix: Prefix, base_offset: u64) {
        self.word.store(pack(prefix, base_offset), order(Guard::PrefixReleases, Ordering::Release));
    }

    /// The prefix, if one was stored.
    #[inline]
    pub(crate) fn load(&self, base_offset: u64) -> Option<Prefix> {
        let word = self.word.load(Ordering::Acquire);
        (word != UNSET)
            .then(|| Prefix { position: (word & u64::from(u32::MAX)) * UNIT, offset: base_offset + (word >> 32) })
    }
}

#[inline]
fn pack(prefix: Prefix, base_offset: u64) -> u64 {
    let relative = prefix.offset - base_offset;
    debug_assert!(relative <= u64::from(u32::MAX), "a segment rolls before its offsets leave u32");
    debug_assert!(prefix.position.is_multiple_of(UNIT) && prefix.position <= SEGMENT_MAX, "frames are aligned");
    (relative << 32) | (prefix.position / UNIT)
}
