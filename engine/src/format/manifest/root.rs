//! A root slot: which log counts, and how far.
//!
//! Its sector holds the root once in every piece that a device may write alone: a write that a loss of power tears
//! leaves the old one or the new one in each, so that a slot is unreadable only where its sector is.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::format::file::{FileError, area_is_whole, check_head, seal_area, write_head};
use crate::limits::SECTOR;

/// Bytes of a root slot: its sector.
pub(crate) const SLOT_SIZE: usize = SECTOR as usize;
/// Bytes of one copy of a root: the least that devices write.
pub(crate) const ROOT_SIZE: usize = 512;
/// Where the two root slots stand in the manifest: so far apart that no device writes both as one.
pub(crate) const ROOT_POSITIONS: [u64; 2] = [0, 64 << 10];

const MAGIC: &[u8; 8] = b"THLWGMAN";

/// What a root slot says: the log, how far it counts, and what its last edit was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    /// Identity of the store.
    pub store: u64,
    /// Number of this commit; the slot with the higher one is the newer.
    pub commit: u64,
    /// Number of the log file.
    pub log_number: u32,
    /// Bytes of the log that count.
    pub log_length: u64,
    /// Number of the last edit among them.
    pub last_sequence: u64,
    /// Checksum of the last edit among them, or of the log's start where there is none.
    pub last_crc: u32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RootBytes {
    head: [u8; 16],
    store: U64,
    commit: U64,
    log_length: U64,
    last_sequence: U64,
    log_number: U32,
    last_crc: U32,
}

impl Root {
    /// Writes a root slot's sector.
    pub(crate) fn encode(&self, sector: &mut [u8]) {
        assert!(sector.len() == SLOT_SIZE, "a root slot fills its sector");
        sector.fill(0);
        let (first, others) = sector.split_at_mut(ROOT_SIZE);
        self.encode_copy(first);
        others.chunks_mut(ROOT_SIZE).for_each(|copy| copy.copy_from_slice(first));
    }

    fn encode_copy(&self, copy: &mut [u8]) {
        let fields = RootBytes {
            head: [0; 16],
            store: self.store.into(),
            commit: self.commit.into(),
            log_length: self.log_length.into(),
            last_sequence: self.last_sequence.into(),
            log_number: self.log_number.into(),
            last_crc: self.last_crc.into(),
        };
        fields.write_to_prefix(copy).expect("a copy has room for the root");
        write_head(copy, MAGIC);
        seal_area(copy);
    }

    /// Reads one copy of a root.
    pub(crate) fn parse(copy: &[u8]) -> Result<Root, FileError> {
        check_head(copy, MAGIC)?;
        let damaged = FileError::Damaged("the checksum of the manifest's root does not match");
        let Some(copy) = copy.get(..ROOT_SIZE).filter(|copy| area_is_whole(copy)) else {
            return Err(damaged);
        };
        let Ok((fields, _)) = RootBytes::ref_from_prefix(copy) else {
            return Err(damaged);
        };
        Ok(Root {
            store: fields.store.get(),
            commit: fields.commit.get(),
            log_number: fields.log_number.get(),
            log_length: fields.log_length.get(),
            last_sequence: fields.last_sequence.get(),
            last_crc: fields.last_crc.get(),
        })
    }
}

/// What a root slot was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The newest of its copies that are whole.
    pub newest: Root,
    /// Every copy is whole.
    pub whole: bool,
    /// Every copy that is whole says the same.
    pub same: bool,
}

impl Slot {
    /// Reads a root slot's sector. A copy of another version is not passed over for the others.
    pub(crate) fn parse(sector: &[u8]) -> Result<Slot, FileError> {
        let mut slot: Option<Slot> = None;
        let mut damaged = None;
        for copy in sector.chunks(ROOT_SIZE) {
            let root = match Root::parse(copy) {
                Ok(root) => root,
                Err(error @ FileError::Unsupported(_)) => return Err(error),
                Err(error) => {
                    damaged.get_or_insert(error);
                    continue;
                }
            };
            let slot = slot.get_or_insert(Slot { newest: root, whole: true, same: true });
            slot.same &= slot.newest == root;
            if root.store != slot.newest.store {
                return Err(FileError::Damaged("the manifest's root belongs to two stores"));
            }
            if root.commit > slot.newest.commit {
                slot.newest = root;
            }
        }
        match (slot, damaged) {
            (Some(slot), None) => Ok(slot),
            (Some(slot), Some(_)) => Ok(Slot { whole: false, ..slot }),
            (None, damaged) => Err(damaged.unwrap_or(FileError::Damaged("the manifest's root is missing"))),
        }
    }
}
