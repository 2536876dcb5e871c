//! Executes requests: the files first, then one commit for the whole batch, then what may happen only after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

mod truncate;

use crate::durability::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::Edit;
use crate::format::segment::{Footer, SEGMENT_DATA_START, SEGMENT_HEADER_SIZE, SegmentHeader};
use crate::ids::{Generation, Lsn, PartitionId, TopicId};
use crate::io::{File, OpenMode, read_full, write_full};
use crate::limits::{PARTITIONS_MAX, SECTOR, SEGMENT_MAX, TOPIC_NAME_MAX};
use crate::manifest::journal_files::JournalFiles;
use crate::manifest::pool::Pool;
use crate::manifest::store::create_dir;
use crate::manifest::trim::trim;
use crate::manifest::{
    Manifest, ManifestStore, MetaDone, MetaOrder, MetaRequest, MetaResponse, Scratch, SegmentEnd, SegmentState,
    Settled, Written, names, tidy,
};
use crate::sim::bugs::{self, Bug};

/// Entries of one checkpoint edit; more are divided.
const CHECKPOINT_ENTRIES_MAX: usize = 1 << 16;
/// What an edit that stays, and those that follow from it, take in both copies of the manifest at the most. Bytes.
const STAYS: u64 = 1024;

/// What metadata work is done with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetaOptions {
    /// Size of every journal file. Bytes, a multiple of the sector.
    pub journal_file_size: u64,
    /// Files that the pool keeps.
    pub pool_files: usize,
}

impl Default for MetaOptions {
    fn default() -> MetaOptions {
        MetaOptions { journal_file_size: 16 << 20, pool_files: 8 }
    }
}

/// The store's metadata after recovery: the manifest, and the files that it does not speak of yet, or no longer.
pub(crate) struct MetaStore {
    manifest: ManifestStore,
    pool: Pool,
    journal: JournalFiles,
    /// Segments that have a file and are not activated.
    prepared: BTreeMap<Generation, Prepared>,
    /// Files that were handed out, by path: one that is still in use is not given to another segment.
    handed_out: BTreeMap<String, Weak<dyn File>>,
    /// Entries of `handed_out` at which those of closed files are swept.
    sweep_at: usize,
    /// Files of segments that are not the manifest's any more, and that somebody may still come to read.
    removed: BTreeMap<Generation, (PartitionId, u32)>,
    /// Directories of topics that are known to exist.
    directories: BTreeSet<TopicId>,
    next_topic: u32,
}

struct Prepared {
    partition: PartitionId,
    sequence: u32,
    file: Arc<dyn File>,
    capacity: u64,
}

/// What the requests of a batch have added up to so far.
#[derive(Default)]
struct Batch {
    edits: Vec<Edit>,
    /// Directories in which a name was made.
    directories: BTreeSet<String>,
}

/// One request on its way to its answer.
struct Step {
    ticket: u64,
    result: Result<MetaDone>,
    /// Its answer depends on the commit.
    committed: bool,
    /// Its answer depends on this directory's names.
    directory: Option<String>,
    then: Then,
}

/// What happens once the commit is durable.
enum Then {
    Nothing,
    /// Forgets the prepared segment, which is the manifest's now.
    Activated(Generation),
    EmptyTopic(TopicId),
    /// Gives back what the segment of this file does not use.
    Trim {
        path: String,
        end: u64,
    },
    /// Notes the files of removed segments.
    Removed(Vec<(Generation, PartitionId, u32)>),
    GiveJournalFile {
        number: u32,
        reuse: bool,
    },
}

/// What executing an order gives: the answer, provided that its edits are committed and its directory is durable.
struct Executed {
    done: MetaDone,
    directory: Option<String>,
    then: Then,
}

impl From<MetaDone> for Executed {
    fn from(done: MetaDone) -> Executed {
        Executed { done, directory: None, then: Then::Nothing }
    }
}

