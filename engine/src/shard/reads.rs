//! Reads that readers ask for: the shard only opens the file and passes them through.

use std::io;

use crate::error::Error;
use crate::io::OpKind;
use crate::shard::{Outbox, Purpose, ReadRequest, Shard};

/// Reads under way, in slots.
#[derive(Default)]
pub(super) struct Reads {
    slots: Vec<Option<ReadRequest>>,
    free: Vec<usize>,
}

impl Reads {
    fn put(&mut self, request: ReadRequest) -> usize {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(request);
        slot
    }

    /// The read in a slot.
    pub(super) fn of(&self, slot: usize) -> &ReadRequest {
        self.slots[slot].as_ref().expect("a read under way has its request")
    }

    fn take(&mut self, slot: usize) -> ReadRequest {
        self.free.push(slot);
        self.slots[slot].take().expect("a read under way has its request")
    }
}

impl Shard {
    /// Passes a read on, after its file was opened if need be.
    pub(super) fn read(&mut self, request: ReadRequest, out: &mut Outbox) {
        match request.segment.file() {
            Some(file) => {
                let (position, size, block) = (request.position, request.size, request.block.clone());
                let read = self.reads.put(request);
                self.issue(Purpose::Read { read }, Shard::op(OpKind::Read, file, position, Some(block), 0, size), out);
            }
            None => self.open_for_read(request, out),
        }
    }

    /// Nothing will be read any more.
    pub(super) fn fail_reads(&mut self, error: &Error) {
        for request in self.reads.slots.drain(..).flatten() {
            (request.done)(Err(error.clone()));
        }
        self.reads.free.clear();
    }

    pub(super) fn read_done(&mut self, read: usize, missing: io::Result<usize>) {
        let request = self.reads.take(read);
        let size = request.size;
        let missing = missing.map_err(|error| Error::file("reading it", &error));
        (request.done)(missing.map(|missing| size - missing));
    }
}
