//! A small store that a shard left in the middle of its work, changed as the input says, and opened.
//!
//! The input is a list of changes of eight bytes each: raw ones, as a device makes them, and ones whose checksums say
//! yes, as only a bug or somebody who knows the generations could make them.

use std::sync::{Arc, OnceLock};

use crate::durability::Durability;
use crate::format::frame::{Fields, Kind, Place, Stamp, pad, seal};
use crate::format::journal::{
    JOURNAL_DATA_START, JOURNAL_HEADER_SIZE, JournalHeader, RangeEntry, WatermarkEntry, WriteBuilder,
};
use crate::format::manifest::Edit;
use crate::format::plan::Plan;
use crate::format::record::Record;
use crate::format::segment::SEGMENT_DATA_START;
use crate::ids::{DurablePrimitive, Generation, Lsn, PartitionId, TopicId};
use crate::io::{Disk, OpenMode, write_full};
use crate::limits::SECTOR;
use crate::manifest::memory::{MemoryDisk, TestEnvironment};
use crate::manifest::{
    ManifestStore, MetaDone, MetaOptions, MetaOrder, MetaRequest, MetaStore, Scratch, SegmentEnd, Settled, names,
};
use crate::recovery::{Recovered, RecoveryOptions, recover};

const TOPIC: TopicId = TopicId(1);
const OPTIONS: MetaOptions = MetaOptions { journal_file_size: 64 << 10, pool_files: 2 };
/// Changes that one input makes at most.
const CHANGES_MAX: usize = 16;

/// A store of which any bytes were changed opens or is refused; an open store opens again, and is the same.
pub fn recovery(data: &[u8]) {
    let base = BASE.get_or_init(Base::new);
    let disk = base.disk.copy();
    for change in data.as_chunks::<8>().0.iter().take(CHANGES_MAX) {
        base.change(&disk, change);
    }
    let shards = 1 + u32::from(data.first().copied().unwrap_or(0) % 3);
    let Some(first) = open(&disk, shards) else { return };
    let second = open(&disk, shards).expect("what was opened can be opened");
    for (id, partition) in &first.partitions {
        assert!(partition.end_offset <= partition.next_offset);
        let mut reached = 0;
        for (segment, end) in &partition.segments {
            assert!(segment.base_offset <= end.offset && end.position <= segment.capacity);
            assert!(segment.sequence >= reached, "segments are in order");
            reached = segment.sequence;
        }
        if partition.unavailable.is_none() {
            let again = &second.partitions[id];
            assert_eq!((partition.end_offset, &partition.damaged), (again.end_offset, &again.damaged));
        }
    }
}

fn open(disk: &MemoryDisk, shards: u32) -> Option<Recovered> {
    let environment = Arc::new(TestEnvironment::starting(1 << 32));
    let mut store = ManifestStore::load(Arc::new(disk.clone()), environment).ok()?;
    let recovered =
        recover(&mut store, RecoveryOptions { shards, cache: 256 << 10, give_up_journal: false }, &mut ()).ok()?;
    MetaStore::open(store, OPTIONS).ok()?;
    Some(recovered)
}

static BASE: OnceLock<Base> = OnceLock::new();

/// The store that every input begins with.
struct Base {
    disk: MemoryDisk,
    store: u64,
    set: u64,
    files: Vec<String>,
    segments: Vec<Segment>,
    journals: Vec<Journal>,
}

struct Segment {
    id: PartitionId,
    sequence: u32,
    generation: Generation,
    base_offset: u64,
    bytes: Vec<u8>,
    offset: u64,
}

struct Journal {
    number: u32,
    header: JournalHeader,
    lsn: u64,
    position: u64,
}

