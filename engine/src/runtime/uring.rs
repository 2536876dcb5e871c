//! io_uring: one ring per shard, made, used and ended by the shard's own thread.

mod registered;
mod setup;

pub(super) use registered::Registered;
pub(super) use setup::SetupError;

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::types::{Fd, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, opcode, squeue};

use super::doorbell::Doorbell;
use super::driver::Driver;
use crate::buffer::Block;
use crate::ids::DurablePrimitive;
use crate::io::fork::ClosedOnFork;
use crate::io::{Completion, Descriptor, Op, OpKind};
use crate::sync::{Arc as SharedArc, Bell};

/// The doorbell's read; all other numbers are slots.
const DOORBELL: u64 = u64::MAX;
/// How long an end waits for operations in flight before it leaves their memory to the kernel for good.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// The pause before another try when the kernel has no memory for a submission.
const MEMORY_PAUSE: Duration = Duration::from_millis(1);

/// Where an operation stands.
#[derive(Clone, Copy)]
enum Stage {
    Transfer,
    /// The write is done, and its flush under way; the bytes that were written.
    Flush(usize),
}

struct Slot {
    op: Op,
    stage: Stage,
    /// Stays open until the operation is over.
    descriptor: Descriptor,
}

/// What the kernel may write to or read from at any time while the ring exists. Leaked rather than freed if that
/// cannot be ended.
struct Shared {
    ring: IoUring,
    slots: Vec<Option<Slot>>,
    registered: Registered,
    /// Where the doorbell's counter is read into.
    counter: Box<u64>,
}

/// A ring with a fixed number of slots.
pub(super) struct Uring {
    shared: Option<Shared>,
    registration: Option<ClosedOnFork>,
    free: Vec<usize>,
    doorbell: Arc<Doorbell>,
    listening: bool,
    stuck: bool,
    primitive: DurablePrimitive,
    /// Answers of operations that did not go through the ring.
    beside: Vec<Completion>,
}

impl Uring {
    /// Sets a ring up, by as much as the kernel grants, and tries it. `held` is registered, so that the kernel keeps
    /// it open until the last operation is over. `memory` is what operations use again and again: it is registered
    /// where the kernel permits, and the ring works without where not.
    pub(super) fn new(
        doorbell: Arc<Doorbell>,
        depth: usize,
        held: Option<RawFd>,
        primitive: DurablePrimitive,
        memory: Vec<SharedArc<Block>>,
    ) -> Result<Uring, SetupError> {
        let (registration, ring, registered) = setup::ring(depth, held, memory)?;
        // One entry stays for the doorbell. No slot has two submissions at once, so the queue is never full.
        let depth = ring.params().sq_entries() as usize - 1;
        let slots = (0..depth).map(|_| None).collect();
        Ok(Uring {
            shared: Some(Shared { ring, slots, registered, counter: Box::new(0) }),
            registration: Some(registration),
            free: (0..depth).rev().collect(),
            doorbell,
            listening: false,
            stuck: false,
            primitive,
            beside: Vec::new(),
        })
    }

    /// The memory that the kernel holds ready.
    pub(super) fn registered(&self) -> &Registered {
        &self.shared.as_ref().expect("taken only when dropped").registered
    }

    fn shared(&mut self) -> &mut Shared {
        self.shared.as_mut().expect("taken only when dropped")
    }

    fn slot_count(&self) -> usize {
        self.shared.as_ref().expect("taken only when dropped").slots.len()
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: what the entry points to is held by a slot, or is the counter, until the completion is taken.
        unsafe { self.shared().ring.submission().push(entry) }
            .expect("the queue has an entry for each slot and for the doorbell");
    }

    /// Queues the next step of a slot's operation.
    fn issue(&mut self, slot: usize) {
        let primitive = self.primitive;
        let Shared { slots, registered, .. } = self.shared();
        let held = slots[slot].as_ref().expect("the slot holds an operation");
        let entry = entry(held, registered, primitive).user_data(slot as u64);
        self.push(&entry);
    }

