//! A disk that is only read: what is written to it stays in memory, over what is there.
//!
//! An engine that opens a store to be read only stands on this, and does everything else as it always does: recovery
//! brings the journal's bytes into segments, commits, and puts left-overs away, and none of it reaches the device.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, File, OpenMode};
use crate::limits::SECTOR;

const SECTOR_SIZE: usize = SECTOR as usize;

/// See the module.
pub(crate) struct ReadOnlyDisk {
    base: Arc<dyn Disk>,
    changes: Mutex<Changes>,
}

/// What is different from what is there.
#[derive(Default)]
struct Changes {
    files: BTreeMap<String, Arc<Changed>>,
    removed: BTreeSet<String>,
    directories: BTreeSet<String>,
}

/// A file that was opened for writing.
struct Changed {
    base: Option<Arc<dyn File>>,
    bytes: Mutex<Bytes>,
}

struct Bytes {
    size: u64,
    /// Below this, and where nothing was written, the bytes are those that are there.
    base_size: u64,
    sectors: BTreeMap<u64, Box<[u8]>>,
}

/// The values behind these locks are whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

impl ReadOnlyDisk {
    pub(crate) fn new(base: Arc<dyn Disk>) -> ReadOnlyDisk {
        ReadOnlyDisk { base, changes: Mutex::default() }
    }

    /// The file at `path` as one that takes changes.
    fn changed(&self, changes: &mut Changes, path: &str) -> io::Result<Arc<Changed>> {
        if let Some(file) = changes.files.get(path) {
            return Ok(Arc::clone(file));
        }
        if changes.removed.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let base = self.base.open(path, OpenMode::Read)?;
        let size = base.size()?;
        let file = Arc::new(Changed::new(Some(base), size));
        changes.files.insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn exists(&self, changes: &Changes, path: &str) -> io::Result<bool> {
        if changes.files.contains_key(path) {
            return Ok(true);
        }
        if changes.removed.contains(path) {
            return Ok(false);
        }
        match self.base.open(path, OpenMode::Read) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            result => result.map(|_| true),
        }
    }
}

