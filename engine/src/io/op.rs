//! Operations in flight: what a shard asks of its runtime, and how a short transfer is resumed.

use std::io;
use std::sync::Arc;

use super::{File, no_descriptor};
use crate::buffer::Block;
use crate::limits::SECTOR;
use crate::sim::bugs::{self, Bug};
use crate::sync::Arc as Shared;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpKind {
    Read,
    /// With `durable`, completes when the bytes are on the medium.
    Write {
        durable: bool,
    },
    /// fdatasync; `block`, `at` and `size` say nothing.
    Sync,
}

/// One operation on one file. It owns its file and its memory until its completion gives them back.
pub(crate) struct Op {
    /// Chosen by the shard; comes back in the completion.
    pub token: u64,
    pub kind: OpKind,
    pub file: Arc<dyn File>,
    /// Byte of the file where the transfer begins.
    pub position: u64,
    /// The memory; `None` only for `Sync`.
    pub block: Option<Shared<Block>>,
    /// Where in the block the transfer begins. A multiple of the sector, as are `size` and the block's address.
    pub at: usize,
    pub size: usize,
}

/// The answer to an [`Op`]: bytes moved, which may be fewer than asked, or the error.
pub(crate) struct Completion {
    pub token: u64,
    pub result: io::Result<usize>,
}

/// Answers that bring an operation no further, one after the other, before it fails.
const STALLS_MAX: u8 = 32;

/// An operation's rest, and how often in a row it got no further.
struct Slot {
    rest: Op,
    stalls: u8,
}

/// Operations from a fixed number of slots; resumes short transfers and answers each operation once, whole or failed.
pub(crate) struct InFlight {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
}

impl InFlight {
    pub(crate) fn new(slots: usize) -> InFlight {
        InFlight { slots: (0..slots).map(|_| None).collect(), free: (0..slots).rev().collect() }
    }

    /// Slots that are free.
    pub(crate) fn room(&self) -> usize {
        self.free.len()
    }

    /// Operations under way.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes a slot; the operation's own token comes back from [`InFlight::complete`]. `None`: no slot is free.
    pub(crate) fn start(&mut self, op: Op) -> Option<Op> {
        let slot = self.free.pop()?;
        let issued = Op { token: slot as u64, ..op.duplicate() };
        self.slots[slot] = Some(Slot { rest: op, stalls: 0 });
        Some(issued)
    }

    /// Takes a completion. Either the rest that has to be issued, or the operation with its final result.
    pub(crate) fn complete(&mut self, completion: Completion) -> Progress {
        let slot = usize::try_from(completion.token).expect("tokens are slot numbers");
        let under_way = self.slots[slot].as_mut().expect("a completion belongs to an operation in flight");
        if let Err(error) = &completion.result
            && no_descriptor(error.raw_os_error())
        {
            let op = Op { token: slot as u64, ..under_way.rest.duplicate() };
            let error = io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EMFILE));
            return Progress::NoDescriptor { op, error };
        }
        match under_way.advance(completion.result) {
            None => Progress::Resume(Op { token: slot as u64, ..under_way.rest.duplicate() }),
            Some(result) => Progress::Done { token: self.end(slot), missing: result },
        }
    }

    /// The operation whose issued one this is.
    pub(crate) fn token_of(&self, issued: &Op) -> u64 {
        self.slots[slot_of(issued)].as_ref().expect("it is in flight").rest.token
    }

    /// Ends an operation that is not issued again. Its own token.
    pub(crate) fn give_up(&mut self, issued: &Op) -> u64 {
        self.end(slot_of(issued))
    }

    fn end(&mut self, slot: usize) -> u64 {
        let over = self.slots[slot].take().expect("the slot was just used");
        self.free.push(slot);
        over.rest.token
    }
}

fn slot_of(issued: &Op) -> usize {
    usize::try_from(issued.token).expect("tokens are slot numbers")
}