impl MetaStore {
    /// Takes over a recovered store, and puts away what earlier processes left.
    pub(crate) fn open(mut manifest: ManifestStore, options: MetaOptions) -> Result<MetaStore> {
        let disk = Arc::clone(manifest.disk());
        for name in [names::JOURNAL, names::SEGMENTS, names::POOL] {
            create_dir(&*disk, name)?;
        }
        let mut pool = Pool::open(&*disk, options.pool_files)?;
        tidy::home(&manifest);
        manifest.keep_spare();
        tidy::segments(&*disk, manifest.image(), &mut pool)?;
        let kept = manifest.image().kept.keys().map(|(_, number)| *number).collect();
        let journal = JournalFiles::open(&*disk, options.journal_file_size, &kept)?;
        let next_topic = manifest.image().next_topic;
        Ok(MetaStore {
            manifest,
            pool,
            journal,
            prepared: BTreeMap::new(),
            handed_out: BTreeMap::new(),
            sweep_at: 1024,
            removed: BTreeMap::new(),
            directories: BTreeSet::new(),
            next_topic,
        })
    }

    /// What the store consists of.
    pub(crate) fn image(&self) -> &Manifest {
        self.manifest.image()
    }

    /// What metadata has written to the device.
    pub(crate) fn written(&self) -> &Arc<Written> {
        self.manifest.written()
    }

    /// Executes a batch. Each request is answered for itself; all share one commit.
    pub(crate) fn run(&mut self, requests: Vec<MetaRequest>) -> Vec<MetaResponse> {
        let (last, requests): (Vec<_>, Vec<_>) =
            requests.into_iter().partition(|r| matches!(r.order, MetaOrder::CloseClean));
        let mut responses = self.run_batch(requests);
        responses.extend(last.into_iter().map(|r| MetaResponse { ticket: r.ticket, result: self.close_clean() }));
        responses
    }

    fn run_batch(&mut self, requests: Vec<MetaRequest>) -> Vec<MetaResponse> {
        let mut batch = Batch::default();
        let mut steps: Vec<Step> = requests.into_iter().map(|request| self.step(request, &mut batch)).collect();
        for directory in &batch.directories {
            if let Err(error) = self.manifest.sync_dir(directory) {
                for step in steps.iter_mut().filter(|s| s.directory.as_ref() == Some(directory)) {
                    if let Ok(MetaDone::SegmentPrepared { generation, .. }) = step.result {
                        self.prepared.remove(&generation);
                        step.result = Err(error.clone());
                    }
                }
            }
        }
        if let Err(error) = self.commit(&mut batch.edits) {
            for step in steps.iter_mut().filter(|s| s.committed && s.result.is_ok()) {
                step.result = Err(error.clone());
                // Removed or not, nobody may take the names of those files before the next open finds out.
                if !matches!(step.then, Then::Removed(_)) {
                    step.then = Then::Nothing;
                }
            }
        }
        for step in &steps {
            self.after_commit(&step.then);
        }
        steps.into_iter().map(|s| MetaResponse { ticket: s.ticket, result: s.result }).collect()
    }

    /// A store that was marked clean is not any more, whatever changes.
    fn commit(&mut self, edits: &mut Vec<Edit>) -> Result<()> {
        if !edits.is_empty() && self.image().clean && !bugs::active(Bug::ForgetNotClean) {
            edits.insert(0, Edit::Clean(false));
        }
        self.manifest.commit(edits)
    }

    fn close_clean(&mut self) -> Result<MetaDone> {
        let clean = self.image().is_settled();
        self.manifest.commit(&[Edit::Clean(clean)]).map(|()| MetaDone::Closed { clean })
    }

    fn step(&mut self, request: MetaRequest, batch: &mut Batch) -> Step {
        let before = batch.edits.len();
        let executed = self.execute(request.order, batch);
        if executed.is_err() {
            batch.edits.truncate(before);
        }
        let committed = batch.edits.len() > before;
        let (result, directory, then) = match executed {
            Ok(executed) => (Ok(executed.done), executed.directory, executed.then),
            Err(error) => (Err(error), None, Then::Nothing),
        };
        batch.directories.extend(directory.clone());
        Step { ticket: request.ticket, result, committed, directory, then }
    }

