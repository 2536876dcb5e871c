//! A disk that crashes, tears, lies and rots, as chance decides.
//!
//! A [`Device`] outlives every crash. Each start of the engine [attaches](Device::attach) to it and gets a [`SimDisk`]
//! of its own; after a crash everything that the old one gave out answers with an error, except that writes which
//! were under way may still [land](Device::land).

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::faults::{Damage, Faults};
use super::file::SimFile;
use super::image::{Change, Content};
use super::names::{Names, Node, parent};
use super::rng::{Rng, scramble};
use crate::io::{Disk, File, OpenMode};

/// How the machine went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process died; what the kernel has is kept.
    Kill,
    /// Power was cut; what is volatile is kept, lost or torn.
    PowerCut,
}

/// The medium with everything on it.
#[derive(Clone)]
pub(crate) struct Device {
    state: Arc<Mutex<State>>,
}

/// One incarnation's access to a [`Device`].
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
    incarnation: u64,
}

/// What a call did, for the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Open,
    CreateDir,
    List,
    Rename,
    Remove,
    SyncDir,
    FreeSpace,
    Read,
    Write,
    WriteDurably,
    Sync,
    Reserve,
    SetSize,
    Size,
}

/// What a call was about.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    Path(&'a str),
    File(u64),
}

pub(crate) struct State {
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    pub(crate) damage: Damage,
    pub(crate) names: Names,
    pub(crate) files: BTreeMap<u64, Content>,
    next_file: u64,
    incarnation: u64,
    /// The incarnation that is on, or none while the machine is off.
    alive: bool,
    /// Writes of the dead incarnation are let through, torn.
    pub(crate) landing: bool,
    calls: u64,
    crash_at: Option<u64>,
    trace: u64,
    /// Every call and its result as text, for whoever looks into a failure.
    log: Option<Vec<String>>,
}

/// The error of every call to a machine that is off.
pub(crate) fn off() -> io::Error {
    io::Error::other("the simulated machine is off")
}

