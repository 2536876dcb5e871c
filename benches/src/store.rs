//! The engine, opened for a measurement.

use thalweg::{Engine, Topic, TopicOptions};

use crate::error::Result;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::producer::{Boxed, append_all, filling};
use crate::submitter::Submitter;

/// A store with one topic.
pub(crate) struct Store {
    pub(crate) engine: Engine,
    pub(crate) topic: Topic,
}

/// The only topic.
const TOPIC: &str = "bench";

impl Store {
    /// A new one, as the plan says.
    pub(crate) fn create(plan: &Plan) -> Result<Store> {
        let engine = Engine::open(&plan.dir, plan.options())?;
        let options = TopicOptions::default().partitions(plan.case.partitions).durability(plan.durability.engine());
        let topic = engine.create_topic(TOPIC, options)?;
        Ok(Store { engine, topic })
    }

    /// One that is there.
    pub(crate) fn open(plan: &Plan) -> Result<Store> {
        let engine = Engine::open(&plan.dir, plan.options())?;
        let topic = engine.topic(TOPIC)?;
        Ok(Store { engine, topic })
    }

    /// One that is there, or a new one.
    pub(crate) fn create_or_open(plan: &Plan) -> Result<Store> {
        if plan.dir.join("MANIFEST").exists() { Store::open(plan) } else { Store::create(plan) }
    }

    /// One producer for each thread: to the partitions in turns, where there are more of them than threads, and else
    /// each to one.
    pub(crate) fn producers<'a>(&'a self, plan: &Plan, payload: &'a Payload) -> Vec<Boxed<'a>> {
        let (threads, partitions, in_flight) = (plan.case.threads, plan.case.partitions, plan.case.in_flight);
        let each = (partitions / threads).max(1);
        let producer = |thread: u32| -> Boxed<'a> {
            let first = thread * each % partitions;
            Box::new(Submitter::new(&self.topic, payload, first, each, in_flight))
        };
        (0..threads).map(producer).collect()
    }

    /// Fills it with so many records, as fast as it goes, and says how many there are.
    pub(crate) fn fill(&self, records: u64, record_size: usize) -> Result<u64> {
        for (payload, count) in filling(records, record_size) {
            append_all(&mut Submitter::new(&self.topic, &payload, 0, 1, 0), count)?;
        }
        self.records()
    }

    /// Records that are visible.
    pub(crate) fn records(&self) -> Result<u64> {
        Ok(self.topic.describe()?.partitions.iter().map(|partition| partition.high_watermark).sum())
    }

    /// Writes and flushes that were made durable since it was opened.
    pub(crate) fn durable_writes(&self) -> u64 {
        self.engine.metrics().shards.iter().map(|shard| shard.durable_writes.count).sum()
    }
}