    fn execute(&mut self, order: MetaOrder, batch: &mut Batch) -> Result<Executed> {
        match order {
            MetaOrder::PrepareSegment { partition, size } => self.prepare_segment(partition, size, batch),
            MetaOrder::ActivateSegment { partition, sequence, generation, base_offset, base_time, gap } => {
                let header = SegmentHeader {
                    store: self.image().store,
                    partition,
                    sequence,
                    generation,
                    base_offset,
                    base_time,
                    capacity: 0,
                };
                self.activate_segment(header, gap, batch)
            }
            MetaOrder::DiscardSegment { partition, generation } => self.discard_segment(partition, generation),
            MetaOrder::SealSegment { partition, generation, end, footer } => {
                self.seal_segment(partition, generation, end, &footer, batch)
            }
            MetaOrder::Checkpoint { set, shard, lsn, settled } => self.checkpoint(set, shard, lsn, &settled, batch),
            MetaOrder::PrepareJournalFile => {
                let (number, file) = self.with_space_of_pool(|store| {
                    store.journal.take(&**store.manifest.disk(), store.manifest.written())
                })?;
                // Its absence would otherwise look as if it had never been written.
                let size = self.journal.size();
                batch.edits.push(Edit::JournalFile { set: self.image().set, number, size });
                Ok(MetaDone::JournalFilePrepared { number, file, size }.into())
            }
            MetaOrder::KeepJournalFile { shard, number, generation, first_lsn, end_lsn } => {
                let set = self.image().set;
                batch.edits.push(Edit::JournalKept { set, number, shard, generation, first_lsn, end_lsn });
                Ok(MetaDone::JournalFileKept.into())
            }
            MetaOrder::ReleaseJournalFile { number, reuse } => {
                let kept = self.image().kept.keys().filter(|(_, kept)| *kept == number);
                batch.edits.extend(kept.map(|(set, _)| Edit::JournalReleased { set: *set, number }));
                if self.image().journal_files.contains_key(&number) {
                    batch.edits.push(Edit::JournalReleased { set: self.image().set, number });
                }
                let then = Then::GiveJournalFile { number, reuse };
                Ok(Executed { done: MetaDone::JournalFileReleased, directory: None, then })
            }
            MetaOrder::OpenSegmentFile { partition, generation } => self.open_segment_file(partition, generation),
            MetaOrder::CreateTopic { name, partitions, durability } => {
                self.create_topic(name, partitions, durability, batch)
            }
            MetaOrder::DeleteTopic { topic } => {
                self.living_topic(topic, batch)?;
                batch.edits.push(Edit::TopicDeleted { id: topic });
                Ok(Executed { done: MetaDone::TopicDeleted, directory: None, then: Then::EmptyTopic(topic) })
            }
            MetaOrder::AddPartitions { topic, total } => self.add_partitions(topic, total, batch),
            MetaOrder::TruncateBefore { partition, offset } => self.truncate_before(partition, offset, batch),
            MetaOrder::TruncateAfter { partition, offset, end } => self.truncate_after(partition, offset, end, batch),
            MetaOrder::RecycleSegments { generations } => Ok(self.recycle_segments(&generations)),
            MetaOrder::ProbeSpace { size } => self.probe_space(size, batch),
            MetaOrder::CloseClean => unreachable!("a batch has no request to close"),
        }
    }

