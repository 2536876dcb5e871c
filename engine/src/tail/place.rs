//! Finding the place of a frame: in the open block, in a new one, in the next segment; and the pads between.

use super::Tail;
use super::room::Refusal;
use super::state::{Current, Open, State};
use crate::buffer::{Block, Share, Shortage};
use crate::error::{Error, ErrorKind};
use crate::format::frame::{self, HEADER_SIZE, Place, Stamp};
use crate::ids::Generation;
use crate::limits::{BATCH_IN_BLOCK_MAX, BLOCK_MIN, INDEX_INTERVAL, SECTOR};
use crate::segment::{NEVER, PreparedSegment, SEGMENT_DATA_START, Segment};
use crate::sync::{Arc, Ordering};

/// What is to be placed.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub size: usize,
    pub count: u16,
    /// Append time.
    pub time: i64,
    /// It will be completed later, so it takes a slot.
    pub reserve: bool,
    /// The offset that it has to begin at.
    pub base_offset: Option<u64>,
}

/// Bytes of frames that a prepared segment can hold.
pub(super) fn holds(prepared: &PreparedSegment) -> u64 {
    prepared.capacity.saturating_sub(SEGMENT_DATA_START)
}

/// The sector boundary at which frames ending at `position` end once they are padded: the next one, or the one after
/// it where a pad would have no room for its header.
pub(super) fn padded(position: u64) -> u64 {
    let boundary = position.next_multiple_of(SECTOR);
    if leaves_room(boundary - position) { boundary } else { boundary + SECTOR }
}

/// Whether a gap can be closed by a pad, or need not be.
fn leaves_room(gap: u64) -> bool {
    gap == 0 || gap >= HEADER_SIZE as u64
}

impl Open {
    fn takes(&self, position: u64, size: usize) -> bool {
        let fits = self.end().checked_sub(position + size as u64).is_some_and(leaves_room);
        fits && size <= BATCH_IN_BLOCK_MAX && !self.own
    }
}

impl Tail {
    /// Sees to it that `frame` can be placed at the claimed position of the current segment, in its open block, and
    /// that nothing after this can fail. A refusal has claimed nothing.
    #[inline]
    pub(super) fn make_room(&self, state: &mut State, frame: Frame) -> Result<(), Refusal> {
        if state.failed.is_none()
            && frame.base_offset.is_none_or(|expected| expected == state.next_offset)
            && let Some(current) = &mut state.current
            && let Some(open) = &current.block
            && open.takes(current.position, frame.size)
            && current.segment.takes_offsets(state.next_offset, frame.count)
        {
            if !state.slots.suffice(Some(&current.segment), false, false, frame.reserve) {
                return Err(Refusal::Slots(self.events()));
            }
            if current.position >= current.index_due {
                current.index.reserve();
            }
            return Ok(());
        }
        self.make_new_room(state, frame)
    }

    #[cold]
    fn make_new_room(&self, state: &mut State, frame: Frame) -> Result<(), Refusal> {
        if let Some(error) = &state.failed {
            return Err(Refusal::Failed(error.clone()));
        }
        if let Some(expected) = frame.base_offset.filter(|expected| *expected != state.next_offset) {
            let message = format!("the append expects offset {expected}; the next one is {}", state.next_offset);
            return Err(Refusal::Failed(Error::new(ErrorKind::OffsetMismatch, message)));
        }
        if state.next_offset.checked_add(u64::from(frame.count)).is_none() {
            let message = format!("{} has used up its offsets", self.partition);
            return Err(Refusal::Failed(Error::new(ErrorKind::OutOfRange, message)));
        }
        let need = padded(frame.size as u64);
        match &state.current {
            Some(current)
                if current.segment.takes_offsets(state.next_offset, frame.count)
                    && padded(current.position) + need <= current.segment.capacity =>
            {
                self.open_block(state, frame, need)
            }
            _ => self.roll(state, frame, need),
        }
    }

    /// Goes on in a new block of the current segment.
    fn open_block(&self, state: &mut State, frame: Frame, need: u64) -> Result<(), Refusal> {
        let State { current: Some(current), slots, .. } = state else { unreachable!("there is a current segment") };
        let start = padded(current.position);
        if !slots.suffice(Some(&current.segment), start != current.position, false, frame.reserve) {
            return Err(Refusal::Slots(self.events()));
        }
        // A block that came to its end by being filled asks for a larger one.
        if current.block.as_ref().is_some_and(|open| !open.own) && !self.pool.pressure() {
            state.block_size.grow();
        }
        let generation = current.segment.generation;
        let room = current.segment.capacity - start;
        let open = self.take_block(state, generation, start, need, room)?;
        self.pad(state);
        let State { current: Some(current), .. } = state else { unreachable!("padding keeps the segment") };
        current.index.reserve();
        current.begin_block(open);
        self.look_ahead(state);
        Ok(())
    }

    /// Ends the current segment and goes on in the next.
    fn roll(&self, state: &mut State, frame: Frame, need: u64) -> Result<(), Refusal> {
        let Some(prepared) = state.prepared.take_if(|prepared| holds(prepared) >= need) else {
            return Err(self.wish_for(state, need));
        };
        let open = match self.begin_segment(state, frame, need, &prepared) {
            Ok(open) => open,
            Err(refusal) => {
                state.prepared = Some(prepared);
                return Err(refusal);
            }
        };
        self.pad(state);
        if let Some(current) = state.current.take() {
            current.segment.close(current.prefix(state.next_offset));
        }
        let segment = Arc::new(Segment::activate(prepared, self.partition, state.next_offset, frame.time));
        self.chain.push(&segment);
        self.active.update(|active| {
            let mut active = active.clone();
            active.push(Arc::clone(&segment));
            active
        });
        let index = segment.index().expect("a segment is activated with an index");
        index.reserve();
        let mut current =
            Current { segment, index, position: SEGMENT_DATA_START, index_due: 0, newest: NEVER, block: None };
        current.begin_block(open);
        state.current = Some(current);
        self.look_ahead(state);
        Ok(())
    }

