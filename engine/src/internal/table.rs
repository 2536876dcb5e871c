//! Keys and values in memory, durable through a log.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc as StdArc;

use super::log::{Found, Log, Logged};
use super::repaired::Repaired;
use crate::error::{Error, ErrorKind, Result};
use crate::format::record::Record;
use crate::ids::TopicId;
use crate::partition::Seat;
use crate::producer::Ticket;
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::topic::{Common, Totals};

/// What an entry takes beside its key and value, roughly. Bytes.
const ENTRY_SIZE: usize = 64;
/// A log of up to so many bytes is left alone.
const LOG_MIN: u64 = 1 << 20;
/// A log is rewritten when it has grown to so many times what is alive in it.
const LOG_FACTOR: u64 = 4;
/// Records of one batch of a rewritten log, and the bytes after which the next begins.
const BATCH_RECORDS: usize = 4096;
const BATCH_BYTES: usize = 1 << 20;

/// A key that gets a value, or loses it.
pub(crate) type Change = (Box<[u8]>, Option<Box<[u8]>>);

/// A map whose changes are appended to a log, and count once they are durable.
///
/// The log is read when the table is first used. It is rewritten, now and then, by whoever makes the change that is
/// one too many.
pub(crate) struct Table {
    log: Log,
    what: &'static str,
    /// The topic that an entry belongs to, by its key.
    topic_of: fn(&[u8]) -> Option<TopicId>,
    /// Bytes of all entries. A change that would go beyond is refused.
    limit: usize,
    /// Held by whoever reads the log or adds to it, for as long as the device takes. Locked before the state.
    turn: Mutex<()>,
    /// Locked for moments only, so that whoever looks never waits for the device.
    state: Mutex<State>,
}

type Map = BTreeMap<Box<[u8]>, Box<[u8]>>;

#[derive(Default)]
struct State {
    loaded: bool,
    /// What is durable. Shared only with a log that is being rewritten, while nothing changes.
    live: StdArc<Map>,
    /// Bytes of all entries once everything that was appended is durable.
    size: usize,
    /// Appended, and not known to be durable, oldest first.
    pending: VecDeque<(Ticket, Vec<Change>)>,
    /// Bytes of the log, roughly.
    log_size: u64,
    /// The log could not be rewritten: it is tried again at this size.
    rewrite_at: u64,
}

fn size_of(key: &[u8], value: &[u8]) -> usize {
    ENTRY_SIZE + key.len() + value.len()
}

impl State {
    /// Forgets entries, those that wait included.
    fn retain(&mut self, keep: impl Fn(&[u8]) -> bool) {
        StdArc::make_mut(&mut self.live).retain(|key, _| keep(key));
        self.pending.iter_mut().for_each(|(_, changes)| changes.retain(|(key, _)| keep(key)));
        self.size = self.live.iter().map(|(key, value)| size_of(key, value)).sum();
        // As they were taken in, one after the other.
        for (ticket, changes) in std::mem::take(&mut self.pending) {
            self.size = self.size_after(&changes);
            self.pending.push_back((ticket, changes));
        }
    }

    /// Takes in what has become durable. What never will be stays out.
    fn settle(&mut self) {
        while let Some((ticket, _)) = self.pending.front() {
            match ticket.is_durable() {
                Ok(true) => {
                    let live = StdArc::make_mut(&mut self.live);
                    for (key, value) in self.pending.pop_front().map(|(_, changes)| changes).unwrap_or_default() {
                        match value {
                            Some(value) => drop(live.insert(key, value)),
                            None => drop(live.remove(&key)),
                        }
                    }
                }
                _ => return,
            }
        }
    }

    /// The value that a key has once everything is durable.
    fn latest(&self, key: &[u8]) -> Option<&[u8]> {
        let changes = self.pending.iter().rev().flat_map(|(_, changes)| changes.iter().rev());
        match changes.into_iter().find(|(changed, _)| **changed == *key) {
            Some((_, value)) => value.as_deref(),
            None => self.live.get(key).map(|value| &**value),
        }
    }

