//! okaywal: a write-ahead log in Rust, with group commit. It is made to be recovered from, not to be read.

use std::sync::atomic::{AtomicU64, Ordering};

use okaywal::{Configuration, LogVoid, WriteAheadLog};

use super::waiting::Waiting;
use super::{Entry, Peer, Way};
use crate::error::Result;
use crate::payload::Payload;
use crate::producer::Boxed;

pub(super) const ENTRY: Entry = Entry {
    name: "okaywal",
    durability: "commit: fdatasync of the log, one for the writers that wait together; segments of 64 MiB",
    same: true,
    reads: false,
    hop: None,
    version: || super::locked("okaywal"),
    way: Way::Open(|plan| {
        // The default of 1 MiB makes a new file every few hundred records.
        let config = Configuration::default_for(plan.dir.join("log.okaywal"))
            .preallocate_bytes(SEGMENT as u32)
            .checkpoint_after_bytes(SEGMENT / 8 * 7);
        Ok(Box::new(Okay { log: config.open(LogVoid)?, records: AtomicU64::new(0) }))
    }),
};

/// Bytes.
const SEGMENT: u64 = 64 << 20;

struct Okay {
    log: WriteAheadLog,
    /// What was committed: it has no count of its own.
    records: AtomicU64,
}

impl Peer for Okay {
    fn producer<'a>(&'a self, payload: &'a Payload) -> Result<Boxed<'a>> {
        Ok(Box::new(Waiting(move |batch| {
            let mut entry = self.log.begin_entry()?;
            for value in payload.values(batch) {
                entry.write_chunk(value)?;
            }
            entry.commit()?;
            self.records.fetch_add(payload.batch() as u64, Ordering::Relaxed);
            Ok(())
        })))
    }

    fn read(&self, _each: &mut dyn FnMut(&[u8])) -> Result<u64> {
        Err("okaywal is not made to be read".into())
    }

    fn records(&self) -> Result<u64> {
        Ok(self.records.load(Ordering::Relaxed))
    }
}