    fn after_commit(&mut self, then: &Then) {
        let disk = &**self.manifest.disk();
        match *then {
            Then::Nothing => {}
            Then::Trim { ref path, end } => trim(disk, path, end),
            Then::Activated(generation) => drop(self.prepared.remove(&generation)),
            Then::EmptyTopic(topic) => {
                self.prepared.retain(|_, prepared| prepared.partition.topic != topic);
                self.removed.retain(|_, (partition, _)| partition.topic != topic);
                let handed_out = &self.handed_out;
                tidy::empty_topic(disk, topic, &mut self.pool, |path| in_use(handed_out, path));
                self.directories.remove(&topic);
            }
            Then::Removed(ref segments) => {
                self.removed.extend(segments.iter().map(|(generation, id, sequence)| (*generation, (*id, *sequence))));
            }
            Then::GiveJournalFile { number, reuse } => self.journal.give(disk, number, reuse),
        }
    }

    /// Fails unless the topic exists and no earlier request of the batch deletes it.
    fn living_topic(&self, topic: TopicId, batch: &Batch) -> Result<u32> {
        let deleted = batch.edits.contains(&Edit::TopicDeleted { id: topic });
        match self.image().topics.get(&topic) {
            Some(found) if !deleted => Ok(found.partitions),
            None if topic.0 >= self.image().next_topic => {
                Err(Error::new(ErrorKind::NotFound, "there is no such topic"))
            }
            _ => Err(Error::new(ErrorKind::Deleted, "the topic was deleted")),
        }
    }

