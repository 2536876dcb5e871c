//! What a shard tells the program around it.

use std::io;

use crate::error::{Error, ErrorKind};
use crate::events::{EventKind, Fallback};
use crate::ids::PartitionId;
use crate::io::OpKind;
use crate::manifest::names;
use crate::shard::{Purpose, Shard};

impl Shard {
    /// An operation was refused.
    pub(super) fn tell_refused(&self, purpose: &Purpose, kind: OpKind, error: &io::Error) {
        let operation = match kind {
            OpKind::Read => "read",
            OpKind::Write { .. } => "write",
            OpKind::Sync => "flush",
        };
        let file = self.file_of(purpose);
        let error = Error::os(format_args!("{operation} of {file}"), error);
        self.handle.raise(|_| EventKind::IoError { operation, file, error });
    }

    /// The path of the file that an operation is on; its directory if the segment is not open any more.
    fn file_of(&self, purpose: &Purpose) -> String {
        match purpose {
            Purpose::Segment { writer, generation, .. } | Purpose::Sync { writer, generation } => {
                let writer = &self.writers[*writer];
                let partition = writer.tail.partition();
                let segment = writer.segments.iter().find(|s| s.segment.generation == *generation);
                segment.map_or_else(|| names::topic(partition.topic), |s| names::segment(partition, s.segment.sequence))
            }
            Purpose::Journal { write, .. } => {
                self.journal.file_of(*write).map_or_else(|| names::JOURNAL.into(), names::journal)
            }
            Purpose::Read { read } => {
                let segment = &self.reads.of(*read).segment;
                names::segment(segment.partition, segment.sequence)
            }
        }
    }

    /// The metadata thread was refused something.
    pub(super) fn tell_metadata_refused(&self, error: &Error) {
        if matches!(error.kind(), ErrorKind::Io | ErrorKind::PermissionDenied) {
            let error = error.clone();
            self.handle.raise(|_| EventKind::IoError { operation: "metadata", file: String::new(), error });
        }
    }

    /// The file of a segment that a reader wants cannot be opened.
    pub(super) fn tell_not_opened(&self, partition: PartitionId, sequence: u32, error: &Error) {
        let (file, error) = (names::segment(partition, sequence), error.clone());
        self.handle.raise(|_| EventKind::IoError { operation: "open", file, error });
    }

    pub(super) fn tell_failed(&self, partition: PartitionId, error: &Error) {
        self.handle.raise(|events| EventKind::PartitionFailed {
            topic: events.name_of(partition.topic),
            partition: partition.partition,
            error: error.clone(),
        });
    }

    /// A journal file could not be made. Told once.
    pub(super) fn tell_no_journal(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.told_no_journal, true) {
            let reason = error.message().to_owned();
            self.handle.raise(|_| EventKind::Fallback { what: Fallback::NoJournal, reason });
        }
    }
}
