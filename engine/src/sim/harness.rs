//! One incarnation of the engine, with its threads taken out: whoever holds it decides what runs next.
//!
//! Everything here is production code but the glue. What the engine's threads would do is a step: a shard's turn, the
//! completion of one operation, a batch of metadata work, the delivery of one answer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::env::SimEnvironment;
use super::memory::SimMemory;
use super::oracle::{Content, Promise, Reopened, Seen};
use super::rng::Rng;
use super::setting::Setting;
use crate::buffer::{Block, Budget, Pool, Relief, Share};
use crate::durability::Durability;
use crate::error::{Error, Result};
use crate::format::record::{Record, RecordHeader};
use crate::gate::Gate;
use crate::ids::{DurablePrimitive, Generation, PartitionId, TopicId};
use crate::io::{Completion, Disk, Environment, Op, OpKind};
use crate::journal::JournalIdentity;
use crate::limits::JOURNAL_IN_FLIGHT_MAX;
use crate::manifest::{ManifestStore, MetaDone, MetaOptions, MetaOrder, MetaRequest, MetaResponse, MetaStore};
use crate::partition::{Partition, PartitionStart, Seat};
use crate::reader::{Attempt, Batch, Cursor, Lender, Source};
use crate::recovery::table::Rows;
use crate::recovery::{Observer, Recovered, RecoveredPartition, RecoveryOptions, recover};
use crate::segment::{Chain, Prefix, Segment};
use crate::shard::{Message, Outbox, Shard, ShardConfig, ShardHandle};
use crate::tail::{Tail, TailStart};

/// Memory of an incarnation. Bytes.
const MEMORY: usize = 4 << 20;
const RESERVE: usize = 1 << 20;
/// The largest journal write. Bytes.
const STAGING: usize = 32 << 10;
/// A partition without appends for so long falls quiet. ns.
pub(crate) const QUIET: u64 = 1_000_000_000;

/// The running engine.
pub(crate) struct Incarnation {
    environment: Arc<SimEnvironment>,
    pool: Arc<Pool>,
    lender: Arc<Lender>,
    meta: MetaStore,
    pub(crate) shards: Vec<Driven>,
    pub(crate) partitions: BTreeMap<PartitionId, Arc<Seat>>,
    /// Metadata work in the order in which it was asked for, and who asked.
    requests: VecDeque<(Asker, MetaRequest)>,
    answers: VecDeque<(Asker, MetaResponse)>,
    /// Answers to the world's own requests.
    pub(crate) own_answers: Vec<MetaResponse>,
    pressure: Arc<AtomicU64>,
}

/// A shard, and what it asked the device for.
pub(crate) struct Driven {
    shard: Shard,
    handle: Arc<ShardHandle>,
    pub(crate) operations: Vec<Op>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Shard(usize),
    World,
}

/// A topic that the store has.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: TopicId,
    pub(crate) name: String,
    pub(crate) partitions: u32,
    pub(crate) promise: Promise,
}

/// What a read came to.
pub(crate) enum Got {
    /// The records from the cursor on; the batch still holds them.
    Batch(Batch),
    /// The device has to be asked.
    Wait,
}

impl From<Attempt> for Got {
    fn from(attempt: Attempt) -> Got {
        match attempt {
            Attempt::Batch(batch) => Got::Batch(batch),
            Attempt::Wait(_) => Got::Wait,
        }
    }
}

pub(crate) fn durability(promise: Promise) -> Durability {
    match promise {
        Promise::PowerCut => Durability::Durable,
        Promise::Kill => Durability::LoseOnPowerCut,
        Promise::Nothing => Durability::LoseOnKill,
    }
}

fn promise(durability: Durability) -> Promise {
    match durability {
        Durability::Durable => Promise::PowerCut,
        Durability::LoseOnPowerCut => Promise::Kill,
        Durability::LoseOnKill => Promise::Nothing,
    }
}

