//! Reading the manifest at open: which root counts, and the commits up to where it says.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::file::FileError;
use crate::format::manifest::{CommitError, EditError, ROOT_POSITIONS, Root, SLOT_SIZE, Slot, log_start, read_commit};
use crate::ids::DurablePrimitive;
use crate::io::{Disk, Environment, File, OpenMode, read_full};
use crate::limits::SECTOR;
use crate::manifest::image::Manifest;
use crate::manifest::store::{Condition, Log, Spare};
use crate::manifest::{DamagedCopy, ManifestStore, Scratch, names};

/// Log that is read beyond the root's word, when one slot cannot be read. Bytes.
const FORWARD_MAX: u64 = 64 << 20;
/// What is left to whoever meets a manifest of which nothing whole is left.
const WHAT_TO_DO: &str = "what the store consists of is not known any more. Restore the whole directory from a copy of \
                          it; until then leave it as it is, because the segments in it still hold the records";

/// The commits of a log, read one after the other.
struct Reader {
    image: Manifest,
    position: usize,
    sequence: u64,
    crc: u32,
    /// Where the first commit, which is the snapshot, ended.
    snapshot: Option<usize>,
    /// Bytes of the log that the other copy stood in for.
    damaged: Vec<core::ops::Range<u64>>,
}

/// Bytes of a log, as far as they could be read; what could not is all ones, which no sector of a commit is.
struct LogBytes {
    bytes: Scratch,
    size: usize,
    /// What kept some of them from being read.
    refused: Option<Error>,
}

impl ManifestStore {
    /// Reads the manifest. Writes nothing.
    ///
    /// An edit that no root names does not count, whole or torn. One that a root names and that can be read from
    /// neither copy is damage: the other root is older, and taking its word would silently undo what was acknowledged.
    pub(crate) fn load(disk: Arc<dyn Disk>, environment: Arc<dyn Environment>) -> Result<ManifestStore> {
        let file = disk.open(names::ROOT, OpenMode::Write).map_err(|e| Error::os("opening the manifest", &e))?;
        let slots = [read_slot(&*file, 0), read_slot(&*file, 1)];
        let newest = newest(&slots)?;
        let root = slots[newest].as_ref().map_err(Clone::clone)?.newest;
        let name = names::log(root.log_number);
        let log = disk.open(&name, OpenMode::Write).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::new(ErrorKind::Corrupt, format!("{name} is missing: {WHAT_TO_DO}")),
            _ => Error::os(format_args!("opening {name}"), &e),
        })?;
        let there = log.size().map_err(|e| Error::os(format_args!("reading {name}"), &e))?;
        let bytes = LogBytes::named(&*log, &name, there, root.log_length)?;
        let mut reader = Reader::new(&root);
        reader.read_to_end(&bytes, &root).map_err(|e| e.context(&name))?;
        let damaged_copy = |range: &core::ops::Range<u64>| DamagedCopy::new(&name, range.clone());
        let mut damaged: Vec<DamagedCopy> = reader.damaged.iter().map(damaged_copy).collect();
        let whole = slots.each_ref().map(|slot| slot.as_ref().is_ok_and(|slot| slot.whole));
        let unreadable = (0..2).filter(|slot| !whole[*slot]).map(|slot| ROOT_POSITIONS[slot]);
        damaged.extend(unreadable.map(|at| DamagedCopy::new(names::ROOT, at..at + SLOT_SIZE as u64)));
        let mut log = Log {
            reserved: there / SECTOR * SECTOR,
            file: log,
            number: root.log_number,
            length: root.log_length,
            sequence: root.last_sequence,
            crc: root.last_crc,
            snapshot: reader.snapshot.map_or(root.log_length, |size| size as u64),
        };
        // The newest commit may be named only by what of the slots cannot be read. If it is whole in the log it is taken:
        // if nothing ever named it, nobody was told either that it failed.
        if whole != [true, true] && reader.go_forward(&mut log, &name, there)? {
            make_durable(&*log.file, &name)?;
        }
        let says_so = |slot: &Result<Slot>| slot.as_ref().is_ok_and(|s| s.whole && s.same && s.newest == root);
        let both = slots.iter().all(says_so);
        // Equal ones as well: the next commit writes over one of them, and the other has to be there then.
        make_durable(&*file, names::ROOT)?;
        let condition = Condition {
            commit: root.commit,
            behind: (!both).then_some(1 - newest),
            rewrite: !reader.damaged.is_empty(),
            damaged,
        };
        let logs = (log, find_spare(&*disk, root.log_number));
        Ok(ManifestStore::assemble(disk, environment, reader.image, file, logs, condition))
    }
}

