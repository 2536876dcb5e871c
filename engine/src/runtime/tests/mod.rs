//! The runtime on real files: one suite for both drivers, threads that sleep and wake, and hostile surroundings.

mod drivers;
mod surroundings;
mod threads;
mod throttled;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::doorbell::Doorbell;
use super::driver::{DEPTH, Driver};
use super::memory::DeviceMemory;
use super::posix::Posix;
use super::uring::Uring;
use crate::buffer::{Block, Budget, Pool, Share};
use crate::ids::{DurablePrimitive, Generation};
use crate::io::os::OsDisk;
use crate::io::{Completion, File, Op, OpKind};
use crate::sync::Arc as Shared;

/// A test never waits longer than this for something that has to happen.
pub(super) const SOON: Duration = Duration::from_secs(20);

pub(super) fn pool() -> Shared<Pool> {
    Pool::new(Budget::new(96 << 20, 8 << 20), Box::new(DeviceMemory::new()))
}

/// A block filled with a pattern.
pub(super) fn block(pool: &Shared<Pool>, size: usize, seed: u8) -> Shared<Block> {
    let block = Block::take(pool, Share::Appender, Generation(1), 0, size).expect("the budget has room");
    // SAFETY: nobody else knows the block yet.
    let bytes = unsafe { block.bytes_mut(0, size) };
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = seed ^ (i as u8) ^ ((i >> 8) as u8);
    }
    block
}

pub(super) fn bytes(block: &Block, at: usize, size: usize) -> &[u8] {
    // SAFETY: the operation on the block is over.
    unsafe { block.bytes(at, size) }
}

/// Drives a driver by hand.
pub(super) struct Bench {
    pub driver: Box<dyn Driver>,
    pub doorbell: Arc<Doorbell>,
    pub name: &'static str,
}

impl Bench {
    pub(super) fn posix() -> Bench {
        let doorbell = Doorbell::make().expect("a doorbell");
        Bench { driver: Box::new(Posix::new(Arc::clone(&doorbell)).expect("threads")), doorbell, name: "posix" }
    }

    pub(super) fn uring(primitive: DurablePrimitive) -> Bench {
        Bench::registered(primitive, Vec::new()).0
    }

    /// With memory that is registered, and how many bytes of it the kernel took.
    pub(super) fn registered(primitive: DurablePrimitive, memory: Vec<Shared<Block>>) -> (Bench, u64) {
        let doorbell = Doorbell::make().expect("a doorbell");
        let driver = Uring::new(Arc::clone(&doorbell), DEPTH, None, primitive, memory).expect("io_uring works here");
        let size = driver.registered().size();
        (Bench { driver: Box::new(driver), doorbell, name: "uring" }, size)
    }

    /// One wait as the worker does it.
    pub(super) fn wait(&mut self, timeout: Duration) -> Vec<Completion> {
        let mut out = Vec::new();
        self.doorbell.lie_down();
        let result = self.driver.wait(Some(timeout), &mut out);
        self.doorbell.get_up();
        result.expect("the driver works");
        out
    }

    /// Submits operations and waits for all answers, in the order of their tokens, which are set.
    pub(super) fn run(&mut self, ops: Vec<Op>) -> Vec<std::io::Result<usize>> {
        let count = ops.len();
        let mut results: Vec<Option<std::io::Result<usize>>> = (0..count).map(|_| None).collect();
        let mut waiting = ops.into_iter().enumerate();
        let end = Instant::now() + SOON;
        while results.iter().any(Option::is_none) {
            while self.driver.room() > 0 {
                let Some((token, op)) = waiting.next() else { break };
                self.driver.submit(Op { token: token as u64, ..op });
            }
            for done in self.wait(SOON) {
                let result = results[usize::try_from(done.token).expect("a token of ours")].replace(done.result);
                assert!(result.is_none(), "answered once");
            }
            assert!(Instant::now() < end, "{}: {} in flight", self.name, self.driver.in_flight());
        }
        assert_eq!(self.driver.in_flight(), 0);
        results.into_iter().map(|result| result.expect("all are answered")).collect()
    }

    pub(super) fn run_one(&mut self, op: Op) -> std::io::Result<usize> {
        self.run(vec![op]).pop().expect("one answer")
    }
}

pub(super) fn write(file: &Arc<dyn File>, block: &Shared<Block>, position: u64, at: usize, size: usize) -> Op {
    transfer(OpKind::Write { durable: true }, file, block, position, at, size)
}

pub(super) fn read(file: &Arc<dyn File>, block: &Shared<Block>, position: u64, at: usize, size: usize) -> Op {
    transfer(OpKind::Read, file, block, position, at, size)
}

pub(super) fn transfer(
    kind: OpKind,
    file: &Arc<dyn File>,
    block: &Shared<Block>,
    position: u64,
    at: usize,
    size: usize,
) -> Op {
    Op { token: 0, kind, file: Arc::clone(file), position, block: Some(Shared::clone(block)), at, size }
}

pub(super) fn sync(file: &Arc<dyn File>) -> Op {
    Op { token: 0, kind: OpKind::Sync, file: Arc::clone(file), position: 0, block: None, at: 0, size: 0 }
}

pub(super) fn disk_in(directory: &std::path::Path) -> OsDisk {
    OsDisk::open(&directory.join("store"), true, false).expect("a store in a fresh directory")
}
