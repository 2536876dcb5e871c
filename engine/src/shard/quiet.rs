//! Partitions that fall quiet: padded, written, testified, and without memory.

use std::sync::Arc;

use crate::shard::Shard;

/// Writers looked at in one turn because their time came.
const LOOKS_MAX: usize = 256;

impl Shard {
    /// Has the writer looked at after the time of quiet.
    pub(super) fn watch(&mut self, writer: usize) {
        let w = &mut self.writers[writer];
        if !std::mem::replace(&mut w.watched, true) {
            self.watched.push_back((self.now.saturating_add(self.config.quiet_after), writer));
        }
    }

    /// Partitions whose time came and that took no appends since: their bytes go to their segments, their durable
    /// offsets into the journal, their memory back.
    pub(super) fn look_for_quiet(&mut self) {
        for _ in 0..LOOKS_MAX {
            match self.watched.front() {
                Some((at, _)) if *at <= self.now => {}
                _ => return,
            }
            let Some((_, writer)) = self.watched.pop_front() else { return };
            let w = &mut self.writers[writer];
            w.watched = false;
            let Some(segment) = w.segments.back() else { continue };
            let end = segment.segment.published();
            if w.failed.is_some() {
                continue;
            }
            if std::mem::replace(&mut w.seen, end.offset.max(1)) != end.offset.max(1) {
                self.watch(writer);
                continue;
            }
            if segment.device_end < end.position {
                w.destage = true;
                self.enqueue(writer);
                self.watch(writer);
            } else if let Some(block) = w.tail.release_idle() {
                let segment = Arc::clone(&segment.segment);
                self.keep(writer, &segment, block);
                self.watch(writer);
            } else if w.is_durable() && segment.acknowledged.offset > w.testified {
                self.testify_now = true;
            }
        }
    }

    /// Memory is short: everything goes to its segment, so that its blocks can be given back.
    pub(super) fn destage_everything(&mut self) {
        for writer in 0..self.writers.len() {
            let w = &mut self.writers[writer];
            if w.failed.is_none() && !w.segments.is_empty() {
                w.destage = true;
                w.release = true;
                self.enqueue(writer);
            }
        }
    }
}
