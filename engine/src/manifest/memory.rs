//! A disk in memory for unit tests: everything written stays, and any operation can be made to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::io::{Disk, Environment, File, OpenMode};
use crate::limits::SECTOR;

type Bytes = Arc<Mutex<Vec<u8>>>;
type Hook = Box<dyn FnMut(&str, &str) -> Option<i32> + Send>;

#[derive(Default)]
struct State {
    files: BTreeMap<String, Bytes>,
    dirs: BTreeSet<String>,
    hook: Option<Hook>,
    /// Sectors that cannot be read until they are written again.
    bad: BTreeSet<(String, u64)>,
}

/// The disk. Clones share the contents.
#[derive(Clone, Default)]
pub(crate) struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

struct MemoryFile {
    disk: MemoryDisk,
    path: String,
    bytes: Bytes,
}

impl MemoryDisk {
    pub(crate) fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// Asks `hook` before every operation, with its name and path; a number is the OS error that it fails
    /// with; a write that shall be lost in silence fails with 0.
    pub(crate) fn hook(&self, hook: impl FnMut(&str, &str) -> Option<i32> + Send + 'static) {
        self.lock().hook = Some(Box::new(hook));
    }

    pub(crate) fn unhook(&self) {
        self.lock().hook = None;
    }

    /// Fails every operation that changes something, after the first `count` of them: as if the machine stopped there.
    pub(crate) fn stop_after(&self, mut count: u64) {
        self.hook(move |op, _| {
            if matches!(op, "read" | "list" | "open" | "size") {
                return None;
            }
            if count == 0 {
                return Some(libc::EIO);
            }
            count -= 1;
            None
        });
    }

    /// A disk of its own with the same contents.
    pub(crate) fn copy(&self) -> MemoryDisk {
        let state = self.lock();
        let files = state
            .files
            .iter()
            .map(|(path, bytes)| (path.clone(), Arc::new(Mutex::new(bytes.lock().expect("no panics").clone()))))
            .collect();
        let dirs = state.dirs.clone();
        let bad = state.bad.clone();
        MemoryDisk { state: Arc::new(Mutex::new(State { files, dirs, hook: None, bad })) }
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.lock().files.keys().cloned().collect()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.lock().files.contains_key(path)
    }

    /// Changes a file behind everybody's back.
    pub(crate) fn edit(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let bytes = Arc::clone(self.lock().files.get(path).expect("the file exists"));
        change(&mut bytes.lock().expect("no panics"));
    }

    /// Makes a sector unreadable until it is written again.
    pub(crate) fn spoil(&self, path: &str, position: u64) {
        self.lock().bad.insert((path.to_owned(), position));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panics under the lock")
    }

    fn ask(&self, op: &str, path: &str) -> io::Result<std::sync::MutexGuard<'_, State>> {
        let mut state = self.lock();
        if let Some(code) = state.hook.as_mut().and_then(|hook| hook(op, path)) {
            return Err(io::Error::from_raw_os_error(code));
        }
        Ok(state)
    }

    fn parent_exists(state: &State, path: &str) -> bool {
        path.rsplit_once('/').is_none_or(|(dir, _)| state.dirs.contains(dir))
    }
}

fn missing() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}

