//! Reading the manifest at open: which root counts, and the edits up to where it says.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::file::FileError;
use crate::format::manifest::{Edit, EditError, ROOT_POSITIONS, ROOT_SIZE, Root, log_start, parse_edit};
use crate::ids::DurablePrimitive;
use crate::io::{Disk, Environment, File, OpenMode, read_full};
use crate::limits::SECTOR;
use crate::manifest::image::Manifest;
use crate::manifest::store::{Log, Spare};
use crate::manifest::{ManifestStore, Scratch, names};

/// Log that is read beyond the root's word, when one slot cannot be read. Bytes.
const FORWARD_MAX: u64 = 64 << 20;

/// The edits of a log, read one after the other.
struct Reader {
    image: Manifest,
    position: usize,
    sequence: u64,
    crc: u32,
    /// Where the first commit, which is the snapshot, ended.
    snapshot: Option<usize>,
}

impl ManifestStore {
    /// Reads the manifest. Writes nothing.
    ///
    /// An edit that no root names does not count, whole or torn. One that a root names and that cannot be read is
    /// damage: the other root is older, and taking its word would silently undo what was acknowledged.
    pub(crate) fn load(disk: Arc<dyn Disk>, environment: Arc<dyn Environment>) -> Result<ManifestStore> {
        let file = disk.open(names::ROOT, OpenMode::Write).map_err(|e| Error::os("opening the manifest", &e))?;
        let slots = [read_slot(&*file, 0), read_slot(&*file, 1)];
        let newest = newest(&slots)?;
        let root = *slots[newest].as_ref().map_err(Clone::clone)?;
        let name = names::log(root.log_number);
        let log = disk.open(&name, OpenMode::Write).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::new(ErrorKind::Corrupt, format!("{name} is missing")),
            _ => Error::os(format_args!("opening {name}"), &e),
        })?;
        let bytes = read_log(&*log, &name, 0, root.log_length)?;
        let mut reader = Reader::new(&root);
        reader.read_to(&bytes.bytes()[..root.log_length as usize], &root).map_err(|e| e.context(&name))?;
        let snapshot = reader.snapshot.map_or(root.log_length, |size| size as u64);
        let reserved = log.size().map_err(|e| Error::os(format_args!("reading {name}"), &e))? / SECTOR * SECTOR;
        let mut log = Log {
            reserved,
            file: log,
            number: root.log_number,
            length: root.log_length,
            sequence: root.last_sequence,
            crc: root.last_crc,
            snapshot,
        };
        // With one slot unreadable, the newest commit may be named by that one only. A commit that is whole in the
        // log is taken: if no slot ever named it, nobody was told either that it failed.
        if slots[1 - newest].is_err() && reader.go_forward(&mut log, &name)? {
            make_durable(&*log.file, &name)?;
        }
        let both = slots[0].as_ref().is_ok_and(|a| slots[1].as_ref().is_ok_and(|b| a == b));
        // Equal ones as well: the next commit writes over one of them, and the other has to be there then.
        make_durable(&*file, names::ROOT)?;
        let behind = (!both).then_some(1 - newest);
        let logs = (log, find_spare(&*disk, root.log_number));
        Ok(ManifestStore::assemble(disk, environment, reader.image, file, logs, root.commit, behind))
    }
}

/// The largest of the log files that no root names.
fn find_spare(disk: &dyn Disk, current: u32) -> Option<Spare> {
    let numbers = disk.list(names::HOME).ok()?.into_iter().filter_map(|name| names::parse_log(&name));
    let spares = numbers.filter(|number| *number != current).filter_map(|number| {
        let file = disk.open(&names::log(number), OpenMode::Write).ok()?;
        let reserved = file.size().ok()? / SECTOR * SECTOR;
        Some(Spare { file, number, reserved })
    });
    spares.max_by_key(|spare| spare.reserved)
}

/// Bytes that a killed process wrote can be read before they are durable. What is built on them would outlive them.
fn make_durable(file: &dyn File, name: &str) -> Result<()> {
    file.sync().map_err(|e| Error::os(format_args!("making {name} durable"), &e))
}