impl Base {
    /// Three partitions, one with two segments, over two shards' journals.
    fn new() -> Base {
        let disk = MemoryDisk::new();
        let environment = Arc::new(TestEnvironment::default());
        let store = ManifestStore::create(Arc::new(disk.clone()), environment, DurablePrimitive::DurableWrite);
        let mut store = store.expect("an empty disk");
        recover(&mut store, RecoveryOptions { shards: 2, cache: 1 << 20, give_up_journal: false }, &mut ())
            .expect("a fresh store");
        let (id, set) = (store.image().store, store.image().set);
        let mut meta = MetaStore::open(store, OPTIONS).expect("a recovered store");
        ask(&mut meta, MetaOrder::CreateTopic { name: "t".into(), partitions: 4, durability: Durability::Durable });
        let mut base = Base { disk, store: id, set, files: Vec::new(), segments: Vec::new(), journals: Vec::new() };
        for (partition, base_offset) in [(0, 0), (0, 6), (1, 100), (2, u64::MAX - 10)] {
            base.segments.push(segment(&mut meta, partition, base_offset));
        }
        for i in 0..base.segments.len() {
            (0..4).for_each(|n| base.segments[i].append(60 * n, None));
            base.segments[i].pad();
            let settled = base.segments[i].end();
            base.segments[i].append(300, Some(settled.offset - 1));
            base.write_segment(i);
        }
        for shard in 0..2 {
            let journal = base.journal(&mut meta, shard);
            base.journals.push(journal);
        }
        for i in 0..base.segments.len() {
            let end = base.segments[i].end();
            base.segments[i].append(200, Some(end.offset));
            base.journalled(&base.disk.clone(), i % 2, i, end, 0);
        }
        let settled: Vec<Settled> = Vec::from([base.segments[3].settled()]);
        ask(&mut meta, MetaOrder::Checkpoint { set, shard: 1, lsn: Lsn(1), settled });
        base.files = base.disk.paths();
        // Space that is only reserved would be copied for every input.
        base.disk.edit(&names::log(1), |log| {
            let used = log.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            log.truncate(used.next_multiple_of(SECTOR as usize));
        });
        base
    }

    fn journal(&self, meta: &mut MetaStore, shard: u32) -> Journal {
        let MetaDone::JournalFilePrepared { number, file, .. } = ask(meta, MetaOrder::PrepareJournalFile) else {
            unreachable!("the answer is to the question")
        };
        let generation = Generation(0x7000 + u64::from(number));
        let (store, set, first_lsn) = (self.store, self.set, Lsn(1));
        let mut sector = Scratch::zeroed(JOURNAL_HEADER_SIZE).expect("memory");
        let header = JournalHeader { store, set, generation, number: 1, shard, first_lsn };
        header.encode(sector.bytes_mut());
        write_full(&*file, 0, sector.bytes(), true).expect("a write in memory");
        Journal { number, header, lsn: 1, position: JOURNAL_DATA_START }
    }

    fn write_segment(&self, i: usize) {
        let segment = &self.segments[i];
        write(&self.disk, &names::segment(segment.id, segment.sequence), SEGMENT_DATA_START, &segment.bytes);
    }

    /// Writes what segment `i` holds from `from` on into a journal.
    fn journalled(&mut self, disk: &MemoryDisk, journal: usize, i: usize, from: SegmentEnd, durable: u64) {
        let segment = &self.segments[i];
        let bytes = &segment.bytes[(from.position - SEGMENT_DATA_START) as usize..];
        let entry = RangeEntry {
            partition: segment.id,
            generation: segment.generation,
            position: from.position,
            size: bytes.len() as u32,
            at: 0,
            end_offset: segment.offset,
        };
        let watermark = segment.watermark(from);
        let journal = &mut self.journals[journal];
        let size = journal.put(disk, journal.lsn, journal.position, &[(entry, bytes)], &[watermark], durable);
        journal.lsn += 1;
        journal.position += size;
    }

    fn change(&self, disk: &MemoryDisk, change: &[u8; 8]) {
        let [kind, a, b, c, d, e, f, g] = *change;
        let position = u64::from(u16::from_le_bytes([b, c])) * 8;
        let word = u32::from_le_bytes([d, e, f, g]);
        match kind % 10 {
            0..=3 => self.change_file(disk, kind % 10, usize::from(a), position as usize, word),
            4 | 5 => self.add_write(disk, usize::from(a), b, c, word, kind % 10 == 5),
            6 => self.add_frame(disk, usize::from(a), position, word),
            7 | 8 => add_edit(disk, self.segments[usize::from(a) % self.segments.len()].settled(), a, position, word),
            _ => {
                let _ = disk.remove(&self.files[usize::from(a) % self.files.len()]);
            }
        }
    }

    /// What a device may do to a file.
    fn change_file(&self, disk: &MemoryDisk, kind: u8, file: usize, at: usize, word: u32) {
        let path = &self.files[file % self.files.len()];
        if !disk.exists(path) {
            return;
        }
        let sector = SECTOR as usize;
        disk.edit(path, |bytes| {
            let at = at % bytes.len().max(1);
            let start = at / sector * sector;
            match kind {
                0 if !bytes.is_empty() => bytes[at] ^= (word as u8).max(1),
                1 if start + sector <= bytes.len() => bytes[start..start + sector].fill(word as u8),
                2 if start + sector <= bytes.len() => {
                    let from = word as usize * sector % bytes.len() / sector * sector;
                    let copied = bytes[from..(from + sector).min(bytes.len())].to_vec();
                    bytes[start..start + copied.len()].copy_from_slice(&copied);
                }
                3 => bytes.truncate(start),
                _ => {}
            }
        });
    }

