//! A shard's journal: small durable writes of many partitions, packed into one.
//!
//! Several fixed, pre-written files are filled in turn. A file begins with a header that goes to the device together
//! with the file's first write. A file is used again only when all its ranges are durable in their segments *and* a
//! durable checkpoint lets recovery begin behind it. The journal is only an optimisation: while it has no room, or
//! after it failed, ranges go straight to their segments.

mod file;
mod write;

pub(crate) use file::{FileState, JournalFile};
pub(crate) use write::{Pieces, Range};

use std::collections::VecDeque;
use std::sync::Arc;

use crate::buffer::Block;
use crate::format::journal::{JOURNAL_DATA_START, WatermarkEntry};
use crate::ids::{Generation, Lsn};
use crate::io::File;
use crate::limits::{JOURNAL_IN_FLIGHT_MAX, JOURNAL_RANGE_MAX, JOURNAL_WRITE_MAX, SECTOR};
use crate::sim::bugs::{self, Bug};
use write::InFlightWrite;

/// Who a journal belongs to; stands in every file's header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JournalIdentity {
    pub(crate) store: u64,
    /// The journal set that this open began (all shards share it).
    pub(crate) set: u64,
    pub(crate) shard: u32,
}

/// The journal of one shard. `Holder` is what the shard knows a user of the journal by.
pub(crate) struct Journal {
    identity: JournalIdentity,
    files: Vec<JournalFile>,
    active: Option<usize>,
    /// Number in the header of the file used last; every use takes the next.
    uses: u32,
    next: Lsn,
    /// Every write below is durable.
    durable: Lsn,
    in_flight: VecDeque<InFlightWrite>,
    staging: Vec<Arc<Block>>,
    /// The largest write: what a staging block holds. Bytes.
    write_max: usize,
    next_write: u64,
}

/// A journal write to issue: `size` bytes of `block`, from its beginning.
pub(crate) struct Issue {
    pub(crate) write: u64,
    pub(crate) lsn: Lsn,
    pub(crate) file: Arc<dyn File>,
    pub(crate) position: u64,
    pub(crate) block: Arc<Block>,
    pub(crate) size: usize,
}

/// What a completion of a journal write meant.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Holders whose ranges are durable now.
    pub(crate) durable: Vec<usize>,
    /// Holders whose ranges were lost with the file, and have to go to their segments before they are acknowledged.
    pub(crate) lost: Vec<(usize, Lsn)>,
}

impl Journal {
    /// A journal without files: [`accepts`](Journal::accepts) nothing until it gets some. `staging` blocks bound the
    /// writes in flight.
    pub(crate) fn new(identity: JournalIdentity, staging: Vec<Arc<Block>>) -> Journal {
        Journal {
            identity,
            files: Vec::new(),
            active: None,
            uses: 0,
            next: Lsn(1),
            durable: Lsn(1),
            in_flight: VecDeque::new(),
            write_max: staging.iter().map(|b| b.capacity()).min().unwrap_or(0).min(JOURNAL_WRITE_MAX),
            staging,
            next_write: 0,
        }
    }

    /// Takes a pre-written file into the rotation. A file holds two of the largest writes at least, so that not all of
    /// it stays unused at its end.
    pub(crate) fn add_file(&mut self, number: u32, file: Arc<dyn File>, size: u64) {
        let half = size / 2 / SECTOR * SECTOR;
        self.write_max = self.write_max.min(usize::try_from(half).unwrap_or(usize::MAX));
        assert!(self.write_max >= 2 * JOURNAL_RANGE_MAX, "a journal write holds the largest range and its table");
        self.files.push(JournalFile::new(number, file, size));
    }

    pub(crate) fn files(&self) -> &[JournalFile] {
        &self.files
    }

    /// Whether a write could be issued now.
    pub(crate) fn accepts(&self) -> bool {
        self.in_flight.len() < JOURNAL_IN_FLIGHT_MAX && !self.staging.is_empty() && self.usable()
    }

    /// Whether there is a file with room for any write, now or when the ones in flight have landed.
    pub(crate) fn usable(&self) -> bool {
        self.active.is_some_and(|a| self.files[a].room() >= self.write_max as u64)
            || self.files.iter().any(|f| f.state == FileState::Free)
    }

