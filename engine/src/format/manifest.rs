//! The manifest: two root slots that name an edit log, and the commits of edits in it.
//!
//! Each edit's checksum begins with that of the edit before, and the first begins with the identity of the store and
//! the number of the log, so that an edit of another log, or out of its order, does not pass.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::{crc, mix};
use crate::limits::SECTOR;

mod body;
mod commit;
mod edit;
mod root;

#[cfg(test)]
pub(crate) use commit::Commit;
pub(crate) use commit::{CommitError, append_commit, read_commit};
pub(crate) use edit::{CheckpointEntry, Edit};
#[cfg(any(test, feature = "sim"))]
pub(crate) use root::ROOT_SIZE;
pub(crate) use root::{ROOT_POSITIONS, Root, SLOT_SIZE, Slot};

/// Bytes before an edit's body.
pub(crate) const EDIT_HEADER: usize = 24;
/// The largest edit. Bytes.
pub(crate) const EDIT_MAX: usize = 64 << 20;

/// An edit as it was read from a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub edit: Edit,
    pub sequence: u64,
    /// Its checksum; the next edit's begins with it.
    pub crc: u32,
    /// Bytes that it takes in the log.
    pub size: usize,
}

/// Why bytes are not the next edit of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EditError {
    /// As far as the bytes go they may be one; `needed` bytes decide it.
    Incomplete { needed: usize },
    /// Torn, damaged, of another log, or not the next.
    Damaged,
    /// Whole, but of a kind that this build does not know.
    Unsupported(String),
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct EditHeader {
    size: U32,
    crc: U32,
    sequence: U64,
    kind: U32,
    body: U32,
}

/// The checksum that the first edit of a log begins with.
pub(crate) fn log_start(store: u64, log_number: u32) -> u32 {
    (mix(store, u64::from(log_number)) >> 32) as u32
}

fn edit_crc(previous: u32, size: u32, after: &[u8]) -> u32 {
    crc((mix(u64::from(previous), u64::from(size)) >> 32) as u32, after)
}

/// Appends an edit to `log`; answers its checksum, which the next edit begins with.
///
/// Panics beyond [`EDIT_MAX`]: only a checkpoint can grow, and whoever makes it divides it.
pub(crate) fn append_edit(log: &mut Vec<u8>, edit: &Edit, sequence: u64, previous: u32) -> u32 {
    let start = log.len();
    log.resize(start + EDIT_HEADER, 0);
    edit.encode(log);
    finish_edit(log, start, edit.kind(), sequence, previous)
}

/// Appends an edit that changes nothing and ends at a multiple of the sector; answers its checksum.
pub(crate) fn append_padding(log: &mut Vec<u8>, sequence: u64, previous: u32) -> u32 {
    let start = log.len();
    log.resize((start + EDIT_HEADER).next_multiple_of(SECTOR as usize), 0);
    finish_edit(log, start, Edit::Padding.kind(), sequence, previous)
}

fn finish_edit(log: &mut Vec<u8>, start: usize, kind: u32, sequence: u64, previous: u32) -> u32 {
    let body = log.len() - start - EDIT_HEADER;
    let size = (EDIT_HEADER + body).next_multiple_of(8);
    assert!(size <= EDIT_MAX, "an edit is within its limit");
    log.resize(start + size, 0);
    let edit = &mut log[start..];
    let (size, body) = (size as u32, body as u32);
    let header = EditHeader {
        size: size.into(),
        crc: 0.into(),
        sequence: sequence.into(),
        kind: kind.into(),
        body: body.into(),
    };
    header.write_to_prefix(edit).expect("room for the header was made");
    let sum = edit_crc(previous, size, &edit[8..]);
    edit[4..8].copy_from_slice(&sum.to_le_bytes());
    sum
}

/// Reads the edit that follows one with the checksum `previous` and is number `sequence`.
pub(crate) fn parse_edit(bytes: &[u8], sequence: u64, previous: u32) -> Result<Logged, EditError> {
    let Ok((header, _)) = EditHeader::ref_from_prefix(bytes) else {
        return Err(EditError::Incomplete { needed: EDIT_HEADER });
    };
    let size = header.size.get() as usize;
    let body_size = header.body.get() as usize;
    if size > EDIT_MAX || body_size > EDIT_MAX || size != (EDIT_HEADER + body_size).next_multiple_of(8) {
        return Err(EditError::Damaged);
    }
    let Some(edit) = bytes.get(..size) else {
        return Err(EditError::Incomplete { needed: size });
    };
    let sum = edit_crc(previous, header.size.get(), &edit[8..]);
    if header.crc.get() != sum || header.sequence.get() != sequence {
        return Err(EditError::Damaged);
    }
    let (body, padding) = edit[EDIT_HEADER..].split_at(body_size);
    if padding.iter().any(|byte| *byte != 0) {
        return Err(EditError::Damaged);
    }
    let edit = Edit::decode(header.kind.get(), body)?;
    Ok(Logged { edit, sequence, crc: sum, size })
}

/// Makes the checksum of an edit say yes to whatever it holds, for tests of hostile content.
#[cfg(any(test, feature = "sim"))]
pub(crate) fn forge(edit: &mut [u8], previous: u32) {
    let Ok((header, _)) = EditHeader::ref_from_prefix(edit) else { return };
    let size = header.size.get();
    if let Some(after) = edit.get(8..size as usize) {
        let sum = edit_crc(previous, size, after);
        edit[4..8].copy_from_slice(&sum.to_le_bytes());
    }
}
