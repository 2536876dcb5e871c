//! The manifest on disk: two root slots, and the log of edits that they name.
//!
//! A commit appends its edits to the log, durable, then names them in the slot that is not the current one, durable,
//! then in the other. An edit counts once a slot names it. A log that has outgrown what it says is rewritten into a
//! spare one, whose space was reserved before, and becomes the spare one of the next rewrite: so a full device keeps
//! nobody from opening a store and from freeing space, however often.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::{Edit, ROOT_POSITIONS, Root, SLOT_SIZE, append_commit, log_start};
use crate::ids::DurablePrimitive;
use crate::io::{Disk, Environment, File, OpenMode, write_full};
use crate::limits::SECTOR;
use crate::manifest::image::Manifest;
use crate::manifest::{DamagedCopy, Scratch, Written, foreign, names};
use crate::sim::bugs::{self, Bug};

/// A log is rewritten when it has grown by this much, or by twice its snapshot, whichever is more. Bytes. Small enough
/// to be read in a few milliseconds, large enough that a rewrite is rare: a commit takes two sectors.
const GROWTH_MIN: u64 = 512 << 10;
/// Space reserved beyond that, which what only grows the store does not get: commits that an open needs, and that free
/// space, work while there is none. Bytes.
const HEADROOM: u64 = 256 << 10;

/// The manifest of an open store, and the only way to change it.
pub(crate) struct ManifestStore {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) environment: Arc<dyn Environment>,
    pub(super) image: Manifest,
    root: Arc<dyn File>,
    log: Log,
    spare: Option<Spare>,
    /// The slots do not say the same: only one of them may name the log.
    slots_differ: bool,
    /// Number of the last commit.
    commit: u64,
    /// The slot that is written first: never the only one that names what counts.
    first_slot: usize,
    /// Of some commit in the log only one copy is whole: nothing is built on it before the log is rewritten.
    rewrite: bool,
    /// What of the manifest could not be read when it was loaded, and stood elsewhere.
    damaged: Vec<DamagedCopy>,
    /// Why nothing can be committed any more.
    poisoned: Option<Error>,
    growth_min: u64,
    written: Arc<Written>,
}

/// The log that the roots name.
pub(super) struct Log {
    pub(super) file: Arc<dyn File>,
    pub(super) number: u32,
    pub(super) length: u64,
    /// Number and checksum of the last edit.
    pub(super) sequence: u64,
    pub(super) crc: u32,
    /// Length when it was begun.
    pub(super) snapshot: u64,
    /// Bytes whose space the file has.
    pub(super) reserved: u64,
}

/// A log file that no root names; its space is the next rewrite's.
pub(super) struct Spare {
    pub(super) file: Arc<dyn File>,
    pub(super) number: u32,
    pub(super) reserved: u64,
}

/// In what condition the manifest was found.
pub(super) struct Condition {
    /// Number of the last commit.
    pub(super) commit: u64,
    /// The slot that does not name it.
    pub(super) behind: Option<usize>,
    /// Of some commit in the log one copy is not whole.
    pub(super) rewrite: bool,
    pub(super) damaged: Vec<DamagedCopy>,
}

/// A commit as it stands in a log.
struct Encoded {
    bytes: Scratch,
    sequence: u64,
    crc: u32,
}

impl ManifestStore {
    /// Whether the directory holds a store.
    pub(crate) fn exists(disk: &dyn Disk) -> Result<bool> {
        let names = disk.list(names::HOME).map_err(|e| Error::os("listing the store's directory", &e))?;
        Ok(names.iter().any(|name| name == names::ROOT))
    }