    fn living_partition(&self, partition: PartitionId, batch: &Batch) -> Result<()> {
        let partitions = self.living_topic(partition.topic, batch)?;
        if partition.partition < partitions {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, format!("{partition}: the topic has {partitions} partitions")))
    }

    /// What only grows the store is refused before it takes the manifest's headroom. A prepared segment has its room, so
    /// that its activation is not refused.
    fn make_room(&mut self, batch: &Batch) -> Result<()> {
        let promised = (self.prepared.len() + batch.edits.len() + 1) as u64;
        self.with_space_of_pool(|store| store.manifest.make_room(promised * STAYS))
    }

    /// Does what takes space, if need be that of the pool: that is for speed, and space comes first.
    fn with_space_of_pool<T>(&mut self, mut make: impl FnMut(&mut MetaStore) -> Result<T>) -> Result<T> {
        match make(self) {
            Err(error) if error.kind() == ErrorKind::NoSpace && self.pool.drain(&**self.manifest.disk()) => make(self),
            result => result,
        }
    }

    fn prepare_segment(&mut self, partition: PartitionId, size: u64, batch: &mut Batch) -> Result<Executed> {
        self.living_partition(partition, batch)?;
        self.make_room(batch)?;
        let capacity = capacity(size)?;
        let directory = names::topic(partition.topic);
        if !self.directories.contains(&partition.topic) {
            create_dir(&**self.manifest.disk(), &directory)?;
            self.manifest.sync_dir(names::SEGMENTS)?;
            self.directories.insert(partition.topic);
        }
        let prepared = self.prepared.values().filter(|p| p.partition == partition).map(|p| p.sequence + 1).max();
        let known = self.image().partitions.get(&partition).map_or(0, |p| p.next_sequence());
        // The name of a removed segment's file is not free yet.
        let removed = self.removed.values().filter(|(id, _)| *id == partition).map(|(_, sequence)| sequence + 1).max();
        let sequence = known.max(prepared.unwrap_or(0)).max(removed.unwrap_or(0));
        if bugs::active(Bug::KeepGeneration)
            && let Some((generation, _)) = self.removed.iter().find(|(_, file)| **file == (partition, known))
        {
            return self.go_on_in(*generation, partition, known);
        }
        let path = names::segment(partition, sequence);
        let (file, generation) = self.with_space_of_pool(|store| store.clean_segment_file(&path, size))?;
        self.pool.shrink(&**self.manifest.disk());
        self.hand_out(path, &file);
        let prepared = Prepared { partition, sequence, file: Arc::clone(&file), capacity };
        self.prepared.insert(generation, prepared);
        let done = MetaDone::SegmentPrepared { sequence, generation, file, capacity };
        Ok(Executed { done, directory: Some(directory), then: Then::Nothing })
    }

    fn probe_space(&mut self, size: u64, batch: &Batch) -> Result<Executed> {
        self.make_room(batch)?;
        // Where a leftover is put away by the next open.
        let path = self.pool.free_name();
        self.with_space_of_pool(|store| {
            let disk = &**store.manifest.disk();
            // An earlier one may have been refused its end.
            crate::manifest::store::remove_if_exists(disk, &path)?;
            let reserved = disk.open(&path, OpenMode::CreateNew).and_then(|file| file.reserve(size));
            let _ = disk.remove(&path);
            reserved.map_err(|e| Error::os(format_args!("reserving {size} bytes"), &e))
        })?;
        Ok(MetaDone::SpaceFound.into())
    }

    /// As [`segment_file`](MetaStore::segment_file), but leaves nothing under the name when it fails.
    fn clean_segment_file(&mut self, path: &str, size: u64) -> Result<(Arc<dyn File>, Generation)> {
        self.segment_file(path, size).inspect_err(|_| {
            let _ = self.manifest.disk().remove(path);
        })
    }

    /// A file of this size under this name, its space reserved, and a new generation for it.
    fn segment_file(&mut self, path: &str, size: u64) -> Result<(Arc<dyn File>, Generation)> {
        let disk = Arc::clone(self.manifest.disk());
        let failed = |e: std::io::Error| Error::os(format_args!("preparing {path}"), &e);
        let recycled = self.pool.take(&*disk, size, path)?;
        let mut generation = Generation(self.manifest.environment().random());
        let file = if recycled {
            let file = disk.open_one_of_many(path, OpenMode::Write).map_err(failed)?;
            // It has its space, unless a loss of power undid half of a cut.
            file.reserve(size).map_err(failed)?;
            if bugs::active(Bug::RecycleSameGeneration) {
                let mut sector = Scratch::zeroed(SEGMENT_HEADER_SIZE)?;
                read_full(&*file, 0, sector.bytes_mut()).map_err(failed)?;
                generation = SegmentHeader::parse(sector.bytes()).map_or(generation, |header| header.generation);
            }
            file
        } else {
            // Nobody's: the manifest does not name it, or this sequence would not be free.
            crate::manifest::store::remove_if_exists(&*disk, path)?;
            let file = disk.open_one_of_many(path, OpenMode::CreateNew).map_err(failed)?;
            file.reserve(size).map_err(failed)?;
            file.sync().map_err(failed)?;
            file
        };
        Ok((file, generation))
    }

    fn activate_segment(&mut self, header: SegmentHeader, gap: bool, batch: &mut Batch) -> Result<Executed> {
        self.living_partition(header.partition, batch)?;
        let generation = header.generation;
        let prepared = self.prepared.get(&generation);
        let prepared = prepared.filter(|p| (p.partition, p.sequence) == (header.partition, header.sequence));
        let Some(prepared) = prepared else {
            return Err(Error::new(ErrorKind::InvalidArgument, "the segment to activate was not prepared"));
        };
        let header = SegmentHeader { capacity: prepared.capacity, ..header };
        let mut sector = Scratch::zeroed(SEGMENT_HEADER_SIZE)?;
        header.encode(sector.bytes_mut());
        write_full(&*prepared.file, 0, sector.bytes(), true)
            .map_err(|e| Error::os(format_args!("writing the header of a segment of {}", header.partition), &e))?;
        self.manifest.written().metadata.add_alone(sector.bytes().len() as u64);
        batch.edits.push(Edit::SegmentActivated {
            partition: header.partition,
            sequence: header.sequence,
            generation,
            base_offset: header.base_offset,
            base_time: header.base_time,
            capacity: header.capacity,
            gap,
        });
        let then = Then::Activated(generation);
        Ok(Executed { done: MetaDone::SegmentActivated, directory: None, then })
    }

    fn discard_segment(&mut self, partition: PartitionId, generation: Generation) -> Result<Executed> {
        let unknown = || Error::new(ErrorKind::InvalidArgument, "the segment to discard was not prepared");
        let prepared = self.prepared.remove(&generation).ok_or_else(unknown)?;
        let path = names::segment(partition, prepared.sequence);
        drop(prepared);
        let in_use = in_use(&self.handed_out, &path);
        self.pool.give(&**self.manifest.disk(), &path, in_use);
        Ok(MetaDone::SegmentDiscarded.into())
    }

    fn seal_segment(
        &mut self,
        partition: PartitionId,
        generation: Generation,
        end: SegmentEnd,
        footer: &[u8],
        batch: &mut Batch,
    ) -> Result<Executed> {
        self.living_partition(partition, batch)?;
        let known = self.image().partitions.get(&partition).and_then(|p| p.find(generation));
        let Some(segment) = known.copied().filter(|s| s.state != SegmentState::Dropped) else {
            return Err(Error::new(ErrorKind::InvalidArgument, "the segment to seal is not in the manifest"));
        };
        // An index that could not be written is rebuilt by whoever needs it.
        let footer_size = self.write_footer(partition, segment.sequence, end, footer).unwrap_or(0);
        batch.edits.push(Edit::SegmentSealed {
            generation,
            partition,
            end_position: end.position,
            end_offset: end.offset,
            end_time: end.time,
            footer_size,
        });
        let path = names::segment(partition, segment.sequence);
        let end = end.position.next_multiple_of(SECTOR) + u64::from(footer_size).next_multiple_of(SECTOR);
        Ok(Executed { done: MetaDone::SegmentSealed, directory: None, then: Then::Trim { path, end } })
    }

    fn write_footer(&mut self, id: PartitionId, sequence: u32, end: SegmentEnd, footer: &[u8]) -> Option<u32> {
        if footer.is_empty() || !end.position.is_multiple_of(SECTOR) {
            return None;
        }
        let file = self.open_file(&names::segment(id, sequence), OpenMode::Write).ok()?;
        let bytes = Scratch::copy_of(footer).ok()?;
        write_full(&*file, end.position, bytes.bytes(), true).ok()?;
        self.manifest.written().metadata.add_alone(bytes.bytes().len() as u64);
        u32::try_from(bytes.bytes().len()).ok()
    }

    fn checkpoint(&self, set: u64, shard: u32, lsn: Lsn, settled: &[Settled], batch: &mut Batch) -> Result<Executed> {
        if set != self.image().set || shard >= self.image().shards {
            return Err(Error::new(ErrorKind::InvalidArgument, "the checkpoint is of another journal"));
        }
        let mut rest = settled;
        loop {
            let (entries, after) = rest.split_at(rest.len().min(CHECKPOINT_ENTRIES_MAX));
            batch.edits.push(Edit::Checkpoint { set, shard, lsn, entries: entries.to_vec() });
            rest = after;
            if rest.is_empty() {
                return Ok(MetaDone::Checkpointed.into());
            }
        }
    }

    fn open_segment_file(&mut self, partition: PartitionId, generation: Generation) -> Result<Executed> {
        let known = self.image().partitions.get(&partition).and_then(|p| p.find(generation));
        let removed = self.removed.get(&generation).filter(|(id, _)| *id == partition).map(|(_, sequence)| *sequence);
        let Some(sequence) = known.map(|s| s.sequence).or(removed) else {
            return Err(Error::new(ErrorKind::NotFound, format!("{partition} has no segment {generation}")));
        };
        let file = self.open_file(&names::segment(partition, sequence), OpenMode::Read)?;
        Ok(MetaDone::SegmentFileOpened { file }.into())
    }

    /// The file, as it was handed out before if somebody still has it open.
    fn open_file(&mut self, path: &str, mode: OpenMode) -> Result<Arc<dyn File>> {
        if mode == OpenMode::Read
            && let Some(file) = self.handed_out.get(path).and_then(Weak::upgrade)
        {
            return Ok(file);
        }
        let opened = self.manifest.disk().open_one_of_many(path, mode);
        let file = opened.map_err(|e| Error::file(format_args!("opening {path}"), &e))?;
        if mode == OpenMode::Read {
            self.hand_out(path.to_owned(), &file);
        }
        Ok(file)
    }

    fn hand_out(&mut self, path: String, file: &Arc<dyn File>) {
        if self.handed_out.len() >= self.sweep_at {
            self.handed_out.retain(|_, file| file.strong_count() > 0);
            self.sweep_at = (2 * self.handed_out.len()).max(1024);
        }
        self.handed_out.insert(path, Arc::downgrade(file));
    }

    fn create_topic(
        &mut self,
        name: String,
        partitions: u32,
        durability: Durability,
        batch: &mut Batch,
    ) -> Result<Executed> {
        check_topic_name(&name)?;
        check_partitions(partitions)?;
        let twice = |edit: &Edit| matches!(edit, Edit::TopicCreated { name: other, .. } if *other == name);
        if self.image().topic_named(&name).is_some() || batch.edits.iter().any(twice) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("the topic {name:?} exists already")));
        }
        self.make_room(batch)?;
        let topic = TopicId(self.next_topic);
        let next = self.next_topic.checked_add(1);
        self.next_topic =
            next.ok_or_else(|| Error::new(ErrorKind::TooLarge, "the store has used up its topic numbers"))?;
        batch.edits.push(Edit::TopicCreated { id: topic, name, partitions, durability });
        Ok(MetaDone::TopicCreated { topic }.into())
    }

    fn add_partitions(&mut self, topic: TopicId, total: u32, batch: &mut Batch) -> Result<Executed> {
        let partitions = self.living_topic(topic, batch)?;
        check_partitions(total)?;
        if total < partitions {
            let why = format!("the topic has {partitions} partitions; their number only grows");
            return Err(Error::new(ErrorKind::InvalidArgument, why));
        }
        self.make_room(batch)?;
        batch.edits.push(Edit::PartitionsAdded { id: topic, partitions: total });
        Ok(MetaDone::PartitionsAdded.into())
    }
}

