//! RocksDB: a log-structured merge tree in C++, with a write-ahead log and group commit.

use std::sync::atomic::{AtomicU64, Ordering};

use rocksdb::{BlockBasedOptions, Cache, DB, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions};

use super::waiting::Waiting;
use super::{Entry, Peer, Way};
use crate::error::Result;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::producer::Boxed;

pub(super) const ENTRY: Entry = Entry {
    name: "rocksdb",
    durability: "WriteOptions::sync: fdatasync of the log, one for the writers that wait together",
    same: true,
    reads: true,
    hop: None,
    version: || super::locked("librocksdb-sys"),
    way: Way::Open(|plan| Ok(Box::new(Rocks::open(plan)?))),
};

struct Rocks {
    database: DB,
    next: AtomicU64,
}

impl Rocks {
    fn open(plan: &Plan) -> Result<Rocks> {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_lru_cache(plan.memory_budget as usize));
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&table);
        let database = DB::open(&options, plan.dir.join("log.rocksdb"))?;
        let last = database.iterator(IteratorMode::End).next().transpose()?;
        let next = last.map_or(Ok(0), |(key, _)| <[u8; 8]>::try_from(&*key).map(|key| u64::from_be_bytes(key) + 1))?;
        Ok(Rocks { database, next: AtomicU64::new(next) })
    }
}

impl Peer for Rocks {
    fn producer<'a>(&'a self, payload: &'a Payload) -> Result<Boxed<'a>> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        Ok(Box::new(Waiting(move |number| {
            let mut batch = WriteBatch::default();
            for value in payload.values(number) {
                batch.put(self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes(), value);
            }
            Ok(self.database.write_opt(&batch, &options)?)
        })))
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let mut options = ReadOptions::default();
        options.set_readahead_size(2 << 20);
        let mut cursor = self.database.raw_iterator_opt(options);
        cursor.seek_to_first();
        let mut count = 0;
        while let Some(value) = cursor.value() {
            each(value);
            count += 1;
            cursor.next();
        }
        cursor.status()?;
        Ok(count)
    }

    fn records(&self) -> Result<u64> {
        let mut cursor = self.database.raw_iterator();
        cursor.seek_to_first();
        let mut count = 0;
        while cursor.valid() {
            count += 1;
            cursor.next();
        }
        cursor.status()?;
        Ok(count)
    }
}