impl Slot {
    /// Counts what was moved. `None`: the rest has to be issued; otherwise the operation's result.
    fn advance(&mut self, result: io::Result<usize>) -> Option<io::Result<usize>> {
        let again = |e: &io::Error| matches!(e.raw_os_error(), Some(libc::EINTR | libc::EAGAIN));
        let (moved, interrupted) = match result {
            Ok(_) if self.rest.kind == OpKind::Sync => return Some(Ok(0)),
            Ok(moved) if moved >= self.rest.size => return Some(Ok(0)),
            Ok(1..) if self.rest.kind != OpKind::Read && bugs::active(Bug::IgnoreShortWrite) => return Some(Ok(0)),
            Ok(0) if self.rest.kind == OpKind::Read => return Some(Ok(self.rest.size)),
            Ok(moved) => (moved, None),
            // An interrupted flush may have taken the report of a failed write with it: it counts as failed.
            Err(e) if self.rest.kind != OpKind::Sync && again(&e) => (0, Some(e)),
            Err(e) => return Some(Err(e)),
        };
        // What a transfer past the page cache resumes at has to be a whole sector again.
        let sectors = moved - moved % SECTOR as usize;
        if sectors > 0 {
            self.rest.position += sectors as u64;
            self.rest.at += sectors;
            self.rest.size -= sectors;
            self.stalls = 0;
            return None;
        }
        self.stalls += 1;
        let ends = |size: u64| size <= self.rest.position + moved as u64;
        if self.rest.kind == OpKind::Read && moved > 0 && self.rest.file.size().is_ok_and(ends) {
            // A part of a sector, and the file ends inside it.
            return Some(Ok(self.rest.size - moved));
        }
        if self.stalls < STALLS_MAX {
            return None;
        }
        Some(Err(interrupted.unwrap_or_else(|| {
            let what = format!("{STALLS_MAX} transfers in a row moved less than a sector");
            io::Error::new(io::ErrorKind::WriteZero, what)
        })))
    }
}

/// What became of a completion.
pub(crate) enum Progress {
    /// Issue this: the rest of a short transfer.
    Resume(Op),
    /// Nothing of this was done, because its file had to be opened again and no descriptor is left. Issue it once more
    /// later, or [give it up](InFlight::give_up).
    NoDescriptor { op: Op, error: io::Error },
    /// The operation is over; `missing` counts the bytes that a read at the file's end could not get.
    Done { token: u64, missing: io::Result<usize> },
}

impl Op {
    fn duplicate(&self) -> Op {
        Op {
            token: self.token,
            kind: self.kind,
            file: Arc::clone(&self.file),
            position: self.position,
            block: self.block.clone(),
            at: self.at,
            size: self.size,
        }
    }