/// The largest of the log files that no root names.
fn find_spare(disk: &dyn Disk, current: u32) -> Option<Spare> {
    let numbers = disk.list(names::HOME).ok()?.into_iter().filter_map(|name| names::parse_log(&name));
    let spares = numbers.filter(|number| *number != current).filter_map(|number| {
        let file = disk.open(&names::log(number), OpenMode::Write).ok()?;
        // Space that a killed process reserved may be taken back before.
        file.sync().ok()?;
        let reserved = file.size().ok()? / SECTOR * SECTOR;
        Some(Spare { file, number, reserved })
    });
    spares.max_by_key(|spare| spare.reserved)
}

/// Bytes that a killed process wrote can be read before they are durable. What is built on them would outlive them.
fn make_durable(file: &dyn File, name: &str) -> Result<()> {
    file.sync().map_err(|e| Error::os(format_args!("making {name} durable"), &e))
}

fn read_slot(file: &dyn File, slot: usize) -> Result<Slot> {
    let mut sector = Scratch::zeroed(SLOT_SIZE)?;
    let whole = read_full(file, ROOT_POSITIONS[slot], sector.bytes_mut());
    match whole.map_err(|e| Error::os("reading the manifest's root", &e))? {
        true => Slot::parse(sector.bytes()).map_err(|e| Error::from(e).context("MANIFEST")),
        false => Err(Error::from(FileError::Damaged("the file is cut short")).context("MANIFEST")),
    }
}

/// The slot to go by. One of a version that this build does not know is not passed over.
fn newest(slots: &[Result<Slot>; 2]) -> Result<usize> {
    for slot in slots {
        if let Err(error) = slot
            && error.kind() == ErrorKind::Unsupported
        {
            return Err(error.clone());
        }
    }
    match slots {
        [Ok(a), Ok(b)] if a.newest.store != b.newest.store => {
            Err(Error::new(ErrorKind::Corrupt, "the manifest's roots belong to two stores"))
        }
        // Of two that say the same, the one that is whole: the other is written first.
        [Ok(a), Ok(b)] => Ok(usize::from((b.newest.commit, b.whole) > (a.newest.commit, a.whole))),
        [Ok(_), Err(_)] => Ok(0),
        [Err(_), Ok(_)] => Ok(1),
        // What cannot be read now may be readable another time.
        [Err(a), Err(b)] if a.kind() == ErrorKind::Corrupt && b.kind() == ErrorKind::Corrupt => {
            let [first, second] = ROOT_POSITIONS;
            let why = format!("MANIFEST: both roots, at bytes {first} and {second}, are damaged: {WHAT_TO_DO}");
            Err(Error::new(ErrorKind::Corrupt, why))
        }
        [Err(a), Err(b)] => Err(if a.kind() == ErrorKind::Corrupt { b.clone() } else { a.clone() }),
    }
}

impl LogBytes {
    /// What a root names.
    fn named(file: &dyn File, name: &str, there: u64, length: u64) -> Result<LogBytes> {
        // Of the last commit one copy is enough, which ends in the second half of any log.
        if !length.is_multiple_of(SECTOR) || there < length / 2 {
            let why = format!("{name} has {there} bytes of the {length} that its root names: {WHAT_TO_DO}");
            return Err(Error::new(ErrorKind::Corrupt, why));
        }
        LogBytes::read(file, name, 0, length)
    }