impl Disk for MemoryDisk {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let op = if mode == OpenMode::CreateNew { "create" } else { "open" };
        let mut state = self.ask(op, path)?;
        if !Self::parent_exists(&state, path) {
            return Err(missing());
        }
        let bytes = match (mode, state.files.get(path)) {
            (OpenMode::CreateNew, Some(_)) => return Err(io::Error::from_raw_os_error(libc::EEXIST)),
            (OpenMode::CreateNew, None) => {
                let bytes = Bytes::default();
                state.files.insert(path.to_owned(), Arc::clone(&bytes));
                bytes
            }
            (_, Some(bytes)) => Arc::clone(bytes),
            (_, None) => return Err(missing()),
        };
        Ok(Arc::new(MemoryFile { disk: self.clone(), path: path.to_owned(), bytes }))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.ask("create_dir", path)?;
        if !Self::parent_exists(&state, path) {
            return Err(missing());
        }
        if state.dirs.insert(path.to_owned()) { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EEXIST)) }
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let state = self.ask("list", path)?;
        if !path.is_empty() && !state.dirs.contains(path) {
            return Err(missing());
        }
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let names = state.files.keys().chain(state.dirs.iter());
        let inside = names.filter_map(|name| name.strip_prefix(&prefix)).filter(|name| !name.contains('/'));
        let sorted: BTreeSet<String> = inside.map(str::to_owned).collect();
        Ok(sorted.into_iter().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.ask("rename", from)?;
        let bytes = state.files.remove(from).ok_or_else(missing)?;
        state.files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.ask("remove", path)?;
        state.files.remove(path).map(|_| ()).ok_or_else(missing)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.ask("remove_dir", path)?;
        let prefix = format!("{path}/");
        if state.files.keys().any(|name| name.starts_with(&prefix)) {
            return Err(io::Error::from_raw_os_error(libc::ENOTEMPTY));
        }
        if state.dirs.remove(path) { Ok(()) } else { Err(missing()) }
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.ask("sync_dir", path).map(|_| ())
    }

    fn free_space(&self) -> io::Result<u64> {
        Ok(1 << 40)
    }
}

impl MemoryFile {
    fn ask(&self, op: &str) -> io::Result<()> {
        self.disk.ask(op, &self.path).map(|_| ())
    }

    fn sectors(&self, position: u64, size: usize) -> impl Iterator<Item = (String, u64)> {
        let positions = (position..position + size as u64).step_by(SECTOR as usize);
        positions.map(|position| (self.path.clone(), position))
    }

    fn bytes(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().expect("no panics under the lock")
    }
}

fn check(position: u64, bytes: &[u8]) {
    let aligned = [position, bytes.len() as u64, bytes.as_ptr().addr() as u64].iter().all(|n| n % SECTOR == 0);
    assert!(aligned, "a transfer of {} bytes at {position} is not aligned", bytes.len());
}

impl File for MemoryFile {
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        check(position, into);
        self.ask("read")?;
        if self.sectors(position, into.len()).any(|sector| self.disk.lock().bad.contains(&sector)) {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        let bytes = self.bytes();
        let from = bytes.get(usize::try_from(position).expect("small files")..).unwrap_or(&[]);
        let n = from.len().min(into.len());
        into[..n].copy_from_slice(&from[..n]);
        Ok(n)
    }

    fn write_at(&self, position: u64, from: &[u8], durable: bool) -> io::Result<usize> {
        check(position, from);
        match self.ask(if durable { "write_durable" } else { "write" }) {
            Err(e) if e.raw_os_error() == Some(0) => return Ok(from.len()),
            asked => asked?,
        }
        for sector in self.sectors(position, from.len()) {
            self.disk.lock().bad.remove(&sector);
        }
        let mut bytes = self.bytes();
        let end = usize::try_from(position).expect("small files") + from.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[end - from.len()..end].copy_from_slice(from);
        Ok(from.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.ask("sync")
    }

    fn reserve(&self, size: u64) -> io::Result<()> {
        self.ask("reserve")?;
        let size = usize::try_from(size).expect("small files");
        let mut bytes = self.bytes();
        let size = size.max(bytes.len());
        bytes.resize(size, 0);
        Ok(())
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.ask("set_size")?;
        self.bytes().resize(usize::try_from(size).expect("small files"), 0);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.ask("size")?;
        Ok(self.bytes().len() as u64)
    }
}

/// Time that stands still, and numbers that are different each time.
#[derive(Default)]
pub(crate) struct TestEnvironment {
    next: AtomicU64,
}

impl TestEnvironment {
    /// Other numbers than the one of a store opened before.
    pub(crate) fn starting(at: u64) -> TestEnvironment {
        TestEnvironment { next: AtomicU64::new(at) }
    }
}

impl Environment for TestEnvironment {
    fn now_ms(&self) -> i64 {
        1_700_000_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        0
    }

    fn random(&self) -> u64 {
        crate::checksum::mix(0x7468_616c_7765_6721, self.next.fetch_add(1, Ordering::Relaxed)) | 1
    }
}
