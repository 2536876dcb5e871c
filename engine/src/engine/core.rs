//! The engine without an operating system: recovery, partitions and shards over whatever disk, clock and threads it is
//! given. Real threads drive it in production, a schedule in the simulation.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use super::info::RecoveryReport;
use super::options::Options;
use crate::buffer::{Block, Budget, MemorySource, Pool, Relief, Share};
use crate::durability::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{EventKind, Events};
use crate::format::manifest::Edit;
use crate::gate::{Gate, closed};
use crate::ids::{DurablePrimitive, Generation, PartitionId};
use crate::internal::{Found, KeyValues, PositionStore, Table};
use crate::io::os::DurableChoice;
use crate::io::{Disk, Environment};
use crate::journal::JournalIdentity;
use crate::limits::{BLOCK_MAX, JOURNAL_IN_FLIGHT_MAX, JOURNAL_WRITE_MAX, MEMORY_BUDGET_MAX, SECTOR, SEGMENT_MIN};
use crate::manifest::{
    DamagedCopy, ManifestStore, MetaDone, MetaOptions, MetaOrder, MetaStore, SegmentState, Written, foreign,
};
use crate::partition::{Partition, PartitionStart, Seat};
use crate::reader::Lender;
use crate::recovery::{Recovered, RecoveredPartition, RecoveryOptions, recover};
use crate::segment::{Chain, Prefix, Segment};
use crate::shard::{Keep, Message, Shard, ShardConfig, ShardHandle};
use crate::tail::{Tail, TailStart};
use crate::topic::{Common, Metadata, Topic, TopicDescription, TopicOptions, TopicState, Totals};

/// Operations of one shard in flight at once.
const DEPTH: usize = 64;
/// Files of one shard's journal.
const JOURNAL_FILES: u32 = 4;
/// The size of a partition's first segment, if the option allows as much. Bytes.
const FIRST_SEGMENT: u64 = 1 << 20;
/// A partition without appends for so long gives its memory back. ns.
const QUIET_AFTER: u64 = 250_000_000;

/// What an engine stands on.
pub(crate) struct Ground {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) memory: Box<dyn MemorySource>,
    pub(crate) gate: Gate,
    pub(crate) shards: u32,
}

/// An engine whose shards nobody drives yet.
pub(crate) struct Opened {
    pub(crate) core: Core,
    pub(crate) shards: Vec<Shard>,
    /// Executes the shards' requests, and those of [`Core::set_metadata`].
    pub(crate) meta: MetaStore,
}

/// Topics by name, and what they share.
pub(crate) struct Core {
    common: Arc<Common>,
    topics: RwLock<BTreeMap<String, Topic>>,
    positions: Arc<PositionStore>,
    values: Arc<Table>,
    default_durability: Durability,
    store: u64,
    primitive: DurablePrimitive,
    primitive_reason: Option<String>,
    recovery: RecoveryReport,
    written: Arc<Written>,
    /// ns.
    opened: u64,
}

/// Gives memory back when appenders run out.
struct GiveBack {
    /// The lender holds the pool, which holds this.
    lender: Weak<Lender>,
    shards: Vec<Arc<ShardHandle>>,
}

impl Relief for GiveBack {
    fn evict(&self, size: usize) -> usize {
        self.lender.upgrade().map_or(0, |lender| lender.evict(size))
    }

    fn pressure(&self) {
        self.shards.iter().for_each(|shard| shard.send(Message::Pressure));
    }
}

