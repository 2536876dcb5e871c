//! The shard's side of one partition: what went where, and what is durable.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::buffer::Block;
use crate::durability::Durability;
use crate::error::Error;
use crate::ids::{Generation, Lsn};
use crate::journal::Pieces;
use crate::limits::SECTOR;
use crate::segment::{Prefix, SEGMENT_DATA_START, Segment};
use crate::sim::bugs::{self, Bug};
use crate::tail::Tail;

/// A partition that has something open.
pub(crate) struct Writer {
    pub(crate) tail: Arc<Tail>,
    /// Segments that are not sealed, oldest first.
    pub(crate) segments: VecDeque<SegmentWriter>,
    /// Is in the shard's list of writers to look at.
    pub(crate) queued: bool,
    /// The tail has the shard's promise to look by itself.
    pub(crate) promised: bool,
    /// A small range of it is put forward for the next journal write.
    pub(crate) offered: bool,
    /// A segment is being prepared.
    pub(crate) preparing: bool,
    /// Size of the next segment; grows with the partition's traffic.
    pub(crate) next_size: u64,
    /// Pad and write everything, as soon as possible.
    pub(crate) destage: bool,
    /// Memory is short: give the open block back once it is written.
    pub(crate) release: bool,
    /// End the open segment as well.
    pub(crate) seal: bool,
    /// Operations and questions of its segments that are not answered.
    pub(crate) under_way: usize,
    /// A write failed: nothing is written any more.
    pub(crate) failed: Option<Error>,
    /// The highest durable offset that later bytes or a journal write testify.
    pub(crate) testified: u64,
    /// Is in the shard's list of partitions whose durable offset has yet to be testified.
    pub(crate) silent: bool,
    /// The published end seen at the last look at idle partitions.
    pub(crate) seen: u64,
    /// Is in the shard's list of partitions that may fall idle.
    pub(crate) watched: bool,
    /// Bytes of blocks that were written since a reader was at the partition.
    unread: usize,
}

/// How far a segment's birth is: its generation has to be durable in header and manifest before anything relies on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Birth {
    Unborn,
    Asked,
    Durable,
}

/// Bytes up to `end` lie where `via` says.
struct Cover {
    end: u64,
    via: Via,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Via {
    Device,
    Journal(Lsn),
}

/// A range on its way to the segment's file, as one or several operations.
struct Flight {
    id: u64,
    end: u64,
    operations: usize,
    /// Acknowledgements wait for it; otherwise the bytes are durable in the journal.
    awaited: bool,
}

/// One segment that is being written.
pub(crate) struct SegmentWriter {
    pub(crate) segment: Arc<Segment>,
    pub(crate) birth: Birth,
    /// Bytes below were handed to the journal or to the file.
    pub(crate) submitted: u64,
    /// Bytes below were handed to the file. At a sector.
    pub(crate) issued: u64,
    /// Bytes below are in the file, all of them.
    pub(crate) device_end: u64,
    /// The end of a flush, at a sector, that waits for its bytes to be published.
    pub(crate) flush: Option<Prefix>,
    flights: VecDeque<Flight>,
    covers: VecDeque<Cover>,
    /// Published ends that were seen: the frame boundaries at which acknowledgement may stop.
    marks: VecDeque<Prefix>,
    /// Bytes below are durable, in the journal or in the file.
    covered: u64,
    /// What is acknowledged.
    pub(crate) acknowledged: Prefix,
    /// The last acknowledged end that lies in the file as well: recovery may begin here.
    pub(crate) settled: Prefix,
    /// Journal files that hold bytes which the file does not hold yet, with the end of those bytes.
    journals: VecDeque<(u32, u64)>,
    /// Writes completed without being durable.
    pub(crate) dirty: bool,
    /// What writes that were not durable, and syncs after them, made so.
    pub(crate) synced: Prefix,
    /// A sync is in flight, for everything up to this prefix.
    pub(crate) syncing: Option<Prefix>,
    pub(crate) sealing: bool,
    /// Marks that were settled and not yet reported by a checkpoint.
    pub(crate) checkpoint_due: bool,
    settled_marks: VecDeque<Prefix>,
}

impl Writer {
    pub(crate) fn new(tail: Arc<Tail>, first_size: u64) -> Writer {
        Writer {
            tail,
            segments: VecDeque::new(),
            queued: false,
            promised: false,
            offered: false,
            preparing: false,
            next_size: first_size,
            destage: false,
            release: false,
            seal: false,
            under_way: 0,
            failed: None,
            testified: 0,
            silent: false,
            seen: 0,
            watched: false,
            unread: usize::MAX,
        }
    }

