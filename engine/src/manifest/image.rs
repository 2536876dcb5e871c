//! What the store consists of, in memory: the sum of all edits.

use std::collections::BTreeMap;

use crate::durability::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::Edit;
use crate::format::segment::{SEGMENT_DATA_START, SegmentHeader};
use crate::ids::{DurablePrimitive, Generation, Lsn, PartitionId, TopicId};
use crate::limits::{SECTOR, SEGMENT_MAX};
use crate::manifest::{SegmentEnd, Settled};
use crate::sim::bugs::{self, Bug};

/// The number of a journal's first write in every set.
pub(crate) const FIRST_LSN: Lsn = Lsn(1);

/// The sum of all edits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Random identity of the store; stands in every file's header.
    pub store: u64,
    pub sector: u32,
    pub durable: DurablePrimitive,
    /// Why that one, if it was noted.
    pub durable_reason: Option<String>,
    /// Everything is sealed and the journal holds nothing.
    pub clean: bool,
    pub topics: BTreeMap<TopicId, Topic>,
    names: BTreeMap<String, TopicId>,
    /// Every number below belongs, or belonged, to a topic.
    pub next_topic: u32,
    /// The partitions that anything is known of.
    pub partitions: BTreeMap<PartitionId, Partition>,
    /// The journal set in use; 0 before the first. Every open that may write begins the next.
    pub set: u64,
    /// Shards of that set.
    pub shards: u32,
    /// Where recovery of each shard's journal may begin.
    pub checkpoints: BTreeMap<u32, Lsn>,
    /// Files in journal format whose ranges overlay segments, by set and file number.
    pub kept: BTreeMap<(u64, u32), Kept>,
    /// Files that the journals of the current set are written in, and their sizes in bytes.
    pub journal_files: BTreeMap<u32, u64>,
    /// Generations whose segments are gone, for as long as a journal may name them.
    pub retired: BTreeMap<Generation, PartitionId>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub name: String,
    pub partitions: u32,
    pub durability: Durability,
}

/// A partition that anything is known of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Partition {
    /// By sequence, which is the order of their offsets.
    pub segments: BTreeMap<u32, Segment>,
    /// Offsets below are gone on purpose.
    pub log_start: u64,
    /// Acknowledged offsets that are damaged.
    pub damaged: Vec<Damage>,
}

/// A segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub sequence: u32,
    pub generation: Generation,
    pub base_offset: u64,
    pub base_time: i64,
    /// Byte of the file up to which frames may reach.
    pub capacity: u64,
    /// The base is meant to lie above the end of the segment before.
    pub gap: bool,
    pub state: SegmentState,
}

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentState {
    /// Takes appends, or did when the process ended. Recovery may begin at `settled`, or at the start.
    Open { settled: Option<SegmentEnd> },
    /// Ends there.
    Sealed { end: SegmentEnd, footer_size: u32 },
    /// Lies beyond damage: its bytes stay for whoever wants to rescue them, but are not data.
    Dropped,
}

/// Damaged offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub generation: Generation,
    pub start: u64,
    pub end: u64,
}

/// A file in journal format that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub shard: u32,
    pub generation: Generation,
    pub first_lsn: Lsn,
    /// The number after the last write that counts.
    pub end_lsn: Lsn,
}

/// What is known of a generation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known<'a> {
    /// A segment of the partition.
    Segment(&'a Segment),
    /// Its segment, or its topic, is gone.
    Gone,
    /// Its topic was deleted.
    TopicDeleted,
    /// Nothing, though the manifest should know it.
    Unknown,
}

impl Segment {
    pub(crate) fn end(&self) -> Option<SegmentEnd> {
        match self.state {
            SegmentState::Sealed { end, .. } => Some(end),
            SegmentState::Open { .. } | SegmentState::Dropped => None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, SegmentState::Open { .. })
    }

    fn check(&self, end: SegmentEnd) -> Result<()> {
        let inside = (SEGMENT_DATA_START..=self.capacity).contains(&end.position) && end.offset >= self.base_offset;
        if inside { Ok(()) } else { Err(strange("ends a segment outside of it")) }
    }

    /// What a checkpoint would say of it.
    fn settled(&self, partition: PartitionId) -> Option<Settled> {
        let SegmentState::Open { settled: Some(SegmentEnd { position, offset, time }) } = self.state else {
            return None;
        };
        Some(Settled { partition, generation: self.generation, position, offset, time })
    }

