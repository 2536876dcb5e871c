//! One file of the rotation.

use std::sync::Arc;

use crate::format::journal::{JOURNAL_HEADER_SIZE, JournalHeader};
use crate::ids::{Generation, Lsn};
use crate::io::File;
use crate::journal::JournalIdentity;

/// Where a file is in its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileState {
    /// Pre-written, and nothing in it is needed.
    Free,
    /// Takes writes.
    Active,
    /// Waits until its ranges are durable in their segments and a checkpoint is behind it.
    Full,
    /// A write of it failed. Never used again.
    Failed,
}

/// A pre-written journal file.
pub(crate) struct JournalFile {
    /// Names the file.
    pub(crate) number: u32,
    pub(crate) file: Arc<dyn File>,
    pub(crate) size: u64,
    pub(crate) state: FileState,
    pub(crate) generation: Generation,
    /// Number of this use, over all files of the shard.
    pub(crate) uses: u32,
    /// The first write of this use, and the one after the last.
    pub(crate) first: Lsn,
    pub(crate) end: Lsn,
    /// Where the next write goes.
    pub(crate) position: u64,
    /// The header goes out with the first write.
    pub(crate) needs_header: bool,
    /// Segments that rely on bytes in here.
    pub(crate) references: u32,
    pub(crate) holders: Vec<usize>,
}

impl JournalFile {
    pub(crate) fn new(number: u32, file: Arc<dyn File>, size: u64) -> JournalFile {
        JournalFile {
            number,
            file,
            size,
            state: FileState::Free,
            generation: Generation(0),
            uses: 0,
            first: Lsn(0),
            end: Lsn(0),
            position: 0,
            needs_header: false,
            references: 0,
            holders: Vec::new(),
        }
    }

    pub(crate) fn begin(&mut self, uses: u32, generation: Generation, first: Lsn) {
        assert_eq!(self.state, FileState::Free, "only a free file is begun");
        assert_eq!(self.references, 0, "nothing relies on a free file");
        self.state = FileState::Active;
        self.generation = generation;
        self.uses = uses;
        self.first = first;
        self.end = first;
        self.position = 0;
        self.needs_header = true;
    }

    /// Bytes that can still be written, a header that has yet to go out counted.
    pub(crate) fn room(&self) -> u64 {
        self.size - self.position
    }

    /// Whether nothing of it is needed once recovery begins at `lsn`. A file whose first write failed holds nothing.
    pub(crate) fn is_freed_by(&self, lsn: Lsn) -> bool {
        self.is_released() && (self.end <= lsn || self.first >= self.end)
    }

    /// Takes no more writes, and no segment relies on it.
    pub(crate) fn is_released(&self) -> bool {
        matches!(self.state, FileState::Full | FileState::Failed) && self.references == 0
    }

    /// What the header of this use says.
    pub(crate) fn header(&self, identity: JournalIdentity) -> JournalHeader {
        JournalHeader {
            store: identity.store,
            set: identity.set,
            generation: self.generation,
            number: self.uses,
            shard: identity.shard,
            first_lsn: self.first,
        }
    }

    /// Writes the header of this use into both of its sectors.
    pub(crate) fn write_header(&self, identity: JournalIdentity, sectors: &mut [u8]) {
        let header = self.header(identity);
        sectors.chunks_exact_mut(JOURNAL_HEADER_SIZE).for_each(|sector| header.encode(sector));
    }
}
