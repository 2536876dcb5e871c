//! The shard by itself: a disk in memory, answers in any order, and every byte accounted for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use super::*;
use crate::buffer::{Budget, HeapMemory, Pool, Share};
use crate::durability::Durability;
use crate::error::Result;
use crate::format::plan::Plan;
use crate::format::record::Record;
use crate::ids::TopicId;
use crate::io::{Disk, File, OpenMode};
use crate::manifest::memory::{MemoryDisk, TestEnvironment};
use crate::manifest::{MetaDone, MetaOrder};
use crate::segment::Chain;
use crate::tail::{Appended, Refusal, Tail, TailStart};

struct Keeper(Mutex<Vec<Arc<Block>>>);

impl Keep for Keeper {
    fn keep(&self, _: &Arc<Segment>, block: Arc<Block>) {
        block.retire_to_cache();
        self.0.lock().expect("no panics").push(block);
    }
}

/// One shard and everything around it.
struct Rig {
    disk: MemoryDisk,
    shard: Shard,
    handle: Arc<ShardHandle>,
    pool: Arc<Pool>,
    keeper: Arc<Keeper>,
    out: Outbox,
    ops: VecDeque<Op>,
    chance: u64,
    now: u64,
    generation: u64,
    files: u32,
    segments: BTreeMap<Generation, String>,
    sealed: Vec<Generation>,
    checkpoints: usize,
    kept: Vec<u32>,
    /// Fails operations on files whose name says so.
    failing: Option<&'static str>,
    by_file: Vec<(usize, String)>,
}

impl Rig {
    fn new(seed: u64) -> Rig {
        let disk = MemoryDisk::new();
        for dir in ["journal", "segments"] {
            disk.create_dir(dir).expect("a new directory");
        }
        let pool = Pool::new(Budget::new(128 << 20, 4 << 20), Box::new(HeapMemory));
        let staging = (0..2)
            .map(|_| Block::take(&pool, Share::Reserve, Generation(0), 0, 64 << 10).expect("a reserve"))
            .collect();
        let keeper = Arc::new(Keeper(Mutex::new(Vec::new())));
        let handle = Arc::new(ShardHandle::new());
        let config = ShardConfig {
            identity: JournalIdentity { store: 7, set: 8, shard: 0 },
            journal_files: 3,
            staging,
            first_segment: 256 << 10,
            largest_segment: 4 << 20,
            depth: 16,
            environment: Arc::new(TestEnvironment::default()),
            keeper: Arc::clone(&keeper) as Arc<dyn Keep>,
            quiet_after: 1_000_000,
        };
        Rig {
            disk,
            shard: Shard::new(config, Arc::clone(&handle)),
            handle,
            pool,
            keeper,
            out: Outbox::default(),
            ops: VecDeque::new(),
            chance: seed | 1,
            now: 0,
            generation: 0,
            files: 0,
            segments: BTreeMap::new(),
            sealed: Vec::new(),
            checkpoints: 0,
            kept: Vec::new(),
            failing: None,
            by_file: Vec::new(),
        }
    }

    fn tail(&self, partition: u32) -> Arc<Tail> {
        let start = TailStart {
            partition: PartitionId { topic: TopicId(1), partition },
            durability: Durability::Durable,
            next_offset: 0,
            last_time: 0,
        };
        Arc::new(Tail::new(start, Arc::clone(&self.pool), Arc::new(Chain::new(Vec::new()))))
    }

    fn random(&mut self, below: u64) -> u64 {
        self.chance = crate::checksum::mix(self.chance, 1);
        self.chance % below
    }

    fn open(&mut self, name: String, size: u64) -> Arc<dyn File> {
        let file = self.disk.open(&name, OpenMode::CreateNew).expect("a new name");
        file.reserve(size).expect("space in memory");
        self.by_file.push((Arc::as_ptr(&file).cast::<()>() as usize, name));
        file
    }

    fn name(&self, file: &Arc<dyn File>) -> &str {
        let at = Arc::as_ptr(file).cast::<()>() as usize;
        &self.by_file.iter().rev().find(|(p, _)| *p == at).expect("every file was opened here").1
    }