    /// Whether a reader was at the partition since as many bytes were written as readers can have in memory. A block of
    /// `size` bytes is the next that was written. Where the device does not hold appends up, every partition counts as
    /// followed: small appends are slower into memory that the device has just read.
    pub(crate) fn is_followed(&mut self, size: usize) -> bool {
        if !self.is_durable() {
            return true;
        }
        self.unread = if self.tail.take_followed() { 0 } else { self.unread.saturating_add(size) };
        self.unread <= self.tail.pool().budget().limits().cache
    }

    /// Goes on with another tail of the partition, after a truncation: everything of this one is sealed.
    pub(crate) fn follow(&mut self, tail: Arc<Tail>, first_size: u64) {
        debug_assert!(self.segments.is_empty() && self.under_way == 0, "a tail is settled before another follows");
        let Writer { queued, offered, silent, watched, .. } = *self;
        // Sizes grow anew: whoever cuts often would otherwise leave a large segment with little in it each time.
        *self = Writer { queued, offered, silent, watched, ..Writer::new(tail, first_size) };
    }

    /// Whether the topic's records are acknowledged when they are durable.
    pub(crate) fn is_durable(&self) -> bool {
        self.tail.watermark().durability() == Durability::Durable
    }

    /// Takes note of segments that the tail has switched to.
    pub(crate) fn adopt(&mut self) {
        for segment in self.tail.active().iter() {
            if !self.segments.iter().any(|s| s.segment.generation == segment.generation) {
                self.segments.push_back(SegmentWriter::new(Arc::clone(segment)));
            }
        }
    }

    /// The offset below which syncs made everything durable: a later segment's counts after all of those before.
    pub(crate) fn synced(&self) -> Option<u64> {
        let mut reached = None;
        for SegmentWriter { segment, synced, .. } in &self.segments {
            reached = Some(synced.offset);
            if segment.closed().is_none_or(|end| synced.position < end.position) {
                break;
            }
        }
        reached
    }

    pub(crate) fn segment(&mut self, generation: Generation) -> Option<&mut SegmentWriter> {
        self.segments.iter_mut().find(|s| s.segment.generation == generation)
    }
}

impl SegmentWriter {
    fn new(segment: Arc<Segment>) -> SegmentWriter {
        let start = Prefix { position: SEGMENT_DATA_START, offset: segment.base_offset };
        SegmentWriter {
            birth: Birth::Unborn,
            submitted: start.position,
            issued: start.position,
            device_end: start.position,
            flush: None,
            flights: VecDeque::new(),
            covers: VecDeque::new(),
            marks: VecDeque::new(),
            covered: start.position,
            acknowledged: start,
            settled: start,
            journals: VecDeque::new(),
            dirty: false,
            synced: start,
            syncing: None,
            sealing: false,
            checkpoint_due: false,
            settled_marks: VecDeque::new(),
            segment,
        }
    }

    /// Bytes that are published and not handed to anyone.
    pub(crate) fn pending(&self) -> u64 {
        self.segment.published().position.saturating_sub(self.submitted)
    }

    /// Writes to the file that acknowledgements wait for.
    pub(crate) fn awaited_flights(&self) -> usize {
        self.flights.iter().filter(|f| f.awaited).count()
    }

    pub(crate) fn flights(&self) -> usize {
        self.flights.len()
    }

    fn mark(&mut self, prefix: Prefix) {
        if self.marks.back().map_or(self.acknowledged.position, |m| m.position) < prefix.position {
            self.marks.push_back(prefix);
        }
    }

    /// `submitted..end` went into journal write `lsn`, of file `number`. True if this segment did not rely on that
    /// file before.
    pub(crate) fn journalled(&mut self, end: Prefix, lsn: Lsn, number: u32) -> bool {
        debug_assert!(end.position > self.submitted, "a journalled range has bytes");
        self.submitted = end.position;
        self.covers.push_back(Cover { end: end.position, via: Via::Journal(lsn) });
        self.mark(end);
        match self.journals.back_mut() {
            Some((last, to)) if *last == number => {
                *to = end.position;
                false
            }
            _ => {
                self.journals.push_back((number, end.position));
                true
            }
        }
    }

