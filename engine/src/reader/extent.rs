//! A piece of a segment in memory: on its way from the device, or there.

use std::time::Instant;

use super::check::Damage;
use crate::buffer::Block;
use crate::error::{Error, Result};
use crate::ids::Generation;
use crate::segment::Prefix;
use crate::sync::{Arc, AtomicBool, Mutex, Notify, Ordering, WaitQueue, Waiter};

/// Numbers that waiters wait for: the device has answered, and the answer has been checked.
const READ: u64 = 1;
const CHECKED: u64 = 2;

/// Whole blocks of one segment, one after the other, in one piece of memory.
pub(crate) struct Extent {
    /// Its memory; `block.position()` is where in the file it begins.
    pub(crate) block: Arc<Block>,
    /// Where in the file its last frame ends.
    pub(crate) end: u64,
    /// The offset after that frame.
    pub(super) end_offset: u64,
    phase: Mutex<Phase>,
    waiters: WaitQueue,
    /// Read since the last look at it; such an extent is not evicted next.
    used: AtomicBool,
    /// Its damage was told.
    told: AtomicBool,
}

enum Phase {
    Loading,
    /// So many bytes came; nobody has checked them.
    Read(usize),
    /// A reader is at it.
    Checking,
    Checked(Arc<[Damage]>),
    Failed(Error),
}

/// What a reader can do with an extent now.
pub(crate) enum Look {
    /// Lend it, except for these.
    Ready(Arc<[Damage]>),
    /// The caller, and nobody else, is to check so many bytes and to call [`Extent::checked`].
    Check(usize),
    /// The device, or another reader, is at it: [`Extent::wait`].
    Wait,
}

impl Extent {
    /// An extent that is being read.
    pub(crate) fn loading(block: Arc<Block>, end: Prefix) -> Extent {
        Extent::new(block, end, Phase::Loading)
    }

    /// An extent whose bytes never left memory.
    pub(crate) fn whole(block: Arc<Block>, end: u64) -> Extent {
        Extent::new(block, Prefix { position: end, offset: u64::MAX }, Phase::Checked(Arc::new([])))
    }

    fn new(block: Arc<Block>, end: Prefix, phase: Phase) -> Extent {
        let (phase, used, told) = (Mutex::new(phase), AtomicBool::new(true), AtomicBool::new(false));
        Extent { block, end: end.position, end_offset: end.offset, phase, waiters: WaitQueue::new(), used, told }
    }

    pub(crate) fn generation(&self) -> Generation {
        self.block.generation()
    }

    pub(crate) fn position(&self) -> u64 {
        self.block.position()
    }

    pub(crate) fn covers(&self, position: u64) -> bool {
        (self.position()..self.end).contains(&position)
    }

    /// Bytes of its frames.
    pub(crate) fn size(&self) -> usize {
        (self.end - self.position()) as usize
    }

    /// What can be done with it. The error is that of the device.
    pub(crate) fn look(&self) -> Result<Look> {
        self.used.store(true, Ordering::Relaxed);
        let mut phase = self.phase.lock();
        match &*phase {
            Phase::Loading | Phase::Checking => Ok(Look::Wait),
            Phase::Checked(damage) => Ok(Look::Ready(Arc::clone(damage))),
            Phase::Failed(error) => Err(error.clone()),
            Phase::Read(size) => {
                let size = *size;
                *phase = Phase::Checking;
                Ok(Look::Check(size))
            }
        }
    }