    fn read(file: &dyn File, name: &str, position: u64, size: u64) -> Result<LogBytes> {
        let size = usize::try_from(size).map_err(|_| Error::new(ErrorKind::Corrupt, format!("{name} is too long")))?;
        let mut bytes = Scratch::zeroed(size)?;
        let mut refused = None;
        if read_full(file, position, &mut bytes.bytes_mut()[..size]).is_err() {
            // One piece that the device cannot read shall not cost the others.
            for (sector, at) in bytes.bytes_mut()[..size].chunks_mut(SECTOR as usize).zip((position..).step_by(4096)) {
                if let Err(e) = read_full(file, at, sector) {
                    sector.fill(0xff);
                    refused.get_or_insert_with(|| Error::os(format_args!("reading {name}"), &e));
                }
            }
        }
        Ok(LogBytes { bytes, size, refused })
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes.bytes()[..self.size]
    }
}

impl Reader {
    fn new(root: &Root) -> Reader {
        Reader {
            // The log's first edit says sector and primitive.
            image: Manifest::new(root.store, SECTOR as u32, DurablePrimitive::DurableWrite),
            position: 0,
            sequence: 0,
            crc: log_start(root.store, root.log_number),
            snapshot: None,
            damaged: Vec::new(),
        }
    }

    /// Takes the next commit in, which stands at the start of `bytes`.
    fn next(&mut self, bytes: &[u8]) -> Result<()> {
        let commit = read_commit(bytes, self.sequence, self.crc).map_err(|CommitError { at, why }| match why {
            EditError::Unsupported(what) => Error::new(ErrorKind::Unsupported, what),
            EditError::Damaged | EditError::Incomplete { .. } => {
                let at = self.position + at;
                let why = format!("the edit at byte {at} is damaged in both of its copies: {WHAT_TO_DO}");
                Error::new(ErrorKind::Corrupt, why)
            }
        })?;
        for edit in &commit.edits {
            self.image.apply(edit)?;
        }
        let start = self.position as u64;
        let damaged = commit.damaged.iter().map(|range| start + range.start as u64..start + range.end as u64);
        self.damaged.extend(damaged);
        self.position += commit.size;
        (self.sequence, self.crc) = (commit.sequence, commit.crc);
        self.snapshot.get_or_insert(self.position);
        Ok(())
    }

    /// Reads everything that the root names; it has to end exactly as the root says.
    fn read_to_end(&mut self, log: &LogBytes, root: &Root) -> Result<()> {
        let bytes = log.bytes();
        while self.position < bytes.len() {
            let next = self.next(&bytes[self.position..]);
            next.map_err(|e| log.refused.clone().filter(|_| e.kind() == ErrorKind::Corrupt).unwrap_or(e))?;
        }
        if (self.sequence, self.crc) != (root.last_sequence, root.last_crc) {
            return Err(Error::new(ErrorKind::Corrupt, format!("it does not end as its root says: {WHAT_TO_DO}")));
        }
        Ok(())
    }

    /// Takes in the commit behind the root's word, if it is whole: one slot is never more than one commit ahead of the
    /// other. Whether there was one.
    fn go_forward(&mut self, log: &mut Log, name: &str, there: u64) -> Result<bool> {
        let size = there.saturating_sub(log.length).min(FORWARD_MAX) / SECTOR * SECTOR;
        let ahead = LogBytes::read(&*log.file, name, log.length, size)?;
        let before = (self.image.clone(), self.sequence, self.crc);
        match self.next(ahead.bytes()) {
            Ok(()) => {
                (log.sequence, log.crc, log.length) = (self.sequence, self.crc, self.position as u64);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => Err(error),
            Err(_) => {
                (self.image, self.sequence, self.crc) = before;
                Ok(false)
            }
        }
    }
}
