//! Memory that comes out of the budget and goes back to free lists.

use std::sync::OnceLock;
use std::time::Instant;

use super::budget::{Budget, Charge, Ledger, Share, Usage};
use super::memory::{MemorySource, Raw};
use crate::limits::{BLOCK_MAX, BLOCK_MIN, SECTOR};
use crate::sync::{Arc, AtomicU8, AtomicU32, AtomicU64, Mutex, Ordering, WaitQueue, Waiter};

/// Classes of sizes: powers of four from the smallest block to the largest.
const CLASSES: usize = ((BLOCK_MAX / BLOCK_MIN).ilog2() as usize).div_ceil(2) + 1;
/// Free lists keep at most this part of the budget.
const IDLE_PART: usize = 4;
/// How often a request is tried again after an eviction that others may have profited from.
const EVICTIONS_MAX: usize = 4;

/// Gives memory back when asked. Called without any of the pool's locks held, possibly under a partition's append
/// lock: an implementation must not append, nor wait for anybody who does.
pub(crate) trait Relief: Send + Sync {
    /// Drops at least `size` bytes of cached blocks if there are as many; returns what was dropped.
    fn evict(&self, size: usize) -> usize;

    /// Appenders run out: bytes that are kept only because they are not on the device yet should get there.
    fn pressure(&self);
}

/// Why there is no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// The share is used up until somebody gives something back.
    Share,
    /// The share has room, but the system gives nothing.
    System,
}

/// All memory that grows with load.
pub(crate) struct Pool {
    source: Box<dyn MemorySource>,
    state: Mutex<State>,
    relief: OnceLock<Box<dyn Relief>>,
    /// Grows with every release; waiters for memory wait for it.
    released: AtomicU64,
    room: WaitQueue,
}

struct State {
    ledger: Ledger,
    free: [Vec<Raw>; CLASSES],
}

impl Pool {
    pub(crate) fn new(budget: Budget, source: Box<dyn MemorySource>) -> Arc<Pool> {
        Arc::new(Pool {
            source,
            state: Mutex::new(State {
                ledger: Ledger { budget, usage: Usage::default() },
                free: [const { Vec::new() }; CLASSES],
            }),
            relief: OnceLock::new(),
            released: AtomicU64::new(0),
            room: WaitQueue::new(),
        })
    }

    /// Registers who can give memory back. The first registration stands.
    pub(crate) fn set_relief(&self, relief: Box<dyn Relief>) {
        let _kept = self.relief.set(relief);
    }

    /// The bytes that a request for `size` is charged with: the class above, or whole sectors.
    pub(crate) fn rounded(size: usize) -> usize {
        match class_of(size) {
            Some(class) => class_size(class),
            None => size.next_multiple_of(SECTOR as usize),
        }
    }

    /// Memory of at least `size` bytes, with whatever its last user left in it.
    pub(crate) fn take(pool: &Arc<Pool>, size: usize, share: Share) -> Result<Memory, Shortage> {
        let size = Pool::rounded(size);
        for _ in 0..EVICTIONS_MAX {
            let mut state = pool.state.lock();
            match state.ledger.charge(share, size) {
                Charge::Granted => {
                    let reused = class_of(size).and_then(|class| state.free[class].pop());
                    if reused.is_some() {
                        state.ledger.usage.idle -= size;
                    }
                    let surplus = if reused.is_none() { trim(&mut state) } else { Vec::new() };
                    drop(state);
                    surplus.into_iter().for_each(|raw| pool.unmap(raw));
                    let Some(raw) = reused.or_else(|| pool.map(size)) else {
                        // Without a wake-up: nothing became free, and whoever failed here would only wake itself.
                        pool.state.lock().ledger.release(share, size);
                        return Err(Shortage::System);
                    };
                    return Ok(Memory::new(raw, share, pool));
                }
                Charge::Evict(missing) => {
                    drop(state);
                    if !pool.evict(missing) {
                        break;
                    }
                }
                Charge::Refused => break,
            }
        }
        if share == Share::Appender {
            pool.press();
        }
        Err(Shortage::Share)
    }

