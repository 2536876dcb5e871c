//! Truncation: moving the two ends of a partition's log.
//!
//! What is cut off is given up in this order: appends are held, everything is settled in its segments, one commit of
//! the manifest moves the end, another incarnation of the partition goes on from there, and only then files are
//! recycled.

use super::state::{Common, TopicState};
use crate::error::{Error, ErrorKind, Result};
use crate::events::EventKind;
use crate::ids::Generation;
use crate::limits::LOG_START_MAX;
use crate::manifest::{MetaDone, MetaOrder, SegmentEnd};
use crate::partition::{Partition, Seat};
use crate::reader::{Batch, Cursor, Lender, Source};
use crate::segment::{Prefix, Segment};
use crate::shard::Reach;
use crate::sync::Arc;
use crate::tail::TailStart;

/// What a truncation has others do, and waits for.
pub(crate) trait Others {
    /// Has the shard settle a partition. `false`: the engine has ended.
    fn settle(&mut self, partition: &Partition, reach: Reach) -> bool;
    /// Has saved positions beyond `offset` go back to it.
    fn go_back(&mut self, _partition: &Partition, _offset: u64) -> Result<()> {
        Ok(())
    }
    /// Changes the manifest.
    fn order(&mut self, order: MetaOrder) -> Result<MetaDone>;
    /// Reads one batch as it was appended.
    fn read(&mut self, seat: &Arc<Seat>, cursor: &mut Cursor) -> Result<Batch>;
}

/// The others of an open engine, whose threads do what they do meanwhile.
impl Others for &Common {
    fn settle(&mut self, partition: &Partition, reach: Reach) -> bool {
        partition.settle(reach)
    }

    fn go_back(&mut self, partition: &Partition, offset: u64) -> Result<()> {
        self.followers.get().map_or(Ok(()), |followers| followers.go_back(partition.id(), offset))
    }

    fn order(&mut self, order: MetaOrder) -> Result<MetaDone> {
        Common::order(self, order)
    }

    fn read(&mut self, seat: &Arc<Seat>, cursor: &mut Cursor) -> Result<Batch> {
        Source::new(Arc::clone(seat), Arc::clone(&self.lender), Arc::clone(&self.gate)).read(cursor, 1)
    }
}

/// A truncation of one partition. There is one at a time.
pub(crate) struct Truncation<'a, O> {
    pub(crate) seat: &'a Arc<Seat>,
    pub(crate) lender: &'a Lender,
    pub(crate) others: O,
}

/// Appends that are held up until this goes.
struct Held<'a> {
    seat: &'a Seat,
    partition: &'a Partition,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // One whose place was taken stays shut: whoever still comes to it goes on in its successor.
        if core::ptr::eq(&*self.seat.current(), self.partition) {
            self.partition.tail().resume();
        }
        self.seat.release();
    }
}

impl TopicState {
    pub(crate) fn truncate_before(&self, index: u32, offset: u64) -> Result<()> {
        if offset > LOG_START_MAX {
            let message = format!("offset {offset} is beyond {LOG_START_MAX}, the highest that a log can begin at");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let _changing = self.changing.lock();
        self.check_change()?;
        self.truncation(index)?.before(offset)
    }

    pub(crate) fn truncate_after(&self, index: u32, offset: u64) -> Result<()> {
        let _changing = self.changing.lock();
        self.check_change()?;
        let _cutting = self.common.cutting();
        self.truncation(index)?.after(offset)
    }

    fn truncation(&self, index: u32) -> Result<Truncation<'_, &Common>> {
        let others = &*self.common;
        Ok(Truncation { seat: self.seat(index)?, lender: &others.lender, others })
    }
}

