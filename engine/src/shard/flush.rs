//! From published bytes to operations: which ranges go to the journal, which to their segment, and when.

use std::sync::Arc;

use crate::io::OpKind;
use crate::journal::Range;
use crate::limits::{JOURNAL_RANGE_MAX, SECTOR};
use crate::segment::Prefix;
use crate::shard::{Outbox, Purpose, Shard};

/// Unpadded writes are at least this large while others are in flight. Bytes.
const CHUNK: u64 = 256 << 10;
/// The largest single write to a segment. Bytes.
const WRITE_MAX: u64 = 1 << 20;
/// Writes of one segment in flight, beyond which its bytes wait in memory.
const FLIGHTS_MAX: usize = 8;
/// Journalled bytes of one segment are written to it when they have grown to this. Bytes.
const DESTAGE: u64 = 128 << 10;

impl Shard {
    /// Hands on what is published in segment `at` of a writer.
    pub(super) fn submit(&mut self, writer: usize, at: usize, out: &mut Outbox) {
        self.begin_flush(writer, at);
        self.write_flush(writer, at, out);
        self.write_chunks(writer, at, out);
        self.offer_to_journal(writer, at);
    }

    /// Decides whether the open end has to be padded to the sector now.
    fn begin_flush(&mut self, writer: usize, at: usize) {
        let journal_usable = self.journal.usable();
        let small = self.writers[writer].segments[at].pending();
        self.journal_wanted |= self.writers[writer].is_durable() && (1..JOURNAL_RANGE_MAX as u64).contains(&small);
        let w = &mut self.writers[writer];
        let durable_topic = w.is_durable();
        let segment = &mut w.segments[at];
        if segment.segment.closed().is_some() || segment.flush.is_some() {
            return;
        }
        let published = segment.segment.published().position;
        let unwritten = published - segment.issued;
        let pending = published.saturating_sub(segment.submitted);
        let direct = pending > 0
            && segment.awaited_flights() == 0
            && (pending >= JOURNAL_RANGE_MAX as u64 || !durable_topic || !journal_usable);
        if direct && pending >= CHUNK + SECTOR {
            return; // Whole sectors go first; the rest follows when they have landed.
        }
        if direct || (w.destage && unwritten > 0) {
            // Of a segment that the tail has left meanwhile, everything will be written when it is published.
            segment.flush = w
                .tail
                .flush_to_sector()
                .filter(|(current, _)| current.generation == segment.segment.generation)
                .map(|(_, end)| end);
        }
        w.destage = false;
        if w.seal {
            w.tail.seal();
        }
    }

    /// Writes up to a flush, or to the segment's end, once everything before it is published.
    fn write_flush(&mut self, writer: usize, at: usize, out: &mut Outbox) {
        let segment = &self.writers[writer].segments[at];
        let published = segment.segment.published();
        let end = match (segment.segment.closed(), segment.flush) {
            (Some(closed), _) if published.position >= closed.position => closed,
            (_, Some(flush)) if published.position >= flush.position => flush,
            _ => return,
        };
        if end.position > segment.issued && segment.flights() < FLIGHTS_MAX {
            self.write_to_segment(writer, at, end.position, end, out);
        }
        let segment = &mut self.writers[writer].segments[at];
        if segment.flush.is_some_and(|f| f.position <= segment.issued) {
            segment.flush = None;
        }
    }

    /// Writes whole sectors of what is published: large ranges, and journalled bytes that have grown enough.
    fn write_chunks(&mut self, writer: usize, at: usize, out: &mut Outbox) {
        loop {
            let segment = &self.writers[writer].segments[at];
            let published = segment.segment.published();
            let whole = published.position - published.position % SECTOR;
            let unwritten = whole.saturating_sub(segment.issued);
            let pending = published.position.saturating_sub(segment.submitted);
            let destage = pending < JOURNAL_RANGE_MAX as u64 && unwritten >= DESTAGE && segment.flights() == 0;
            if segment.flights() >= FLIGHTS_MAX || !(destage || (unwritten >= CHUNK && pending >= CHUNK / 2)) {
                return;
            }
            let end = whole.min(segment.issued + WRITE_MAX);
            self.write_to_segment(writer, at, end, published, out);
        }
    }