    /// New memory of the system's. Where it has none, what idles in the free lists goes back to it first.
    fn map(&self, size: usize) -> Option<Raw> {
        let mapped = self.source.map(size).or_else(|| {
            let mut state = self.state.lock();
            state.ledger.usage.idle = 0;
            let idle = core::mem::replace(&mut state.free, [const { Vec::new() }; CLASSES]);
            drop(state);
            idle.into_iter().flatten().for_each(|raw| self.unmap(raw));
            self.source.map(size)
        });
        mapped.map(|at| Raw::new(at, size))
    }

    /// What is in use now.
    pub(crate) fn usage(&self) -> Usage {
        self.state.lock().ledger.usage
    }

    pub(crate) fn budget(&self) -> Budget {
        self.state.lock().ledger.budget
    }

    /// Whether appenders have little left. Shards then bring to the device what is kept only for want of that.
    pub(crate) fn pressure(&self) -> bool {
        self.state.lock().ledger.is_tight()
    }

    /// A number that grows whenever memory is released. Read before a request, it says what to wait for after it.
    pub(crate) fn released(&self) -> u64 {
        self.released.load(Ordering::Acquire)
    }

    /// Waiters for [`Pool::released`] to grow.
    #[cfg(test)]
    pub(crate) fn room(&self) -> &WaitQueue {
        &self.room
    }

    /// Blocks until memory has been released since `since`, or until `deadline`; whether it has.
    pub(crate) fn wait_for_memory(&self, since: u64, deadline: Option<Instant>) -> bool {
        self.room.wait(since + 1, deadline, || self.released() > since)
    }

    /// Has a waiter woken when memory has been released since `since`. `true`: it has already, and nobody is woken.
    pub(crate) fn tell_of_memory(&self, since: u64, waiter: Waiter) -> bool {
        self.room.tell(since + 1, waiter, || self.released() > since)
    }

    /// Makes waiters for memory look again, for a reason of the caller's.
    pub(crate) fn nudge(&self) {
        self.announce_room();
    }

    fn press(&self) {
        if let Some(relief) = self.relief.get() {
            relief.pressure();
        }
    }

    fn evict(&self, size: usize) -> bool {
        self.relief.get().is_some_and(|relief| relief.evict(size) > 0)
    }

    fn announce_room(&self) {
        let released = self.released.fetch_add(1, Ordering::AcqRel) + 1;
        self.room.wake(released);
    }

    fn give_back(&self, raw: Raw, share: Share) {
        let size = raw.size;
        let mut surplus = Some(raw);
        let mut state = self.state.lock();
        state.ledger.release(share, size);
        if let Some(class) =
            class_of(size).filter(|_| state.ledger.usage.idle + size <= state.ledger.budget.total / IDLE_PART)
        {
            state.ledger.usage.idle += size;
            state.free[class].extend(surplus.take());
        }
        drop(state);
        if let Some(raw) = surplus {
            self.unmap(raw);
        }
        self.announce_room();
    }

    fn unmap(&self, raw: Raw) {
        // SAFETY: a `Raw` is owned by whoever holds it, comes from this source and is dropped here.
        unsafe { self.source.unmap(raw.at, raw.size) }
    }

    /// Pins from none to one and back are counted under the books' lock only, so that the charge follows them.
    pub(super) fn pin(&self, memory: &Memory, pins: &AtomicU32) -> bool {
        for _ in 0..EVICTIONS_MAX {
            let mut state = self.state.lock();
            let charge = match pins.load(Ordering::Relaxed) {
                0 => state.ledger.pin(memory.share(), memory.size()),
                _ => Charge::Granted,
            };
            match charge {
                Charge::Granted => {
                    pins.fetch_add(1, Ordering::Acquire);
                    return true;
                }
                Charge::Evict(missing) => {
                    drop(state);
                    if !self.evict(missing) {
                        return false;
                    }
                }
                Charge::Refused => return false,
            }
        }
        false
    }