    fn listen(&mut self) {
        if !std::mem::replace(&mut self.listening, true) {
            let fd = Fd(self.doorbell.bell().as_raw_fd());
            let counter: *mut u64 = &raw mut *self.shared().counter;
            let entry = opcode::Read::new(fd, counter.cast(), size_of::<u64>() as u32).build().user_data(DOORBELL);
            self.push(&entry);
        }
    }

    /// Takes what has completed; whether the doorbell rang.
    fn reap(&mut self, out: &mut Vec<Completion>) -> bool {
        let mut rang = false;
        loop {
            let Some((slot, result)) =
                self.shared().ring.completion().next().map(|entry| (entry.user_data(), entry.result()))
            else {
                return rang;
            };
            if slot == DOORBELL {
                self.listening = false;
                rang = true;
                continue;
            }
            self.step(usize::try_from(slot).expect("slots are counted in memory"), result, out);
        }
    }

    /// Takes the result of a slot's step: the next step, or the answer.
    fn step(&mut self, slot: usize, result: i32, out: &mut Vec<Completion>) {
        let primitive = self.primitive;
        let held = self.shared().slots[slot].as_mut().expect("a completion belongs to a slot that is in use");
        let durable = held.op.kind == OpKind::Write { durable: true };
        let result = match (held.stage, usize::try_from(result)) {
            (Stage::Transfer, Ok(moved)) if durable && moved > 0 && primitive == DurablePrimitive::WriteThenSync => {
                held.stage = Stage::Flush(moved);
                return self.issue(slot);
            }
            (Stage::Flush(moved), Ok(_)) => Ok(moved),
            (Stage::Transfer, Ok(moved)) => Ok(moved),
            (Stage::Transfer, Err(_))
                if durable && primitive == DurablePrimitive::DurableWrite && -result == libc::EOPNOTSUPP =>
            {
                // Nothing was written. This file system takes no such flag: from now on each write is flushed.
                self.primitive = DurablePrimitive::WriteThenSync;
                return self.issue(slot);
            }
            // An interrupted flush may have taken the report of a lost write with it; it must not look like an
            // interrupted write, which is resumed.
            (Stage::Flush(_), Err(_)) if matches!(-result, libc::EINTR | libc::EAGAIN) => {
                Err(io::Error::from_raw_os_error(libc::EIO))
            }
            (_, Err(_)) => Err(io::Error::from_raw_os_error(-result)),
        };
        let held = self.shared().slots[slot].take().expect("the slot was just used");
        if held.op.kind == OpKind::Sync && result.is_ok() {
            held.descriptor.flushed();
        }
        self.free.push(slot);
        out.push(Completion { token: held.op.token, result });
    }

    /// Submits what is queued, runs what the kernel put off, and waits for `want` completions.
    fn enter(&mut self, want: usize, timeout: Option<Duration>) -> io::Result<()> {
        let ring = &mut self.shared().ring;
        let queued = {
            let queue = ring.submission();
            if want == 0 && queue.is_empty() && !queue.taskrun() && !queue.cq_overflow() {
                return Ok(());
            }
            u32::try_from(queue.len()).expect("a queue's length fits")
        };
        let result = match (want, timeout) {
            (0, _) => {
                let flags = EnterFlags::GETEVENTS.bits();
                // SAFETY: the queue's entries point to memory that their slots hold; no argument is given.
                unsafe { ring.submitter().enter::<libc::sigset_t>(queued, 0, flags, None) }
            }
            (_, None) => ring.submitter().submit_and_wait(want),
            (_, Some(timeout)) => {
                let time = Timespec::from(timeout);
                ring.submitter().submit_with_args(want, &SubmitArgs::new().timespec(&time))
            }
        };
        match result {
            Ok(_) => Ok(()),
            Err(e) => match e.raw_os_error() {
                // The time has passed; a debugger or freezer interrupted; completions have to be taken first.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY) => Ok(()),
                // The kernel has no memory for more right now. Nothing is lost: the queue is submitted again.
                Some(libc::EAGAIN) => {
                    std::thread::sleep(MEMORY_PAUSE);
                    Ok(())
                }
                _ => Err(e),
            },
        }
    }