    /// What the segment's header and footer say of it.
    pub(crate) fn header(&self, store: u64, partition: PartitionId) -> SegmentHeader {
        SegmentHeader {
            store,
            partition,
            sequence: self.sequence,
            generation: self.generation,
            base_offset: self.base_offset,
            base_time: self.base_time,
            capacity: self.capacity,
        }
    }
}

impl Partition {
    pub(crate) fn find(&self, generation: Generation) -> Option<&Segment> {
        // The newest are asked for most.
        self.segments.values().rev().find(|s| s.generation == generation)
    }

    pub(crate) fn next_sequence(&self) -> u32 {
        self.segments.last_key_value().map_or(0, |(sequence, _)| sequence + 1)
    }
}

impl Manifest {
    /// A store without topics.
    pub(crate) fn new(store: u64, sector: u32, durable: DurablePrimitive) -> Manifest {
        Manifest {
            store,
            sector,
            durable,
            durable_reason: None,
            clean: true,
            topics: BTreeMap::new(),
            names: BTreeMap::new(),
            next_topic: 1,
            partitions: BTreeMap::new(),
            set: 0,
            shards: 0,
            checkpoints: BTreeMap::new(),
            kept: BTreeMap::new(),
            journal_files: BTreeMap::new(),
            retired: BTreeMap::new(),
        }
    }

    /// The topic of a name.
    pub(crate) fn topic_named(&self, name: &str) -> Option<TopicId> {
        self.names.get(name).copied()
    }