    fn meta(&mut self, request: MetaRequest) {
        let done = match request.order {
            MetaOrder::PrepareSegment { size, .. } => {
                self.generation += 1;
                let generation = Generation(self.generation);
                let name = format!("segments/{}", self.generation);
                self.segments.insert(generation, name.clone());
                let file = self.open(name, size);
                MetaDone::SegmentPrepared { sequence: self.generation as u32, generation, file, capacity: size - 8192 }
            }
            MetaOrder::ActivateSegment { .. } => MetaDone::SegmentActivated,
            MetaOrder::DiscardSegment { .. } => MetaDone::SegmentDiscarded,
            MetaOrder::SealSegment { generation, footer, .. } => {
                assert!(!footer.is_empty(), "a sealed segment has its index");
                self.sealed.push(generation);
                MetaDone::SegmentSealed
            }
            MetaOrder::Checkpoint { .. } => {
                self.checkpoints += 1;
                MetaDone::Checkpointed
            }
            MetaOrder::PrepareJournalFile => {
                self.files += 1;
                let name = format!("journal/{}", self.files);
                let size = 256 << 10;
                MetaDone::JournalFilePrepared { number: self.files, file: self.open(name, size), size }
            }
            MetaOrder::KeepJournalFile { number, .. } => {
                self.kept.push(number);
                MetaDone::JournalFileKept
            }
            MetaOrder::ReleaseJournalFile { .. } => MetaDone::JournalFileReleased,
            _ => panic!("not asked by a shard in these tests"),
        };
        self.shard.meta_done(MetaResponse { ticket: request.ticket, result: Ok(done) });
    }

    /// One step: a turn, and one of the answers that are due, chosen at random.
    fn step(&mut self) {
        self.now += 1000;
        self.shard.turn(self.now, &mut self.out);
        self.ops.extend(self.out.ops.drain(..));
        if !self.out.meta.is_empty() && self.random(3) > 0 {
            let request = self.out.meta.remove(0);
            self.meta(request);
        }
        if !self.ops.is_empty() && self.random(4) > 0 {
            let at = self.random(self.ops.len() as u64) as usize;
            let op = self.ops.remove(at).expect("an index below the length");
            let fails = self.failing.is_some_and(|part| self.name(&op.file).contains(part));
            let result = if fails { Err(std::io::Error::from_raw_os_error(libc::EIO)) } else { op.run() };
            self.shard.complete(Completion { token: op.token, result });
        }
    }

    fn settle(&mut self) {
        for _ in 0..100_000 {
            self.step();
            if self.shard.is_idle() && self.ops.is_empty() && self.out.meta.is_empty() {
                return;
            }
        }
        panic!("the shard does not come to rest: {}", self.shard.describe());
    }

    fn append(&mut self, tail: &Arc<Tail>, size: usize) -> Result<Appended> {
        let value = vec![self.chance as u8; size];
        let record = [Record::new(&value)];
        let plan = Plan::new(&record)?;
        for _ in 0..100_000 {
            let result = tail.append(&plan, &record, 1);
            self.handle.announce(tail);
            match result {
                Ok(appended) => return Ok(appended),
                Err(Refusal::Failed(error) | Refusal::Full(error)) => return Err(error),
                Err(_) => self.step(),
            }
        }
        panic!("no room is made");
    }
}

/// Every published byte below a segment's end is in its file, in the place where its block has it.
fn assert_in_files(rig: &Rig, tails: &[Arc<Tail>]) {
    for tail in tails {
        for segment in tail.chain().segments().iter() {
            let end = segment.published().position;
            assert!(segment.device_end() >= end, "{segment:?} is written");
            let file = rig.disk.open(&rig.segments[&segment.generation], OpenMode::Read).expect("a segment's file");
            let mut position = 4096;
            let mut offset = segment.base_offset;
            let mut memory = crate::manifest::Scratch::zeroed(end as usize).expect("memory");
            assert!(crate::io::read_full(&*file, 0, memory.bytes_mut()).expect("memory reads"));
            let bytes = memory.bytes();
            while position < end {
                let place = crate::format::frame::Place {
                    partition: segment.partition,
                    generation: segment.generation,
                    position,
                    segment_base: segment.base_offset,
                };
                let header = crate::format::frame::verify(&bytes[position as usize..], &place).expect("a whole frame");
                assert_eq!(header.base_offset, offset, "offsets follow each other");
                offset = header.end_offset();
                position += u64::from(header.size);
            }
            assert_eq!(offset, segment.published().offset);
        }
    }
}