/// An error as the kernel reports it.
pub(crate) fn os(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

impl Device {
    pub(crate) fn new(seed: u64) -> Device {
        let state = State {
            rng: Rng::new(scramble(seed)),
            faults: Faults::default(),
            damage: Damage::default(),
            names: Names::default(),
            files: BTreeMap::new(),
            next_file: 1,
            incarnation: 0,
            alive: false,
            landing: false,
            calls: 0,
            crash_at: None,
            trace: scramble(seed),
            log: None,
        };
        Device { state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no simulated call panics while it holds the disk")
    }

    /// Turns the machine on: earlier incarnations stay dead.
    pub(crate) fn attach(&self) -> Arc<SimDisk> {
        let mut state = self.lock();
        state.incarnation += 1;
        state.alive = true;
        Arc::new(SimDisk { state: Arc::clone(&self.state), incarnation: state.incarnation })
    }

    /// The machine goes off in the middle of the call that follows `after` others, if it is still on then.
    pub(crate) fn crash_after(&self, after: Option<u64>) {
        let mut state = self.lock();
        state.crash_at = after.map(|n| state.calls + n + 1);
    }

    /// Whether the machine is on.
    pub(crate) fn is_on(&self) -> bool {
        self.lock().alive
    }

    /// Turns the machine off between two calls.
    pub(crate) fn turn_off(&self) {
        self.lock().alive = false;
    }

    /// Runs `operations` of the dead incarnation: the kernel had them, so that their writes reach the disk, torn.
    pub(crate) fn land(&self, operations: impl FnOnce()) {
        self.lock().landing = true;
        operations();
        self.lock().landing = false;
    }

    /// Settles what the crash left, with the machine off.
    pub(crate) fn settle(&self, crash: Crash) {
        let mut state = self.lock();
        assert!(!state.alive, "a machine that is on has not crashed");
        state.crash_at = None;
        let State { rng, names, files, .. } = &mut *state;
        if crash == Crash::PowerCut {
            names.cut_power(rng);
            for content in files.values_mut() {
                content.cut_power(rng);
            }
        }
        let reachable = names.files();
        files.retain(|inode, _| reachable.contains(inode));
        state.note(|| format!("== {crash:?}"), crash as u64);
    }

    /// From now on these faults.
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    pub(crate) fn damage(&self) -> Damage {
        self.lock().damage.clone()
    }

    /// A hash of every call and its result so far.
    pub(crate) fn trace(&self) -> u64 {
        self.lock().trace
    }

    /// Mixes what the world did into the trace.
    pub(crate) fn note(&self, text: impl FnOnce() -> String, word: u64) {
        self.lock().note(text, word);
    }

    /// Begins to keep every call as text.
    pub(crate) fn keep_log(&self) {
        self.lock().log = Some(Vec::new());
    }

    pub(crate) fn take_log(&self) -> Vec<String> {
        self.lock().log.take().unwrap_or_default()
    }

    /// Bytes of some file, as a hostile producer might get hold of them.
    pub(crate) fn loot(&self, rng: &mut Rng, size: usize) -> Vec<u8> {
        let state = self.lock();
        let files: Vec<u64> = state.names.paths().map(|(_, inode)| inode).collect();
        let mut bytes = vec![0; size];
        if !files.is_empty() {
            let image = state.files[rng.pick(&files)].visible();
            let read = image.read(rng.below(image.size() / 4096 + 1) * 4096, &mut bytes);
            bytes.truncate(read);
        }
        bytes
    }

    /// Flips bits of durable bytes in a file whose path `may_rot` accepts, or makes a page of it unreadable. Answers the
    /// path, which nobody is excused by before it is [blamed](Device::blame).
    pub(crate) fn rot(&self, may_rot: impl Fn(&str) -> bool) -> Option<String> {
        let mut state = self.lock();
        let State { rng, names, files, damage, .. } = &mut *state;
        let candidates: Vec<(&str, u64)> = names.paths().filter(|(path, _)| may_rot(path)).collect();
        if candidates.is_empty() {
            return None;
        }
        let (path, inode) = *rng.pick(&candidates);
        let path = path.to_string();
        let content = files.get_mut(&inode)?;
        let at = if rng.one_in(4) { content.go_bad(rng)? } else { content.rot(rng)? };
        damage.rotten += 1;
        state.note(|| format!("== bits flip in {path} at {at}"), at);
        Some(path)
    }

    /// What rotted in a file excuses the engine.
    pub(crate) fn blame(&self, path: String) {
        self.lock().damage.files.insert(path);
    }
}

impl State {
    pub(crate) fn note(&mut self, text: impl FnOnce() -> String, word: u64) {
        self.trace = scramble(self.trace ^ word).rotate_left(7);
        if let Some(log) = &mut self.log {
            log.push(text());
        }
    }

    /// Every call passes here with its result.
    pub(crate) fn record(&mut self, call: Call, target: Target<'_>, at: u64, bytes: &[u8], result: Result<u64, i32>) {
        let outcome = result.unwrap_or_else(|code| u64::MAX - u64::from(code.unsigned_abs()));
        let target_word = match target {
            Target::Path(path) => u64::from(crc32fast::hash(path.as_bytes())),
            Target::File(inode) => inode << 32,
        };
        let words = [call as u64, target_word, at, bytes.len() as u64, u64::from(crc32fast::hash(bytes)), outcome];
        let word = words.iter().fold(0, |hash, word| scramble(hash ^ word));
        let path = match target {
            Target::Path(path) => path.to_string(),
            Target::File(inode) if self.log.is_some() => self.path_of(inode),
            Target::File(_) => String::new(),
        };
        self.note(|| format!("{call:?} {path} at {at} size {}: {result:?}", bytes.len()), word);
    }

    /// Whether an entry can be made in the directory of `path`.
    fn may_add(&mut self, path: &str) -> io::Result<()> {
        if !self.names.is_directory(parent(path)) {
            return Err(os(libc::ENOENT));
        }
        self.space(1)
    }

    /// Whether the device says that it flushed, and did not.
    pub(crate) fn lies(&mut self) -> bool {
        let rate = self.faults.lie;
        let lies = self.rng.per_million(rate);
        if lies {
            self.damage.lies += 1;
            self.note(|| "== the next flush is a lie".into(), 1);
        }
        lies
    }

    /// Bytes of space in use.
    fn used(&self) -> u64 {
        let reachable = self.names.paths().map(|(_, inode)| inode);
        reachable.map(|inode| self.files.get(&inode).map_or(0, |f| f.allocated)).sum()
    }

    /// Whether `more` bytes fit; if not, the error.
    fn space(&mut self, more: u64) -> io::Result<()> {
        match self.faults.capacity {
            Some(capacity) if more > 0 && self.used() + more > capacity => {
                Err(os(if self.rng.one_in(4) { libc::EDQUOT } else { libc::ENOSPC }))
            }
            _ => Ok(()),
        }
    }

    /// Reserves space up to `end` of a file.
    pub(crate) fn allocate(&mut self, inode: u64, end: u64) -> io::Result<()> {
        let end = end.next_multiple_of(4096);
        let allocated = self.files.get(&inode).map_or(0, |f| f.allocated);
        if end > allocated {
            self.space(end - allocated)?;
            self.content(inode).allocated = end;
        }
        Ok(())
    }

    pub(crate) fn content(&mut self, inode: u64) -> &mut Content {
        self.files.get_mut(&inode).expect("files outlive their names until the machine is off")
    }

    pub(crate) fn path_of(&self, inode: u64) -> String {
        self.names.paths().find(|(_, i)| *i == inode).map_or_else(String::new, |(path, _)| path.to_string())
    }

    /// A write that goes to a wrong place: somewhere else in this file or in another. Both are damaged.
    pub(crate) fn misdirect(&mut self, inode: u64, position: u64, bytes: &[u8], durable: bool) {
        let files: Vec<u64> = self.names.paths().map(|(_, i)| i).collect();
        let victim = if files.is_empty() || self.rng.one_in(2) { inode } else { *self.rng.pick(&files) };
        let sectors = self.content(victim).visible().size() / 512;
        let room = sectors.saturating_sub(bytes.len() as u64 / 512);
        let target = self.rng.below(room + 1) * 512;
        let intended = self.path_of(inode);
        let hit = self.path_of(victim);
        self.note(|| format!("== misdirected to {hit} at {target} instead of {intended} at {position}"), target);
        self.damage.files.extend([intended, hit]);
        self.damage.misdirected_writes += 1;
        let change = Change::Write { position: target, bytes: bytes.to_vec() };
        let content = self.content(victim);
        if durable { content.change_durably(change) } else { content.change(change) }
    }
}

/// A call on its way: what it needs of the state, and whether it is the one in which the machine goes off.
pub(crate) struct Visit<'a> {
    pub(crate) state: MutexGuard<'a, State>,
    /// The machine goes off during this call: it may do its work in part, and fails.
    pub(crate) last: bool,
}

impl SimDisk {
    /// Lets a call in, if the machine is on.
    pub(crate) fn visit(&self) -> io::Result<Visit<'_>> {
        let mut state = self.state.lock().expect("no simulated call panics while it holds the disk");
        if state.incarnation != self.incarnation || !(state.alive || state.landing) {
            return Err(off());
        }
        state.calls += 1;
        let last = state.alive && state.crash_at.is_some_and(|at| state.calls >= at);
        if last {
            state.alive = false;
        }
        Ok(Visit { state, last })
    }

    /// A call on names: `change` checks and does it; chance and the crash point decide whether it comes to that.
    fn names<T>(
        &self,
        call: Call,
        path: &str,
        may_fail: bool,
        change: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let Visit { mut state, last } = self.visit()?;
        let rate = state.faults.name_error;
        let result = if last {
            if state.rng.one_in(2) {
                drop(change(&mut state));
            }
            Err(off())
        } else if may_fail && state.rng.per_million(rate) {
            state.damage.errors += 1;
            // The step may be done although its error says otherwise.
            if call != Call::Open && state.rng.one_in(4) {
                drop(change(&mut state));
            }
            Err(os(if call == Call::Open && state.rng.one_in(3) { libc::EMFILE } else { libc::EIO }))
        } else {
            change(&mut state)
        };
        let code = result.as_ref().map(|_| 0).map_err(|e| e.raw_os_error().unwrap_or(0));
        state.record(call, Target::Path(path), 0, &[], code);
        result
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let inode = self.names(Call::Open, path, true, |state| match (state.names.get(path), mode) {
            (Some(Node::Directory), _) => Err(os(libc::EISDIR)),
            (Some(Node::File(_)), OpenMode::CreateNew) => Err(os(libc::EEXIST)),
            (Some(Node::File(inode)), _) => Ok(inode),
            (None, OpenMode::CreateNew) => {
                state.may_add(path)?;
                let inode = state.next_file;
                state.next_file += 1;
                state.files.insert(inode, Content::default());
                state.names.create(path, Node::File(inode));
                Ok(inode)
            }
            (None, _) => Err(os(libc::ENOENT)),
        })?;
        let disk = SimDisk { state: Arc::clone(&self.state), incarnation: self.incarnation };
        Ok(Arc::new(SimFile::new(disk, inode, mode)))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.names(Call::CreateDir, path, true, |state| {
            if state.names.get(path).is_some() {
                return Err(os(libc::EEXIST));
            }
            state.may_add(path)?;
            state.names.create(path, Node::Directory);
            Ok(())
        })
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.names(Call::List, path, true, |state| {
            if state.names.is_directory(path) { Ok(state.names.list(path)) } else { Err(os(libc::ENOENT)) }
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.names(Call::Rename, to, true, |state| match (state.names.get(from), state.names.get(to)) {
            (None, _) => Err(os(libc::ENOENT)),
            (_, Some(Node::Directory)) => Err(os(libc::EISDIR)),
            _ if !state.names.is_directory(parent(to)) => Err(os(libc::ENOENT)),
            _ => {
                state.names.rename(from, to);
                // What was damaged goes with the file.
                if state.damage.files.contains(from) {
                    state.damage.files.insert(to.to_owned());
                }
                Ok(())
            }
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.names(Call::Remove, path, true, |state| match state.names.get(path) {
            None => Err(os(libc::ENOENT)),
            Some(Node::Directory) => Err(os(libc::EISDIR)),
            Some(Node::File(_)) => {
                state.names.remove(path);
                Ok(())
            }
        })
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.names(Call::Remove, path, true, |state| {
            if !state.names.is_directory(path) {
                return Err(os(libc::ENOENT));
            }
            if !state.names.list(path).is_empty() {
                return Err(os(libc::ENOTEMPTY));
            }
            state.names.remove(path);
            Ok(())
        })
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.names(Call::SyncDir, path, true, |state| {
            if !state.names.is_directory(path) {
                return Err(os(libc::ENOENT));
            }
            if state.lies() {
                return Ok(());
            }
            state.names.sync(path);
            Ok(())
        })
    }

    fn free_space(&self) -> io::Result<u64> {
        self.names(Call::FreeSpace, "", false, |state| {
            Ok(state.faults.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
        })
    }
}