impl Core {
    /// Recovers the store on the ground's disk, or creates one: then `measure` says how durable writes are made. `use_`
    /// is told, once it is known.
    pub(crate) fn open(
        ground: Ground,
        options: &Options,
        meta_options: MetaOptions,
        measure: &dyn Fn() -> DurableChoice,
        tell: &dyn Fn(DurablePrimitive),
    ) -> Result<Opened> {
        options.check()?;
        let Ground { disk, environment, memory, gate, shards } = ground;
        let budget = budget(options.memory_budget, shards)?;
        let begun = environment.monotonic_ns();
        let mut store = if ManifestStore::exists(&*disk)? {
            ManifestStore::load(Arc::clone(&disk), Arc::clone(&environment))?
        } else if options.read_only {
            foreign::check_not_lost(&*disk)?;
            return Err(Error::new(ErrorKind::NotFound, "the directory holds no store to read"));
        } else if options.create {
            let DurableChoice { primitive, reason } = measure();
            let mut store = ManifestStore::create(Arc::clone(&disk), Arc::clone(&environment), primitive)?;
            store.commit(&[Edit::DurableReason { reason }])?;
            store
        } else {
            foreign::check_not_lost(&*disk)?;
            return Err(no_store());
        };
        tell(store.image().durable);
        let damaged_copies = store.damaged().to_vec();
        let cache = budget.total / 8;
        let recovered =
            recover(&mut store, RecoveryOptions { shards, cache, give_up_journal: options.give_up_journal }, &mut ())?;
        let meta = MetaStore::open(store, meta_options)?;

        let pool = Pool::new(budget, memory);
        let lender = Arc::new(Lender::new(Arc::clone(&pool)));
        let events = Events::new(Arc::clone(&environment));
        let handle = || Arc::new(ShardHandle::new(Some(events.clone())));
        let handles: Vec<Arc<ShardHandle>> = (0..shards).map(|_| handle()).collect();
        pool.set_relief(Box::new(GiveBack { lender: Arc::downgrade(&lender), shards: handles.clone() }));
        let identity = JournalIdentity { store: meta.image().store, set: recovered.set, shard: 0 };
        let shards = handles.iter().enumerate().map(|(number, handle)| {
            let identity = JournalIdentity { shard: number as u32, ..identity };
            let keeper: Arc<dyn Keep> = Arc::clone(&lender) as Arc<dyn Keep>;
            let config = shard_config(identity, options, &pool, &environment, keeper)?;
            Ok(Shard::new(config, Arc::clone(handle)))
        });
        let shards = shards.collect::<Result<Vec<Shard>>>()?;

        let common = Arc::new(Common::new(gate, Arc::clone(&environment), lender, handles, events.clone()));
        let (topics, found) = topics(&meta, &recovered, &common);
        let duration = Duration::from_nanos(environment.monotonic_ns().saturating_sub(begun));
        let recovery = RecoveryReport::new(&recovered, &damaged_copies, duration, |id| {
            meta.image().topics.get(&id).map_or_else(String::new, |topic| topic.name.clone())
        });
        tell_recovery(&events, &recovery, damaged_copies);
        let positions = Arc::new(PositionStore::new(&common, &found));
        common.followers.get_or_init(|| positions.followers());
        let core = Core {
            topics: RwLock::new(topics),
            positions,
            values: Arc::new(KeyValues::table(&common, &found)),
            common,
            default_durability: options.durability,
            store: identity.store,
            primitive: meta.image().durable,
            primitive_reason: meta.image().durable_reason.clone(),
            recovery,
            written: Arc::clone(meta.written()),
            opened: environment.monotonic_ns(),
        };
        Ok(Opened { core, shards, meta })
    }

    /// Says who executes changes to the metadata. Once, before anything else is called.
    pub(crate) fn set_metadata(&self, metadata: Box<dyn Metadata>) {
        let first = self.common.metadata.set(metadata).is_ok();
        assert!(first, "the metadata is given once");
    }

    pub(crate) fn common(&self) -> &Arc<Common> {
        &self.common
    }

    pub(crate) fn events(&self) -> &Events {
        &self.common.events
    }

    pub(crate) fn store(&self) -> u64 {
        self.store
    }

    pub(crate) fn primitive(&self) -> DurablePrimitive {
        self.primitive
    }

    /// Why that one, if the store knows.
    pub(crate) fn primitive_reason(&self) -> Option<&str> {
        self.primitive_reason.as_deref()
    }

