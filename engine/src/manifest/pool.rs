//! Files of removed segments, for their next use: writing into extents that were written before is twice as fast.
//!
//! That is worth no space which somebody may want: the pool has a few files, of little compared with what is free.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::io::{Disk, OpenMode};
use crate::manifest::{names, store};

/// The pool holds at most what is free beside it, divided by this.
const FREE_FRACTION: u64 = 8;

/// The pool, which is a directory.
#[derive(Default)]
pub(super) struct Pool {
    files: Vec<Pooled>,
    next: u32,
    max: usize,
    /// Sizes that were asked for. Until one was, any may be.
    wanted: BTreeSet<u64>,
}

struct Pooled {
    number: u32,
    size: u64,
}

impl Pool {
    /// Looks at what the pool holds. What is strange or too much is removed.
    pub(super) fn open(disk: &dyn Disk, max: usize) -> Result<Pool> {
        let mut pool = Pool { files: Vec::new(), next: 1, max, wanted: BTreeSet::new() };
        for name in disk.list(names::POOL).map_err(|e| Error::os("listing the pool", &e))? {
            let path = format!("{}/{name}", names::POOL);
            let Some(number) = names::parse_pooled(&name) else {
                let _ = disk.remove(&path);
                continue;
            };
            pool.next = pool.next.max(number.saturating_add(1));
            match reserved(disk, &path) {
                Ok(size) if pool.files.len() < max => pool.files.push(Pooled { number, size }),
                _ => drop(disk.remove(&path)),
            }
        }
        Ok(pool)
    }

    /// A name that no file has.
    pub(super) fn free_name(&self) -> String {
        names::pooled(self.next)
    }

    /// Renames a file of exactly this size to `path`, whose directory the caller makes durable. `false`: there is none.
    pub(super) fn take(&mut self, disk: &dyn Disk, size: u64, path: &str) -> Result<bool> {
        self.wanted.insert(size);
        let Some(at) = self.files.iter().position(|f| f.size == size) else { return Ok(false) };
        let file = self.files.swap_remove(at);
        let renamed = disk.rename(&names::pooled(file.number), path);
        renamed.map(|()| true).map_err(|e| Error::os("taking a file from the pool", &e))
    }

    /// Removes what is too much for the space that is left on the device, the largest first.
    pub(super) fn shrink(&mut self, disk: &dyn Disk) {
        while !self.files.is_empty() && !self.fits(disk, 0) {
            let largest = (0..self.files.len()).max_by_key(|at| self.files[*at].size).expect("there are files");
            self.remove(disk, largest);
        }
    }

    /// Whether the device has space for a pool with so many bytes more. Where nobody knows, it has.
    fn fits(&self, disk: &dyn Disk, more: u64) -> bool {
        let held: u64 = self.files.iter().map(|file| file.size).sum();
        disk.free_space().map_or(true, |free| held + more <= free / FREE_FRACTION)
    }

    fn remove(&mut self, disk: &dyn Disk, at: usize) {
        let file = self.files.swap_remove(at);
        // Left over if this fails; the next open finds it.
        let _ = disk.remove(&names::pooled(file.number));
    }

    /// Removes all files: their space is needed. Whether there were any.
    pub(super) fn drain(&mut self, disk: &dyn Disk) -> bool {
        let had_files = !self.files.is_empty();
        while !self.files.is_empty() {
            self.remove(disk, 0);
        }
        had_files
    }

    fn wants(&self, size: u64) -> bool {
        self.wanted.is_empty() || self.wanted.contains(&size)
    }

    /// Whether there is a place for one more, if need be that of one that nobody wants.
    fn has_room(&mut self, disk: &dyn Disk) -> bool {
        if self.files.len() >= self.max
            && let Some(at) = self.files.iter().position(|file| !self.wants(file.size))
        {
            self.remove(disk, at);
        }
        self.files.len() < self.max
    }

    /// Takes a file in, or removes it. `in_use`: somebody may still read or write it, so that it must not become
    /// another segment's.
    pub(super) fn give(&mut self, disk: &dyn Disk, path: &str, in_use: bool) {
        let size = if in_use { None } else { reserved(disk, path).ok() };
        let size = size.filter(|size| self.wants(*size) && self.has_room(disk) && self.fits(disk, *size));
        let number = self.next;
        if let Some(size) = size {
            // Durable before the file is another segment's, so that it can never come back under its old name.
            let moved = disk.rename(path, &names::pooled(number)).is_ok();
            if moved {
                self.next += 1;
                let durable = store::sync_dir(disk, names::POOL).and_then(|()| {
                    let from = path.rsplit_once('/').map_or(names::HOME, |(directory, _)| directory);
                    store::sync_dir(disk, from)
                });
                match durable {
                    Ok(()) => self.files.push(Pooled { number, size }),
                    Err(_) => drop(disk.remove(&names::pooled(number))),
                }
                return;
            }
        }
        // Left over if this fails; the next open removes it.
        let _ = disk.remove(path);
    }
}

/// The size of a file, and with it its space, for sure: a process that was killed while it reserved it leaves a size that
/// a loss of power takes back, under whatever was written into it meanwhile.
fn reserved(disk: &dyn Disk, path: &str) -> std::io::Result<u64> {
    let file = disk.open(path, OpenMode::Read)?;
    file.sync()?;
    file.size()
}