    /// What a roll can be refused for.
    fn begin_segment(
        &self,
        state: &mut State,
        frame: Frame,
        need: u64,
        prepared: &PreparedSegment,
    ) -> Result<Open, Refusal> {
        let pads = state.current.as_ref().is_some_and(|current| padded(current.position) != current.position);
        let segment = state.current.as_ref().map(|current| &current.segment);
        if !state.slots.suffice(segment, pads, true, frame.reserve) {
            return Err(Refusal::Slots(self.events()));
        }
        self.take_block(state, prepared.generation, SEGMENT_DATA_START, need, holds(prepared))
    }

    /// A block at `start` for a frame that needs `need` bytes, where `room` bytes are left.
    fn take_block(
        &self,
        state: &mut State,
        generation: Generation,
        start: u64,
        need: u64,
        room: u64,
    ) -> Result<Open, Refusal> {
        let own = need > padded(BATCH_IN_BLOCK_MAX as u64);
        let need = usize::try_from(need).expect("a frame fits memory");
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let mut size = if own { need } else { state.block_size.bytes().max(need).min(room) };
        let since = self.pool.released();
        loop {
            let shortage = match Block::take(&self.pool, Share::Appender, generation, start, size) {
                Ok(block) => return Ok(Open { block, own }),
                Err(shortage) => shortage,
            };
            if size == need {
                return Err(match shortage {
                    Shortage::Share => Refusal::Memory(since),
                    Shortage::System => Refusal::NoMemory(size),
                });
            }
            size = (size / 4).next_multiple_of(SECTOR as usize).max(need);
            state.block_size.settle(size);
        }
    }

    /// Wishes for the next segment before this one is full.
    fn look_ahead(&self, state: &mut State) {
        let Some(current) = &state.current else { return };
        let ahead = current.block.as_ref().map_or(current.position, Open::end);
        if ahead >= current.segment.capacity / 4 * 3 && state.prepared.is_none() {
            self.wish.fetch_max(BLOCK_MIN as u64, Ordering::AcqRel);
        }
    }

    fn wish_for(&self, state: &mut State, need: u64) -> Refusal {
        self.wish.fetch_max(need, Ordering::AcqRel);
        state.needed = true;
        match &state.not_offered {
            Some((_, error)) if !state.told => {
                state.told = true;
                Refusal::Full(self.events(), error.clone())
            }
            _ => Refusal::Segment(self.events()),
        }
    }

    /// Ends the claimed frames on a sector.
    pub(super) fn pad(&self, state: &mut State) {
        let stamp = self.stamp(state, state.last_time);
        let State { current: Some(current), slots, .. } = state else { return };
        let end = padded(current.position);
        if end == current.position {
            return;
        }
        let open = current.block.as_ref().expect("frames that end inside a sector end in the open block");
        assert!(end <= open.end(), "a block takes no frame that leaves no room for its pad");
        let at = (current.position - open.block.position()) as usize;
        // SAFETY: the range lies beyond the claimed end, and the append lock is held: nobody else has it.
        let bytes = unsafe { open.block.bytes_mut(at, (end - current.position) as usize) };
        frame::pad(bytes, &current.place(self.partition), &stamp);
        current.position = end;
        slots.complete_at_once(&current.segment, current.prefix(stamp.base_offset));
    }

    /// What only the append lock knows of a frame that is claimed now.
    #[inline]
    pub(super) fn stamp(&self, state: &State, append_time: i64) -> Stamp {
        Stamp { base_offset: state.next_offset, append_time, durable: Some(self.watermark.durable()) }
    }
}

impl Current {
    /// The place of a frame at the claimed end.
    #[inline]
    pub(super) fn place(&self, partition: crate::ids::PartitionId) -> Place {
        Place {
            partition,
            generation: self.segment.generation,
            position: self.position,
            segment_base: self.segment.base_offset,
        }
    }

    fn begin_block(&mut self, open: Open) {
        debug_assert_eq!(self.position, open.block.position(), "a block begins at the claimed end");
        self.segment.push_block(&open.block);
        self.index_due = self.position;
        self.block = Some(open);
    }

    /// Moves the claimed end over a frame that stands there, whose latest timestamp is `newest`.
    #[inline]
    pub(super) fn advance(&mut self, size: usize, stamp: &Stamp, newest: i64) {
        if self.position >= self.index_due {
            self.index_frame(stamp);
        }
        self.position += size as u64;
        self.segment.set_last_time(stamp.append_time);
        self.newest = self.newest.max(newest);
        self.segment.set_newest(self.newest);
    }

    #[cold]
    fn index_frame(&mut self, stamp: &Stamp) {
        let relative = u32::try_from(stamp.base_offset - self.segment.base_offset).expect("a segment rolls in time");
        let starts = self.block.as_ref().is_some_and(|open| open.block.position() == self.position);
        self.index.push(crate::segment::IndexEntry::new(relative, self.position, starts, self.newest));
        self.index_due = self.position + INDEX_INTERVAL;
    }
}