    /// Creates a store in an empty directory. Until its last step the directory holds none; what an interrupted
    /// attempt left is replaced.
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        environment: Arc<dyn Environment>,
        durable: DurablePrimitive,
    ) -> Result<ManifestStore> {
        if ManifestStore::exists(&*disk)? {
            return Err(Error::new(ErrorKind::AlreadyExists, "the directory holds a store already"));
        }
        for name in [names::JOURNAL, names::SEGMENTS, names::POOL] {
            create_dir(&*disk, name)?;
        }
        foreign::check_not_lost(&*disk)?;
        let image = Manifest::new(environment.random(), SECTOR as u32, durable);
        let log = Log::create(&*disk, &image, 1, GROWTH_MIN, None)?;
        remove_if_exists(&*disk, names::ROOT_UNFINISHED)?;
        let root = disk.open(names::ROOT_UNFINISHED, OpenMode::CreateNew);
        let root = root.map_err(|e| Error::os("creating the manifest", &e))?;
        let mut store = ManifestStore {
            disk,
            environment,
            image,
            root,
            log,
            spare: None,
            slots_differ: false,
            commit: 0,
            first_slot: 0,
            rewrite: false,
            damaged: Vec::new(),
            poisoned: None,
            growth_min: GROWTH_MIN,
            written: Arc::default(),
        };
        store.written.metadata.add_alone(store.log.length);
        store.write_roots()?;
        store.root.sync().map_err(|e| Error::os("making the manifest durable", &e))?;
        let renamed = store.disk.rename(names::ROOT_UNFINISHED, names::ROOT);
        renamed.map_err(|e| Error::os("naming the manifest", &e))?;
        store.keep_spare();
        store.sync_dir(names::HOME)?;
        Ok(store)
    }

    pub(super) fn assemble(
        disk: Arc<dyn Disk>,
        environment: Arc<dyn Environment>,
        image: Manifest,
        root: Arc<dyn File>,
        (log, spare): (Log, Option<Spare>),
        Condition { commit, behind, rewrite, damaged }: Condition,
    ) -> ManifestStore {
        let growth_min = GROWTH_MIN;
        let (poisoned, written) = (None, Arc::default());
        let (first_slot, slots_differ) = (behind.unwrap_or(0), behind.is_some());
        ManifestStore {
            disk,
            environment,
            image,
            root,
            log,
            spare,
            slots_differ,
            commit,
            first_slot,
            rewrite,
            damaged,
            poisoned,
            growth_min,
            written,
        }
    }

    /// What the store consists of.
    pub(crate) fn image(&self) -> &Manifest {
        &self.image
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(crate) fn environment(&self) -> &Arc<dyn Environment> {
        &self.environment
    }

    /// What of it could not be read at open, and was taken from its other copy.
    pub(crate) fn damaged(&self) -> &[DamagedCopy] {
        &self.damaged
    }

    /// What it has written to the device since it was opened.
    pub(crate) fn written(&self) -> &Arc<Written> {
        &self.written
    }

    /// Whether a log file is in use, or the spare one; all others are left over.
    pub(super) fn needs_log(&self, number: u32) -> bool {
        number == self.log.number || self.spare.as_ref().is_some_and(|spare| spare.number == number)
    }

    /// Makes sure that there is a spare log, if there is space for one.
    pub(super) fn keep_spare(&mut self) {
        if self.spare.is_none() {
            let number = self.log.number.wrapping_add(1);
            self.spare = Spare::create(&*self.disk, number, whole(self.log.snapshot, self.growth_min)).ok();
        }
    }

    /// Makes sure that so many bytes of edits that stay leave the headroom as it is. Without space for them the store
    /// is as before.
    pub(crate) fn make_room(&mut self, more: u64) -> Result<()> {
        if self.has_room(more) {
            return Ok(());
        }
        if self.log.length > self.log.snapshot {
            let _ = self.compact();
            self.check()?;
        }
        let size = whole(self.log.snapshot + more, self.growth_min);
        let no_space = |e: &std::io::Error| Error::os("reserving space for the manifest", e);
        if self.has_room(more) {
            return Ok(());
        }
        if self.log.reserved < size {
            self.log.file.reserve(size).and_then(|()| self.log.file.sync()).map_err(|e| no_space(&e))?;
            self.log.reserved = size;
        }
        match &mut self.spare {
            None => {
                self.spare = Some(Spare::create(&*self.disk, self.log.number.wrapping_add(1), size)?);
                self.sync_dir(names::HOME)?;
            }
            Some(spare) if spare.reserved < size => {
                spare.file.reserve(size).and_then(|()| spare.file.sync()).map_err(|e| no_space(&e))?;
                spare.reserved = size;
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Every segment that is open will have an end in the snapshot as well: it may come to twice its size.
    fn has_room(&self, more: u64) -> bool {
        let reserved = self.spare.as_ref().map_or(0, |spare| spare.reserved.min(self.log.reserved));
        self.log.length + self.log.snapshot + more + HEADROOM <= reserved
    }

    fn check(&self) -> Result<()> {
        self.poisoned.clone().map_or(Ok(()), Err)
    }

    /// Makes edits durable, all or none, and takes them into the image.
    ///
    /// Without space for them the store is as before. After any other failure it is unknown whether they count, and
    /// nothing is committed any more.
    pub(crate) fn commit(&mut self, edits: &[Edit]) -> Result<()> {
        self.check()?;
        if edits.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.rewrite) && !bugs::active(Bug::LeaveDamagedCopy) {
            // Where that fails the copies that are left go on, and the next open tries it again.
            let _ = self.compact();
            self.check()?;
        }
        let mut encoded = encode(edits, self.log.sequence, self.log.crc)?;
        if self.log.length + encoded.bytes.bytes().len() as u64 > self.log.reserved && self.compact().is_ok() {
            encoded = encode(edits, self.log.sequence, self.log.crc)?;
        }
        self.check()?;
        let bytes = encoded.bytes.bytes();
        if let Err(e) = write_full(&*self.log.file, self.log.length, bytes, true) {
            let error = Error::os("writing the manifest's log", &e);
            // No root names what was written, and the next commit writes the same place.
            return Err(if error.kind() == ErrorKind::NoSpace { error } else { self.poison(error) });
        }
        self.written.metadata.add_alone(bytes.len() as u64);
        for edit in edits {
            self.image.apply(edit).map_err(|e| self.poison(e))?;
        }
        self.log.length += bytes.len() as u64;
        (self.log.sequence, self.log.crc) = (encoded.sequence, encoded.crc);
        self.write_roots().map_err(|e| self.poison(e))?;
        self.compact_if_grown()
    }

    fn poison(&mut self, error: Error) -> Error {
        let why =
            error.context("the manifest could not be changed, and stays as it is until the store is opened again");
        self.poisoned = Some(why.clone());
        why
    }

    /// Names the log's present end in both slots, one after the other.
    fn write_roots(&mut self) -> Result<()> {
        self.commit += 1;
        let mut sector = Scratch::zeroed(SLOT_SIZE)?;
        let root = Root {
            store: self.image.store,
            commit: self.commit,
            log_number: self.log.number,
            log_length: self.log.length,
            last_sequence: self.log.sequence,
            last_crc: self.log.crc,
        };
        root.encode(sector.bytes_mut());
        let together = bugs::active(Bug::BothRootsAtOnce);
        for slot in [self.first_slot, 1 - self.first_slot] {
            write_full(&*self.root, ROOT_POSITIONS[slot], sector.bytes(), !together)
                .map_err(|e| Error::os("writing the manifest's root", &e))?;
            self.written.metadata.add_alone(sector.bytes().len() as u64);
        }
        if together {
            self.root.sync().map_err(|e| Error::os("writing the manifest's root", &e))?;
        }
        (self.first_slot, self.slots_differ) = (0, false);
        Ok(())
    }

    /// Rewrites the log once most of it is history. Where that fails the old one goes on.
    fn compact_if_grown(&mut self) -> Result<()> {
        let growth = self.log.length - self.log.snapshot;
        if growth > self.growth_min.max(2 * self.log.snapshot) {
            let _ = self.compact();
        }
        self.check()
    }

    /// Rewrites the log into the spare one, or into a new one if there is none.
    fn compact(&mut self) -> Result<()> {
        if self.slots_differ {
            self.write_roots().map_err(|e| self.poison(e))?;
        }
        let number = self.log.number.wrapping_add(1);
        let log = Log::create(&*self.disk, &self.image, number, self.growth_min, self.spare.take())?;
        self.written.metadata.add_alone(log.length);
        let old = std::mem::replace(&mut self.log, log);
        self.write_roots().map_err(|e| self.poison(e))?;
        let size = whole(self.log.snapshot, self.growth_min);
        let grown = old.reserved < size && old.file.reserve(size).and_then(|()| old.file.sync()).is_ok();
        let reserved = if grown { size } else { old.reserved };
        self.spare = Some(Spare { file: old.file, number: old.number, reserved });
        Ok(())
    }

    /// Makes creations, renames and removals in a directory durable.
    pub(crate) fn sync_dir(&self, name: &str) -> Result<()> {
        sync_dir(&*self.disk, name)
    }

    #[cfg(test)]
    pub(super) fn log_length(&self) -> u64 {
        self.log.length
    }

    #[cfg(test)]
    pub(crate) fn set_growth_min(&mut self, size: u64) {
        self.growth_min = size;
    }
}

/// Size of a log whose snapshot has so many bytes.
fn whole(snapshot: u64, growth_min: u64) -> u64 {
    (snapshot + growth_min.max(2 * snapshot) + HEADROOM).next_multiple_of(SECTOR)
}

impl Spare {
    fn create(disk: &dyn Disk, number: u32, size: u64) -> Result<Spare> {
        let name = names::log(number);
        remove_if_exists(disk, &name)?;
        let file = disk.open(&name, OpenMode::CreateNew).map_err(|e| Error::os(format_args!("creating {name}"), &e))?;
        if let Err(e) = file.reserve(size).and_then(|()| file.sync()) {
            let _ = disk.remove(&name);
            return Err(Error::os(format_args!("reserving {name}"), &e));
        }
        Ok(Spare { file, number, reserved: size })
    }
}

impl Log {
    /// Begins a log with a snapshot; its directory entry is durable when this returns.
    fn create(disk: &dyn Disk, image: &Manifest, number: u32, growth_min: u64, spare: Option<Spare>) -> Result<Log> {
        let encoded = encode(&image.snapshot(), 0, log_start(image.store, number))?;
        let length = encoded.bytes.bytes().len() as u64;
        let size = whole(length, growth_min);
        let mut spare = match spare {
            Some(spare) => spare,
            None => Spare::create(disk, number, size)?,
        };
        if spare.reserved < size && spare.file.reserve(size).is_ok() {
            spare.reserved = size;
        }
        let name = names::log(number);
        let file = spare.file;
        let begun = write_full(&*file, 0, encoded.bytes.bytes(), true)
            .and_then(|()| file.sync())
            .and_then(|()| if spare.number == number { Ok(()) } else { disk.rename(&names::log(spare.number), &name) });
        if let Err(e) = begun {
            let _ = disk.remove(&names::log(spare.number));
            return Err(Error::os(format_args!("writing {name}"), &e));
        }
        sync_dir(disk, names::HOME)?;
        let Encoded { sequence, crc, .. } = encoded;
        Ok(Log { file, number, length, sequence, crc, snapshot: length, reserved: spare.reserved })
    }
}

fn encode(edits: &[Edit], sequence: u64, crc: u32) -> Result<Encoded> {
    let mut bytes = Vec::new();
    let (sequence, crc) = append_commit(&mut bytes, edits, sequence, crc);
    Ok(Encoded { bytes: Scratch::copy_of(&bytes)?, sequence, crc })
}

pub(super) fn create_dir(disk: &dyn Disk, name: &str) -> Result<()> {
    match disk.create_dir(name) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::os(format_args!("creating {name}"), &e)),
        _ => Ok(()),
    }
}

pub(super) fn remove_if_exists(disk: &dyn Disk, name: &str) -> Result<()> {
    match disk.remove(name) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::os(format_args!("removing {name}"), &e)),
        _ => Ok(()),
    }
}

pub(super) fn sync_dir(disk: &dyn Disk, name: &str) -> Result<()> {
    if bugs::active(Bug::SkipDirSync) {
        return Ok(());
    }
    disk.sync_dir(name).map_err(|e| Error::os(format_args!("making the names in {name:?} durable"), &e))
}