/// Calls `then` with the records as the engine takes them.
pub(crate) fn with_records<T>(contents: &[Content], then: impl FnOnce(&[Record<'_>]) -> T) -> T {
    let headers: Vec<Vec<RecordHeader<'_>>> = contents
        .iter()
        .map(|c| c.headers.iter().map(|(name, value)| RecordHeader { name, value: value.as_deref() }).collect())
        .collect();
    let records: Vec<Record<'_>> = contents
        .iter()
        .zip(&headers)
        .map(|(c, headers)| Record {
            key: c.key.as_deref(),
            value: c.value.as_deref(),
            headers,
            timestamp: c.timestamp,
        })
        .collect();
    then(&records)
}

/// The records of a batch, copied.
pub(crate) fn seen(batch: &Batch) -> Vec<Seen> {
    batch
        .iter()
        .map(|record| Seen {
            offset: record.offset,
            timestamp: record.timestamp,
            append_time: record.append_time,
            content: Content {
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: record.headers().map(|h| (h.name.to_string(), h.value.map(<[u8]>::to_vec))).collect(),
                timestamp: None,
            },
        })
        .collect()
}

/// Counts how often appenders ran out of memory; the shards are told at their next turn.
struct SimRelief {
    /// The lender keeps the pool, which keeps this.
    lender: Weak<Lender>,
    pressure: Arc<AtomicU64>,
}

impl Relief for SimRelief {
    fn evict(&self, size: usize) -> usize {
        self.lender.upgrade().map_or(0, |lender| lender.evict(size))
    }

    fn pressure(&self) {
        self.pressure.fetch_add(1, Ordering::Relaxed);
    }
}

/// Notes the outcomes that recovery met before it failed.
struct Met<'a>(&'a mut Rows);

impl Observer for Met<'_> {
    fn failed(&mut self, rows: &Rows) {
        self.0.add(rows);
    }
}

/// What an open found.
pub(crate) struct Found {
    pub(crate) topics: Vec<Opened>,
    pub(crate) rows: Rows,
}

/// A topic and its partitions as an open found them.
pub(crate) struct Opened {
    pub(crate) known: Known,
    pub(crate) partitions: Vec<(u32, Reopened)>,
}