    /// Gives back what may be the last pin.
    pub(super) fn unpin(&self, memory: &Memory, pins: &AtomicU32) {
        let mut state = self.state.lock();
        if pins.fetch_sub(1, Ordering::AcqRel) == 1 {
            state.ledger.unpin(memory.share(), memory.size());
            drop(state);
            self.announce_room();
        }
    }

    /// Moves a block's charge from appenders to the cache.
    pub(super) fn retire(&self, memory: &Memory, followed: bool, pinned: impl Fn() -> bool) -> bool {
        for _ in 0..EVICTIONS_MAX {
            let mut state = self.state.lock();
            if memory.share() != Share::Appender {
                return true;
            }
            match state.ledger.retire(pinned(), followed, memory.size()) {
                Charge::Granted => {
                    memory.share.store(Share::Cache as u8, Ordering::Relaxed);
                    drop(state);
                    #[cfg(loom)]
                    memory.give_back_early();
                    self.announce_room();
                    return true;
                }
                Charge::Evict(missing) => {
                    drop(state);
                    if !self.evict(missing) {
                        return false;
                    }
                }
                Charge::Refused => return false,
            }
        }
        false
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let free = core::mem::replace(&mut self.state.lock().free, [const { Vec::new() }; CLASSES]);
        free.into_iter().flatten().for_each(|raw| self.unmap(raw));
    }
}

/// The class that holds `size`; `None` above the largest.
fn class_of(size: usize) -> Option<usize> {
    (0..CLASSES).find(|&class| size <= class_size(class))
}

fn class_size(class: usize) -> usize {
    (BLOCK_MIN << (2 * class)).min(BLOCK_MAX)
}

/// Takes idle memory out until what is held and what is idle fit the budget again.
fn trim(state: &mut State) -> Vec<Raw> {
    let mut surplus = Vec::new();
    let State { ledger, free } = state;
    while ledger.usage.held() + ledger.usage.idle > ledger.budget.total {
        let Some(raw) = free.iter_mut().rev().find_map(Vec::pop) else { break };
        ledger.usage.idle -= raw.size;
        surplus.push(raw);
    }
    surplus
}

/// Memory taken from a pool; goes back when dropped.
pub(crate) struct Memory {
    raw: Option<Raw>,
    /// Changed only under the books' lock.
    share: AtomicU8,
    pool: Arc<Pool>,
    #[cfg(loom)]
    given_back: crate::sync::AtomicBool,
}

impl Memory {
    fn new(raw: Raw, share: Share, pool: &Arc<Pool>) -> Memory {
        Memory {
            raw: Some(raw),
            share: AtomicU8::new(share as u8),
            pool: Arc::clone(pool),
            #[cfg(loom)]
            given_back: crate::sync::AtomicBool::new(false),
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.raw().size
    }

    /// Who is charged for it.
    pub(crate) fn share(&self) -> Share {
        Share::from_u8(self.share.load(Ordering::Relaxed))
    }

    /// What a pool without its guard would do: the memory goes back although somebody may hold the block.
    #[cfg(loom)]
    fn give_back_early(&self) {
        if !crate::sync::held(crate::sync::Guard::MemoryHeld) {
            self.given_back.store(true, Ordering::Relaxed);
            let copy = self.raw().copy();
            let mut state = self.pool.state.lock();
            state.ledger.usage.idle += copy.size;
            state.free[class_of(copy.size).expect("models use small blocks")].push(copy);
        }
    }

    pub(super) fn raw(&self) -> &Raw {
        self.raw.as_ref().expect("memory is taken out by drop only")
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        #[cfg(loom)]
        if self.given_back.load(Ordering::Relaxed) {
            self.pool.state.lock().ledger.release(self.share(), self.size());
            return;
        }
        let share = self.share();
        if let Some(raw) = self.raw.take() {
            self.pool.give_back(raw, share);
        }
    }
}
