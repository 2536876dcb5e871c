//! How far a partition is acknowledged, and who waits for more.

use std::sync::OnceLock;
use std::time::Instant;

use crate::durability::Durability;
use crate::error::{Error, Result};
use crate::sync::{AtomicU64, Ordering, WaitQueue};

/// An offset that only grows, and its waiters.
#[derive(Debug)]
pub(crate) struct Mark {
    offset: AtomicU64,
    waiters: WaitQueue,
}

impl Mark {
    pub(crate) fn new(offset: u64) -> Mark {
        Mark { offset: AtomicU64::new(offset), waiters: WaitQueue::new() }
    }

    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.offset.load(Ordering::Acquire)
    }

    /// Stores without waking; one thread at a time.
    #[inline]
    pub(super) fn store(&self, offset: u64) {
        self.offset.store(offset, Ordering::Release);
    }

    /// Moves the mark and wakes whoever it reaches; one thread at a time.
    pub(crate) fn advance(&self, offset: u64) {
        debug_assert!(offset >= self.offset(), "marks only grow");
        self.store(offset);
        self.waiters.wake(offset);
    }

    /// Waiters for the mark. After registering look at [`Mark::offset`] and [`Watermark::failure`] again.
    pub(crate) fn waiters(&self) -> &WaitQueue {
        &self.waiters
    }
}

/// The offsets below which a partition is published, written and durable. Each acknowledges one mode of durability;
/// the topic's own mode decides which of them readers see.
#[derive(Debug)]
pub(crate) struct Watermark {
    published: Mark,
    written: Mark,
    durable: Mark,
    durability: Durability,
    failed: OnceLock<Error>,
    /// Offsets from here on were cut off: what of them was not acknowledged to somebody never will be.
    cut: AtomicU64,
}

impl Watermark {
    /// Everything below `offset` was there, and durable, at open.
    pub(crate) fn new(durability: Durability, offset: u64) -> Watermark {
        Watermark {
            published: Mark::new(offset),
            written: Mark::new(offset),
            durable: Mark::new(offset),
            durability,
            failed: OnceLock::new(),
            cut: AtomicU64::new(u64::MAX),
        }
    }

    /// The mark that acknowledges appends of a mode.
    pub(crate) fn mark(&self, durability: Durability) -> &Mark {
        match durability {
            Durability::LoseOnKill => &self.published,
            Durability::LoseOnPowerCut => &self.written,
            Durability::Durable => &self.durable,
        }
    }

    /// The topic's mode.
    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    /// The mark up to which readers see.
    pub(crate) fn visible(&self) -> &Mark {
        self.mark(self.durability)
    }

    /// The offset up to which readers see.
    pub(crate) fn high(&self) -> u64 {
        self.visible().offset()
    }

    /// The offset below which everything is on the medium.
    #[inline]
    pub(crate) fn durable(&self) -> u64 {
        self.durable.offset()
    }

    /// The device has taken everything below `offset`. The shard only.
    pub(crate) fn advance_written(&self, offset: u64) {
        if offset > self.written.offset() {
            self.written.advance(offset);
        }
    }

    /// Everything below `offset` is on the medium, and therefore written. The shard only.
    pub(crate) fn advance_durable(&self, offset: u64) {
        self.advance_written(offset);
        if offset > self.durable.offset() {
            self.durable.advance(offset);
        }
    }

    /// No mark will move again: everybody who waits for more gets the error. The first error stands.
    pub(crate) fn fail(&self, error: Error) {
        let _first = self.failed.set(error);
        for mark in [&self.published, &self.written, &self.durable] {
            mark.waiters.wake_all();
        }
    }

    /// As [`fail`](Watermark::fail), and what lies at `cut` or beyond is not acknowledged any more either.
    pub(crate) fn cut(&self, cut: u64, error: Error) {
        self.lower_cut(cut);
        self.fail(error);
    }

    /// A later incarnation was cut further down.
    pub(crate) fn lower_cut(&self, cut: u64) {
        self.cut.fetch_min(cut, Ordering::AcqRel);
    }

    /// Whether everything below `offset` is acknowledged in a mode, and was not cut off.
    pub(crate) fn reached(&self, durability: Durability, offset: u64) -> bool {
        self.mark(durability).offset() >= offset && offset <= self.cut.load(Ordering::Acquire)
    }

    /// Why no mark will move again.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failed.get()
    }

    /// Blocks until the mark of `durability` reaches `offset`, or until `deadline`; whether it has.
    pub(crate) fn wait(&self, durability: Durability, offset: u64, deadline: Option<Instant>) -> Result<bool> {
        let mark = self.mark(durability);
        let reached = || self.reached(durability, offset);
        mark.waiters.wait(offset, deadline, || reached() || self.failed.get().is_some());
        match self.failed.get() {
            Some(error) if !reached() => Err(error.clone()),
            _ => Ok(reached()),
        }
    }
}
