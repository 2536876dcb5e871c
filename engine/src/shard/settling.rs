//! Bringing a partition to where its log can be truncated: sealed, as far as the truncation reaches.

use std::sync::Arc;

use crate::shard::{Reach, Shard};
use crate::tail::Tail;

/// A partition whose log is to be truncated.
pub(super) struct Settling {
    writer: usize,
    reach: Reach,
    done: Option<Box<dyn FnOnce() + Send>>,
}

impl Shard {
    /// Has a partition sealed, and calls back when it is, or has failed.
    pub(super) fn settle(&mut self, tail: Arc<Tail>, reach: Reach, done: Box<dyn FnOnce() + Send>) {
        let Some(writer) = self.writer_of(tail) else { return done() };
        if reach == Reach::All {
            let w = &mut self.writers[writer];
            w.destage = true;
            w.seal = true;
        }
        self.enqueue(writer);
        self.settling.push(Settling { writer, reach, done: Some(done) });
    }

    pub(super) fn finish_settling(&mut self) {
        for mut settling in std::mem::take(&mut self.settling) {
            if !self.is_settled(settling.writer, settling.reach) {
                self.settling.push(settling);
                continue;
            }
            // If nothing is cut, the partition goes on.
            self.writers[settling.writer].seal = self.closing;
            if let Some(done) = settling.done.take() {
                done();
            }
        }
    }

    fn is_settled(&self, writer: usize, reach: Reach) -> bool {
        let w = &self.writers[writer];
        let ended = |offset| w.segments.iter().any(|s| s.segment.closed().is_some_and(|end| end.offset <= offset));
        w.failed.is_some()
            || match reach {
                Reach::Ended(offset) => !ended(offset),
                Reach::All => w.segments.is_empty() && w.under_way == 0,
            }
    }
}