    /// The journal lost write `lsn` and all later ones: their bytes have to come through the file.
    pub(crate) fn journal_lost(&mut self, lsn: Lsn) {
        for cover in &mut self.covers {
            if matches!(cover.via, Via::Journal(l) if l >= lsn) {
                cover.via = Via::Device;
            }
        }
    }

    /// `issued..end` goes to the file as flight `id`. `published` was seen before, at or behind `end`.
    pub(crate) fn issue(&mut self, id: u64, end: u64, published: Prefix, operations: usize) {
        debug_assert_eq!(end % SECTOR, 0, "the file is written in whole sectors");
        debug_assert!(end > self.issued, "a flight has bytes");
        let awaited = end > self.submitted || self.covers.iter().any(|c| c.via == Via::Device && c.end <= end);
        if end > self.submitted {
            self.covers.push_back(Cover { end, via: Via::Device });
            self.submitted = end;
        }
        self.mark(published);
        self.issued = end;
        if self.flush.is_some_and(|f| f.position <= end) {
            self.flush = None;
        }
        self.flights.push_back(Flight { id, end, operations, awaited });
    }

    /// An operation of flight `id` completed.
    pub(crate) fn landed(&mut self, id: u64) {
        if let Some(flight) = self.flights.iter_mut().find(|f| f.id == id) {
            flight.operations -= 1;
        }
        if bugs::active(Bug::WatermarkOutOfOrder)
            && let Some(done) = self.flights.iter().rev().find(|f| f.operations == 0)
        {
            self.device_end = self.device_end.max(done.end);
        }
        while self.flights.front().is_some_and(|f| f.operations == 0) {
            let flight = self.flights.pop_front().expect("the front was just seen");
            self.device_end = self.device_end.max(flight.end);
        }
        self.settle();
    }

    /// Journal files that this segment no longer relies on.
    pub(crate) fn take_released_journals(&mut self) -> Vec<u32> {
        let mut released = Vec::new();
        while self.journals.front().is_some_and(|(_, to)| *to <= self.device_end) {
            released.extend(self.journals.pop_front().map(|(number, _)| number));
        }
        released
    }

    /// Journal files that hold acknowledged bytes of this segment which its file does not hold.
    pub(crate) fn journals(&self) -> impl Iterator<Item = u32> {
        self.journals.iter().map(|(number, _)| *number)
    }

    /// The longest acknowledged prefix, now. `None` if it did not grow.
    pub(crate) fn acknowledge(&mut self, is_durable: impl Fn(Lsn) -> bool) -> Option<Prefix> {
        let mut end = self.covered.max(self.device_end);
        while let Some(cover) = self.covers.front() {
            let reached = cover.end <= self.device_end
                || matches!(cover.via, Via::Journal(lsn) if is_durable(lsn))
                || (bugs::active(Bug::AckBeforeWrite) && cover.via == Via::Device);
            if !reached {
                break;
            }
            end = end.max(cover.end);
            self.covers.pop_front();
        }
        self.covered = self.covered.max(end);
        let mut grown = None;
        while self.marks.front().is_some_and(|m| m.position <= self.covered) {
            let mark = self.marks.pop_front().expect("the front was just seen");
            self.acknowledged = mark;
            self.settled_marks.push_back(mark);
            grown = Some(mark);
        }
        self.settle();
        grown
    }

    fn settle(&mut self) {
        while self.settled_marks.front().is_some_and(|m| m.position <= self.device_end) {
            self.settled = self.settled_marks.pop_front().expect("the front was just seen");
            self.checkpoint_due = true;
        }
    }

    /// The memory of `from..to`.
    pub(crate) fn pieces(&self, from: u64, to: u64) -> Pieces {
        let mut pieces = Pieces::new();
        for block in self.segment.blocks().iter() {
            let start = block.position().max(from);
            let end = (block.position() + block.capacity() as u64).min(to);
            // A block that was closed early ends where the next one begins.
            if start < end {
                if let Some((last, at, size)) = pieces.last_mut() {
                    let last: &Arc<Block> = last;
                    let last_end = last.position() + (*at + *size) as u64;
                    if last_end > start {
                        *size -= (last_end - start) as usize;
                    }
                }
                pieces.push((Arc::clone(block), (start - block.position()) as usize, (end - start) as usize));
            }
        }
        debug_assert_eq!(
            pieces.iter().map(|(_, _, size)| *size as u64).sum::<u64>(),
            to - from,
            "unwritten bytes stay in memory"
        );
        pieces
    }
}