fn read_slot(file: &dyn File, slot: usize) -> Result<Root> {
    let mut sector = Scratch::zeroed(ROOT_SIZE)?;
    let whole = read_full(file, ROOT_POSITIONS[slot], sector.bytes_mut());
    match whole.map_err(|e| Error::os("reading the manifest's root", &e))? {
        true => Root::parse(sector.bytes()).map_err(|e| Error::from(e).context("MANIFEST")),
        false => Err(FileError::Damaged("the manifest is cut short").into()),
    }
}

/// The slot to go by. One of a version that this build does not know is not passed over.
fn newest(slots: &[Result<Root>; 2]) -> Result<usize> {
    for slot in slots {
        if let Err(error) = slot
            && error.kind() == ErrorKind::Unsupported
        {
            return Err(error.clone());
        }
    }
    match slots {
        [Ok(a), Ok(b)] if a.store != b.store => {
            Err(Error::new(ErrorKind::Corrupt, "the manifest's roots belong to two stores"))
        }
        [Ok(a), Ok(b)] => Ok(usize::from(b.commit > a.commit)),
        [Ok(_), Err(_)] => Ok(0),
        [Err(_), Ok(_)] => Ok(1),
        [Err(a), Err(_)] => Err(a.clone()),
    }
}

fn read_log(file: &dyn File, name: &str, position: u64, size: u64) -> Result<Scratch> {
    let failed = |e: std::io::Error| Error::os(format_args!("reading {name}"), &e);
    let there = file.size().map_err(failed)?;
    let end = position.checked_add(size).filter(|end| *end <= there && end.is_multiple_of(SECTOR));
    if end.is_none() {
        return Err(Error::new(ErrorKind::Corrupt, format!("{name} is cut short")));
    }
    let size = usize::try_from(size).map_err(|_| Error::new(ErrorKind::Corrupt, format!("{name} is too long")))?;
    let mut bytes = Scratch::zeroed(size)?;
    read_full(file, position, &mut bytes.bytes_mut()[..size]).map_err(failed)?;
    Ok(bytes)
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
        }
    }

    /// Takes the next edit in.
    fn next(&mut self, bytes: &[u8]) -> Result<Edit> {
        let logged = parse_edit(&bytes[self.position..], self.sequence + 1, self.crc).map_err(|e| match e {
            EditError::Unsupported(what) => Error::new(ErrorKind::Unsupported, what),
            EditError::Damaged | EditError::Incomplete { .. } => {
                let at = self.position;
                Error::new(ErrorKind::Corrupt, format!("the manifest's edit at byte {at} is damaged"))
            }
        })?;
        self.image.apply(&logged.edit)?;
        self.position += logged.size;
        (self.sequence, self.crc) = (logged.sequence, logged.crc);
        if logged.edit == Edit::Padding && self.at_sector() {
            self.snapshot.get_or_insert(self.position);
        }
        Ok(logged.edit)
    }

    /// Reads everything that the root names; it has to end exactly as the root says.
    fn read_to(&mut self, bytes: &[u8], root: &Root) -> Result<()> {
        while self.position < bytes.len() {
            self.next(bytes)?;
        }
        if (self.sequence, self.crc) != (root.last_sequence, root.last_crc) {
            return Err(Error::new(ErrorKind::Corrupt, "the manifest's log does not end as its root says"));
        }
        Ok(())
    }

    /// Takes in commits behind the root's word, as far as they are whole. Whether there were any.
    fn go_forward(&mut self, log: &mut Log, name: &str) -> Result<bool> {
        let there = log.file.size().map_err(|e| Error::os(format_args!("reading {name}"), &e))?;
        let size = there.saturating_sub(log.length).min(FORWARD_MAX) / SECTOR * SECTOR;
        let Ok(bytes) = read_log(&*log.file, name, log.length, size) else { return Ok(false) };
        let start = log.length;
        let mut ahead = Reader { image: self.image.clone(), position: 0, ..*self };
        loop {
            match ahead.next(bytes.bytes()) {
                Ok(Edit::Padding) if ahead.at_sector() => {
                    self.image = ahead.image.clone();
                    (log.sequence, log.crc) = (ahead.sequence, ahead.crc);
                    log.length = start + ahead.position as u64;
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error),
                Err(_) => return Ok(log.length > start),
            }
        }
    }

    fn at_sector(&self) -> bool {
        (self.position as u64).is_multiple_of(SECTOR)
    }
}