    /// The bytes of all entries after these changes.
    fn size_after(&self, changes: &[Change]) -> usize {
        let mut seen: BTreeMap<&[u8], usize> = BTreeMap::new();
        let mut size = self.size;
        for (key, value) in changes {
            let new = value.as_ref().map_or(0, |value| size_of(key, value));
            let old = seen.insert(key, new).unwrap_or_else(|| self.latest(key).map_or(0, |old| size_of(key, old)));
            size = size + new - old;
        }
        size
    }
}

impl Table {
    pub(crate) fn new(
        common: &Arc<Common>,
        name: &'static str,
        what: &'static str,
        limit: usize,
        topic_of: fn(&[u8]) -> Option<TopicId>,
        found: &Found,
    ) -> Table {
        let log = Log::new(common, name, found);
        Table { log, what, topic_of, limit, turn: Mutex::new(()), state: Mutex::new(State::default()) }
    }

    /// Forgets what belongs to topics that are gone. Their numbers are not used again, so the log may still have it.
    fn purge(&self, state: &mut State) {
        let events = &self.log.common().events;
        state.retain(|key| (self.topic_of)(key).is_some_and(|topic| events.knows(topic)));
    }

    pub(crate) fn seats(&self) -> Vec<Arc<Seat>> {
        self.log.seats()
    }

    pub(crate) fn totals(&self) -> Totals {
        self.log.totals()
    }

