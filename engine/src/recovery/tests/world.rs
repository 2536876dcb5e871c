//! A store in memory whose shard is the test: it writes segments and journal files as a shard would, and stops.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::durability::Durability;
use crate::error::Result;
use crate::format::frame::{Fields, Kind, Place, Stamp, pad, seal};
use crate::format::journal::{
    JOURNAL_DATA_START, JOURNAL_HEADER_SIZE, JournalHeader, RangeEntry, WatermarkEntry, WriteBuilder,
};
use crate::format::plan::Plan;
use crate::format::record::Record;
use crate::format::segment::SEGMENT_DATA_START;
use crate::ids::{DurablePrimitive, Generation, Lsn, PartitionId, TopicId};
use crate::io::{File, write_full};
use crate::limits::{JOURNAL_WRITE_MAX, SECTOR};
use crate::manifest::memory::{MemoryDisk, TestEnvironment};
use crate::manifest::{
    ManifestStore, MetaDone, MetaOptions, MetaOrder, MetaRequest, MetaStore, Scratch, SegmentEnd, Settled, names,
};
use crate::recovery::table::Rows;
use crate::recovery::{Recovered, RecoveryOptions, recover};

pub(super) const SIZE: u64 = 256 << 10;
pub(super) const OPTIONS: MetaOptions = MetaOptions { journal_file_size: 2 << 20, pool_files: 4 };
pub(super) const RECOVERY: RecoveryOptions = RecoveryOptions { shards: 2, cache: 1 << 20, give_up_journal: false };

thread_local! {
    static SEED: Cell<u64> = const { Cell::new(1) };
}

/// Different random numbers at each open.
fn environment() -> Arc<TestEnvironment> {
    let seed = SEED.get();
    SEED.set(seed + 1);
    Arc::new(TestEnvironment::starting(seed * 100_000))
}

pub(super) fn load(disk: &MemoryDisk) -> Result<ManifestStore> {
    ManifestStore::load(Arc::new(disk.clone()), environment())
}

/// An open store with one topic.
pub(super) struct World {
    pub disk: MemoryDisk,
    pub meta: MetaStore,
    pub topic: TopicId,
}

impl World {
    pub(super) fn new() -> World {
        let disk = MemoryDisk::new();
        let primitive = DurablePrimitive::DurableWrite;
        let store = ManifestStore::create(Arc::new(disk.clone()), environment(), primitive).expect("an empty disk");
        let (meta, _) = open(store).expect("a fresh store");
        let mut world = World { disk, meta, topic: TopicId(0) };
        let order = MetaOrder::CreateTopic { name: "t".into(), partitions: 8, durability: Durability::Durable };
        match world.ask(order) {
            MetaDone::TopicCreated { topic } => world.topic = topic,
            _ => panic!("a topic"),
        }
        world
    }

    pub(super) fn ask(&mut self, order: MetaOrder) -> MetaDone {
        let mut responses = self.meta.run(vec![MetaRequest { ticket: 1, order }]);
        responses.pop().expect("an answer").result.expect("it was done")
    }

    pub(super) fn partition(&self, partition: u32) -> PartitionId {
        PartitionId { topic: self.topic, partition }
    }

    /// A partition's next segment, activated.
    pub(super) fn segment(&mut self, partition: u32, base_offset: u64) -> Seg {
        let seg = self.prepared(partition, base_offset);
        self.activate(&seg, false);
        seg
    }

    pub(super) fn prepared(&mut self, partition: u32, base_offset: u64) -> Seg {
        let id = self.partition(partition);
        match self.ask(MetaOrder::PrepareSegment { partition: id, size: SIZE }) {
            MetaDone::SegmentPrepared { sequence, generation, file, .. } => {
                Seg { id, sequence, generation, base_offset, file, bytes: Vec::new(), offset: base_offset, time: 1000 }
            }
            _ => panic!("a segment"),
        }
    }

    pub(super) fn activate(&mut self, seg: &Seg, gap: bool) {
        let Seg { id: partition, sequence, generation, base_offset, .. } = *seg;
        let order = MetaOrder::ActivateSegment { partition, sequence, generation, base_offset, base_time: 1000, gap };
        self.ask(order);
    }

    pub(super) fn seal(&mut self, seg: &Seg) {
        let order = MetaOrder::SealSegment {
            partition: seg.id,
            generation: seg.generation,
            end: seg.end(),
            footer: Vec::new(),
        };
        self.ask(order);
    }

