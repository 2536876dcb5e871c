//! walrus: a write-ahead log in Rust with topics, and readers that go on where they were.

use std::sync::atomic::{AtomicU64, Ordering};

use walrus_rust::{FsyncSchedule, ReadConsistency, Walrus};

use super::waiting::Waiting;
use super::{Entry, Peer, Way};
use crate::error::Result;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::producer::Boxed;

pub(super) const ENTRY: Entry = Entry {
    name: "walrus",
    durability: "FsyncSchedule::SyncEach: files opened with O_SYNC",
    same: true,
    reads: true,
    hop: None,
    version: || super::locked("walrus-rust"),
    way: Way::Open(|plan| Ok(Box::new(Log::open(plan)?))),
};

const TOPIC: &str = "log";
/// Bytes that are read at once.
const READ: usize = 1 << 20;

struct Log {
    walrus: Walrus,
    /// What was acknowledged: it has no count of its own.
    records: AtomicU64,
}

impl Log {
    fn open(plan: &Plan) -> Result<Log> {
        // SAFETY: this process has no other thread yet.
        unsafe {
            std::env::set_var("WALRUS_DATA_DIR", plan.dir.join("log.walrus"));
            std::env::set_var("WALRUS_QUIET", "1");
        }
        let reads = ReadConsistency::AtLeastOnce { persist_every: u32::MAX };
        let walrus = Walrus::with_consistency_and_schedule(reads, FsyncSchedule::SyncEach)?;
        Ok(Log { walrus, records: AtomicU64::new(0) })
    }
}

impl Peer for Log {
    fn producer<'a>(&'a self, payload: &'a Payload) -> Result<Boxed<'a>> {
        Ok(Box::new(Waiting(move |batch| {
            let values: Vec<&[u8]> = payload.values(batch).collect();
            match values[..] {
                [one] => self.walrus.append_for_topic(TOPIC, one)?,
                _ => self.walrus.batch_append_for_topic(TOPIC, &values)?,
            }
            self.records.fetch_add(values.len() as u64, Ordering::Relaxed);
            Ok(())
        })))
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let mut count = 0;
        loop {
            let entries = self.walrus.batch_read_for_topic(TOPIC, READ, true)?;
            if entries.is_empty() {
                return Ok(count);
            }
            entries.iter().for_each(|entry| each(&entry.data));
            count += entries.len() as u64;
        }
    }

    fn records(&self) -> Result<u64> {
        Ok(self.records.load(Ordering::Relaxed))
    }
}