    pub(crate) fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    pub(crate) fn create_topic(&self, name: &str, options: &TopicOptions) -> Result<Topic> {
        self.common.gate.check_change()?;
        options.check(name)?;
        let durability = options.durability.unwrap_or(self.default_durability);
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if topics.contains_key(name) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("topic {name:?} exists already")));
        }
        let order = MetaOrder::CreateTopic { name: name.to_owned(), partitions: options.partitions, durability };
        let MetaDone::TopicCreated { topic: id } = self.common.order(order)? else {
            return Err(Error::new(ErrorKind::Panic, "the answer to the creation of a topic is another's"));
        };
        let state = TopicState::new(id, name, durability, options.partitions, &self.common);
        let topic = Topic::new(Arc::new(state));
        topics.insert(name.to_owned(), topic.clone());
        Ok(topic)
    }

    pub(crate) fn topic(&self, name: &str) -> Result<Topic> {
        self.common.gate.check()?;
        self.by_name().get(name).cloned().ok_or_else(|| not_found(name))
    }

    pub(super) fn by_name(&self) -> RwLockReadGuard<'_, BTreeMap<String, Topic>> {
        // The map is whole between any two statements that change it.
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All topics, by name.
    pub(crate) fn handles(&self) -> Vec<Topic> {
        self.by_name().values().cloned().collect()
    }

    pub(crate) fn topics(&self) -> Result<Vec<TopicDescription>> {
        self.common.gate.check()?;
        self.handles().iter().map(|topic| topic.state().describe()).collect()
    }

    pub(crate) fn delete_topic(&self, name: &str) -> Result<()> {
        self.common.gate.check_change()?;
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let topic = topics.get(name).cloned().ok_or_else(|| not_found(name))?;
        let result = topic.state().delete();
        // Also after a failure: its appends are over, and whether it is gone the next open tells.
        let mut deleted = self.common.deleted.lock();
        topics.remove(name);
        deleted.add(topic.state().totals());
        result
    }

    /// Refuses calls from now on, and has the shards make everything durable, seal, and end. `false`: somebody did
    /// before.
    pub(crate) fn begin_close(&self) -> bool {
        if !self.common.gate.shut() {
            return false;
        }
        for partition in self.partitions() {
            partition.tail().fail(closed());
        }
        self.common.shards.iter().for_each(|shard| shard.send(Message::Close));
        true
    }

    /// The shards have ended: whoever still waits for something gets to know that it will not come.
    pub(crate) fn finish_close(&self) {
        self.common.shards.iter().for_each(|shard| shard.fail(&closed()));
        self.partitions().iter().for_each(|partition| partition.fail(&closed()));
    }

    fn partitions(&self) -> Vec<Arc<Partition>> {
        let topics = self.handles();
        topics.iter().flat_map(|topic| topic.state().used()).chain(self.internal_partitions()).collect()
    }

    fn internal_partitions(&self) -> impl Iterator<Item = Arc<Partition>> {
        self.internal_seats().into_iter().map(|seat| seat.current())
    }

    /// The places of the partitions that named positions and key-values are in.
    pub(super) fn internal_seats(&self) -> Vec<Arc<Seat>> {
        self.positions.seats().into_iter().chain(self.values.seats()).collect()
    }

    /// What metadata has written to the device.
    pub(super) fn written(&self) -> &Written {
        &self.written
    }

    /// How long ago the store was opened.
    pub(super) fn age(&self) -> Duration {
        Duration::from_nanos(self.common.environment.monotonic_ns().saturating_sub(self.opened))
    }

    /// What happened to named positions and key-values.
    pub(super) fn internal_totals(&self) -> Totals {
        let mut totals = self.positions.totals();
        totals.add(self.values.totals());
        totals
    }

    pub(super) fn positions(&self) -> &Arc<PositionStore> {
        &self.positions
    }

    pub(super) fn values(&self) -> &Table {
        &self.values
    }

    pub(super) fn key_values(&self, topic: &Topic) -> Result<KeyValues> {
        topic.state().check()?;
        self.check_own(topic)?;
        Ok(KeyValues::new(&self.values, topic))
    }

    /// Refuses a topic of another engine, whose number means another topic here.
    pub(super) fn check_own(&self, topic: &Topic) -> Result<()> {
        if Arc::ptr_eq(&topic.state().common, &self.common) {
            return Ok(());
        }
        let message = format!("topic {:?} is of another engine", topic.name());
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }
}

/// The answer where there is none, and none is to be made.
pub(super) fn no_store() -> Error {
    Error::new(ErrorKind::NotFound, "the directory holds no store, and none is to be made")
}

fn not_found(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no topic {name:?}"))
}