    /// A whole journal write with any table, in its turn or out of it.
    fn add_write(&self, disk: &MemoryDisk, of: usize, by: u8, skip: u8, word: u32, testify: bool) {
        let segment = &self.segments[of % self.segments.len()];
        let journal = &self.journals[usize::from(by) % self.journals.len()];
        let other = |n: u32| if word >> n & 1 == 1 { u64::from(word >> 8) } else { 0 };
        let entry = RangeEntry {
            partition: PartitionId {
                topic: TopicId(TOPIC.0 + (other(0) % 3) as u32),
                partition: segment.id.partition + (other(1) % 5) as u32,
            },
            generation: Generation(segment.generation.0 + other(2)),
            position: segment.end().position.wrapping_add(other(3) * 8),
            size: 64,
            at: 0,
            end_offset: segment.offset.wrapping_add(other(4)),
        };
        let watermark =
            WatermarkEntry { offset: segment.offset.wrapping_add(other(5)), ..segment.watermark(segment.end()) };
        let (lsn, position) = (journal.lsn + u64::from(skip % 3), journal.position + u64::from(skip / 3 % 4) * SECTOR);
        let watermarks = if testify { &[watermark][..] } else { &[] };
        journal.put(disk, lsn, position, &[(entry, &[word as u8; 64])], watermarks, other(6));
    }

    /// A whole frame of any kind, anywhere.
    fn add_frame(&self, disk: &MemoryDisk, of: usize, position: u64, word: u32) {
        let segment = &self.segments[of % self.segments.len()];
        let position = if word & 1 == 0 { segment.end().position } else { position.max(SEGMENT_DATA_START) };
        let kinds = [Kind::Data, Kind::Pad, Kind::Void, Kind::Control, Kind::Unknown(7)];
        let kind = kinds[word as usize / 2 % kinds.len()];
        let count = if kind == Kind::Pad { 0 } else { 1 + (word >> 24) as u16 };
        let offset = segment.offset.saturating_add(u64::from(word >> 5 & 3));
        let durable = (word >> 7 & 1 == 1).then(|| offset.saturating_sub(u64::from(word >> 8 & 7)));
        let stamp = Stamp { base_offset: offset, append_time: i64::from(word), durable };
        let fields = Fields { kind, flags: 0, pad: 0, count, key_size: 0, optional_size: 0, create_time: None, stamp };
        let mut frame = [0; 64];
        if offset.checked_add(u64::from(count)).is_some() {
            seal(&mut frame, &segment.place(position), &fields);
        }
        let path = names::segment(segment.id, segment.sequence);
        if disk.exists(&path) {
            disk.edit(&path, |bytes| {
                if let Some(there) = bytes.get_mut(position as usize..position as usize + frame.len()) {
                    there.copy_from_slice(&frame);
                }
            });
        }
    }
}

/// An edit of the manifest that adds up by itself, if it does.
fn add_edit(disk: &MemoryDisk, of: Settled, a: u8, position: u64, word: u32) {
    let environment = Arc::new(TestEnvironment::starting(1 << 40));
    let Ok(mut store) = ManifestStore::load(Arc::new(disk.clone()), environment) else { return };
    let Settled { partition, generation, .. } = of;
    let offset = if word & 1 == 0 { u64::from(word >> 8) } else { of.offset };
    let number = u32::from(a >> 4);
    let (set, shard) = (store.image().set, word >> 1 & 3);
    let edit = match a % 12 {
        0 => Edit::SegmentActivated {
            partition,
            sequence: number,
            generation: Generation(u64::from(word)),
            base_offset: offset,
            base_time: 3,
            capacity: 64 << 10,
            gap: word & 2 == 2,
        },
        1 => Edit::SegmentSealed {
            partition,
            generation,
            end_position: position,
            end_offset: offset,
            end_time: 5,
            footer_size: word,
        },
        2 => Edit::SegmentRemoved { partition, generation },
        3 => Edit::SegmentDropped { partition, generation },
        4 => Edit::LogStart { partition, offset },
        5 => Edit::Damaged { partition, generation, start: offset, end: u64::from(word) },
        6 => Edit::Checkpoint {
            set,
            shard,
            lsn: Lsn(u64::from(word >> 28)),
            entries: vec![Settled { position, offset, ..of }],
        },
        7 => Edit::JournalSet { set: u64::from(number % 3), shards: 1 + shard },
        8 => Edit::JournalKept {
            set,
            number,
            shard,
            generation: Generation(0x7000 + u64::from(number)),
            first_lsn: Lsn(u64::from(word & 3)),
            end_lsn: Lsn(u64::from(word >> 28)),
        },
        9 => Edit::TopicDeleted { id: TopicId(number % 3) },
        10 => Edit::PartitionsAdded { id: TOPIC, partitions: 1 + number },
        _ => Edit::Clean(word & 1 == 1),
    };
    if store.image().clone().apply(&edit).is_ok() {
        store.commit(&[edit]).expect("memory takes every write");
    }
}