    /// The durable state, loaded. Waits for the device only until it is.
    fn state(&self) -> Result<MutexGuard<'_, State>> {
        self.log.common().gate.check()?;
        let mut state = self.state.lock();
        if !state.loaded {
            drop(state);
            state = self.loaded(&self.turn.lock())?;
        }
        state.settle();
        Ok(state)
    }

    /// As [`state`](Table::state), for whoever has the turn.
    fn loaded(&self, _turn: &MutexGuard<'_, ()>) -> Result<MutexGuard<'_, State>> {
        let state = self.state.lock();
        if state.loaded {
            return Ok(state);
        }
        drop(state);
        let mut live = Map::new();
        let loaded = self.log.load(&mut |logged| {
            match logged {
                Logged::Change(key, Some(value)) => drop(live.insert(key.into(), value.into())),
                Logged::Change(key, None) => drop(live.remove(key)),
                Logged::Damage(error) => return Err(error),
            }
            Ok(())
        });
        let log_size = loaded.map_err(|error| match error.kind() {
            ErrorKind::Corrupt => error.context(format_args!("{} have to be repaired", self.what)),
            _ => error,
        })?;
        let mut state = self.state.lock();
        (state.log_size, state.live) = (log_size, StdArc::new(live));
        self.purge(&mut state);
        state.loaded = true;
        Ok(state)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.state()?.live.get(key).map(|value| value.to_vec()))
    }

    /// Shows the entries whose keys begin with `prefix`, in the order of their keys.
    pub(crate) fn scan(&self, prefix: &[u8], mut visit: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let state = self.state()?;
        let from = state.live.range::<[u8], _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        from.take_while(|(key, _)| key.starts_with(prefix)).for_each(|(key, value)| visit(key, value));
        Ok(())
    }

    /// Makes changes: all, or none. Returns when they are durable.
    pub(crate) fn write(&self, changes: Vec<Change>) -> Result<()> {
        self.log.common().gate.check_change()?;
        if changes.is_empty() {
            return Ok(());
        }
        self.submit(changes)?.wait(None)?;
        // The change is made, whatever becomes of the rest.
        let _tried_again_later = self.rewrite_if_due();
        Ok(())
    }

    fn submit(&self, changes: Vec<Change>) -> Result<StdArc<Ticket>> {
        self.log.common().gate.check()?;
        let turn = self.turn.lock();
        let size = self.size_after(&mut *self.settled(&turn)?, &changes)?;
        let records: Vec<Record<'_>> = changes.iter().map(record).collect();
        let ticket = self.log.append(&records)?;
        let waited = ticket.again();
        let mut state = self.state.lock();
        state.size = size;
        state.log_size +=
            changes.iter().map(|(key, value)| size_of(key, value.as_deref().unwrap_or_default()) as u64).sum::<u64>();
        state.pending.push_back((ticket, changes));
        Ok(StdArc::new(waited))
    }

    fn settled(&self, turn: &MutexGuard<'_, ()>) -> Result<MutexGuard<'_, State>> {
        let mut state = self.loaded(turn)?;
        state.settle();
        Ok(state)
    }

    /// The bytes of all entries after these changes, if that is within the limit.
    fn size_after(&self, state: &mut State, changes: &[Change]) -> Result<usize> {
        let mut size = state.size_after(changes);
        if size > self.limit {
            self.purge(state);
            size = state.size_after(changes);
        }
        if size > self.limit && size > state.size {
            let message =
                format!("{} would take {size} bytes; the limit is {} for all together", self.what, self.limit);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(size)
    }

    /// Rewrites the log if little of it is alive.
    fn rewrite_if_due(&self) -> Result<()> {
        let is_due = |state: &State| state.log_size > (LOG_MIN + LOG_FACTOR * state.size as u64).max(state.rewrite_at);
        if !is_due(&*self.state()?) {
            return Ok(());
        }
        let turn = self.turn.lock();
        {
            // Somebody may have done it meanwhile.
            let mut state = self.settled(&turn)?;
            if !is_due(&state) {
                return Ok(());
            }
            state.rewrite_at = state.log_size + LOG_MIN;
        }
        self.rewrite(&turn)
    }

    /// Makes the log anew from what can be read of it, where that is damaged. It takes effect as a whole.
    pub(crate) fn repair(&self) -> Result<Repaired> {
        self.log.common().gate.check_change()?;
        let turn = self.turn.lock();
        let kept = |state: &State| state.live.len() as u64;
        if self.state.lock().loaded {
            // Memory has what the log should have.
            self.rewrite(&turn)?;
            return Ok(Repaired { kept: kept(&self.state.lock()), ..Repaired::default() });
        }
        let (mut live, mut uncertain, mut lost) = (Map::new(), BTreeSet::new(), Vec::new());
        self.log.load(&mut |logged| {
            match logged {
                Logged::Change(key, value) => {
                    uncertain.remove(key);
                    match value {
                        Some(value) => drop(live.insert(key.into(), value.into())),
                        None => drop(live.remove(key)),
                    }
                }
                Logged::Damage(error) => match (error.kind(), error.damaged()) {
                    (ErrorKind::Corrupt | ErrorKind::Io, Some(range)) => {
                        lost.push(range.clone());
                        uncertain.extend(live.keys().cloned());
                    }
                    _ => return Err(error),
                },
            }
            Ok(())
        })?;
        let mut left = State { live: StdArc::new(live), ..State::default() };
        self.purge(&mut left);
        self.log.replace(batches(&left.live))?;
        (left.log_size, left.loaded) = (left.size as u64, true);
        uncertain.retain(|key| left.live.contains_key(key));
        let repaired = Repaired { kept: kept(&left), uncertain: uncertain.len() as u64, lost };
        *self.state.lock() = left;
        Ok(repaired)
    }

    /// Has the log say what is in memory, and nothing else.
    fn rewrite(&self, _turn: &MutexGuard<'_, ()>) -> Result<()> {
        // Nobody appends meanwhile, so that what is pending comes to its end.
        let last = self.state.lock().pending.back().map(|(ticket, _)| ticket.again());
        if let Some(ticket) = last {
            ticket.wait(None)?;
        }
        let live = {
            let mut state = self.state.lock();
            state.settle();
            self.purge(&mut state);
            StdArc::clone(&state.live)
        };
        self.log.replace(batches(&live))?;
        let mut state = self.state.lock();
        (state.log_size, state.rewrite_at) = (state.size as u64, 0);
        Ok(())
    }
}

/// A map as the batches of a log.
fn batches(map: &Map) -> impl Iterator<Item = Vec<Record<'_>>> {
    let mut rest = map.iter().peekable();
    std::iter::from_fn(move || {
        let (mut batch, mut size) = (Vec::new(), 0);
        while batch.len() < BATCH_RECORDS && size < BATCH_BYTES {
            let Some((key, value)) = rest.next() else { break };
            size += key.len() + value.len();
            batch.push(Record::new(&**value).key(&**key));
        }
        (!batch.is_empty()).then_some(batch)
    })
}

fn record((key, value): &Change) -> Record<'_> {
    match value {
        Some(value) => Record::new(&**value).key(&**key),
        None => Record::tombstone(&**key),
    }
}