/// Divides the memory, or says how much it takes.
pub(super) fn budget(total: u64, shards: u32) -> Result<Budget> {
    // Journal writes of every shard, and one extent that is read when nothing else is left.
    let reserve = shards as usize * JOURNAL_IN_FLIGHT_MAX * JOURNAL_WRITE_MAX + 2 * BLOCK_MAX;
    let least = Budget::least_total(reserve) as u64;
    if total < least {
        let message = format!(
            "option memory_budget is {total}; allowed with {shards} shards are {least} to {MEMORY_BUDGET_MAX}, or \
             fewer shards"
        );
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let total = usize::try_from(total)
        .map_err(|_| Error::new(ErrorKind::InvalidArgument, "memory_budget is beyond this machine"))?;
    Ok(Budget::new(total, reserve))
}

fn shard_config(
    identity: JournalIdentity,
    options: &Options,
    pool: &Arc<Pool>,
    environment: &Arc<dyn Environment>,
    keeper: Arc<dyn Keep>,
) -> Result<ShardConfig> {
    let staging = (0..JOURNAL_IN_FLIGHT_MAX).map(|_| {
        Block::take(pool, Share::Reserve, Generation(0), 0, JOURNAL_WRITE_MAX)
            .map_err(|_| Error::new(ErrorKind::NoMemory, "the system has no memory for the journal's staging"))
    });
    let segment_size = options.segment_size / SECTOR * SECTOR;
    Ok(ShardConfig {
        identity,
        journal_files: JOURNAL_FILES,
        staging: staging.collect::<Result<Vec<_>>>()?,
        first_segment: FIRST_SEGMENT.clamp(SEGMENT_MIN, segment_size),
        largest_segment: segment_size,
        depth: DEPTH,
        environment: Arc::clone(environment),
        keeper,
        quiet_after: QUIET_AFTER,
    })
}

fn tell_recovery(events: &Events, report: &RecoveryReport, copies: Vec<DamagedCopy>) {
    events.raise(EventKind::Recovered {
        clean: report.clean,
        duration: report.duration,
        tails: report.tails,
        damaged: report.damaged.len(),
        unavailable: report.unavailable.len(),
        damaged_journals: report.damaged_journals.len(),
        damaged_copies: copies.len(),
    });
    for DamagedCopy { file, range } in copies {
        events.raise(EventKind::DamagedCopy { file, start: range.start, end: range.end });
    }
    report.damaged.iter().for_each(|range| events.raise(EventKind::Damage(range.clone())));
}

/// The topics of the manifest, with the partitions that recovery found: the users', and the engine's own.
fn topics(meta: &MetaStore, recovered: &Recovered, common: &Arc<Common>) -> (BTreeMap<String, Topic>, Found) {
    let (mut topics, mut internal) = (BTreeMap::new(), Found::new());
    for (id, topic) in &meta.image().topics {
        let state = TopicState::new(*id, &topic.name, topic.durability, topic.partitions, common);
        let of_topic = PartitionId { topic: *id, partition: 0 }..=PartitionId { topic: *id, partition: u32::MAX };
        for (partition, found) in recovered.partitions.range(of_topic) {
            state.install(partition_of(*partition, found, &state));
        }
        let state = Arc::new(state);
        if topic.name.starts_with('$') {
            internal.insert(topic.name.clone(), state);
        } else {
            topics.insert(topic.name.clone(), Topic::new(state));
        }
    }
    (topics, internal)
}

fn partition_of(id: PartitionId, found: &RecoveredPartition, topic: &TopicState) -> Partition {
    let segments = found.segments.iter().map(|(segment, end)| {
        let footer_size = match segment.state {
            SegmentState::Sealed { footer_size, .. } => footer_size,
            SegmentState::Open { .. } | SegmentState::Dropped => 0,
        };
        let sealed = Segment::sealed(
            id,
            segment.sequence,
            segment.generation,
            segment.base_offset,
            segment.base_time,
            segment.capacity,
            Prefix { position: end.position, offset: end.offset },
            end.time,
        );
        Arc::new(sealed.with_footer(footer_size))
    });
    let start = TailStart {
        partition: id,
        durability: topic.durability,
        next_offset: found.end_offset,
        last_time: found.last_time,
    };
    let common = &topic.common;
    let tail = Tail::new(start, Arc::clone(common.lender.pool()), Arc::new(Chain::new(segments.collect())));
    let partition = Partition::new(PartitionStart {
        topic: Arc::clone(&topic.name),
        gate: Arc::clone(&common.gate),
        tail,
        shard: Arc::clone(common.shard_of(id)),
        log_start: found.log_start,
        damaged: found.damaged.iter().map(|damage| damage.start..damage.end).collect(),
    });
    if let Some(damage) = found.damaged.first() {
        let range = partition.damage(damage.start, damage.end);
        partition.fail(&Error::corrupt(range, "recovery found acknowledged records missing or damaged"));
    } else if let Some(error) = &found.unavailable {
        partition.make_unavailable(error);
    }
    partition
}

/// The number of shards that an option means on this machine.
pub(super) fn shards_for(option: Option<u32>, cores: usize) -> u32 {
    option.unwrap_or_else(|| u32::try_from(cores / 4).unwrap_or(u32::MAX).clamp(1, 8))
}