    /// Whether everything below `lsn` is durable.
    pub(crate) fn is_durable(&self, lsn: Lsn) -> bool {
        if bugs::active(Bug::AckBeforeWrite) {
            return true;
        }
        if bugs::active(Bug::JournalOutOfOrder) {
            return lsn < self.next && !self.in_flight.iter().any(|w| w.lsn == lsn && !w.done);
        }
        lsn < self.durable
    }

    /// Packs ranges and watermarks into one write. Takes from the front of both as many as fit; `None` if nothing
    /// could be taken. The ranges' bytes are copied here, so their blocks are free to go on.
    pub(crate) fn write(
        &mut self,
        ranges: &mut VecDeque<Range>,
        watermarks: &mut VecDeque<WatermarkEntry>,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<(Issue, Vec<Range>)> {
        if !self.accepts() || (ranges.is_empty() && watermarks.is_empty()) {
            return None;
        }
        let file = self.file_for_next_write(random)?;
        let block = self.staging.pop().expect("accepts() saw a staging buffer");
        let lsn = self.next;
        let at = if self.files[file].needs_header { JOURNAL_DATA_START as usize } else { 0 };
        // SAFETY: a staging block belongs to the journal alone while no write of it is in flight.
        let bytes = unsafe { block.bytes_mut(0, self.write_max) };
        if at > 0 {
            self.files[file].write_header(self.identity, &mut bytes[..at]);
        }
        let position = self.files[file].position;
        let (size, taken) = write::pack(
            &mut bytes[at..],
            ranges,
            watermarks,
            write::Stamp {
                file: self.files[file].header(self.identity),
                lsn,
                durable: Lsn(self.durable.0 - 1),
                position: position + at as u64,
            },
        );
        let size = at + size;
        let target = &mut self.files[file];
        target.needs_header = false;
        target.position += size as u64;
        target.end = lsn.next();
        let holders: Vec<usize> = taken.iter().map(|r| r.holder).collect();
        self.next = lsn.next();
        self.next_write += 1;
        self.in_flight.push_back(InFlightWrite {
            write: self.next_write,
            lsn,
            number: target.number,
            holders,
            done: false,
        });
        let issue = Issue { write: self.next_write, lsn, file: Arc::clone(&target.file), position, block, size };
        Some((issue, taken))
    }

    /// The file that `lsn`'s range went to holds bytes of `holder` until [`release`](Journal::release).
    pub(crate) fn active_number(&self) -> Option<u32> {
        self.active.map(|a| self.files[a].number)
    }

    /// One more segment relies on a file.
    pub(crate) fn retain(&mut self, number: u32, holder: usize) {
        if let Some(file) = self.files.iter_mut().find(|f| f.number == number) {
            file.references += 1;
            file.holders.push(holder);
        }
    }

    /// A segment no longer relies on a file: its bytes there are durable in the segment.
    pub(crate) fn release(&mut self, number: u32) {
        if let Some(file) = self.files.iter_mut().find(|f| f.number == number) {
            file.references = file.references.saturating_sub(1);
        }
    }

    /// The number of the file that a write in flight goes to.
    pub(crate) fn file_of(&self, write: u64) -> Option<u32> {
        self.in_flight.iter().find(|w| w.write == write).map(|w| w.number)
    }

    /// A write completed. Writes are acknowledged in the order of their numbers.
    pub(crate) fn complete(&mut self, write: u64, block: Arc<Block>, ok: bool) -> Outcome {
        let mut outcome = Outcome::default();
        self.staging.push(block);
        let Some(at) = self.in_flight.iter().position(|w| w.write == write) else {
            return outcome; // Of a file that failed meanwhile.
        };
        if !ok {
            self.fail_from(at, &mut outcome);
        } else {
            self.in_flight[at].done = true;
        }
        while self.in_flight.front().is_some_and(|w| w.done) {
            let landed = self.in_flight.pop_front().expect("the front was just seen");
            self.durable = landed.lsn.next();
            outcome.durable.extend(landed.holders);
        }
        if bugs::active(Bug::JournalOutOfOrder) {
            outcome.durable.extend(self.in_flight.iter().filter(|w| w.done).flat_map(|w| w.holders.iter().copied()));
        }
        outcome
    }

    /// The write at `at` failed: it and all later ones are lost, their file is never used again, and the next file
    /// begins with the failed number.
    fn fail_from(&mut self, at: usize, outcome: &mut Outcome) {
        let lost = self.in_flight.split_off(at);
        let first = lost[0].lsn;
        for write in lost {
            if let Some(file) = self.files.iter_mut().find(|f| f.number == write.number) {
                file.state = FileState::Failed;
                file.end = file.end.min(first);
            }
            outcome.lost.extend(write.holders.into_iter().map(|h| (h, write.lsn)));
        }
        self.next = first;
        self.active = None;
    }

    /// The active file if the largest write fits, else the next free one.
    fn file_for_next_write(&mut self, random: &mut dyn FnMut() -> u64) -> Option<usize> {
        if let Some(active) = self.active
            && self.files[active].room() >= self.write_max as u64
        {
            return Some(active);
        }
        let free = self.files.iter().position(|f| f.state == FileState::Free)?;
        if let Some(old) = self.active.replace(free) {
            let early = bugs::active(Bug::FreeJournalEarly);
            self.files[old].state = if early { FileState::Free } else { FileState::Full };
            self.files[old].references *= u32::from(!early);
        }
        self.uses += 1;
        self.files[free].begin(self.uses, Generation(random()), self.next);
        Some(free)
    }

    /// Holders of bytes in full files that should be destaged so that the files come free: those of every full file
    /// but the newest, or of all if no free file is left. Each holder is named once per file.
    pub(crate) fn take_pressing_holders(&mut self) -> Vec<usize> {
        let newest = self.files.iter().filter(|f| f.state == FileState::Full).map(|f| f.uses).max();
        let none_free = !self.files.iter().any(|f| f.state == FileState::Free);
        let mut holders = Vec::new();
        for file in &mut self.files {
            if file.state == FileState::Full && (none_free || Some(file.uses) != newest) {
                holders.append(&mut file.holders);
            }
        }
        holders
    }

    /// Whether a checkpoint from [`first_needed`](Journal::first_needed) frees a file.
    pub(crate) fn has_released_files(&self) -> bool {
        let lsn = self.first_needed();
        self.files.iter().any(|f| f.is_freed_by(lsn))
    }

    /// The first number that recovery still needs.
    pub(crate) fn first_needed(&self) -> Lsn {
        self.files
            .iter()
            .filter(|f| f.state != FileState::Free && !f.is_released() && f.first < f.end)
            .map(|f| f.first)
            .chain(self.in_flight.front().map(|w| w.lsn))
            .min()
            .unwrap_or(self.next)
    }

    /// A checkpoint that begins at `lsn` is durable: released files below it are free. Returns the failed ones among
    /// them, which leave the rotation.
    pub(crate) fn checkpointed(&mut self, lsn: Lsn) -> Vec<u32> {
        let mut gone = Vec::new();
        for file in &mut self.files {
            if file.is_freed_by(lsn) {
                file.references = 0;
                file.holders.clear();
                if file.state == FileState::Full {
                    file.state = FileState::Free;
                } else {
                    gone.push(file.number);
                }
            }
        }
        for &number in &gone {
            self.remove_file(number);
        }
        gone
    }

    /// What to record of a file so that it may stay, outside of the rotation; `None` while it takes writes, or one of
    /// them is in flight: what is recorded counts as durable.
    pub(crate) fn keep(&self, number: u32) -> Option<(Generation, Lsn, Lsn)> {
        let file = self.files.iter().find(|f| f.number == number)?;
        let still = !self.in_flight.iter().any(|w| w.number == number);
        (still && matches!(file.state, FileState::Full | FileState::Failed)).then_some((
            file.generation,
            file.first,
            file.end,
        ))
    }

    /// Takes a full or failed file out of the rotation for good.
    pub(crate) fn remove_file(&mut self, number: u32) -> Option<JournalFile> {
        let at = self.files.iter().position(|f| f.number == number)?;
        match self.active {
            Some(active) if active == at => self.active = None,
            Some(active) if active > at => self.active = Some(active - 1),
            _ => {}
        }
        Some(self.files.remove(at))
    }

    /// The number of the next write. For tests.
    #[cfg(test)]
    pub(crate) fn next_lsn(&self) -> u64 {
        self.next.0
    }

    /// Writes in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }
}