    /// Runs the operation on the calling thread, which may block. Short transfers are results.
    pub(crate) fn run(&self) -> io::Result<usize> {
        match (self.kind, &self.block) {
            (OpKind::Sync, _) => self.file.sync().map(|()| 0),
            (OpKind::Read, Some(block)) => {
                // SAFETY: a block that is being read into is not yet published to anyone; this operation alone owns
                // the range until its completion.
                let into = unsafe { block.bytes_mut(self.at, self.size) };
                self.file.read_at(self.position, into)
            }
            (OpKind::Write { durable }, Some(block)) => {
                // SAFETY: the shard only writes ranges below the published prefix, which never change again.
                let from = unsafe { block.bytes(self.at, self.size) };
                self.file.write_at(self.position, from, durable)
            }
            (_, None) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of a size, which is never reached.
    struct Nowhere(u64);

    impl File for Nowhere {
        fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn write_at(&self, _: u64, _: &[u8], _: bool) -> io::Result<usize> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
        fn reserve(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn set_size(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn size(&self) -> io::Result<u64> {
            Ok(self.0)
        }
    }

    const WRITE: OpKind = OpKind::Write { durable: true };

    fn op(token: u64, kind: OpKind) -> Op {
        op_in(1 << 40, token, kind)
    }

    fn op_in(file_size: u64, token: u64, kind: OpKind) -> Op {
        Op { token, kind, file: Arc::new(Nowhere(file_size)), position: 8192, block: None, at: 4096, size: 40960 }
    }

    /// Starts an operation and feeds it results; the rests that were issued (position, place, size), and the end.
    fn run(kind: OpKind, results: Vec<io::Result<usize>>) -> (Vec<(u64, usize, usize)>, Option<io::Result<usize>>) {
        run_op(op(77, kind), results)
    }

    fn run_op(op: Op, results: Vec<io::Result<usize>>) -> (Vec<(u64, usize, usize)>, Option<io::Result<usize>>) {
        let mut under_way = InFlight::new(2);
        let mut issued = under_way.start(op).expect("a slot is free");
        let mut rests = Vec::new();
        for result in results {
            match under_way.complete(Completion { token: issued.token, result }) {
                Progress::Resume(rest) => {
                    rests.push((rest.position, rest.at, rest.size));
                    issued = rest;
                }
                Progress::NoDescriptor { op, .. } => issued = op,
                Progress::Done { token, missing } => {
                    assert_eq!((token, under_way.room(), under_way.len()), (77, 2, 0));
                    return (rests, Some(missing));
                }
            }
        }
        assert_eq!((under_way.room(), under_way.len()), (1, 1));
        (rests, None)
    }

    fn os(code: i32) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(code))
    }

    #[test]
    fn whole_transfers_are_done_at_once() {
        for kind in [OpKind::Read, WRITE] {
            let (rests, end) = run(kind, vec![Ok(40960)]);
            assert!(rests.is_empty() && matches!(end, Some(Ok(0))));
        }
        assert!(matches!(run(OpKind::Sync, vec![Ok(0)]).1, Some(Ok(0))));
    }

    #[test]
    fn short_transfers_resume_at_a_sector() {
        for kind in [OpKind::Read, WRITE] {
            let (rests, end) = run(kind, vec![Ok(4096), Ok(9000), Ok(512), Ok(28672)]);
            assert_eq!(rests, [(12288, 8192, 36864), (20480, 16384, 28672), (20480, 16384, 28672)]);
            assert!(matches!(end, Some(Ok(0))));
        }
    }

    #[test]
    fn a_read_ends_where_the_file_ends() {
        assert!(matches!(run(OpKind::Read, vec![Ok(0)]).1, Some(Ok(40960))));
        assert!(matches!(run(OpKind::Read, vec![Ok(8192), Ok(0)]).1, Some(Ok(32768))));
        // 10,000 bytes are left in the file: two sectors, and a part of the third.
        let (rests, end) = run_op(op_in(18192, 77, OpKind::Read), vec![Ok(10_000), Ok(100), Ok(1808)]);
        assert_eq!(rests, [(16384, 12288, 32768), (16384, 12288, 32768)]);
        assert!(matches!(end, Some(Ok(missing)) if missing == 40960 - 10_000));
    }

    #[test]
    fn no_progress_ends_in_an_error() {
        for stuck in [0, 100] {
            let (rests, end) = run(WRITE, (0..100).map(|_| Ok(stuck)).collect());
            assert_eq!(rests.len(), usize::from(STALLS_MAX) - 1);
            assert_eq!(end.expect("it ends").expect_err("in an error").kind(), io::ErrorKind::WriteZero);
        }
        for code in [libc::EINTR, libc::EAGAIN] {
            let (rests, end) = run(OpKind::Read, (0..100).map(|_| os(code)).collect());
            assert_eq!(rests.len(), usize::from(STALLS_MAX) - 1);
            assert_eq!(end.expect("it ends").expect_err("in an error").raw_os_error(), Some(code));
        }
        // Progress starts the count again.
        let results = (0..9).flat_map(|_| [os(libc::EINTR), os(libc::EINTR), Ok(100), Ok(4096)]).collect();
        assert!(run(WRITE, results).1.is_none());
    }

    #[test]
    fn errors_are_final() {
        for kind in [OpKind::Read, WRITE, OpKind::Sync] {
            let (rests, end) = run(kind, vec![os(libc::EIO)]);
            assert!(rests.is_empty());
            assert_eq!(end.expect("it ends").expect_err("in an error").raw_os_error(), Some(libc::EIO));
        }
        assert_eq!(run(WRITE, vec![Ok(4096), os(libc::ENOSPC)]).0.len(), 1);
        let (rests, end) = run(OpKind::Sync, vec![os(libc::EINTR)]);
        assert!(rests.is_empty() && end.expect("it ends").is_err(), "a flush is not tried again");
    }

    #[test]
    fn what_had_no_descriptor_is_issued_again_as_it_was_or_given_up() {
        for kind in [OpKind::Read, WRITE, OpKind::Sync] {
            let mut under_way = InFlight::new(1);
            let mut issued = under_way.start(op(5, kind)).expect("a slot");
            for code in [libc::EMFILE, libc::ENFILE, libc::EMFILE] {
                let completion = Completion { token: issued.token, result: os(code) };
                let Progress::NoDescriptor { op, error } = under_way.complete(completion) else {
                    panic!("it is not over")
                };
                assert_eq!(error.raw_os_error(), Some(code));
                assert_eq!((op.position, op.at, op.size, op.kind), (8192, 4096, 40960, kind));
                assert_eq!((under_way.token_of(&op), under_way.room()), (5, 0));
                issued = op;
            }
            assert_eq!(under_way.give_up(&issued), 5);
            assert_eq!(under_way.room(), 1);
        }
    }

    #[test]
    fn slots_are_bounded_and_reused() {
        let mut under_way = InFlight::new(2);
        let first = under_way.start(op(1, WRITE)).expect("a slot");
        let second = under_way.start(op(2, OpKind::Read)).expect("a slot");
        assert_ne!(first.token, second.token);
        assert!(under_way.start(op(3, WRITE)).is_none());
        let done = under_way.complete(Completion { token: second.token, result: Ok(40960) });
        assert!(matches!(done, Progress::Done { token: 2, missing: Ok(0) }));
        assert_eq!(under_way.start(op(3, WRITE)).expect("the slot is free again").token, second.token);
    }
}