#[test]
fn everything_appended_is_acknowledged_and_reaches_its_file() {
    for seed in 1..40 {
        let mut rig = Rig::new(seed);
        let tails: Vec<_> = (0..5).map(|p| rig.tail(p)).collect();
        let mut last = vec![0; tails.len()];
        for _ in 0..400 {
            let at = rig.random(tails.len() as u64) as usize;
            let size = match rig.random(10) {
                0 => rig.random(200_000),
                1 | 2 => rig.random(20_000),
                _ => rig.random(300),
            };
            let appended = rig.append(&tails[at], size as usize).expect("an append");
            last[at] = appended.end.offset;
            for _ in 0..rig.random(6) {
                rig.step();
            }
            assert!(tails[at].watermark().durable() <= last[at]);
        }
        rig.settle();
        for (tail, last) in tails.iter().zip(&last) {
            assert_eq!(tail.watermark().durable(), *last, "seed {seed}: all is acknowledged at rest");
        }
        rig.handle.send(Message::Close);
        rig.settle();
        assert!(rig.shard.is_closed() && rig.shard.is_clean(), "seed {seed}: the shard closes");
        assert_in_files(&rig, &tails);
        assert!(tails.iter().all(|t| t.active().is_empty()), "all segments are sealed");
        rig.keeper.0.lock().expect("no panics").clear();
    }
}

#[test]
fn small_appends_go_through_the_journal_and_free_it_again() {
    let mut rig = Rig::new(3);
    let tails: Vec<_> = (0..8).map(|p| rig.tail(p)).collect();
    for round in 0..2000 {
        for tail in &tails {
            rig.append(tail, 100).expect("an append");
        }
        for _ in 0..8 {
            rig.step();
        }
        if round % 100 == 99 {
            rig.settle();
        }
    }
    rig.settle();
    assert!(rig.checkpoints > 3, "journal files went round: {} checkpoints", rig.checkpoints);
    assert!(rig.shard.journal.files().iter().any(|f| f.uses > 3), "files were used again");
    rig.handle.send(Message::Close);
    rig.settle();
    assert_in_files(&rig, &tails);
}

#[test]
fn a_failing_journal_costs_nobody_anything() {
    for seed in 1..20 {
        let mut rig = Rig::new(seed);
        let tails: Vec<_> = (0..4).map(|p| rig.tail(p)).collect();
        let mut last = 0;
        for round in 0..300 {
            if round == 100 {
                rig.failing = Some("journal/");
            }
            if round == 200 {
                rig.failing = None;
            }
            for tail in &tails {
                last = rig.append(tail, 200).expect("an append").end.offset;
            }
            for _ in 0..rig.random(10) {
                rig.step();
            }
        }
        rig.settle();
        assert!(tails.iter().all(|t| t.watermark().durable() == last), "seed {seed}");
        rig.handle.send(Message::Close);
        rig.settle();
        assert!(rig.shard.is_clean(), "seed {seed}");
        assert_in_files(&rig, &tails);
    }
}

#[test]
fn a_failed_segment_write_fails_its_partition_alone() {
    for seed in 1..20 {
        let mut rig = Rig::new(seed);
        let (bad, good) = (rig.tail(0), rig.tail(1));
        rig.append(&bad, 100).expect("an append");
        rig.settle();
        let durable = bad.watermark().durable();
        rig.failing = Some("segments/1");
        let mut refused = None;
        for _ in 0..200 {
            let size = rig.random(30_000) as usize;
            if let Err(error) = rig.append(&bad, size) {
                refused = Some(error);
            }
            rig.append(&good, 300).expect("the other partition goes on");
            rig.step();
        }
        rig.settle();
        let refused = refused.expect("appends are refused");
        assert_eq!(refused.kind(), crate::ErrorKind::PartitionFailed, "{refused}");
        assert!(bad.watermark().failure().is_some(), "who waits is told");
        assert!(bad.watermark().durable() >= durable);
        assert_eq!(good.watermark().durable(), 200, "seed {seed}");
        rig.handle.send(Message::Close);
        rig.settle();
        assert!(rig.shard.is_closed() && !rig.shard.is_clean(), "seed {seed}: closed, and not clean");
        assert_in_files(&rig, &[good]);
    }
}

#[test]
fn a_quiet_partition_is_written_testified_and_gives_its_memory_back() {
    let mut rig = Rig::new(1);
    let tail = rig.tail(0);
    rig.append(&tail, 100).expect("an append");
    rig.settle();
    while let Some(at) = rig.shard.next_deadline() {
        rig.now = at;
        rig.settle();
    }
    assert_eq!(tail.snapshot().block, None, "no block is held");
    let segment = tail.active()[0].clone();
    assert_eq!(segment.device_end(), segment.published().position);
    assert!(rig.checkpoints > 0 || rig.shard.journal.next_lsn() > 1, "its durable offset is on the device");
}