    pub(super) fn checkpoint(&mut self, shard: u32, lsn: u64, settled: &[(&Seg, SegmentEnd)]) {
        let settled = settled.iter().map(|(seg, end)| Settled {
            partition: seg.id,
            generation: seg.generation,
            position: end.position,
            offset: end.offset,
            time: end.time,
        });
        let set = self.meta.image().set;
        self.ask(MetaOrder::Checkpoint { set, shard, lsn: Lsn(lsn), settled: settled.collect() });
    }

    /// A journal file that begins with `lsn`, its header written.
    pub(super) fn journal(&mut self, shard: u32, order: u32, lsn: u64) -> Journal {
        let MetaDone::JournalFilePrepared { number, file, .. } = self.ask(MetaOrder::PrepareJournalFile) else {
            panic!("a file")
        };
        let generation = Generation(0xabc0_0000 + u64::from(number) * 7 + lsn);
        let header = JournalHeader {
            store: self.meta.image().store,
            set: self.meta.image().set,
            generation,
            number: order,
            shard,
            first_lsn: Lsn(lsn),
        };
        let mut sector = Scratch::zeroed(JOURNAL_HEADER_SIZE).expect("memory");
        header.encode(sector.bytes_mut());
        for copy in [0, SECTOR] {
            write_full(&*file, copy, sector.bytes(), true).expect("a write");
        }
        Journal { name: number, header, file, lsn, position: JOURNAL_DATA_START }
    }

    /// The next open, on what the disk holds now.
    pub(super) fn recover(&self) -> Recovered {
        recover_disk(&self.disk).expect("recovery")
    }
}

thread_local! {
    /// What the recoveries of this thread have met.
    static ROWS: RefCell<Rows> = RefCell::default();
}

pub(super) fn forget_rows() {
    ROWS.take();
}

pub(super) fn rows_met() -> Rows {
    ROWS.take()
}

pub(super) fn open(mut store: ManifestStore) -> Result<(MetaStore, Recovered)> {
    let recovered = recover(&mut store, RECOVERY, &mut ())?;
    ROWS.with_borrow_mut(|rows| rows.add(&recovered.rows));
    Ok((MetaStore::open(store, OPTIONS)?, recovered))
}

/// As the next open does that is told to give up what is missing of the journal.
pub(super) fn recover_without_journal(disk: &MemoryDisk) -> Result<Recovered> {
    recover(&mut load(disk)?, RecoveryOptions { give_up_journal: true, ..RECOVERY }, &mut ())
}

/// Recovers what a disk holds.
pub(super) fn recover_disk(disk: &MemoryDisk) -> Result<Recovered> {
    let (_, recovered) = open(load(disk)?)?;
    Ok(recovered)
}

/// A segment as its appender sees it.
pub(super) struct Seg {
    pub id: PartitionId,
    pub sequence: u32,
    pub generation: Generation,
    pub base_offset: u64,
    pub file: Arc<dyn File>,
    /// From the first frame on.
    pub bytes: Vec<u8>,
    pub offset: u64,
    pub time: i64,
}

impl Seg {
    fn place(&self) -> Place {
        Place {
            partition: self.id,
            generation: self.generation,
            position: self.end().position,
            segment_base: self.base_offset,
        }
    }

    /// The end of what was appended.
    pub(super) fn end(&self) -> SegmentEnd {
        SegmentEnd { position: SEGMENT_DATA_START + self.bytes.len() as u64, offset: self.offset, time: self.time }
    }

    /// Appends one record of a size; `durable` is what its frame testifies.
    pub(super) fn append(&mut self, size: usize, durable: Option<u64>) {
        let value = vec![self.offset as u8; size];
        let records = [Record::new(&value)];
        let plan = Plan::new(&records).expect("a record");
        let mut frame = vec![0; plan.frame_size()];
        plan.encode(&records, &mut frame);
        self.time += 1;
        let stamp = Stamp { base_offset: self.offset, append_time: self.time, durable };
        seal(&mut frame, &self.place(), &plan.fields(stamp));
        self.bytes.extend(frame);
        self.offset += 1;
    }

    pub(super) fn append_many(&mut self, count: usize) {
        (0..count).for_each(|_| self.append(100, None));
    }