    /// Waits until nothing is in flight, the doorbell's read included; whether that was reached.
    fn drain(&mut self) -> bool {
        // A ring that could not be drained is not waited for again.
        if std::mem::replace(&mut self.stuck, true) {
            return false;
        }
        let deadline = Instant::now() + END_PATIENCE;
        let mut dropped = Vec::new();
        if self.listening {
            self.doorbell.bell().ring();
        }
        loop {
            self.reap(&mut dropped);
            dropped.clear();
            if self.in_flight() == 0 && !self.listening {
                self.stuck = false;
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.enter(1, Some(left)).is_err() {
                return false;
            }
        }
    }
}

fn entry(slot: &Slot, registered: &Registered, primitive: DurablePrimitive) -> squeue::Entry {
    let Op { position, block, at, size, kind, .. } = &slot.op;
    let fd = Fd(slot.descriptor.raw());
    let length = u32::try_from(*size).expect("an operation is smaller than 4 GiB");
    let flush = opcode::Fsync::new(fd).flags(FsyncFlags::DATASYNC).build();
    match (kind, slot.stage, block) {
        (OpKind::Sync, _, _) | (_, Stage::Flush(_), _) => flush,
        (OpKind::Read, _, Some(block)) => {
            // SAFETY: a block that is read into is not yet published to anyone; this operation alone owns the range.
            let into = unsafe { block.bytes_mut(*at, *size) };
            opcode::Read::new(fd, into.as_mut_ptr(), length).offset(*position).build()
        }
        (OpKind::Write { durable }, _, Some(block)) => {
            // SAFETY: the shard only writes ranges below the published prefix, which never change again.
            let from = unsafe { block.bytes(*at, *size) };
            let flags = if *durable && primitive == DurablePrimitive::DurableWrite { libc::RWF_DSYNC } else { 0 };
            match registered.index_of(block) {
                Some(index) => {
                    let write = opcode::WriteFixed::new(fd, from.as_ptr(), length, index);
                    write.offset(*position).rw_flags(flags).build()
                }
                None => opcode::Write::new(fd, from.as_ptr(), length).offset(*position).rw_flags(flags).build(),
            }
        }
        (_, _, None) => unreachable!("a transfer has memory"),
    }
}

impl Driver for Uring {
    fn room(&self) -> usize {
        self.free.len()
    }

    fn in_flight(&self) -> usize {
        self.slot_count() - self.free.len() + self.beside.len()
    }

    fn submit(&mut self, op: Op) {
        // Opens the file again where its descriptor had to give way: the one call here that may wait for the device.
        match op.file.descriptor(op.kind) {
            Ok(descriptor) => {
                let slot = self.free.pop().expect("the caller asked for room");
                self.shared().slots[slot] = Some(Slot { op, stage: Stage::Transfer, descriptor });
                self.issue(slot);
            }
            // A file of a store that is only read which recovery changed in memory.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.beside.push(Completion { token: op.token, result: op.run() });
            }
            Err(error) => self.beside.push(Completion { token: op.token, result: Err(error) }),
        }
    }

    fn wait(&mut self, timeout: Option<Duration>, out: &mut Vec<Completion>) -> io::Result<()> {
        self.listen();
        let rang = self.reap(out);
        out.append(&mut self.beside);
        let sleep = out.is_empty() && !rang && timeout != Some(Duration::ZERO);
        self.enter(usize::from(sleep), timeout)?;
        self.reap(out);
        // Second steps of what was just taken begin now, not with the next wait; this returns at once.
        self.enter(0, None)
    }

    fn end(&mut self) -> bool {
        self.drain()
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        let registration = self.registration.take().expect("taken only here");
        let idle = !registration.forked() && self.drain();
        let shared = self.shared.take().expect("taken only here");
        if idle {
            registration.close(shared);
        } else {
            // The kernel may still use the memory of what is in flight: it stays as it is for the process's life.
            std::mem::forget(shared);
        }
    }
}