    /// Issues `issued..end` of a segment, block by block.
    fn write_to_segment(&mut self, writer: usize, at: usize, end: u64, published: Prefix, out: &mut Outbox) {
        self.next_flight += 1;
        let flight = self.next_flight;
        let w = &mut self.writers[writer];
        let durable = w.is_durable();
        let segment = &mut w.segments[at];
        let (from, journalled) = (segment.issued, segment.submitted);
        let generation = segment.segment.generation;
        let mut ops = Vec::new();
        let mut position = from;
        for (block, offset, size) in segment.pieces(from, end) {
            for start in (0..size).step_by(WRITE_MAX as usize) {
                let part = (size - start).min(WRITE_MAX as usize);
                let file = segment.segment.file().expect("a segment that is written has its file");
                ops.push(Shard::op(
                    OpKind::Write { durable },
                    file,
                    position,
                    Some(Arc::clone(&block)),
                    offset + start,
                    part,
                ));
                position += part as u64;
            }
        }
        segment.issue(flight, end, published, ops.len());
        segment.dirty |= !durable;
        self.bytes_since_checkpoint += end - from;
        for op in ops {
            let destaged = journalled.saturating_sub(op.position).min(op.size as u64);
            self.issue(Purpose::Segment { writer, generation, flight, destaged }, op, out);
        }
    }

    /// While the last segment has writes in flight whose end the shard waits for anyway, appends need not wake it, until
    /// there is enough for another write.
    pub(super) fn promise_while_writing(&mut self, writer: usize) {
        let w = &mut self.writers[writer];
        let Some(segment) = w.segments.back().filter(|s| s.awaited_flights() > 0) else { return };
        let next = (segment.issued + CHUNK).max(segment.submitted + CHUNK / 2);
        let position = if segment.flights() < FLIGHTS_MAX { next } else { u64::MAX };
        w.promised = true;
        w.tail.promise_look(position);
    }

    /// While both journal writes are in flight, appends need not wake the shard, until they are too many for the
    /// journal.
    pub(super) fn promise_while_journalling(&mut self, writer: usize) {
        let w = &mut self.writers[writer];
        let Some(segment) = w.segments.back() else { return };
        w.promised = true;
        w.tail.promise_look(segment.submitted + JOURNAL_RANGE_MAX as u64);
        self.journal_waiters.push(writer);
    }

    /// Before the shard looks at what is published, so that whatever comes later is announced.
    pub(super) fn take_promise_back(&mut self, writer: usize) {
        let w = &mut self.writers[writer];
        if std::mem::take(&mut w.promised) {
            w.tail.promise_look(0);
        }
    }

    /// Puts a small pending range forward for the next journal write.
    fn offer_to_journal(&mut self, writer: usize, at: usize) {
        let w = &mut self.writers[writer];
        let segment = &w.segments[at];
        let pending = segment.pending();
        let journal = w.is_durable()
            && pending > 0
            && pending < JOURNAL_RANGE_MAX as u64
            && segment.flush.is_none()
            && segment.awaited_flights() == 0
            && segment.segment.closed().is_none()
            && self.journal.usable();
        if !journal || w.offered {
            return;
        }
        if !self.journal.accepts() {
            self.journal_waiters.push(writer);
            return;
        }
        let end = segment.segment.published();
        self.ranges.push_back(Range {
            holder: writer,
            partition: w.tail.partition(),
            generation: segment.segment.generation,
            start: segment.submitted,
            end,
            pieces: segment.pieces(segment.submitted, end.position),
        });
        w.offered = true;
    }
}