    /// Blocks until a look has a new answer, or `deadline`; whether it has.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> bool {
        // Between a look that said to wait and this call the answer may have come. What was read and is checked by
        // nobody is not waited for: the one to check it may be the caller.
        let Some(target) = self.target() else { return true };
        self.waiters.wait(target, deadline, || self.reached() >= target)
    }

    /// Has `notify` told once when a look has a new answer, perhaps before this returns.
    pub(crate) fn tell(&self, notify: &Arc<dyn Notify>, token: u64) {
        let Some(target) = self.target() else { return notify.notify(token) };
        let key = self.waiters.register(target, Waiter::Entry(Arc::clone(notify), token));
        if self.reached() >= target && self.waiters.cancel(key) {
            notify.notify(token);
        }
    }

    /// What is waited for; `None` if there is nothing to wait for.
    fn target(&self) -> Option<u64> {
        match *self.phase.lock() {
            Phase::Loading => Some(READ),
            Phase::Checking => Some(CHECKED),
            Phase::Read(_) | Phase::Checked(_) | Phase::Failed(_) => None,
        }
    }

    fn reached(&self) -> u64 {
        match *self.phase.lock() {
            Phase::Loading => 0,
            Phase::Read(_) | Phase::Checking => READ,
            Phase::Checked(_) | Phase::Failed(_) => CHECKED,
        }
    }

    fn advance(&self, phase: Phase, to: u64) {
        *self.phase.lock() = phase;
        self.waiters.wake(to);
    }

    /// The device has answered.
    pub(crate) fn loaded(&self, result: Result<usize>) {
        match result {
            Ok(size) => self.advance(Phase::Read(size), READ),
            Err(error) => self.advance(Phase::Failed(error), CHECKED),
        }
    }

    /// Whether its damage was told.
    pub(super) fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// Whether its damage is to be told now, which it is once.
    pub(super) fn tell_damage(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }

    /// The reader that was told to has checked it.
    pub(crate) fn checked(&self, damage: Arc<[Damage]>) {
        self.advance(Phase::Checked(damage), CHECKED);
    }

    /// Whether its memory comes free when the cache lets go of it: nobody reads into it or has borrowed it.
    pub(super) fn is_evictable(&self) -> bool {
        !self.block.is_pinned() && matches!(*self.phase.lock(), Phase::Read(_) | Phase::Checked(_) | Phase::Failed(_))
    }

    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether it was used since the last call.
    pub(super) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{Budget, HeapMemory, Pool, Share};

    fn loading() -> Arc<Extent> {
        let pool = Pool::new(Budget::new(64 << 20, 1 << 20), Box::new(HeapMemory));
        let block = Block::take(&pool, Share::Cache, Generation(1), 4096, 4096).expect("within the budget");
        Arc::new(Extent::loading(block, Prefix { position: 8192, offset: 1 }))
    }

    #[test]
    fn an_answer_that_came_before_the_wait_is_not_waited_for() {
        let extent = loading();
        assert!(matches!(extent.look(), Ok(Look::Wait)));
        extent.loaded(Ok(4096));
        assert!(extent.wait(None), "whoever waits may be the one who has to check");
        assert!(matches!(extent.look(), Ok(Look::Check(4096))));
        assert!(matches!(extent.look(), Ok(Look::Wait)), "one checks, the others wait");
        assert!(!extent.wait(Some(Instant::now())));
        extent.checked(Arc::new([]));
        assert!(extent.wait(None));
        assert!(matches!(extent.look(), Ok(Look::Ready(_))));
    }

    #[test]
    fn waiters_are_woken_by_the_answer_and_by_the_check() {
        let extent = loading();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let extent = Arc::clone(&extent);
                std::thread::spawn(move || {
                    loop {
                        match extent.look().expect("no failure") {
                            Look::Ready(_) => return 0,
                            Look::Check(size) => {
                                extent.checked(Arc::new([]));
                                return size;
                            }
                            Look::Wait => assert!(extent.wait(None)),
                        }
                    }
                })
            })
            .collect();
        extent.loaded(Ok(7));
        assert_eq!(threads.into_iter().map(|thread| thread.join().expect("no panic")).sum::<usize>(), 7);
    }

    #[test]
    fn a_failure_reaches_everybody() {
        let extent = loading();
        extent.loaded(Err(Error::new(crate::ErrorKind::Io, "no")));
        assert!(extent.wait(None));
        for _ in 0..2 {
            assert_eq!(extent.look().err().map(|e| e.kind()), Some(crate::ErrorKind::Io));
        }
    }
}
