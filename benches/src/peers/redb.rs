//! redb: a copy-on-write B-tree in Rust, one writer at a time.

use std::sync::atomic::{AtomicU64, Ordering};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use super::waiting::Waiting;
use super::{Entry, Peer, Way};
use crate::error::Result;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::producer::Boxed;

pub(super) const ENTRY: Entry = Entry {
    name: "redb",
    durability: "Durability::Immediate: every commit calls fdatasync",
    same: true,
    reads: true,
    hop: None,
    version: || super::locked("redb"),
    way: Way::Open(|plan| Ok(Box::new(Redb::open(plan)?))),
};

const LOG: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("log");

struct Redb {
    database: Database,
    /// Only whoever has the write transaction changes it.
    next: AtomicU64,
}

impl Redb {
    fn open(plan: &Plan) -> Result<Redb> {
        let mut builder = Database::builder();
        builder.set_cache_size(plan.memory_budget as usize);
        let database = builder.create(plan.dir.join("log.redb"))?;
        let transaction = database.begin_write()?;
        let next = transaction.open_table(LOG)?.last()?.map_or(0, |(key, _)| key.value() + 1);
        transaction.commit()?;
        Ok(Redb { database, next: AtomicU64::new(next) })
    }
}

impl Peer for Redb {
    fn producer<'a>(&'a self, payload: &'a Payload) -> Result<Boxed<'a>> {
        Ok(Box::new(Waiting(move |batch| {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            {
                let mut log = transaction.open_table(LOG)?;
                for value in payload.values(batch) {
                    log.insert(self.next.fetch_add(1, Ordering::Relaxed), value)?;
                }
            }
            Ok(transaction.commit()?)
        })))
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let mut count = 0;
        for entry in self.database.begin_read()?.open_table(LOG)?.iter()? {
            each(entry?.1.value());
            count += 1;
        }
        Ok(count)
    }

    fn records(&self) -> Result<u64> {
        Ok(self.database.begin_read()?.open_table(LOG)?.len()?)
    }
}
