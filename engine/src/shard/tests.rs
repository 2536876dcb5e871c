//! The shard by itself: a disk in memory, answers in any order, and every byte accounted for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use super::*;
use crate::buffer::{Budget, HeapMemory, Pool, Share};
use crate::durability::Durability;
use crate::error::Result;
use crate::events::{EventKind, Events, Fallback};
use crate::format::plan::Plan;
use crate::format::record::Record;
use crate::ids::TopicId;
use crate::io::{Disk, File, OpenMode};
use crate::manifest::memory::{MemoryDisk, TestEnvironment};
use crate::manifest::{MetaDone, MetaOrder};
use crate::segment::Chain;
use crate::tail::{Appended, Refusal, Tail, TailStart};

#[derive(Default)]
struct Keeper(Mutex<Vec<(Arc<Block>, bool)>>, Mutex<Vec<Generation>>);

impl Keep for Keeper {
    fn keep(&self, _: &Arc<Segment>, block: Arc<Block>, followed: bool) {
        block.retire_to_cache(followed);
        self.0.lock().expect("no panics").push((block, followed));
    }

    fn keep_index(&self, segment: &Arc<Segment>) {
        self.1.lock().expect("no panics").push(segment.generation);
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
    fails_with: i32,
    by_file: Vec<(usize, String)>,
    /// Some transfers move a sector, or are interrupted.
    short: bool,
    /// What was moved, by the directory of the file, and how often something failed for good.
    moved: BTreeMap<String, u64>,
    failed: u64,
    events: Events,
    /// What the metadata thread answers instead.
    refused: Option<(fn(&MetaOrder) -> bool, Error)>,
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
        let keeper = Arc::<Keeper>::default();
        let events = Events::new(Arc::new(TestEnvironment::default()));
        let handle = Arc::new(ShardHandle::new(Some(events.clone())));
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
            fails_with: libc::EIO,
            by_file: Vec::new(),
            short: false,
            moved: BTreeMap::new(),
            failed: 0,
            events,
            refused: None,
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
        if let Some((_, error)) = self.refused.as_ref().filter(|(refuses, _)| refuses(&request.order)) {
            let result = Err(error.clone());
            return self.shard.meta_done(MetaResponse { ticket: request.ticket, result });
        }
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
            MetaOrder::ProbeSpace { .. } => MetaDone::SpaceFound,
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
            let mut op = self.ops.remove(at).expect("an index below the length");
            let fails = self.failing.is_some_and(|part| self.name(&op.file).contains(part));
            let how = if self.short { self.random(4) } else { 0 };
            op.size = if how == 1 { op.size.min(4096) } else { op.size };
            let result = match how {
                _ if fails => Err(std::io::Error::from_raw_os_error(self.fails_with)),
                2 => Err(std::io::Error::from_raw_os_error(libc::EINTR)),
                _ => op.run(),
            };
            let directory = self.name(&op.file).split('/').next().expect("a path").to_owned();
            *self.moved.entry(directory).or_default() += *result.as_ref().unwrap_or(&0) as u64;
            self.failed += u64::from(fails);
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
                Err(Refusal::Failed(error) | Refusal::Full(_, error)) => return Err(error),
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
        assert_eq!(*rig.keeper.1.lock().expect("no panics"), rig.sealed, "seed {seed}: their indexes may be dropped");
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
fn blocks_are_kept_as_followed_until_so_much_was_written_that_nobody_read() {
    let mut rig = Rig::new(5);
    let tail = rig.tail(0);
    let most = rig.pool.budget().limits().cache;
    let write = |rig: &mut Rig, size: usize| {
        let mut kept = Vec::new();
        for _ in 0..size.div_ceil(100_000) {
            rig.append(&tail, 100_000).expect("an append");
            rig.settle();
            kept.extend(rig.keeper.0.lock().expect("no panics").drain(..).map(|(_, followed)| followed));
        }
        assert!(kept.len() > 2, "blocks were written");
        kept
    };
    assert!(write(&mut rig, 4 << 20).iter().all(|followed| !followed), "nobody ever read");
    tail.follow();
    let kept = write(&mut rig, 2 * most);
    assert!(kept.is_sorted_by(|a, b| a >= b), "followed at first, and then no more");
    assert!(kept[0] && !kept[kept.len() - 1]);
    tail.follow();
    assert!(write(&mut rig, most / 4).iter().all(|followed| *followed), "a reader came back");
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

/// A sync of a later segment used to count for what an earlier one had not even written, and to be repeated until that
/// was.
#[test]
fn a_later_segment_is_durable_after_the_one_before_it() {
    for (held, code) in [("segments/1", libc::EMFILE), ("segments/2", libc::EMFILE)] {
        let mut rig = Rig::new(1);
        let start = TailStart {
            partition: PartitionId { topic: TopicId(1), partition: 0 },
            durability: Durability::LoseOnPowerCut,
            next_offset: 0,
            last_time: 0,
        };
        let tail = Arc::new(Tail::new(start, Arc::clone(&rig.pool), Arc::new(Chain::new(Vec::new()))));
        (rig.failing, rig.fails_with) = (Some(held), code);
        while rig.segments.len() < 3 || tail.active().len() < 2 {
            rig.append(&tail, 5_000).expect("accepted");
        }
        let last = rig.append(&tail, 5_000).expect("accepted").end.offset;
        let first_end = tail.active()[0].closed().expect("it was left").offset;
        tail.want_durable(last);
        rig.handle.announce(&tail);
        let moved = |rig: &Rig| rig.moved.get("segments").copied();
        rig.settle();
        let durable = tail.watermark().durable();
        assert!(
            durable < first_end || held == "segments/2" && durable == first_end,
            "{held}: {durable} of {first_end}"
        );
        let before = moved(&rig);
        rig.settle();
        assert_eq!(moved(&rig), before, "{held}");
        rig.failing = None;
        rig.now += 20_000_000;
        rig.settle();
        assert_eq!(tail.watermark().durable(), last, "{held}");
    }
}

/// A file that had to be opened again without a descriptor left used to fail its partition until the next open.
#[test]
fn what_has_no_descriptor_waits_until_there_is_one() {
    for seed in 1..20 {
        let mut rig = Rig::new(seed);
        let tails = [rig.tail(0), rig.tail(1)];
        for tail in &tails {
            rig.append(tail, 100).expect("an append");
        }
        rig.settle();
        (rig.failing, rig.fails_with) = (Some("segments/"), libc::EMFILE);
        let mut last = 0;
        for tail in &tails {
            last = rig.append(tail, 40_000).expect("accepted").end.offset;
        }
        for _ in 0..50 {
            rig.settle();
            rig.now = rig.shard.next_deadline().expect("it is tried again");
        }
        assert!(tails.iter().all(|t| t.watermark().durable() == 1 && t.watermark().failure().is_none()));
        let told = std::iter::from_fn(|| rig.events.try_next()).count();
        assert_eq!(told, 1, "seed {seed}");
        rig.failing = None;
        rig.now += 20_000_000;
        rig.settle();
        assert!(tails.iter().all(|t| t.watermark().durable() == last), "seed {seed}");
        rig.handle.send(Message::Close);
        rig.settle();
        assert!(rig.shard.is_clean(), "seed {seed}");
        assert_in_files(&rig, &tails);
    }
}

#[test]
fn a_segment_that_has_no_descriptor_is_named_once_there_is_one() {
    let mut rig = Rig::new(1);
    let tail = rig.tail(0);
    let none = Error::os("writing the header", &std::io::Error::from_raw_os_error(libc::ENFILE));
    rig.refused = Some((|order| matches!(order, MetaOrder::ActivateSegment { .. }), none));
    rig.append(&tail, 100).expect("accepted");
    for _ in 0..50 {
        rig.settle();
        rig.now = rig.shard.next_deadline().expect("it is tried again");
    }
    assert!(tail.watermark().durable() == 0 && tail.watermark().failure().is_none());
    assert_eq!(std::iter::from_fn(|| rig.events.try_next()).count(), 1);
    rig.refused = None;
    rig.now += 20_000_000;
    rig.settle();
    assert_eq!(tail.watermark().durable(), 1);
}

/// A close does not wait for ever: what was accepted and cannot be written is not acknowledged.
#[test]
fn a_close_without_descriptors_ends() {
    let mut rig = Rig::new(1);
    let (starved, good) = (rig.tail(0), rig.tail(1));
    rig.append(&starved, 100).expect("an append");
    rig.settle();
    rig.append(&good, 100).expect("an append");
    rig.settle();
    (rig.failing, rig.fails_with) = (Some("segments/1"), libc::EMFILE);
    rig.append(&starved, 40_000).expect("accepted");
    rig.handle.send(Message::Close);
    rig.settle();
    let begun = rig.now;
    while !rig.shard.is_closed() {
        rig.now = rig.shard.next_deadline().expect("it is tried again");
        rig.settle();
    }
    assert!((9_000_000_000..12_000_000_000).contains(&(rig.now - begun)), "{} ns", rig.now - begun);
    assert!(!rig.shard.is_clean() && starved.watermark().durable() == 1);
    let failure = starved.watermark().failure().expect("who waits is told");
    assert!(failure.message().contains("ulimit -n"), "{failure}");
    assert_eq!(good.watermark().durable(), 1);
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

/// What came in pieces, or was interrupted, is counted once; what failed is not counted as written.
#[test]
fn counts_are_those_of_whole_operations() {
    for seed in 1..20 {
        let mut rig = Rig::new(seed);
        rig.short = true;
        let tails: Vec<_> = (0..3).map(|p| rig.tail(p)).collect();
        for round in 0..200 {
            let size = if rig.random(8) == 0 { rig.random(300_000) } else { rig.random(300) };
            // A prefix: of all files that have it, the segment of the last partition fails.
            rig.failing = (round == 150).then_some("segments/1");
            let _refused_after_the_failure = rig.append(&tails[round % 3], size as usize);
            for _ in 0..rig.random(6) {
                rig.step();
            }
        }
        rig.failing = None;
        rig.settle();
        let counts = rig.handle.counts();
        let (journal, segments) = (counts.journal.get(), counts.direct.get() + counts.destaged.get());
        assert_eq!(counts.errors.get(), rig.failed, "seed {seed}");
        assert_eq!(Some(&journal), rig.moved.get("journal"), "seed {seed}");
        // An operation that moved a part and then failed is an error, not a write.
        let moved = rig.moved["segments"];
        assert!(segments == moved || (rig.failed > 0 && segments < moved), "seed {seed}: {segments} of {moved}");
        assert!(counts.destaged.get() <= journal, "seed {seed}: what is destaged was in the journal");
        assert_eq!(counts.queue.get(), 0, "seed {seed}: at rest");
        assert!((1..=64).contains(&counts.queue_most.get()), "seed {seed}");
        let latency = counts.durable_writes.totals();
        assert!(latency.buckets.iter().sum::<u64>() > 0 && latency.sum > 0, "seed {seed}");
    }
}

#[test]
fn what_goes_straight_to_its_segment_is_told_from_what_was_in_the_journal() {
    let mut rig = Rig::new(5);
    let tail = rig.tail(0);
    rig.append(&tail, 100).expect("an append");
    rig.settle();
    let counts = Arc::clone(&rig.handle);
    let counts = counts.counts();
    // Before there is a journal, and while it is alone, an append may go either way; from here on it is known.
    let direct = counts.direct.get();
    for _ in 0..20 {
        rig.append(&tail, 100).expect("an append");
        rig.settle();
    }
    assert_eq!(counts.direct.get(), direct, "small appends go through the journal");
    let before = counts.destaged.get();
    rig.append(&tail, 100_000).expect("an append");
    rig.settle();
    assert!(counts.direct.get() - direct >= 100_000, "a large one does not");
    assert!(counts.destaged.get() > before, "and takes what lay before it in its sectors along");
}

fn told(rig: &Rig) -> Vec<EventKind> {
    std::iter::from_fn(|| rig.events.try_next()).map(|event| event.kind).collect()
}

#[test]
fn a_failed_write_is_told_with_its_file_and_then_its_partition() {
    let mut rig = Rig::new(7);
    rig.events.name(TopicId(1), &Arc::from("orders"));
    let tail = rig.tail(2);
    rig.append(&tail, 100).expect("an append");
    rig.settle();
    assert!(told(&rig).is_empty(), "nothing to tell while all is well");
    rig.failing = Some("segments/1");
    let _refused = (0..20).find_map(|_| rig.append(&tail, 100_000).err());
    rig.settle();
    let told = told(&rig);
    let [EventKind::IoError { operation: "write", file, error, .. }, rest @ ..] = &told[..] else { panic!("{told:?}") };
    assert_eq!(file, "segments/00000001/00002-00000001.segment");
    assert_eq!(error.os_code(), Some(libc::EIO));
    let failed: Vec<_> = rest.iter().filter(|kind| !matches!(kind, EventKind::IoError { .. })).collect();
    let [EventKind::PartitionFailed { topic, partition: 2, error, .. }] = &failed[..] else { panic!("{told:?}") };
    assert_eq!((topic.as_str(), error.kind()), ("orders", ErrorKind::PartitionFailed));
    assert_eq!(error.os_code(), Some(libc::EIO), "{error}");
}

#[test]
fn a_failing_journal_is_told_and_fails_no_partition() {
    let mut rig = Rig::new(9);
    let tail = rig.tail(0);
    for _ in 0..20 {
        rig.append(&tail, 100).expect("an append");
        rig.settle();
    }
    rig.failing = Some("journal/");
    rig.append(&tail, 100).expect("an append");
    rig.settle();
    let told = told(&rig);
    assert!(!told.is_empty());
    for kind in &told {
        let EventKind::IoError { operation: "write", file, .. } = kind else { panic!("{told:?}") };
        assert!(file.starts_with("journal/") && file.ends_with(".journal"), "{file}");
    }
}

#[test]
fn want_of_space_is_told_once_until_there_is_some() {
    let mut rig = Rig::new(11);
    let tails: Vec<_> = (0..3).map(|partition| rig.tail(partition)).collect();
    let full = Error::new(ErrorKind::NoSpace, "no space");
    for _ in 0..2 {
        rig.refused = Some((|order| matches!(order, MetaOrder::PrepareSegment { .. }), full.clone()));
        for tail in &tails {
            // Larger than what is left of any segment that is there.
            let refused = rig.append(tail, 6 << 20).expect_err("there is no space");
            assert_eq!(refused.kind(), ErrorKind::NoSpace);
            rig.settle();
        }
        let told = told(&rig);
        let [EventKind::NoSpace { partition: 0, .. }] = &told[..] else { panic!("{told:?}") };
        rig.refused = None;
        // What was asked for while there was none is answered first.
        let again = (0..3).find(|_| rig.append(&tails[0], 6 << 20).is_ok());
        assert!(again.is_some(), "there is space again");
        rig.settle();
        let told = self::told(&rig);
        let [EventKind::SpaceAvailable { partition: 0, .. }] = &told[..] else { panic!("{told:?}") };
    }
}

/// Nobody but appends asked whether there is space again, so that a host had to try for ever.
#[test]
fn space_that_comes_back_is_told_without_an_append() {
    let mut rig = Rig::new(12);
    let tails = [rig.tail(0), rig.tail(1)];
    let full = Error::new(ErrorKind::NoSpace, "no space");
    let needs_space =
        |order: &MetaOrder| matches!(order, MetaOrder::PrepareSegment { .. } | MetaOrder::ProbeSpace { .. });
    rig.refused = Some((needs_space, full.clone()));
    rig.append(&tails[1], 6 << 20).expect_err("there is no space");
    rig.settle();
    assert!(matches!(told(&rig)[..], [EventKind::NoSpace { partition: 1, .. }]));
    let begun = rig.now;
    for _ in 0..20 {
        rig.now = rig.shard.next_deadline().expect("it is looked for");
        rig.settle();
    }
    assert!((19..22).contains(&((rig.now - begun) / 1_000_000_000)), "once a second: {} ns", rig.now - begun);
    assert!(told(&rig).is_empty());
    // Space for something smaller is not what was wanted.
    rig.refused = Some((|order| matches!(order, MetaOrder::ProbeSpace { .. }), full));
    rig.append(&tails[0], 100).expect("there is space for this");
    rig.settle();
    assert!(told(&rig).is_empty());
    rig.refused = None;
    rig.now += 1_100_000_000;
    rig.settle();
    let events = told(&rig);
    let [EventKind::SpaceAvailable { partition: 1, .. }] = &events[..] else { panic!("{events:?}") };
    // Then nobody looks any more, and a close has nothing to wait for.
    rig.refused = Some((needs_space, Error::new(ErrorKind::NoSpace, "no space")));
    rig.append(&tails[1], 6 << 20).expect_err("there is no space");
    rig.handle.send(Message::Close);
    rig.settle();
    assert!(rig.shard.is_closed() && rig.shard.next_deadline().is_none_or(|at| at < rig.now + 100_000_000));
}

/// The first append after the event answered for the time before it; a host that waited for the next event waited for ever.
#[test]
fn after_space_was_told_no_append_answers_for_the_time_before() {
    let mut rig = Rig::new(14);
    let tails = [rig.tail(0), rig.tail(1)];
    let needs_space =
        |order: &MetaOrder| matches!(order, MetaOrder::PrepareSegment { .. } | MetaOrder::ProbeSpace { .. });
    let value = vec![7; 6 << 20];
    let record = [Record::new(&value)];
    let plan = Plan::new(&record).expect("a plan");
    for _ in 0..2 {
        rig.refused = Some((needs_space, Error::new(ErrorKind::NoSpace, "no space")));
        for tail in &tails {
            rig.append(tail, 6 << 20).expect_err("there is no space");
            rig.settle();
        }
        assert!(matches!(told(&rig)[..], [EventKind::NoSpace { partition: 0, .. }]), "each refusal is in a pair");
        rig.refused = None;
        rig.now += 1_100_000_000;
        rig.settle();
        assert!(matches!(told(&rig)[..], [EventKind::SpaceAvailable { partition: 0, .. }]));
        for tail in &tails {
            let refusal = tail.append(&plan, &record, 1).map(|_| ());
            assert!(matches!(refusal, Err(Refusal::Segment(_))), "{refusal:?}");
        }
    }
}

/// Whoever needs less space does not wait until there is enough for another.
#[test]
fn space_is_told_when_it_suffices_for_the_smallest() {
    let mut rig = Rig::new(15);
    let (large, small) = (rig.tail(0), rig.tail(1));
    let full = Error::new(ErrorKind::NoSpace, "no space");
    rig.refused = Some((|order| matches!(order, MetaOrder::PrepareSegment { .. }), full.clone()));
    rig.append(&large, 6 << 20).expect_err("there is no space");
    rig.append(&small, 100).expect_err("there is no space");
    rig.settle();
    assert!(matches!(told(&rig)[..], [EventKind::NoSpace { partition: 0, .. }]));
    let not_for_large = |order: &MetaOrder| match order {
        MetaOrder::PrepareSegment { size, .. } | MetaOrder::ProbeSpace { size } => *size > 6 << 20,
        _ => false,
    };
    rig.refused = Some((not_for_large, full));
    rig.now += 1_100_000_000;
    rig.settle();
    assert!(matches!(told(&rig)[..], [EventKind::SpaceAvailable { .. }]));
    // The other learns that it does not suffice, and has an event to wait for again.
    rig.append(&large, 6 << 20).expect_err("there is no space");
    rig.settle();
    assert!(matches!(told(&rig)[..], [EventKind::NoSpace { partition: 0, .. }]));
}

#[test]
fn a_journal_that_cannot_be_made_is_told_once() {
    let mut rig = Rig::new(13);
    let full = Error::new(ErrorKind::NoSpace, "no space");
    rig.refused = Some((|order| matches!(order, MetaOrder::PrepareJournalFile), full));
    let tail = rig.tail(0);
    for _ in 0..10 {
        rig.append(&tail, 100).expect("it goes to its segment");
        rig.settle();
    }
    let told = told(&rig);
    let [EventKind::Fallback { what: Fallback::NoJournal, reason, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(reason, "no space");
}

#[test]
fn a_refused_change_of_the_manifest_is_told() {
    let mut rig = Rig::new(15);
    let broken = Error::os("writing the manifest's log", &std::io::Error::from_raw_os_error(libc::EIO));
    rig.refused = Some((|order| matches!(order, MetaOrder::ActivateSegment { .. }), broken));
    let tail = rig.tail(0);
    rig.append(&tail, 100).expect("it is in memory");
    rig.settle();
    let told = told(&rig);
    let [EventKind::IoError { operation: "metadata", error, .. }, EventKind::PartitionFailed { .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(error.os_code(), Some(libc::EIO));
}
