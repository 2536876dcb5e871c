//! fjall: a log-structured merge tree in Rust, with a journal.

use std::sync::atomic::{AtomicU64, Ordering};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::waiting::Waiting;
use super::{Entry, Peer, Way};
use crate::error::Result;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::producer::Boxed;

pub(super) const ENTRY: Entry = Entry {
    name: "fjall",
    durability: "PersistMode::SyncData: every batch calls fdatasync on the journal",
    same: true,
    reads: true,
    hop: None,
    version: || super::locked("fjall"),
    way: Way::Open(|plan| Ok(Box::new(Fjall::open(plan)?))),
};

struct Fjall {
    database: Database,
    log: Keyspace,
    next: AtomicU64,
}

impl Fjall {
    fn open(plan: &Plan) -> Result<Fjall> {
        let database = Database::builder(plan.dir.join("log.fjall")).cache_size(plan.memory_budget).open()?;
        let log = database.keyspace("log", KeyspaceCreateOptions::default)?;
        let next = AtomicU64::new(log.len()? as u64);
        Ok(Fjall { database, log, next })
    }
}

impl Peer for Fjall {
    fn producer<'a>(&'a self, payload: &'a Payload) -> Result<Boxed<'a>> {
        Ok(Box::new(Waiting(move |number| {
            let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
            for value in payload.values(number) {
                let key = self.next.fetch_add(1, Ordering::Relaxed);
                batch.insert(&self.log, key.to_be_bytes(), value);
            }
            Ok(batch.commit()?)
        })))
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let mut count = 0;
        for entry in self.log.iter() {
            each(&entry.value()?);
            count += 1;
        }
        Ok(count)
    }

    fn records(&self) -> Result<u64> {
        Ok(self.log.len()? as u64)
    }
}
