//! Operations in flight: what a shard asks of its runtime, and how a short transfer is resumed.

use std::io;
use std::sync::Arc;

use super::File;
use crate::buffer::Block;

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
    pub block: Option<Arc<Block>>,
    /// Where in the block the transfer begins. A multiple of the sector, as are `size` and the block's address.
    pub at: usize,
    pub size: usize,
}

/// The answer to an [`Op`]: bytes moved, which may be fewer than asked, or the error.
pub(crate) struct Completion {
    pub token: u64,
    pub result: io::Result<usize>,
}

/// Operations from a fixed number of slots; resumes short transfers and answers each operation once, whole or failed.
pub(crate) struct InFlight {
    slots: Vec<Option<Op>>,
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
        let issued = Op { token: slot as u64, block: op.block.clone(), file: Arc::clone(&op.file), ..op };
        self.slots[slot] = Some(Op { token: op.token, ..issued.duplicate() });
        Some(issued)
    }

    /// Takes a completion. Either the rest that has to be issued, or the operation with its final result.
    pub(crate) fn complete(&mut self, completion: Completion) -> Progress {
        let slot = usize::try_from(completion.token).expect("tokens are slot numbers");
        let op = self.slots[slot].as_mut().expect("a completion belongs to an operation in flight");
        let result = match completion.result {
            Err(e) if matches!(e.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => Ok(None),
            Err(e) => Err(e),
            Ok(_) if op.kind == OpKind::Sync => Ok(Some(0)),
            Ok(n) if n >= op.size => Ok(Some(0)),
            Ok(0) if op.kind == OpKind::Read => Ok(Some(op.size)),
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                op.position += n as u64;
                op.at += n;
                op.size -= n;
                Ok(None)
            }
        };
        match result {
            Ok(None) => {
                let mut rest = op.duplicate();
                rest.token = slot as u64;
                Progress::Resume(rest)
            }
            Ok(Some(missing)) => self.finish(slot, Ok(missing)),
            Err(e) => self.finish(slot, Err(e)),
        }
    }

    fn finish(&mut self, slot: usize, result: io::Result<usize>) -> Progress {
        let op = self.slots[slot].take().expect("the slot was just used");
        self.free.push(slot);
        Progress::Done { token: op.token, missing: result }
    }
}

/// What became of a completion.
pub(crate) enum Progress {
    /// Issue this: the rest of a short transfer.
    Resume(Op),
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