impl Incarnation {
    /// Opens the store of a disk, or creates one. What recovery found comes back beside the engine.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        environment: &Arc<SimEnvironment>,
        setting: &Setting,
        shards: usize,
        met: &mut Rows,
    ) -> Result<(Incarnation, Found)> {
        let injected: Arc<dyn Environment> = Arc::clone(environment) as _;
        let mut manifest = if ManifestStore::exists(&*disk)? {
            ManifestStore::load(disk, Arc::clone(&injected))?
        } else {
            ManifestStore::create(disk, Arc::clone(&injected), DurablePrimitive::DurableWrite)?
        };
        let recovery = RecoveryOptions { shards: shards as u32, cache: 256 << 10, give_up_journal: false };
        let recovered = recover(&mut manifest, recovery, &mut Met(met))?;
        let options = MetaOptions { journal_file_size: setting.journal_size, pool_files: 4 };
        let meta = MetaStore::open(manifest, options)?;
        let pool = Pool::new(Budget::new(MEMORY, RESERVE), Box::new(SimMemory));
        let lender = Arc::new(Lender::new(Arc::clone(&pool)));
        let pressure = Arc::new(AtomicU64::new(0));
        pool.set_relief(Box::new(SimRelief { lender: Arc::downgrade(&lender), pressure: Arc::clone(&pressure) }));
        let (store, set) = (meta.image().store, recovered.set);
        let shards = (0..shards)
            .map(|at| {
                let staging = || Block::take(&pool, Share::Reserve, Generation(0), 0, STAGING);
                let handle = Arc::new(ShardHandle::new(None));
                let config = ShardConfig {
                    identity: JournalIdentity { store, set, shard: at as u32 },
                    journal_files: setting.journal_files,
                    staging: (0..JOURNAL_IN_FLIGHT_MAX).filter_map(|_| staging().ok()).collect(),
                    first_segment: setting.first_segment,
                    largest_segment: setting.largest_segment,
                    depth: 16,
                    environment: Arc::clone(&injected),
                    keeper: Arc::clone(&lender) as _,
                    quiet_after: QUIET,
                };
                Driven { shard: Shard::new(config, Arc::clone(&handle)), handle, operations: Vec::new() }
            })
            .collect();
        let mut engine = Incarnation {
            environment: Arc::clone(environment),
            pool,
            lender,
            meta,
            shards,
            partitions: BTreeMap::new(),
            requests: VecDeque::new(),
            answers: VecDeque::new(),
            own_answers: Vec::new(),
            pressure,
        };
        let opened = engine.install(&recovered);
        Ok((engine, Found { topics: opened, rows: recovered.rows }))
    }

    /// Makes the partitions that recovery found, and those of which nothing is known yet.
    fn install(&mut self, recovered: &Recovered) -> Vec<Opened> {
        let topics: Vec<Known> = self
            .meta
            .image()
            .topics
            .iter()
            .map(|(id, topic)| Known {
                id: *id,
                name: topic.name.clone(),
                partitions: topic.partitions,
                promise: promise(topic.durability),
            })
            .collect();
        let opened = topics.into_iter().map(|known| {
            let partitions = (0..known.partitions).map(|partition| {
                let id = PartitionId { topic: known.id, partition };
                (partition, self.install_partition(&known, id, recovered.partitions.get(&id)))
            });
            let partitions = partitions.collect();
            Opened { known, partitions }
        });
        opened.collect()
    }

    fn install_partition(
        &mut self,
        known: &Known,
        partition: PartitionId,
        found: Option<&RecoveredPartition>,
    ) -> Reopened {
        let Some(found) = found else {
            let durability = durability(known.promise);
            let start = TailStart { partition, durability, next_offset: 0, last_time: 0 };
            self.add_partition(known, start, Vec::new(), 0, Vec::new());
            return Reopened::default();
        };
        let segments = found.segments.iter().map(|(segment, end)| {
            Arc::new(Segment::sealed(
                partition,
                segment.sequence,
                segment.generation,
                segment.base_offset,
                segment.base_time,
                segment.capacity,
                Prefix { position: end.position, offset: end.offset },
                end.time,
            ))
        });
        let start = TailStart {
            partition,
            durability: durability(known.promise),
            next_offset: found.end_offset,
            last_time: found.last_time,
        };
        let damaged: Vec<core::ops::Range<u64>> = found.damaged.iter().map(|d| d.start..d.end).collect();
        let damage = damaged.first().map(|range| (range.start, damaged.last().map_or(range.end, |last| last.end)));
        self.add_partition(known, start, segments.collect(), found.log_start, damaged);
        let made = self.partitions[&partition].current();
        match (found.damaged.first(), &found.unavailable) {
            (Some(damage), _) => {
                made.fail(&Error::corrupt(made.damage(damage.start, damage.end), "recovery found damage"));
            }
            (None, Some(error)) => made.make_unavailable(error),
            (None, None) => {}
        }
        Reopened {
            log_start: found.log_start,
            next_offset: found.end_offset,
            damaged: damage,
            unavailable: found.unavailable.is_some(),
        }
    }

    /// The shard that a partition belongs to.
    fn shard_of(&self, partition: PartitionId) -> usize {
        (partition.topic.0 as usize + partition.partition as usize) % self.shards.len()
    }

    /// Makes the partitions of a topic that was created just now.
    pub(crate) fn add_topic(&mut self, known: &Known) {
        for partition in 0..known.partitions {
            self.install_partition(known, PartitionId { topic: known.id, partition }, None);
        }
    }

    fn add_partition(
        &mut self,
        known: &Known,
        start: TailStart,
        segments: Vec<Arc<Segment>>,
        log_start: u64,
        damaged: Vec<core::ops::Range<u64>>,
    ) {
        let id = start.partition;
        let tail = Tail::new(start, Arc::clone(&self.pool), Arc::new(Chain::new(segments)));
        let shard = Arc::clone(&self.shards[self.shard_of(id)].handle);
        let (topic, gate) = (Arc::from(known.name.as_str()), Arc::new(Gate::new(None)));
        let partition = Partition::new(PartitionStart { topic, gate, tail, shard, log_start, damaged });
        self.partitions.insert(id, Arc::new(Seat::new(partition)));
    }

    /// Tells the shard that a partition has news.
    pub(crate) fn announce(&self, partition: &Partition) {
        self.shards[self.shard_of(partition.id())].handle.announce(partition.tail());
    }

    /// Lets a shard take in what arrived, and ask for what follows.
    pub(crate) fn turn(&mut self, at: usize) {
        if self.pressure.swap(0, Ordering::Relaxed) > 0 {
            for driven in &self.shards {
                driven.handle.send(Message::Pressure);
            }
        }
        let driven = &mut self.shards[at];
        let mut out = Outbox::default();
        driven.shard.turn(self.environment.monotonic_ns(), &mut out);
        driven.operations.append(&mut out.ops);
        self.requests.extend(out.meta.into_iter().map(|request| (Asker::Shard(at), request)));
    }

    /// Operations in flight, over all shards.
    pub(crate) fn operations(&self) -> usize {
        self.shards.iter().map(|driven| driven.operations.len()).sum()
    }

    /// Runs one of the operations in flight and gives its shard the completion. `starved`: a write or flush finds no
    /// descriptor to open its file again with.
    pub(crate) fn complete(&mut self, mut index: usize, starved: bool) {
        for at in 0..self.shards.len() {
            let operations = &mut self.shards[at].operations;
            if index < operations.len() {
                let op = operations.swap_remove(index);
                let result = if starved && op.kind != OpKind::Read {
                    Err(std::io::Error::from_raw_os_error(libc::EMFILE))
                } else {
                    op.run()
                };
                self.shards[at].shard.complete(Completion { token: op.token, result });
                return;
            }
            index -= operations.len();
        }
    }

    /// Requests that wait for the metadata thread, and answers that wait for their askers.
    pub(crate) fn metadata(&self) -> (usize, usize) {
        (self.requests.len(), self.answers.len())
    }

    /// Executes the first `count` requests as one batch.
    pub(crate) fn run_metadata(&mut self, count: usize) {
        let count = count.min(self.requests.len());
        let mut askers = BTreeMap::new();
        let mut batch = Vec::new();
        for (number, (asker, request)) in self.requests.drain(..count).enumerate() {
            // Askers choose their tickets without knowing of each other.
            askers.insert(number as u64, (asker, request.ticket));
            batch.push(MetaRequest { ticket: number as u64, order: request.order });
        }
        for response in self.meta.run(batch) {
            let (asker, ticket) = askers.remove(&response.ticket).expect("each request is answered once");
            self.answers.push_back((asker, MetaResponse { ticket, result: response.result }));
        }
    }

    /// Gives the next answer to whoever asked; the world finds its own in `own_answers`. `false`: there is none.
    pub(crate) fn deliver(&mut self) -> bool {
        match self.answers.pop_front() {
            None => return false,
            Some((Asker::World, response)) => self.own_answers.push(response),
            Some((Asker::Shard(at), response)) => self.shards[at].shard.meta_done(response),
        }
        true
    }

    /// Moves everything on by one round: each shard, operation and request.
    pub(crate) fn round(&mut self, rng: &mut Rng) {
        for shard in 0..self.shards.len() {
            self.turn(shard);
        }
        while self.operations() > 0 {
            self.complete(rng.index(self.operations()), false);
        }
        self.run_metadata(usize::MAX);
        while self.deliver() {}
    }

    /// Asks the metadata thread for something of the world's own.
    pub(crate) fn ask(&mut self, ticket: u64, order: MetaOrder) {
        self.requests.push_back((Asker::World, MetaRequest { ticket, order }));
    }

    /// Partitions of a topic that a shard owns.
    fn owned(&self, topic: TopicId, shard: usize) -> Vec<PartitionId> {
        self.partitions.keys().filter(|id| id.topic == topic && self.shard_of(**id) == shard).copied().collect()
    }

    /// Has the shards stop with the partitions of a topic; `done` counts those that have.
    pub(crate) fn stop(&mut self, topic: TopicId, done: &Arc<AtomicU64>) {
        for at in 0..self.shards.len() {
            let done = Arc::clone(done);
            let message = Message::Stop(
                self.owned(topic, at),
                Box::new(move || {
                    done.fetch_add(1, Ordering::Relaxed);
                }),
            );
            self.shards[at].handle.send(message);
        }
    }

    /// Has the shards forget the partitions of a topic that is deleted.
    pub(crate) fn forget(&mut self, topic: TopicId) {
        for at in 0..self.shards.len() {
            self.shards[at].handle.send(Message::Forget(self.owned(topic, at)));
        }
    }

    /// A topic is gone.
    pub(crate) fn remove_topic(&mut self, topic: TopicId) {
        let gone: Vec<PartitionId> = self.partitions.keys().filter(|id| id.topic == topic).copied().collect();
        for id in gone {
            if let Some(seat) = self.partitions.remove(&id) {
                for segment in seat.current().chain().segments().iter() {
                    self.lender.forget(segment);
                }
            }
        }
    }

    /// The incarnation of a partition that counts.
    pub(crate) fn partition(&self, id: PartitionId) -> Option<Arc<Partition>> {
        self.partitions.get(&id).map(|seat| seat.current())
    }

    pub(crate) fn lender(&self) -> &Arc<Lender> {
        &self.lender
    }

    /// What a reader of a partition reads from, across truncations.
    pub(crate) fn source(&self, id: PartitionId) -> Source {
        Source::new(Arc::clone(&self.partitions[&id]), Arc::clone(&self.lender), Arc::new(Gate::new(None)))
    }

    /// Reads at a cursor, without waiting.
    pub(crate) fn read(&self, partition: &Partition, cursor: &mut Cursor, max: usize) -> Result<Got> {
        self.lender.attempt(partition, cursor, max).map(Got::from)
    }

    /// Drops what is cached, so that reads go to the device.
    pub(crate) fn drop_caches(&self) {
        self.lender.evict(usize::MAX);
    }

    /// When some shard has something to do though nothing arrives.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.shards.iter().filter_map(|driven| driven.shard.next_deadline()).min()
    }

    pub(crate) fn begin_close(&mut self) {
        for seat in self.partitions.values() {
            seat.current().tail().fail(Error::new(crate::ErrorKind::Closed, "the engine is closed"));
        }
        for driven in &self.shards {
            driven.handle.send(Message::Close);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.requests.is_empty() && self.answers.is_empty() && self.shards.iter().all(|driven| driven.shard.is_closed())
    }

    /// Whether nothing is left to do until something new comes.
    pub(crate) fn is_idle(&self) -> bool {
        self.requests.is_empty()
            && self.answers.is_empty()
            && self.shards.iter().all(|driven| driven.operations.is_empty() && driven.shard.is_idle())
    }

    /// Whether every shard could make everything durable before it closed.
    pub(crate) fn is_clean(&self) -> bool {
        self.shards.iter().all(|driven| driven.shard.is_clean())
    }

    /// The last request: marks the store clean if it is.
    pub(crate) fn close_clean(&mut self) -> Result<bool> {
        let request = MetaRequest { ticket: 0, order: MetaOrder::CloseClean };
        match self.meta.run(vec![request]).pop().map(|response| response.result) {
            Some(Ok(MetaDone::Closed { clean })) => Ok(clean),
            Some(Err(error)) => Err(error),
            _ => Err(Error::new(crate::ErrorKind::Panic, "the request to close has no answer")),
        }
    }
}

/// A dead incarnation's messages hold tails, which hold the shards that the messages wait for.
impl Drop for Incarnation {
    fn drop(&mut self) {
        let gone = Error::new(crate::ErrorKind::Closed, "the incarnation is over");
        for driven in &mut self.shards {
            driven.shard.fail(&gone);
        }
    }
}