fn in_use(handed_out: &BTreeMap<String, Weak<dyn File>>, path: &str) -> bool {
    handed_out.get(path).is_some_and(|file| file.strong_count() > 0)
}

/// Where data has to end in a file of this size, so that a footer with an entry for every sector fits behind it.
fn capacity(size: u64) -> Result<u64> {
    let whole = size.is_multiple_of(SECTOR) && size <= SEGMENT_MAX;
    let footer = usize::try_from(size / SECTOR).map_or(u64::MAX, |entries| Footer::size(entries) as u64);
    match size.checked_sub(footer) {
        Some(capacity) if whole && capacity > SEGMENT_DATA_START => Ok(capacity),
        _ => Err(Error::new(ErrorKind::InvalidArgument, format!("a segment cannot have {size} bytes"))),
    }
}

fn check_topic_name(name: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    // The engine's own topics begin with a character that users' cannot have.
    let rest = name.strip_prefix('$').unwrap_or(name);
    let valid = (1..=TOPIC_NAME_MAX).contains(&name.len())
        && !rest.is_empty()
        && rest.bytes().all(allowed)
        && !matches!(rest, "." | "..");
    if valid {
        return Ok(());
    }
    let why = format!("a topic's name has 1 to {TOPIC_NAME_MAX} of A-Z, a-z, 0-9, '.', '_' and '-'; {name:?} does not");
    Err(Error::new(ErrorKind::InvalidArgument, why))
}

fn check_partitions(partitions: u32) -> Result<()> {
    if (1..=PARTITIONS_MAX).contains(&partitions) {
        return Ok(());
    }
    let why = format!("a topic has 1 to {PARTITIONS_MAX} partitions, not {partitions}");
    Err(Error::new(ErrorKind::InvalidArgument, why))
}
