//! The files that journals are written in: of one size, every byte written before the first use.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::io::{Disk, File, OpenMode, write_full};
use crate::limits::SECTOR;
use crate::manifest::{Scratch, Written, names, store};

/// Zeros written at once. Bytes.
const FILL: usize = 1 << 20;

/// The files in the journal's directory that nobody uses, and the numbers that are taken.
pub(crate) struct JournalFiles {
    idle: BTreeSet<u32>,
    next: u32,
    size: u64,
}

impl JournalFiles {
    /// Looks at the directory. Files in `taken` are in use. Changes nothing.
    pub(crate) fn open(disk: &dyn Disk, size: u64, taken: &BTreeSet<u32>) -> Result<JournalFiles> {
        if !size.is_multiple_of(SECTOR) || size == 0 {
            return Err(Error::new(ErrorKind::InvalidArgument, "a journal file has whole sectors"));
        }
        let mut files = JournalFiles { idle: BTreeSet::new(), next: 1, size };
        for name in disk.list(names::JOURNAL).map_err(|e| Error::os("listing the journal's files", &e))? {
            if let Some(number) = names::parse_journal(&name) {
                files.next = files.next.max(number.saturating_add(1));
                if !taken.contains(&number) {
                    files.idle.insert(number);
                }
            }
        }
        Ok(files)
    }

    /// Size of each file. Bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// A pre-written file: an idle one, or a new one. Its name is durable.
    pub(crate) fn take(&mut self, disk: &dyn Disk, written: &Written) -> Result<(u32, Arc<dyn File>)> {
        while let Some(number) = self.idle.pop_first() {
            let name = names::journal(number);
            match disk.open(&name, OpenMode::Write) {
                Ok(file) if file.size().is_ok_and(|size| size == self.size) => return Ok((number, file)),
                // Of another size, or unreadable.
                _ => drop(disk.remove(&name)),
            }
        }
        let created = self.create(disk)?;
        written.journal_files.add_alone(self.size);
        Ok(created)
    }

    /// Under its final name only once every byte is durably written, so that a name says that it is.
    fn create(&mut self, disk: &dyn Disk) -> Result<(u32, Arc<dyn File>)> {
        let number = self.next;
        self.next += 1;
        let unfinished = names::journal_unfinished(number);
        store::remove_if_exists(disk, &unfinished)?;
        let created = self.fill(disk, &unfinished).and_then(|file| {
            let renamed = disk.rename(&unfinished, &names::journal(number));
            renamed.map_err(|e| Error::os("naming a journal file", &e))?;
            store::sync_dir(disk, names::JOURNAL)?;
            Ok((number, file))
        });
        if created.is_err() {
            let _ = disk.remove(&unfinished);
        }
        created
    }

    fn fill(&self, disk: &dyn Disk, name: &str) -> Result<Arc<dyn File>> {
        let failed = |e: std::io::Error| Error::os("creating a journal file", &e);
        let file = disk.open(name, OpenMode::CreateNew).map_err(failed)?;
        file.reserve(self.size).map_err(failed)?;
        let zeros = Scratch::zeroed(FILL.min(usize::try_from(self.size).unwrap_or(FILL)))?;
        let mut position = 0;
        while position < self.size {
            let size = (self.size - position).min(FILL as u64);
            write_full(&*file, position, &zeros.bytes()[..size as usize], false).map_err(failed)?;
            position += size;
        }
        file.sync().map_err(failed)?;
        Ok(file)
    }

    /// A file that nobody uses any more; `reuse` if no write of it failed.
    pub(crate) fn give(&mut self, disk: &dyn Disk, number: u32, reuse: bool) {
        if reuse {
            self.idle.insert(number);
        } else {
            self.idle.remove(&number);
            let _ = disk.remove(&names::journal(number));
        }
    }
}
