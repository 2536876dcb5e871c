//! Step 6: what was accepted becomes durable in its segment. Idempotent: the journal stays as it is until the commit.

use std::io;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{self, HEADER_SIZE, Place, Stamp};
use crate::ids::PartitionId;
use crate::io::{File, OpenMode, write_full};
use crate::limits::SECTOR;
use crate::manifest::{Scratch, Segment, SegmentEnd, names};
use crate::recovery::bytes::{Plain, Source, WINDOW};
use crate::recovery::examine::{Bench, Finding, Outcome};
use crate::recovery::frames::Frames;
use crate::recovery::notes::Notes;
use crate::recovery::overlay::Overlaid;
use crate::recovery::table::Row;
use crate::sim::bugs::{self, Bug};

/// A segment whose bytes are made durable.
struct Task<'a> {
    id: PartitionId,
    segment: &'a Segment,
    from: SegmentEnd,
    mark: SegmentEnd,
    end: SegmentEnd,
    /// The end is padded to the sector. Not behind damage: what stands there may yet be rescued.
    pad: bool,
}

impl Bench<'_> {
    /// Makes a partition's accepted bytes durable, and moves the ends of its segments behind their pads. A failure
    /// makes the partition unavailable, and no other.
    pub(super) fn settle(&mut self, finding: &mut Finding, notes: &Notes) {
        let pad = finding.damage.is_none() && finding.unavailable.is_none();
        for found in &mut finding.segments {
            let Outcome::Accepted { end, from, mark } = &mut found.outcome else { continue };
            let task = Task { id: finding.id, segment: &found.segment, from: *from, mark: *mark, end: *end, pad };
            match self.settle_segment(&task, notes) {
                Ok(padded) => *end = padded,
                Err(error) => {
                    finding.unavailable = Some(error.context(finding.id));
                    finding.damage = None;
                    return;
                }
            }
        }
        finding.settled = true;
    }

    fn settle_segment(&mut self, task: &Task<'_>, notes: &Notes) -> Result<SegmentEnd> {
        let ranges = notes.ranges_of(task.segment.generation);
        let overlaid = ranges.first().is_some_and(|range| range.position < task.end.position);
        let unaligned = task.pad && !task.end.position.is_multiple_of(SECTOR);
        if !overlaid && !unaligned && task.end.position <= task.from.position {
            return Ok(task.end);
        }
        let path = names::segment(task.id, task.segment.sequence);
        let file = self.disk.open(&path, OpenMode::Write);
        let file = file.map_err(|e| Error::os(format_args!("opening {path}"), &e))?;
        let limit = task.segment.capacity / SECTOR * SECTOR;
        let mut source = Overlaid::new(Arc::clone(&file), limit, ranges, self.journals, self.cache);
        let destaged = destage(&mut source, &*file, task);
        let (wrote, end) = destaged.map_err(|e| {
            self.rows.hit(Row::DestageFailed);
            Error::os(format_args!("writing {path}"), &e)
        })?;
        if overlaid {
            self.rows.hit(if wrote { Row::OverlayDestaged } else { Row::OverlayAlreadyThere });
        }
        if end.position > task.end.position {
            self.rows.hit(Row::TailPadded);
        }
        flush(&*file).map_err(|e| {
            self.rows.hit(Row::FlushFailed);
            Error::os(format_args!("making {path} durable"), &e)
        })?;
        self.rows.hit(Row::SegmentFlushed);
        if wrote {
            self.read_back(task, file, end, limit)?;
        }
        Ok(end)
    }

    /// The journal is given up on the strength of what the segment holds now, so that is looked at.
    fn read_back(&mut self, task: &Task<'_>, file: Arc<dyn File>, end: SegmentEnd, limit: u64) -> Result<()> {
        self.window.reset();
        let mut source = Plain::new(file, end.position.next_multiple_of(SECTOR).min(limit));
        let mut frames = Frames { partition: task.id, segment: task.segment, source: &mut source, window: self.window };
        let found = frames.scan(task.mark, Some(end.offset), u64::MAX).end;
        if found.position >= end.position && found.offset == end.offset || bugs::active(Bug::AcceptBeyondHole) {
            return Ok(());
        }
        self.rows.hit(Row::DestageUnverified);
        let why = "a segment does not read back as it was written from the journal";
        Err(Error::new(ErrorKind::Io, why))
    }
}