fn ask(meta: &mut MetaStore, order: MetaOrder) -> MetaDone {
    let mut responses = meta.run(vec![MetaRequest { ticket: 0, order }]);
    responses.pop().expect("one answer to one request").result.expect("memory does everything")
}

fn segment(meta: &mut MetaStore, partition: u32, base_offset: u64) -> Segment {
    let id = PartitionId { topic: TOPIC, partition };
    let MetaDone::SegmentPrepared { sequence, generation, .. } =
        ask(meta, MetaOrder::PrepareSegment { partition: id, size: 64 << 10 })
    else {
        unreachable!("the answer is to the question")
    };
    let order =
        MetaOrder::ActivateSegment { partition: id, sequence, generation, base_offset, base_time: 7, gap: false };
    ask(meta, order);
    Segment { id, sequence, generation, base_offset, bytes: Vec::new(), offset: base_offset }
}

fn write(disk: &MemoryDisk, path: &str, position: u64, bytes: &[u8]) {
    let Ok(file) = disk.open(path, OpenMode::Write) else { return };
    let bytes = Scratch::copy_of(bytes).expect("memory");
    write_full(&*file, position, bytes.bytes(), true).expect("a write in memory");
}

impl Segment {
    fn place(&self, position: u64) -> Place {
        Place { partition: self.id, generation: self.generation, position, segment_base: self.base_offset }
    }

    fn end(&self) -> SegmentEnd {
        let position = SEGMENT_DATA_START + self.bytes.len() as u64;
        SegmentEnd { position, offset: self.offset, time: 9 }
    }

    /// Its first pad's end, from which a checkpoint may begin.
    fn settled(&self) -> Settled {
        Settled {
            partition: self.id,
            generation: self.generation,
            position: SEGMENT_DATA_START + SECTOR,
            offset: self.base_offset + 4,
            time: 8,
        }
    }

    fn watermark(&self, end: SegmentEnd) -> WatermarkEntry {
        let SegmentEnd { position, offset, .. } = end;
        WatermarkEntry { partition: self.id, generation: self.generation, position, offset }
    }

    fn append(&mut self, size: usize, durable: Option<u64>) {
        let value = vec![size as u8; size];
        let records = [Record::new(&value)];
        let plan = Plan::new(&records).expect("a record within the limits");
        let mut frame = vec![0; plan.frame_size()];
        plan.encode(&records, &mut frame);
        let stamp = Stamp { base_offset: self.offset, append_time: 9, durable };
        seal(&mut frame, &self.place(self.end().position), &plan.fields(stamp));
        self.bytes.extend(frame);
        self.offset += 1;
    }

    fn pad(&mut self) {
        let (start, place) = (self.bytes.len(), self.place(self.end().position));
        self.bytes.resize(start.next_multiple_of(SECTOR as usize), 0);
        pad(&mut self.bytes[start..], &place, &Stamp { base_offset: self.offset, append_time: 9, durable: None });
    }
}

impl Journal {
    fn put(
        &self,
        disk: &MemoryDisk,
        lsn: u64,
        position: u64,
        ranges: &[(RangeEntry, &[u8])],
        watermarks: &[WatermarkEntry],
        durable: u64,
    ) -> u64 {
        let mut staging = Scratch::zeroed(2 * SECTOR as usize).expect("memory");
        let mut builder = WriteBuilder::new(staging.bytes_mut(), ranges.len() + watermarks.len());
        for (entry, bytes) in ranges {
            builder.range(*entry, bytes);
        }
        watermarks.iter().for_each(|entry| builder.watermark(*entry));
        let size = builder.finish(&self.header, Lsn(lsn), Lsn(durable), position);
        write(disk, &names::journal(self.number), position, &staging.bytes()[..size]);
        size as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_as_it_is_left_is_whole() {
        let base = BASE.get_or_init(Base::new);
        let recovered = open(&base.disk.copy(), 2).expect("a store");
        let ends: Vec<u64> = recovered.partitions.values().map(|p| p.end_offset).collect();
        assert_eq!(ends, [12, 106, u64::MAX - 4]);
        assert!(recovered.partitions.values().all(|p| p.damaged.is_empty() && p.unavailable.is_none()));
    }

    #[test]
    fn many_changes_are_survived() {
        let mut word = 1;
        for _ in 0..2000 {
            let mut data = Vec::new();
            for _ in 0..=word % 3 {
                word = crate::checksum::mix(word, 77);
                data.extend(word.to_le_bytes());
            }
            recovery(&data);
        }
    }
}
