//! The shard's use of its journal: filling writes, and giving files back.

use std::sync::Arc;

use crate::buffer::Block;
use crate::format::journal::WatermarkEntry;
use crate::io::OpKind;
use crate::segment::SEGMENT_DATA_START;
use crate::shard::{Outbox, Purpose, Shard};

/// Watermarks of silent partitions that ride on one journal write.
const WATERMARKS_MAX: usize = 64;

impl Shard {
    /// Packs the ranges put forward in this turn into journal writes.
    pub(super) fn write_journal(&mut self, out: &mut Outbox) {
        self.ask_for_journal_files(out);
        let testify = self.journal.accepts() && std::mem::take(&mut self.testify_now);
        while self.journal.accepts() && (!self.ranges.is_empty() || testify) {
            let mut watermarks = self.silent_watermarks();
            let environment = Arc::clone(&self.config.environment);
            let Some((issue, taken)) =
                self.journal.write(&mut self.ranges, &mut watermarks, &mut || environment.random())
            else {
                break;
            };
            let number = self.journal.active_number().expect("a write was just made");
            let full = !self.journal.accepts();
            for range in taken {
                let holder = range.holder;
                let writer = &mut self.writers[range.holder];
                writer.offered = false;
                let segment = writer.segment(range.generation).expect("a segment with pending bytes is open");
                if segment.journalled(range.end, issue.lsn, number) {
                    self.journal.retain(number, range.holder);
                }
                if full && self.journal.in_flight() > 0 {
                    self.promise_while_journalling(holder);
                }
            }
            self.bytes_since_checkpoint += issue.size as u64;
            let op = Shard::op(
                OpKind::Write { durable: true },
                issue.file,
                issue.position,
                Some(Arc::clone(&issue.block)),
                0,
                issue.size,
            );
            self.issue(Purpose::Journal { write: issue.write, block: issue.block }, op, out);
            if self.ranges.is_empty() {
                break;
            }
        }
        // What found no place is put forward again when a write lands, or goes to its segment.
        for range in std::mem::take(&mut self.ranges) {
            self.writers[range.holder].offered = false;
            if self.journal.in_flight() > 0 {
                self.journal_waiters.push(range.holder);
            } else {
                self.enqueue(range.holder);
            }
        }
    }

    /// Durable offsets that nothing on the device testifies yet, a few at a time.
    fn silent_watermarks(&mut self) -> std::collections::VecDeque<WatermarkEntry> {
        let mut entries = std::collections::VecDeque::new();
        while entries.len() < WATERMARKS_MAX {
            let Some(writer) = self.silent.pop_front() else { break };
            let w = &mut self.writers[writer];
            w.silent = false;
            if let Some(segment) = w.segments.iter().rev().find(|s| s.acknowledged.position > SEGMENT_DATA_START)
                && w.failed.is_none()
                && segment.acknowledged.offset > w.testified
            {
                w.testified = segment.acknowledged.offset;
                entries.push_back(WatermarkEntry {
                    partition: w.tail.partition(),
                    generation: segment.segment.generation,
                    position: segment.acknowledged.position,
                    offset: segment.acknowledged.offset,
                });
            }
        }
        entries
    }

    pub(super) fn journal_written(&mut self, write: u64, block: Arc<Block>, ok: bool) {
        let outcome = self.journal.complete(write, block, ok);
        for holder in outcome.durable {
            self.acknowledge(holder);
            self.enqueue(holder);
        }
        for (holder, lsn) in outcome.lost {
            let w = &mut self.writers[holder];
            for segment in &mut w.segments {
                segment.journal_lost(lsn);
            }
            w.destage = true;
            self.enqueue(holder);
        }
        for holder in std::mem::take(&mut self.journal_waiters) {
            self.enqueue(holder);
        }
    }

    /// Has journalled bytes written to their segments so that journal files come free.
    pub(super) fn press_journal(&mut self) {
        for holder in self.journal.take_pressing_holders() {
            if self.writers[holder].segments.iter().any(|s| s.journals().next().is_some()) {
                self.writers[holder].destage = true;
                self.enqueue(holder);
            }
        }
    }
}