fn flush(file: &dyn File) -> io::Result<()> {
    if bugs::active(Bug::PublishBeforeFlush) {
        return Ok(());
    }
    let flushed = file.sync();
    if flushed.is_err() && bugs::active(Bug::TrustRetriedSync) {
        return file.sync();
    }
    flushed
}

/// Writes overlaid bytes up to the end, and the pad behind it. Whether anything had to be written, and the end.
fn destage(source: &mut Overlaid<'_>, file: &dyn File, task: &Task<'_>) -> io::Result<(bool, SegmentEnd)> {
    let end = task.end.position;
    let tail = if task.pad { end / SECTOR * SECTOR } else { end.next_multiple_of(SECTOR) };
    let mut merged = Scratch::zeroed(WINDOW).map_err(io::Error::other)?;
    let mut there = Scratch::zeroed(WINDOW).map_err(io::Error::other)?;
    let mut wrote = false;
    let mut position = task.mark.position / SECTOR * SECTOR;
    while position < tail {
        let size = (tail - position).min(WINDOW as u64);
        if source.covers_any(position, position + size) {
            let merged = &mut merged.bytes_mut()[..size as usize];
            source.fill(position, merged)?;
            let there = &mut there.bytes_mut()[..size as usize];
            let known = source.fill_raw(position, there).is_ok();
            wrote |= write_changed(source, file, position, merged, known.then_some(&*there))?;
        }
        position += size;
    }
    if !task.pad || end.is_multiple_of(SECTOR) {
        return Ok((wrote, task.end));
    }
    let Some(size) = padded_size(end, source.limit()) else { return Ok((wrote, task.end)) };
    let merged = &mut merged.bytes_mut()[..size];
    source.fill(tail, merged)?;
    let there = &mut there.bytes_mut()[..size];
    let known = source.fill_raw(tail, there).is_ok();
    pad(merged, tail, task);
    if !known || merged != there {
        write_full(file, tail, merged, false)?;
        wrote = true;
    }
    Ok((wrote, SegmentEnd { position: tail + size as u64, ..task.end }))
}

/// Sectors from the one that holds `end` up to the end of its pad. A gap too small for a header takes one more.
fn padded_size(end: u64, limit: u64) -> Option<usize> {
    let start = end / SECTOR * SECTOR;
    let size = if end - start + HEADER_SIZE as u64 <= SECTOR { SECTOR } else { 2 * SECTOR };
    (start + size <= limit).then_some(size as usize)
}

fn pad(sectors: &mut [u8], start: u64, task: &Task<'_>) {
    let place = Place {
        partition: task.id,
        generation: task.segment.generation,
        position: task.end.position,
        segment_base: task.segment.base_offset,
    };
    // The same bytes whenever recovery is repeated: nothing in them depends on when it runs.
    let stamp = Stamp { base_offset: task.end.offset, append_time: task.end.time.max(0), durable: None };
    frame::pad(&mut sectors[(task.end.position - start) as usize..], &place, &stamp);
}

/// Writes the sectors that ranges touch and that the file does not hold already: one that holds what it should is
/// never written again.
fn write_changed(
    source: &Overlaid<'_>,
    file: &dyn File,
    start: u64,
    merged: &[u8],
    there: Option<&[u8]>,
) -> io::Result<bool> {
    let sector = SECTOR as usize;
    let changed = |i: usize| {
        let at = i * sector..(i + 1) * sector;
        let position = start + at.start as u64;
        source.covers_any(position, position + SECTOR) && there.is_none_or(|there| merged[at.clone()] != there[at])
    };
    let count = merged.len() / sector;
    let mut wrote = false;
    let mut i = 0;
    while i < count {
        let run = (i..count).take_while(|i| changed(*i)).count();
        if run > 0 {
            let bytes = &merged[i * sector..(i + run) * sector];
            write_full(file, start + (i * sector) as u64, bytes, false)?;
            wrote = true;
        }
        i += run + 1;
    }
    Ok(wrote)
}
