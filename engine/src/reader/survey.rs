//! Going through all frames of a segment, as they are on the device: for verification, and for people who look.

use std::ops::ControlFlow;

use super::check::Damage;
use super::cold::{damage_of, extent_of, first_offset, request, take};
use super::extent::{Extent, Look};
use super::lender::{Found, Lender, full, resident};
use crate::buffer::Share;
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{self, FrameError, Header};
use crate::partition::{Partition, Seat};
use crate::segment::{Index, Prefix, SEGMENT_DATA_START, Segment};
use crate::sync::Arc;

/// What stands at a position.
pub(crate) enum Surveyed<'a> {
    Frame(u64, Header),
    Damage(&'a Damage),
    /// The file or the device did not give what lies between these offsets.
    Refused(u64, u64, Error),
}

impl Surveyed<'_> {
    /// The offsets that it stands for.
    fn offsets(&self) -> (u64, u64) {
        match self {
            Surveyed::Frame(_, header) => (header.base_offset, header.end_offset()),
            Surveyed::Damage(damage) => (damage.first, damage.next),
            Surveyed::Refused(first, next, _) => (*first, *next),
        }
    }
}

type Visit<'a> = &'a mut dyn FnMut(Surveyed<'_>) -> ControlFlow<()>;

impl Lender {
    /// Goes through the visible frames of a partition from the one that holds `offset`, until `visit` breaks off. What
    /// a truncation cuts off meanwhile is passed over, and what comes in its place is seen.
    pub(crate) fn survey(
        &self,
        seat: &Seat,
        offset: u64,
        visit: &mut dyn FnMut(&Segment, Surveyed<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut next = offset;
        loop {
            let partition = seat.current();
            let start = partition.log_start();
            let cut = match self.survey_incarnation(&partition, &mut next, visit) {
                Err(error) if matches!(error.kind(), ErrorKind::Truncated | ErrorKind::OutOfRange) => error,
                result => return result,
            };
            let now = seat.current();
            if Arc::ptr_eq(&now, &partition) && now.log_start() == start {
                return Err(cut);
            }
            next = next.min(seat.agree_below(partition.tail().epoch())).max(now.log_start());
        }
    }

    /// As [`survey`](Lender::survey), for as long as no truncation interferes. `next` moves along.
    fn survey_incarnation(
        &self,
        partition: &Partition,
        next: &mut u64,
        visit: &mut dyn FnMut(&Segment, Surveyed<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        for segment in partition.chain().segments().iter() {
            if segment.published().offset <= *next && segment.published().offset > segment.base_offset {
                continue;
            }
            let from = *next;
            let flow = self.survey_segment(partition, segment, from, &mut |surveyed| {
                let (first, end) = surveyed.offsets();
                if end <= from && first < from {
                    return ControlFlow::Continue(());
                }
                *next = end.max(*next);
                visit(segment, surveyed)
            })?;
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Goes through the visible frames of a segment from the block that holds `offset`. Blocks that the device
    /// holds whole are read from there, past the cache; the others are looked at in memory.
    fn survey_segment(
        &self,
        partition: &Partition,
        segment: &Arc<Segment>,
        offset: u64,
        visit: Visit<'_>,
    ) -> Result<ControlFlow<()>> {
        let limit = partition.visible(segment);
        let mut index = match self.index_now(partition, segment) {
            Ok(index) => index,
            Err(error) => return refused(error, visit),
        };
        let relative = u32::try_from(offset.saturating_sub(segment.base_offset)).unwrap_or(u32::MAX);
        let mut position = index.lookup_offset(relative).map_or(SEGMENT_DATA_START, |entry| entry.position());
        while position < limit.position {
            let flow = match extent_of(segment, &index, position, limit) {
                Some((start, end)) => {
                    // Blocks are read together with their neighbours, some of which were passed already.
                    let from = position;
                    let mut beyond = |surveyed: Surveyed<'_>| match &surveyed {
                        Surveyed::Frame(at, _) if *at < from => ControlFlow::Continue(()),
                        Surveyed::Damage(damage) if damage.start < from => ControlFlow::Continue(()),
                        _ => visit(surveyed),
                    };
                    let read = self.survey_extent(partition, segment, &index, (start, end), &mut beyond)?;
                    position = end.position;
                    let Some(flow) = read else {
                        // The index led astray and was made anew.
                        (index, position) = (self.index_now(partition, segment)?, from);
                        continue;
                    };
                    flow
                }
                None => {
                    let Some((block, end)) = resident(segment, position, limit.position) else { break };
                    let from = (position - block.position()) as usize;
                    // SAFETY: frames below the visible prefix never change again.
                    let bytes = unsafe { block.bytes(from, (end - position) as usize) };
                    let flow = frames(bytes, segment, position, visit);
                    position = end;
                    flow
                }
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// `None`: there was damage, and the index that led to it was wrong.
    fn survey_extent(
        &self,
        partition: &Partition,
        segment: &Arc<Segment>,
        index: &Index,
        (start, end): (u64, Prefix),
        visit: Visit<'_>,
    ) -> Result<Option<ControlFlow<()>>> {
        let block = take(self, Share::Cache, segment, start, end.position)
            .or_else(|_| take(self, Share::Reserve, segment, start, end.position));
        let extent = Arc::new(Extent::loading(block.map_err(|why| full(partition, why))?, end));
        request(partition, segment, &extent);
        extent.wait(None);
        let size = match extent.look() {
            Ok(Look::Check(size)) => size,
            Ok(_) => return Err(Error::new(ErrorKind::Panic, "an extent of one's own is checked by nobody else")),
            Err(error) => {
                let first = first_offset(segment, index, &extent);
                return refused(partition.unreadable(error, first..end.offset), visit).map(Some);
            }
        };
        // SAFETY: the read is over, and nobody writes the block again.
        let bytes = unsafe { extent.block.bytes(0, size.min(extent.size())) };
        let damage = damage_of(segment, index, &extent, bytes);
        if !damage.is_empty() {
            while let Found::Wait(goal) = self.distrust_if_readable(partition, segment)? {
                goal.wait(None);
            }
            if segment.index().is_some_and(|now| !now.iter().eq(index.iter())) {
                return Ok(None);
            }
        }
        let mut position = start;
        for damage in &damage {
            let whole = (position - start) as usize..(damage.start - start) as usize;
            if frames(&bytes[whole], segment, position, visit).is_break() || visit(Surveyed::Damage(damage)).is_break()
            {
                return Ok(Some(ControlFlow::Break(())));
            }
            position = damage.end;
        }
        let rest = bytes.get((position - start) as usize..).unwrap_or_default();
        Ok(Some(frames(rest, segment, position, visit)))
    }
}

/// Shows what the device did not give, and goes on; an error that names no offsets ends the survey.
fn refused(error: Error, visit: Visit<'_>) -> Result<ControlFlow<()>> {
    match error.damaged().map(|range| (range.start, range.end)) {
        Some((first, next)) => Ok(visit(Surveyed::Refused(first, next, error))),
        None => Err(error),
    }
}

fn frames(bytes: &[u8], segment: &Segment, mut position: u64, visit: Visit<'_>) -> ControlFlow<()> {
    let mut rest = bytes;
    while let Some(header) = frame::trusted(rest, segment.base_offset) {
        let Some(behind) = rest.get(header.size as usize..) else { break };
        visit(Surveyed::Frame(position, Header { term: frame::trusted_term(rest, &header), ..header }))?;
        position += u64::from(header.size);
        rest = behind;
    }
    ControlFlow::Continue(())
}

impl Damage {
    /// Why, for people.
    pub(crate) fn reason(&self) -> String {
        match &self.why {
            FrameError::Incomplete { .. } => "the file ends here".into(),
            why => why.to_string(),
        }
    }
}