impl<O: Others> Truncation<'_, O> {
    /// Moves the start of the log to `offset`.
    pub(crate) fn before(&mut self, offset: u64) -> Result<()> {
        let partition = self.seat.current();
        let damaged = !partition.damaged().is_empty();
        if let Some(error) = partition.watermark().failure().filter(|_| !damaged) {
            return Err(partition.named(error.clone()));
        }
        if offset <= partition.log_start() {
            return Ok(());
        }
        if damaged || offset >= partition.tail().next_offset() {
            let held = hold(self.seat, &partition);
            self.settle(&partition, Reach::All)?;
            if damaged || offset >= partition.tail().next_offset() {
                let removed = self.order(MetaOrder::TruncateBefore { partition: partition.id(), offset })?;
                let kept = without(&partition, &removed);
                self.replace(&held, kept, offset, offset.max(partition.tail().next_offset()), u64::MAX);
                drop(held);
                self.recycle(removed);
                return Ok(());
            }
        }
        self.settle(&partition, Reach::Ended(offset))?;
        let removed = self.order(MetaOrder::TruncateBefore { partition: partition.id(), offset })?;
        let gone = partition.chain().segments();
        partition.begin_at(offset, &removed);
        for segment in gone.iter().filter(|segment| removed.contains(&segment.generation)) {
            self.forget(segment);
        }
        tell(&partition, &partition);
        self.recycle(removed);
        Ok(())
    }

    /// Moves the end of the log to `offset`.
    pub(crate) fn after(&mut self, offset: u64) -> Result<()> {
        let partition = self.seat.current();
        if let Some(error) = partition.watermark().failure() {
            return Err(partition.named(error.clone()));
        }
        check_end(&partition, offset)?;
        let held = hold(self.seat, &partition);
        self.settle(&partition, Reach::All)?;
        check_end(&partition, offset)?;
        if offset == partition.tail().next_offset() {
            return Ok(());
        }
        let cut = self.cut_at(&partition, offset)?;
        // Before the cut: what comes to stand there later is never taken for what was read.
        self.others.go_back(&partition, offset)?;
        let end = cut.as_ref().map(|(segment, end)| (segment.generation, *end));
        let order = MetaOrder::TruncateAfter { partition: partition.id(), offset, end };
        let removed = self.order(order)?;
        let mut kept = without(&partition, &removed);
        if let (Some((before, end)), Some(last)) = (cut, kept.last_mut()) {
            *last = Arc::new(Segment::sealed(
                before.partition,
                before.sequence,
                before.generation,
                before.base_offset,
                before.base_time,
                before.capacity,
                Prefix { position: end.position, offset: end.offset },
                end.time,
            ));
        }
        self.replace(&held, kept, partition.log_start(), offset, offset);
        drop(held);
        self.recycle(removed);
        Ok(())
    }

    /// The segment that reaches beyond `offset`, and where it has to end. `None`: every segment ends or begins there.
    fn cut_at(&mut self, partition: &Partition, offset: u64) -> Result<Option<(Arc<Segment>, SegmentEnd)>> {
        let segments = partition.chain().segments();
        let Some(last) = segments.iter().rfind(|segment| segment.base_offset < offset) else { return Ok(None) };
        if offset == partition.log_start() || last.published().offset == offset {
            return Ok(None);
        }
        let mut cursor = Cursor::new(offset - 1);
        // The one before the cut, or across it.
        let batch = self.others.read(self.seat, &mut cursor)?;
        let (base, next) = batch.bounds().unwrap_or((partition.tail().next_offset(), u64::MAX));
        if base < offset && offset < next {
            let before = base.max(partition.log_start());
            let message = format!(
                "{partition}: offset {offset} lies in the batch of offsets {base}..{next}, which is there whole or not \
                 at all; cut at {before} or {next}"
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        if offset < base {
            let message = format!("{partition}: offset {offset} lies where no batch begins or ends; cut at {base}");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let time = batch.iter().next().map_or(last.base_time, |record| record.append_time);
        let behind = cursor.position().unwrap_or(last.published().position);
        // Offsets before the cut may have no records; then what was read lies behind it.
        let position = if base == offset { behind - batch.size() as u64 } else { behind };
        Ok(Some((Arc::clone(last), SegmentEnd { position, offset, time })))
    }

    fn settle(&mut self, partition: &Partition, reach: Reach) -> Result<()> {
        let answered = self.others.settle(partition, reach);
        match partition.watermark().failure() {
            Some(error) if partition.damaged().is_empty() => Err(partition.named(error.clone())),
            _ if !answered => Err(crate::gate::closed()),
            _ => Ok(()),
        }
    }

    fn order(&mut self, order: MetaOrder) -> Result<Vec<Generation>> {
        match self.others.order(order)? {
            MetaDone::Truncated { removed } => Ok(removed),
            _ => Err(Error::new(ErrorKind::Panic, "the answer to a truncation is another's")),
        }
    }

    /// Has another incarnation go on at `next_offset`. It agrees with the one before below `cut`.
    fn replace(&self, held: &Held<'_>, kept: Vec<Arc<Segment>>, log_start: u64, next_offset: u64, cut: u64) {
        let before = held.partition;
        let end = TailStart {
            partition: before.id(),
            durability: before.watermark().durability(),
            next_offset,
            last_time: before.tail().last_time(),
        };
        let gone = before.chain().segments();
        held.seat.replace(before.successor(kept.clone(), log_start, end), cut);
        before.end(cut);
        // Whoever still reads there finds out first that the log was cut, and then that the file is closed.
        for segment in gone.iter().filter(|segment| !kept.iter().any(|kept| Arc::ptr_eq(kept, segment))) {
            self.forget(segment);
        }
        tell(before, &held.seat.current());
    }

    fn forget(&self, segment: &Segment) {
        self.lender.forget(segment);
        // An open file keeps its space even when it is removed.
        segment.set_file(None);
    }

    /// The truncation is durable: what this cannot free, the next open does.
    fn recycle(&mut self, generations: Vec<Generation>) {
        if !generations.is_empty() {
            let _freed_at_the_next_open = self.others.order(MetaOrder::RecycleSegments { generations });
        }
    }
}

fn hold<'a>(seat: &'a Seat, partition: &'a Partition) -> Held<'a> {
    partition.hold();
    Held { seat, partition }
}

fn check_end(partition: &Partition, offset: u64) -> Result<()> {
    let (start, next) = (partition.log_start(), partition.tail().next_offset());
    if (start..=next).contains(&offset) {
        return Ok(());
    }
    let message = format!("the log cannot be cut at offset {offset}; it has offsets {start}..{next}");
    Err(partition.named(Error::new(ErrorKind::OutOfRange, message)))
}

fn without(partition: &Partition, removed: &[Generation]) -> Vec<Arc<Segment>> {
    let segments = partition.chain().segments();
    segments.iter().filter(|segment| !removed.contains(&segment.generation)).cloned().collect()
}

fn tell(partition: &Partition, now: &Partition) {
    let id = partition.id();
    partition.raise(|events| EventKind::Truncated {
        topic: events.name_of(id.topic),
        partition: id.partition,
        log_start: now.log_start(),
        next_offset: now.tail().next_offset(),
    });
}
