//! The engine itself, by the same interface.

use ::thalweg::Start;

use super::{Entry, Peer, Way};
use crate::error::Result;
use crate::payload::Payload;
use crate::producer::Boxed;
use crate::store::Store;
use crate::submitter::Submitter;

pub(super) const ENTRY: Entry = Entry {
    name: "thalweg",
    durability: "durable: acknowledged when the device has it on the medium (RWF_DSYNC or fdatasync)",
    same: true,
    reads: true,
    hop: None,
    version: || Ok(env!("CARGO_PKG_VERSION").to_owned()),
    way: Way::Open(|plan| {
        Ok(Box::new(Thalweg { store: Store::create_or_open(plan)?, in_flight: plan.case.in_flight }))
    }),
};

struct Thalweg {
    store: Store,
    in_flight: u32,
}

impl Peer for Thalweg {
    fn producer<'a>(&'a self, payload: &'a Payload) -> Result<Boxed<'a>> {
        Ok(Box::new(Submitter::new(&self.store.topic, payload, 0, 1, self.in_flight)))
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let end = self.records()?;
        let mut reader = self.store.topic.reader(0, Start::Earliest)?;
        let mut count = 0;
        while reader.offset() < end {
            for record in &reader.next(1 << 20, None)? {
                each(record.value.ok_or("a record has no value")?);
                count += 1;
            }
        }
        Ok(count)
    }

    fn records(&self) -> Result<u64> {
        self.store.records()
    }

    fn durable_writes(&self) -> Option<u64> {
        Some(self.store.durable_writes())
    }
}
