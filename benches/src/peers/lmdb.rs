//! LMDB, by heed: a copy-on-write B+tree in a memory map, one writer at a time.

use std::sync::atomic::{AtomicU64, Ordering};

use heed::byteorder::BigEndian;
use heed::types::{Bytes, U64};
use heed::{Database, Env, EnvOpenOptions, PutFlags};

use super::waiting::Waiting;
use super::{Entry, Peer, Way};
use crate::error::Result;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::producer::Boxed;

pub(super) const ENTRY: Entry = Entry {
    name: "lmdb",
    durability: "default: every commit writes, calls fdatasync, and writes its root with O_DSYNC",
    same: true,
    reads: true,
    hop: None,
    version: || {
        let version = heed::lmdb_version();
        Ok(format!("{}.{}.{}, heed {}", version.major, version.minor, version.patch, super::locked("heed")?))
    },
    way: Way::Open(|plan| Ok(Box::new(Lmdb::open(plan)?))),
};

/// Address space; the file grows as it is written. Bytes.
const MAP: usize = 64 << 30;

struct Lmdb {
    env: Env,
    log: Database<U64<BigEndian>, Bytes>,
    /// Only whoever has the write transaction changes it.
    next: AtomicU64,
}

impl Lmdb {
    fn open(plan: &Plan) -> Result<Lmdb> {
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP).max_readers(256);
        // SAFETY: the directory is ours alone, and nobody truncates the file under the map.
        let env = unsafe { options.open(&plan.dir)? };
        let mut txn = env.write_txn()?;
        let log: Database<U64<BigEndian>, Bytes> = env.create_database(&mut txn, None)?;
        let next = log.last(&txn)?.map_or(0, |(key, _)| key + 1);
        txn.commit()?;
        Ok(Lmdb { env, log, next: AtomicU64::new(next) })
    }
}

impl Peer for Lmdb {
    fn producer<'a>(&'a self, payload: &'a Payload) -> Result<Boxed<'a>> {
        Ok(Box::new(Waiting(move |batch| {
            let mut txn = self.env.write_txn()?;
            for value in payload.values(batch) {
                let key = self.next.fetch_add(1, Ordering::Relaxed);
                self.log.put_with_flags(&mut txn, PutFlags::APPEND, &key, value)?;
            }
            Ok(txn.commit()?)
        })))
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let txn = self.env.read_txn()?;
        let mut count = 0;
        for entry in self.log.iter(&txn)? {
            each(entry?.1);
            count += 1;
        }
        Ok(count)
    }

    fn records(&self) -> Result<u64> {
        let txn = self.env.read_txn()?;
        Ok(self.log.len(&txn)?)
    }
}

impl Drop for Lmdb {
    fn drop(&mut self) {
        // heed keeps what is open by its path; it is opened again after this.
        let _ = self.env.clone().prepare_for_closing();
    }
}