    /// Seals the last frame, which begins at byte `from` of `bytes`, anew: whole, but of another kind.
    fn reseal(&mut self, from: usize, kind: Kind) {
        let place = Place { position: SEGMENT_DATA_START + from as u64, ..self.place() };
        let stamp = Stamp { base_offset: self.offset - 1, append_time: self.time, durable: None };
        let (flags, pad, key_size, optional_size) = (0, 0, 0, 0);
        let fields = Fields { kind, flags, pad, count: 1, key_size, optional_size, create_time: None, stamp };
        seal(&mut self.bytes[from..], &place, &fields);
    }

    pub(super) fn make_unsupported(&mut self, from: usize) {
        self.reseal(from, Kind::Control);
    }

    pub(super) fn make_bad_body(&mut self, from: usize) {
        self.bytes[from + 40..].fill(0);
        self.reseal(from, Kind::Data);
    }

    pub(super) fn pad(&mut self) {
        let end = self.bytes.len();
        let mut size = end.next_multiple_of(SECTOR as usize) - end;
        if size == 0 {
            return;
        }
        if size < 40 {
            size += SECTOR as usize;
        }
        let place = self.place();
        self.bytes.resize(end + size, 0);
        let stamp = Stamp { base_offset: self.offset, append_time: self.time, durable: None };
        pad(&mut self.bytes[end..], &place, &stamp);
    }

    /// Writes `from..to` of the file as the device would have it after a crash: any bytes.
    pub(super) fn write(&self, from: u64, to: u64) {
        let start = from / SECTOR * SECTOR;
        let size = (to - start).next_multiple_of(SECTOR) as usize;
        let mut sectors = Scratch::zeroed(size).expect("memory");
        self.file.read_at(start, &mut sectors.bytes_mut()[..size]).expect("a read");
        let bytes = &self.bytes[(from - SEGMENT_DATA_START) as usize..(to - SEGMENT_DATA_START) as usize];
        let at = (from - start) as usize;
        sectors.bytes_mut()[at..at + bytes.len()].copy_from_slice(bytes);
        write_full(&*self.file, start, &sectors.bytes()[..size], true).expect("a write");
    }

    pub(super) fn write_all(&self) {
        self.write(SEGMENT_DATA_START, self.end().position);
    }

    pub(super) fn path(&self) -> String {
        names::segment(self.id, self.sequence)
    }

    /// The range from one end to another, for the journal.
    pub(super) fn range(&self, from: SegmentEnd, to: SegmentEnd) -> (RangeEntry, Vec<u8>) {
        let entry = RangeEntry {
            partition: self.id,
            generation: self.generation,
            position: from.position,
            size: (to.position - from.position) as u32,
            at: 0,
            end_offset: to.offset,
        };
        let at = |end: SegmentEnd| (end.position - SEGMENT_DATA_START) as usize;
        (entry, self.bytes[at(from)..at(to)].to_vec())
    }

    pub(super) fn watermark(&self, end: SegmentEnd) -> WatermarkEntry {
        WatermarkEntry { partition: self.id, generation: self.generation, position: end.position, offset: end.offset }
    }
}

/// A journal file as its shard sees it.
pub(super) struct Journal {
    pub name: u32,
    pub header: JournalHeader,
    pub file: Arc<dyn File>,
    pub lsn: u64,
    pub position: u64,
}

impl Journal {
    /// One write. `durable` is the highest number that it says is durable. Answers where it stands.
    pub(super) fn write(
        &mut self,
        ranges: &[(RangeEntry, Vec<u8>)],
        watermarks: &[WatermarkEntry],
        durable: u64,
    ) -> (u64, usize) {
        let mut staging = Scratch::zeroed(JOURNAL_WRITE_MAX).expect("memory");
        let mut builder = WriteBuilder::new(staging.bytes_mut(), ranges.len() + watermarks.len());
        for (entry, bytes) in ranges {
            builder.range(*entry, bytes);
        }
        for entry in watermarks {
            builder.watermark(*entry);
        }
        let size = builder.finish(&self.header, Lsn(self.lsn), Lsn(durable), self.position);
        write_full(&*self.file, self.position, &staging.bytes()[..size], true).expect("a write");
        let at = self.position;
        self.lsn += 1;
        self.position += size as u64;
        (at, size)
    }

    pub(super) fn path(&self) -> String {
        names::journal(self.name)
    }
}
