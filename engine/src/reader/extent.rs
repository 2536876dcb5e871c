//! A piece of a segment in memory: on its way from the device, or there.

use std::time::Instant;

use super::check::Damage;
use crate::buffer::Block;
use crate::error::{Error, Result};
use crate::ids::Generation;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, WaitQueue};

/// Numbers that waiters wait for: the device has answered, and the answer has been checked.
const READ: u64 = 1;
const CHECKED: u64 = 2;

/// Whole blocks of one segment, one after the other, in one piece of memory.
pub(crate) struct Extent {
    /// Its memory; `block.position()` is where in the file it begins.
    pub(crate) block: Arc<Block>,
    /// Where in the file its last frame ends.
    pub(crate) end: u64,
    phase: Mutex<Phase>,
    waiters: WaitQueue,
    /// Read since the last look at it; such an extent is not evicted next.
    used: AtomicBool,
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
    pub(crate) fn loading(block: Arc<Block>, end: u64) -> Extent {
        Extent::new(block, end, Phase::Loading)
    }

    /// An extent whose bytes never left memory.
    pub(crate) fn whole(block: Arc<Block>, end: u64) -> Extent {
        Extent::new(block, end, Phase::Checked(Arc::new([])))
    }

    fn new(block: Arc<Block>, end: u64, phase: Phase) -> Extent {
        let (phase, used) = (Mutex::new(phase), AtomicBool::new(true));
        Extent { block, end, phase, waiters: WaitQueue::new(), used }
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

    /// Blocks until the extent can be looked at with a new answer, or `deadline`; whether it can.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> bool {
        let target = if self.reached() < READ { READ } else { CHECKED };
        self.waiters.wait(target, deadline, || self.reached() >= target)
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

    /// The reader that was told to has checked it.
    pub(crate) fn checked(&self, damage: Arc<[Damage]>) {
        self.advance(Phase::Checked(damage), CHECKED);
    }

    /// Whether its memory comes free when the cache lets go of it: nobody reads into it or has borrowed it.
    pub(super) fn is_evictable(&self) -> bool {
        !self.block.is_pinned() && matches!(*self.phase.lock(), Phase::Read(_) | Phase::Checked(_) | Phase::Failed(_))
    }

    /// Whether it was used since the last call.
    pub(super) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }
}
