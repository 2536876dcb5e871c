//! raft-engine: the log of TiKV's consensus groups, with group commit.

use std::sync::Mutex;

use protobuf::well_known_types::BytesValue;
use raft_engine::{Config, Engine, LogBatch, MessageExt};

use super::waiting::Waiting;
use super::{Entry, Peer, Way};
use crate::error::Result;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::producer::Boxed;

pub(super) const ENTRY: Entry = Entry {
    name: "raft-engine",
    durability: "write(batch, sync): fdatasync of the log, one for the writers that wait together",
    same: true,
    reads: true,
    hop: None,
    version: || super::locked("raft-engine"),
    way: Way::Open(|plan| Ok(Box::new(Raft::open(plan)?))),
};

/// An entry is a message that knows its index: it stands before the value.
struct Numbered;

impl MessageExt for Numbered {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        entry.value.first_chunk().map_or(0, |index| u64::from_be_bytes(*index))
    }
}

/// Entries that are read at once.
const READ: u64 = 1000;

struct Raft {
    engine: Engine,
    /// Each caller has a group of its own, as the replicas of a store have: entries of one are in order.
    groups: Mutex<u64>,
}

impl Raft {
    fn open(plan: &Plan) -> Result<Raft> {
        let dir = plan.dir.join("log.raft").to_string_lossy().into_owned();
        // The default compresses entries that are larger than 8 KiB; the values cannot be made smaller.
        let config = Config { dir, batch_compression_threshold: 0.into(), ..Config::default() };
        Ok(Raft { engine: Engine::open(config)?, groups: Mutex::new(0) })
    }
}

impl Peer for Raft {
    fn producer<'a>(&'a self, payload: &'a Payload) -> Result<Boxed<'a>> {
        let mut groups = self.groups.lock().map_err(|_| "a producer panicked")?;
        *groups += 1;
        let group = *groups;
        let mut next = 1_u64;
        Ok(Box::new(Waiting(move |number| {
            let entry = |(offset, value): (usize, &[u8])| BytesValue {
                value: [&(next + offset as u64).to_be_bytes(), value].concat(),
                ..BytesValue::default()
            };
            let entries: Vec<BytesValue> = payload.values(number).enumerate().map(entry).collect();
            next += entries.len() as u64;
            let mut batch = LogBatch::with_capacity(entries.len());
            batch.add_entries::<Numbered>(group, &entries)?;
            self.engine.write(&mut batch, true)?;
            Ok(())
        })))
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let mut count = 0;
        for group in self.engine.raft_groups() {
            let (Some(first), Some(last)) = (self.engine.first_index(group), self.engine.last_index(group)) else {
                continue;
            };
            for begin in (first..=last).step_by(READ as usize) {
                let mut entries = Vec::new();
                let end = (begin + READ).min(last + 1);
                self.engine.fetch_entries_to::<Numbered>(group, begin, end, None, &mut entries)?;
                entries.iter().for_each(|entry| each(&entry.value[8..]));
                count += entries.len() as u64;
            }
        }
        Ok(count)
    }

    fn records(&self) -> Result<u64> {
        let count = |group| Some(self.engine.last_index(group)? + 1 - self.engine.first_index(group)?);
        Ok(self.engine.raft_groups().into_iter().filter_map(count).sum())
    }
}
