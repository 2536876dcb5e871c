//! A piece of memory congruent with a piece of a file, and its being lent.

use core::ops::Deref;

use super::budget::Share;
use super::pool::{Memory, Pool, Shortage};
use crate::ids::Generation;
use crate::sync::{Arc, AtomicU32, Ordering};

/// An aligned piece of memory that records are appended to, the device reads from, and readers borrow. Byte `i` of
/// the memory is byte `position + i` of the file, and once published it never changes.
pub(crate) struct Block {
    memory: Memory,
    generation: Generation,
    position: u64,
    capacity: usize,
    pins: AtomicU32,
}

impl Block {
    /// A block over `memory`, of which it uses `capacity` bytes.
    pub(crate) fn new(memory: Memory, generation: Generation, position: u64, capacity: usize) -> Block {
        assert!(capacity <= memory.size(), "a block of {capacity} bytes fits its memory of {}", memory.size());
        Block { memory, generation, position, capacity, pins: AtomicU32::new(0) }
    }

    /// Takes memory for `capacity` bytes, charged to `share`.
    pub(crate) fn take(
        pool: &Arc<Pool>,
        share: Share,
        generation: Generation,
        position: u64,
        capacity: usize,
    ) -> Result<Arc<Block>, Shortage> {
        Ok(Arc::new(Block::new(Pool::take(pool, capacity, share)?, generation, position, capacity)))
    }

    /// The file whose bytes these are.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Where in the file the block begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes that the block can hold.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes that the block is charged with.
    pub(crate) fn charged(&self) -> usize {
        self.memory.size()
    }

    pub(crate) fn share(&self) -> Share {
        self.memory.share()
    }

    /// Bytes `at..at + size` of the block.
    ///
    /// # Safety
    /// Nobody writes the range while the slice lives: it is published, or its only writer is the caller.
    #[inline]
    pub(crate) unsafe fn bytes(&self, at: usize, size: usize) -> &[u8] {
        // SAFETY: the caller's promise.
        unsafe { self.memory.raw().bytes(at, size) }
    }

    /// Bytes `at..at + size` of the block, to be written.
    ///
    /// # Safety
    /// The caller alone owns the range: it has claimed it and not yet published it.
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "the range is the caller's alone, the rest is not")]
    pub(crate) unsafe fn bytes_mut(&self, at: usize, size: usize) -> &mut [u8] {
        // SAFETY: the caller's promise.
        unsafe { self.memory.raw().bytes_mut(at, size) }
    }

    /// Whether somebody has borrowed it.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pins.load(Ordering::Acquire) != 0
    }

    /// Borrows the block. The first borrower's pin charges the whole block; `None`: pins have used up their share.
    pub(crate) fn pin(block: &Arc<Block>) -> Option<Pin> {
        let mut pins = block.pins.load(Ordering::Relaxed);
        while pins > 0 {
            match block.pins.compare_exchange_weak(pins, pins + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Pin { block: Arc::clone(block) }),
                Err(now) => pins = now,
            }
        }
        let charged = block.memory.pool().pin(&block.memory, &block.pins);
        charged.then(|| Pin { block: Arc::clone(block) })
    }

    /// Its bytes are on the device: from now on the cache is charged for it, no longer the appenders. `false`: the
    /// readers' part has no room, or none for what is not `followed` by a reader, so the caller should let go of it.
    pub(crate) fn retire_to_cache(&self, followed: bool) -> bool {
        self.memory.pool().retire(&self.memory, followed, || self.is_pinned())
    }

    fn unpin(&self) {
        let mut pins = self.pins.load(Ordering::Relaxed);
        while pins > 1 {
            match self.pins.compare_exchange_weak(pins, pins - 1, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => pins = now,
            }
        }
        self.memory.pool().unpin(&self.memory, &self.pins);
    }
}

impl core::fmt::Debug for Block {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Block { generation, position, capacity, .. } = self;
        write!(f, "Block({generation} at {position}, {capacity} bytes, {:?})", self.share())
    }
}

/// A borrowed block. Dropping it gives it back.
pub(crate) struct Pin {
    block: Arc<Block>,
}

impl Deref for Pin {
    type Target = Block;

    fn deref(&self) -> &Block {
        &self.block
    }
}

impl Clone for Pin {
    fn clone(&self) -> Pin {
        // Not the first, so it is charged already and cannot be refused.
        self.block.pins.fetch_add(1, Ordering::Relaxed);
        Pin { block: Arc::clone(&self.block) }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.block.unpin();
    }
}
