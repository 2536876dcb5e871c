//! A commit: the edits that count together, in two copies one behind the other.
//!
//! Both are of one write, so that the second costs no operation of the device; and no sector holds bytes of both, so
//! that one that rots or cannot be read costs nothing.

use core::ops::Range;

use super::{Edit, EditError, Logged, append_edit, append_padding, parse_edit};
use crate::limits::SECTOR;
use crate::sim::bugs::{self, Bug};

const SECTOR_SIZE: usize = SECTOR as usize;

/// A commit as it was read from a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// Without the padding that ends each copy.
    pub edits: Vec<Edit>,
    /// Number and checksum of the padding.
    pub sequence: u64,
    pub crc: u32,
    /// Bytes that both copies take in the log.
    pub size: usize,
    /// Sectors of either copy that are not what was written, as bytes from the commit's start.
    pub damaged: Vec<Range<usize>>,
}

/// Why bytes are not the next commit of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitError {
    /// The edit that cannot be read from either copy: its byte in the first one.
    pub at: usize,
    pub why: EditError,
}

/// Appends a commit to `log`, which ends at a sector, behind an edit with this number and checksum. Answers those of
/// its own last edit.
pub(crate) fn append_commit(log: &mut Vec<u8>, edits: &[Edit], mut sequence: u64, mut crc: u32) -> (u64, u32) {
    let start = log.len();
    assert!(start.is_multiple_of(SECTOR_SIZE), "a commit begins at a sector");
    for edit in edits {
        sequence += 1;
        crc = append_edit(log, edit, sequence, crc);
    }
    sequence += 1;
    crc = append_padding(log, sequence, crc);
    log.extend_from_within(start..);
    (sequence, crc)
}

/// Reads the commit at the start of `bytes`, behind an edit with this number and checksum. What cannot be read of one
/// copy is taken from the other, edit by edit.
pub(crate) fn read_commit(bytes: &[u8], sequence: u64, crc: u32) -> Result<Commit, CommitError> {
    let mut copies = Copies { bytes, distance: None, from_second: Vec::new() };
    let mut commit = Commit { edits: Vec::new(), sequence, crc, size: 0, damaged: Vec::new() };
    let mut at = 0;
    loop {
        let logged = copies.edit(at, commit.sequence + 1, commit.crc).map_err(|why| CommitError { at, why })?;
        (commit.sequence, commit.crc) = (logged.sequence, logged.crc);
        at += logged.size;
        if logged.edit == Edit::Padding {
            break;
        }
        commit.edits.push(logged.edit);
    }
    let size = at;
    let agree = copies.distance.is_none_or(|distance| distance == size);
    if !agree || !size.is_multiple_of(SECTOR_SIZE) {
        return Err(CommitError { at, why: EditError::Damaged });
    }
    if bytes.len() < 2 * size {
        return Err(CommitError { at, why: EditError::Incomplete { needed: 2 * size } });
    }
    commit.size = 2 * size;
    commit.damaged = copies.damaged(size);
    Ok(commit)
}

struct Copies<'a> {
    bytes: &'a [u8],
    /// From a byte of the first copy to the same of the second: the size of a copy, which its last edit tells. Where
    /// that is needed before, it is where the edit that cannot be read comes again.
    distance: Option<usize>,
    /// What was taken from the second copy, as bytes of the first.
    from_second: Vec<Range<usize>>,
}

impl Copies<'_> {
    fn edit(&mut self, at: usize, sequence: u64, previous: u32) -> Result<Logged, EditError> {
        let parse = |at: usize| parse_edit(self.bytes.get(at..).unwrap_or(&[]), sequence, previous);
        let error = match parse(at) {
            Err(error @ (EditError::Damaged | EditError::Incomplete { .. })) => error,
            parsed => return parsed,
        };
        if bugs::active(Bug::FirstCopyOnly) {
            return Err(error);
        }
        let most = self.bytes.len() / 2 / SECTOR_SIZE * SECTOR_SIZE;
        let least = (at + 1).next_multiple_of(SECTOR_SIZE);
        let (least, most) = self.distance.map_or((least, most), |known| (known, known));
        for distance in (least..=most).step_by(SECTOR_SIZE) {
            match parse(at + distance) {
                Err(EditError::Unsupported(what)) => return Err(EditError::Unsupported(what)),
                Err(_) => {}
                Ok(logged) => {
                    self.distance = Some(distance);
                    self.from_second.push(at..at + logged.size);
                    return Ok(logged);
                }
            }
        }
        Err(error)
    }

    /// The sectors that differ from what both copies say together.
    fn damaged(&self, size: usize) -> Vec<Range<usize>> {
        let (first, second) = self.bytes[..2 * size].split_at(size);
        if first == second {
            return Vec::new();
        }
        let mut said = first.to_vec();
        for range in &self.from_second {
            said[range.clone()].copy_from_slice(&second[range.clone()]);
        }
        let mut damaged: Vec<Range<usize>> = Vec::new();
        let sectors = said.chunks(SECTOR_SIZE).cycle().zip(self.bytes[..2 * size].chunks(SECTOR_SIZE));
        for (index, _) in sectors.enumerate().filter(|(_, (said, there))| said != there) {
            let sector = index * SECTOR_SIZE..(index + 1) * SECTOR_SIZE;
            match damaged.last_mut() {
                Some(last) if last.end == sector.start => last.end = sector.end,
                _ => damaged.push(sector),
            }
        }
        damaged
    }
}
