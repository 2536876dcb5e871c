//! Memory for simulated engines: kept from one incarnation to the next, for there are hundreds in a second.

use core::cell::RefCell;
use core::ptr::NonNull;
use std::collections::BTreeMap;

use crate::buffer::{HeapMemory, MemorySource};

std::thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { pieces: BTreeMap::new() }) };
}

/// Pieces by their size. What their last user left stays in them: an engine that writes bytes which it never set
/// shows by two runs of a seed that differ.
struct Kept {
    pieces: BTreeMap<usize, Vec<NonNull<u8>>>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        for (size, pieces) in core::mem::take(&mut self.pieces) {
            for piece in pieces {
                // SAFETY: the piece came from `map` with this size, and nobody uses it.
                unsafe { HeapMemory.unmap(piece, size) };
            }
        }
    }
}

pub(crate) struct SimMemory;

impl MemorySource for SimMemory {
    fn map(&self, size: usize) -> Option<NonNull<u8>> {
        let kept = KEPT.try_with(|kept| kept.borrow_mut().pieces.get_mut(&size).and_then(Vec::pop)).ok().flatten();
        kept.or_else(|| HeapMemory.map(size))
    }

    unsafe fn unmap(&self, at: NonNull<u8>, size: usize) {
        let kept = KEPT.try_with(|kept| kept.borrow_mut().pieces.entry(size).or_default().push(at));
        if kept.is_err() {
            // SAFETY: the caller's promise; the thread is ending and keeps nothing any more.
            unsafe { HeapMemory.unmap(at, size) };
        }
    }
}
