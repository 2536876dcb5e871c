//! Memory of the indexes of batches that are held.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::failure::{Answer, Failure};
use crate::status::NO_MEMORY;

/// What the indexes of an engine's batches take, beside its memory budget. Bytes.
pub(crate) struct Indexes {
    used: AtomicU64,
    limit: u64,
}

impl Indexes {
    /// A quarter of the budget at most, and the index of one batch.
    pub(crate) fn new(budget: u64) -> Indexes {
        Indexes { used: AtomicU64::new(0), limit: budget / 4 }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Refuses another batch when those that are held have used it up. Asked before anything is read, so that a refusal
    /// moves nobody.
    #[inline]
    pub(crate) fn check(&self) -> Answer {
        if self.used() <= self.limit {
            return Ok(());
        }
        Err(Failure::new(NO_MEMORY, "the indexes of batches that are held use up their memory; release some"))
    }
}

/// The part of one batch.
pub(crate) struct Charge {
    indexes: Arc<Indexes>,
    size: u64,
}

impl Charge {
    pub(crate) fn new(indexes: &Arc<Indexes>, size: usize) -> Charge {
        let size = size as u64;
        indexes.used.fetch_add(size, Ordering::Relaxed);
        Charge { indexes: Arc::clone(indexes), size }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.indexes.used.fetch_sub(self.size, Ordering::Relaxed);
    }
}