impl Disk for ReadOnlyDisk {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut changes = lock(&self.changes);
        match mode {
            OpenMode::Read if !changes.files.contains_key(path) && !changes.removed.contains(path) => {
                drop(changes);
                self.base.open_one_of_many(path, OpenMode::Read)
            }
            OpenMode::Read | OpenMode::Write => Ok(self.changed(&mut changes, path)?),
            OpenMode::CreateNew if self.exists(&changes, path)? => Err(io::ErrorKind::AlreadyExists.into()),
            OpenMode::CreateNew => {
                let file = Arc::new(Changed::new(None, 0));
                changes.files.insert(path.to_owned(), Arc::clone(&file));
                Ok(file)
            }
        }
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let mut changes = lock(&self.changes);
        if self.base.list(path).is_ok() || !changes.directories.insert(path.to_owned()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let changes = lock(&self.changes);
        let there = match self.base.list(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && changes.directories.contains(path) => Vec::new(),
            result => result?,
        };
        let full = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        let mut names: BTreeSet<String> =
            there.into_iter().filter(|name| !changes.removed.contains(&full(name))).collect();
        let added = changes.files.keys().filter(|file| directory_of(file) == path);
        names.extend(added.filter_map(|file| file.rsplit('/').next().map(str::to_owned)));
        Ok(names.into_iter().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut changes = lock(&self.changes);
        let file = self.changed(&mut changes, from)?;
        changes.files.remove(from);
        changes.removed.insert(from.to_owned());
        changes.removed.remove(to);
        changes.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut changes = lock(&self.changes);
        if !self.exists(&changes, path)? {
            return Err(io::ErrorKind::NotFound.into());
        }
        changes.files.remove(path);
        changes.removed.insert(path.to_owned());
        Ok(())
    }

    fn remove_dir(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn free_space(&self) -> io::Result<u64> {
        self.base.free_space()
    }
}

impl Changed {
    fn new(base: Option<Arc<dyn File>>, size: u64) -> Changed {
        Changed { base, bytes: Mutex::new(Bytes { size, base_size: size, sectors: BTreeMap::new() }) }
    }
}

impl File for Changed {
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let bytes = lock(&self.bytes);
        let left = usize::try_from(bytes.size.saturating_sub(position)).unwrap_or(usize::MAX);
        let size = into.len().min(left);
        let into = &mut into[..size];
        into.fill(0);
        let end = position + size as u64;
        let from_base = usize::try_from(bytes.base_size.saturating_sub(position)).unwrap_or(usize::MAX).min(size);
        let mut covered = bytes.sectors.range(position / SECTOR..end.div_ceil(SECTOR));
        // What was written is not asked of the device, which may not be able to read it.
        let all_written = covered.clone().count() as u64 == end.div_ceil(SECTOR) - position / SECTOR;
        if let Some(base) = &self.base
            && from_base > 0
            && !all_written
        {
            super::read_full(&**base, position, &mut into[..from_base])?;
        }
        covered.try_for_each(|(number, sector)| {
            let start = number * SECTOR;
            let (from, to) = (start.max(position), (start + SECTOR).min(end));
            let piece = &sector[(from - start) as usize..(to - start) as usize];
            into[(from - position) as usize..(to - position) as usize].copy_from_slice(piece);
            Ok::<(), io::Error>(())
        })?;
        Ok(size)
    }

    fn write_at(&self, position: u64, from: &[u8], _durable: bool) -> io::Result<usize> {
        if !position.is_multiple_of(SECTOR) || !(from.len() as u64).is_multiple_of(SECTOR) {
            let what = format!("a write of {} bytes at {position} is not in whole sectors", from.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let mut bytes = lock(&self.bytes);
        for (number, sector) in from.chunks(SECTOR_SIZE).enumerate() {
            bytes.sectors.insert(position / SECTOR + number as u64, sector.into());
        }
        bytes.size = bytes.size.max(position + from.len() as u64);
        Ok(from.len())
    }

    /// What is there may only be in the page cache: what recovery believes has to be on the device all the same.
    fn sync(&self) -> io::Result<()> {
        self.base.as_ref().map_or(Ok(()), |base| base.sync())
    }

    fn reserve(&self, size: u64) -> io::Result<()> {
        let mut bytes = lock(&self.bytes);
        bytes.size = bytes.size.max(size);
        Ok(())
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut bytes = lock(&self.bytes);
        bytes.base_size = bytes.base_size.min(size);
        bytes.sectors.split_off(&size.div_ceil(SECTOR));
        let (last, tail) = (size / SECTOR, (size % SECTOR) as usize);
        if let Some(sector) = bytes.sectors.get_mut(&last) {
            sector[tail..].fill(0);
        }
        bytes.size = size;
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(lock(&self.bytes).size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::os::OsDisk;
    use crate::io::{read_full, write_full};

    #[test]
    fn changes_are_seen_and_nothing_is_changed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = directory.path().join("store");
        let below: Arc<dyn Disk> = Arc::new(OsDisk::open(&store, true, false).expect("a store"));
        let file = below.open("there", OpenMode::CreateNew).expect("a file");
        write_full(&*file, 0, &[1; 3 * SECTOR_SIZE], true).expect("written");
        let disk = ReadOnlyDisk::new(Arc::clone(&below));

        let changed = disk.open("there", OpenMode::Write).expect("it is there");
        write_full(&*changed, SECTOR, &[2; SECTOR_SIZE], true).expect("in memory");
        write_full(&*changed, 3 * SECTOR, &[3; SECTOR_SIZE], true).expect("in memory");
        let again = disk.open("there", OpenMode::Read).expect("it is there");
        let mut bytes = vec![9; 4 * SECTOR_SIZE];
        assert!(read_full(&*again, 0, &mut bytes).expect("readable"));
        let firsts: Vec<u8> = bytes.chunks(SECTOR_SIZE).map(|sector| sector[0]).collect();
        assert_eq!(firsts, [1, 2, 1, 3]);
        changed.set_size(100).expect("cut");
        changed.reserve(2 * SECTOR).expect("extended");
        assert!(read_full(&*again, 0, &mut bytes[..2 * SECTOR_SIZE]).expect("readable"));
        assert!(bytes[..100].iter().all(|b| *b == 1) && bytes[100..2 * SECTOR_SIZE].iter().all(|b| *b == 0));

        disk.rename("there", "moved").expect("renamed");
        assert_eq!(disk.open("there", OpenMode::Read).err().map(|e| e.kind()), Some(io::ErrorKind::NotFound));
        disk.create_dir("new").expect("a directory");
        disk.open("new/file", OpenMode::CreateNew).expect("a file");
        assert_eq!(disk.list("").expect("names"), ["moved"]);
        assert_eq!(disk.list("new").expect("names"), ["file"]);
        disk.remove("moved").expect("removed");
        assert_eq!(disk.remove("moved").err().map(|e| e.kind()), Some(io::ErrorKind::NotFound));

        assert_eq!(below.list("").expect("names"), ["there"]);
        assert!(read_full(&*file, 0, &mut bytes[..3 * SECTOR_SIZE]).expect("readable"));
        assert!(bytes[..3 * SECTOR_SIZE].iter().all(|b| *b == 1));
    }
}