    /// What is known of a generation that some file names together with a partition.
    pub(crate) fn known(&self, partition: PartitionId, generation: Generation) -> Known<'_> {
        if !self.topics.contains_key(&partition.topic) {
            let deleted = partition.topic.0 < self.next_topic;
            return if deleted { Known::TopicDeleted } else { Known::Unknown };
        }
        if let Some(segment) = self.partitions.get(&partition).and_then(|p| p.find(generation)) {
            return Known::Segment(segment);
        }
        if self.retired.get(&generation) == Some(&partition) { Known::Gone } else { Known::Unknown }
    }

    /// Whether every segment has its end: what a clean close needs. Kept files then hold nothing that is data.
    pub(crate) fn is_settled(&self) -> bool {
        self.partitions.values().all(|p| p.segments.values().all(|s| !s.is_open()))
    }

    /// Takes an edit in. An edit that does not add up with those before is damage that no checksum caught, or a bug.
    pub(crate) fn apply(&mut self, edit: &Edit) -> Result<()> {
        match edit {
            Edit::Padding => {}
            Edit::Store { id, sector, durable } => {
                if *id != self.store {
                    return Err(strange("names another store"));
                }
                (self.sector, self.durable) = (*sector, *durable);
            }
            Edit::DurableReason { reason } => self.durable_reason = Some(reason.clone()),
            Edit::TopicCreated { id, name, partitions, durability } => {
                if self.topics.contains_key(id) || self.topic_named(name).is_some() {
                    return Err(strange("creates a topic twice"));
                }
                self.next_topic = self.next_topic.max(id.0.saturating_add(1));
                let topic = Topic { name: name.clone(), partitions: *partitions, durability: *durability };
                self.names.insert(name.clone(), *id);
                self.topics.insert(*id, topic);
            }
            Edit::TopicDeleted { id } => {
                self.next_topic = self.next_topic.max(id.0.saturating_add(1));
                if let Some(topic) = self.topics.remove(id) {
                    self.names.remove(&topic.name);
                }
                self.partitions.retain(|partition, _| partition.topic != *id);
                self.retired.retain(|_, partition| partition.topic != *id);
            }
            Edit::PartitionsAdded { id, partitions } => {
                let topic = self.topics.get_mut(id).ok_or_else(|| strange("adds partitions to no topic"))?;
                if *partitions < topic.partitions {
                    return Err(strange("takes partitions away from a topic"));
                }
                topic.partitions = *partitions;
            }
            Edit::Checkpoint { set, shard, lsn, entries } => self.checkpoint(*set, *shard, *lsn, entries)?,
            Edit::JournalSet { set, shards } => {
                if *set < self.set || *set == u64::MAX {
                    return Err(strange("goes back to an older journal"));
                }
                (self.set, self.shards) = (*set, *shards);
                self.checkpoints.clear();
                self.journal_files.clear();
                if self.kept.is_empty() {
                    self.retired.clear();
                }
            }
            Edit::JournalKept { set, number, shard, generation, first_lsn, end_lsn } => {
                let (first_lsn, end_lsn) = (*first_lsn, *end_lsn);
                let kept = Kept { shard: *shard, generation: *generation, first_lsn, end_lsn };
                self.kept.insert((*set, *number), kept);
            }
            Edit::JournalFile { set, number, size } => {
                if *set != self.set {
                    return Err(strange("names a file of another journal set"));
                }
                self.journal_files.insert(*number, *size);
            }
            Edit::JournalReleased { set, number } => {
                self.kept.remove(&(*set, *number));
                if *set == self.set {
                    self.journal_files.remove(number);
                }
            }
            Edit::Clean(clean) => self.clean = *clean,
            Edit::SegmentActivated { .. }
            | Edit::SegmentSealed { .. }
            | Edit::SegmentRemoved { .. }
            | Edit::SegmentDropped { .. }
            | Edit::LogStart { .. }
            | Edit::Damaged { .. } => self.apply_to_partition(edit)?,
        }
        Ok(())
    }

    fn apply_to_partition(&mut self, edit: &Edit) -> Result<()> {
        match *edit {
            Edit::SegmentActivated { partition, sequence, generation, base_offset, base_time, capacity, gap } => {
                if bugs::active(Bug::KeepGeneration) {
                    self.retired.remove(&generation);
                }
                if self.retired.contains_key(&generation) {
                    return Err(strange("begins a segment under the generation of one that ended"));
                }
                let known = self.partition(partition)?;
                if known.segments.contains_key(&sequence) {
                    return Err(strange("gives two segments one number"));
                }
                let whole = (SEGMENT_DATA_START..=SEGMENT_MAX).contains(&capacity) && capacity.is_multiple_of(SECTOR);
                if !whole || sequence == u32::MAX {
                    return Err(strange("names a segment that cannot exist"));
                }
                let state = SegmentState::Open { settled: None };
                let segment = Segment { sequence, generation, base_offset, base_time, capacity, gap, state };
                known.segments.insert(sequence, segment);
            }
            Edit::SegmentSealed { generation, partition, end_position, end_offset, end_time, footer_size } => {
                let segment = self.segment(partition, generation)?;
                let end = SegmentEnd { position: end_position, offset: end_offset, time: end_time };
                segment.check(end)?;
                segment.state = SegmentState::Sealed { end, footer_size };
            }
            Edit::SegmentRemoved { partition, generation } => self.retire(partition, generation)?,
            Edit::SegmentDropped { partition, generation } => {
                if self.partition(partition)?.damaged.is_empty() {
                    self.retire(partition, generation)?;
                } else {
                    self.segment(partition, generation)?.state = SegmentState::Dropped;
                }
            }
            Edit::LogStart { partition, offset } => {
                let known = self.partition(partition)?;
                known.log_start = offset;
                // What is gone on purpose is not missed.
                known.damaged.retain(|damage| damage.end > offset);
            }
            Edit::Damaged { partition, generation, start, end } => {
                let known = self.partition(partition)?;
                let damage = Damage { generation, start, end };
                if !known.damaged.contains(&damage) {
                    known.damaged.push(damage);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn checkpoint(&mut self, set: u64, shard: u32, lsn: Lsn, entries: &[Settled]) -> Result<()> {
        if set != self.set {
            return Ok(());
        }
        self.checkpoints.insert(shard, lsn);
        for entry in entries {
            // A segment that was sealed or removed meanwhile needs no position any more.
            let Ok(segment) = self.segment(entry.partition, entry.generation) else { continue };
            let end = SegmentEnd { position: entry.position, offset: entry.offset, time: entry.time };
            segment.check(end)?;
            if let SegmentState::Open { settled } = &mut segment.state {
                *settled = Some(end);
            }
        }
        Ok(())
    }

    fn partition(&mut self, id: PartitionId) -> Result<&mut Partition> {
        let topic = self.topics.get(&id.topic).ok_or_else(|| strange("names a partition of no topic"))?;
        if id.partition >= topic.partitions {
            return Err(strange("names a partition that its topic does not have"));
        }
        Ok(self.partitions.entry(id).or_default())
    }

    fn segment(&mut self, partition: PartitionId, generation: Generation) -> Result<&mut Segment> {
        let segments = &mut self.partition(partition)?.segments;
        let found = segments.values_mut().rev().find(|s| s.generation == generation);
        found.ok_or_else(|| strange("names a segment that does not exist"))
    }

    /// Idempotent, and true for a generation that is not known any more: a snapshot says no more of it.
    fn retire(&mut self, id: PartitionId, generation: Generation) -> Result<()> {
        let partition = self.partition(id)?;
        partition.segments.retain(|_, s| s.generation != generation);
        self.retired.insert(generation, id);
        Ok(())
    }

    /// The edits that make this image out of nothing.
    pub(crate) fn snapshot(&self) -> Vec<Edit> {
        let mut edits = vec![Edit::Store { id: self.store, sector: self.sector, durable: self.durable }];
        edits.extend(self.durable_reason.clone().map(|reason| Edit::DurableReason { reason }));
        for (id, topic) in &self.topics {
            let Topic { name, partitions, durability } = topic.clone();
            edits.push(Edit::TopicCreated { id: *id, name, partitions, durability });
        }
        let last = TopicId(self.next_topic - 1);
        if last.0 > 0 && !self.topics.contains_key(&last) {
            edits.push(Edit::TopicDeleted { id: last });
        }
        edits.push(Edit::JournalSet { set: self.set, shards: self.shards });
        for (id, partition) in &self.partitions {
            partition.snapshot(*id, &mut edits);
        }
        self.snapshot_checkpoints(&mut edits);
        let file = |(number, size): (&u32, &u64)| Edit::JournalFile { set: self.set, number: *number, size: *size };
        edits.extend(self.journal_files.iter().map(file));
        for ((set, number), kept) in &self.kept {
            let Kept { shard, generation, first_lsn, end_lsn } = *kept;
            edits.push(Edit::JournalKept { set: *set, number: *number, shard, generation, first_lsn, end_lsn });
        }
        for (generation, partition) in &self.retired {
            edits.push(Edit::SegmentRemoved { partition: *partition, generation: *generation });
        }
        edits.push(Edit::Clean(self.clean));
        edits
    }

    /// The positions are the partitions' own, so it is the same in which shard's checkpoint they stand.
    fn snapshot_checkpoints(&self, edits: &mut Vec<Edit>) {
        let partitions = self.partitions.iter().flat_map(|(id, p)| p.segments.values().map(|s| (*id, s)));
        let mut entries: Vec<Settled> = partitions.filter_map(|(id, segment)| segment.settled(id)).collect();
        let first = (self.checkpoints.is_empty() && !entries.is_empty()).then_some((0, FIRST_LSN));
        for (shard, lsn) in self.checkpoints.iter().map(|(shard, lsn)| (*shard, *lsn)).chain(first) {
            edits.push(Edit::Checkpoint { set: self.set, shard, lsn, entries: std::mem::take(&mut entries) });
        }
    }
}

impl Partition {
    fn snapshot(&self, partition: PartitionId, edits: &mut Vec<Edit>) {
        if self.log_start > 0 {
            edits.push(Edit::LogStart { partition, offset: self.log_start });
        }
        for Damage { generation, start, end } in self.damaged.iter().copied() {
            edits.push(Edit::Damaged { partition, generation, start, end });
        }
        for segment in self.segments.values() {
            let Segment { sequence, generation, base_offset, base_time, capacity, gap, state } = *segment;
            edits.push(Edit::SegmentActivated {
                partition,
                sequence,
                generation,
                base_offset,
                base_time,
                capacity,
                gap,
            });
            match state {
                SegmentState::Open { .. } => {}
                SegmentState::Sealed { end, footer_size } => edits.push(Edit::SegmentSealed {
                    generation,
                    partition,
                    end_position: end.position,
                    end_offset: end.offset,
                    end_time: end.time,
                    footer_size,
                }),
                SegmentState::Dropped => edits.push(Edit::SegmentDropped { partition, generation }),
            }
        }
    }
}

fn strange(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("an edit of the manifest {what}"))
}
