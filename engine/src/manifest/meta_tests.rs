//! Requests and their files, on a disk that stops and fills up.

use std::sync::Arc;

use crate::durability::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::format::segment::{SEGMENT_HEADER_SIZE, SegmentHeader};
use crate::ids::{DurablePrimitive, Generation, Lsn, PartitionId, TopicId};
use crate::io::{File, read_full};
use crate::manifest::memory::{MemoryDisk, TestEnvironment};
use crate::manifest::{
    ManifestStore, MetaDone, MetaOptions, MetaOrder, MetaRequest, MetaStore, Scratch, SegmentEnd, names,
};

const SIZE: u64 = 64 << 10;
const OPTIONS: MetaOptions = MetaOptions { journal_file_size: 2 << 20, pool_files: 2 };

fn create(disk: &MemoryDisk) -> MetaStore {
    let environment = Arc::new(TestEnvironment::default());
    let store = ManifestStore::create(Arc::new(disk.clone()), environment, DurablePrimitive::DurableWrite);
    MetaStore::open(store.expect("an empty disk"), OPTIONS).expect("a fresh store")
}

fn reopen(disk: &MemoryDisk) -> MetaStore {
    let store = ManifestStore::load(Arc::new(disk.clone()), Arc::new(TestEnvironment::starting(1000)));
    MetaStore::open(store.expect("a store"), OPTIONS).expect("an open store")
}

fn run(store: &mut MetaStore, orders: Vec<MetaOrder>) -> Vec<Result<MetaDone>> {
    let requests = orders.into_iter().enumerate().map(|(i, order)| MetaRequest { ticket: i as u64, order }).collect();
    let mut responses = store.run(requests);
    responses.sort_by_key(|r| r.ticket);
    responses.into_iter().map(|r| r.result).collect()
}

fn one(store: &mut MetaStore, order: MetaOrder) -> Result<MetaDone> {
    run(store, vec![order]).pop().expect("one answer")
}

fn create_topic(name: &str) -> MetaOrder {
    MetaOrder::CreateTopic { name: name.into(), partitions: 4, durability: Durability::Durable }
}

fn topic(store: &mut MetaStore, name: &str) -> TopicId {
    match one(store, create_topic(name)) {
        Ok(MetaDone::TopicCreated { topic }) => topic,
        _ => panic!("a topic"),
    }
}

fn partition(topic: TopicId) -> PartitionId {
    PartitionId { topic, partition: 1 }
}

fn prepare(store: &mut MetaStore, partition: PartitionId) -> (u32, Generation, Arc<dyn File>) {
    match one(store, MetaOrder::PrepareSegment { partition, size: SIZE }) {
        Ok(MetaDone::SegmentPrepared { sequence, generation, file, capacity }) => {
            assert_eq!(capacity, SIZE - 4096);
            (sequence, generation, file)
        }
        _ => panic!("a segment"),
    }
}

fn activate(partition: PartitionId, sequence: u32, generation: Generation) -> MetaOrder {
    MetaOrder::ActivateSegment { partition, sequence, generation, base_offset: 7, base_time: 9, gap: false }
}

fn kind(result: Result<MetaDone>) -> Option<ErrorKind> {
    result.err().as_ref().map(Error::kind)
}

#[test]
fn a_segment_from_its_file_to_its_seal() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk);
    let p = partition(topic(&mut store, "orders"));
    let (sequence, generation, file) = prepare(&mut store, p);
    let (next, _, _) = prepare(&mut store, p);
    assert_eq!((sequence, next), (0, 1));
    one(&mut store, activate(p, sequence, generation)).expect("activated");
    let mut sector = Scratch::zeroed(SEGMENT_HEADER_SIZE).expect("memory");
    assert!(read_full(&*file, 0, sector.bytes_mut()).expect("a read"));
    let header = SegmentHeader::parse(sector.bytes()).expect("a header");
    let known = *store.image().partitions[&p].find(generation).expect("in the manifest");
    assert_eq!(known.header(store.image().store, p), header);
    let end = SegmentEnd { position: 8192, offset: 9, time: 10 };
    let footer = vec![5; 4096];
    one(&mut store, MetaOrder::SealSegment { partition: p, generation, end, footer }).expect("sealed");
    assert_eq!(store.image().partitions[&p].find(generation).and_then(|s| s.end()), Some(end));
    assert!(matches!(one(&mut store, MetaOrder::CloseClean), Ok(MetaDone::Closed { clean: true })));
    let reopened = reopen(&disk);
    assert!(reopened.image().clean);
    // The file that was prepared and never activated waits in the pool; the other is where it was.
    assert!(disk.exists(&names::segment(p, 0)) && !disk.exists(&names::segment(p, 1)));
    assert!(disk.exists(&names::pooled(1)));
}

#[test]
fn a_change_after_a_clean_mark_takes_it_back() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk);
    one(&mut store, MetaOrder::CloseClean).expect("closed");
    topic(&mut store, "late");
    assert!(!store.image().clean);
}

#[test]
fn an_open_segment_is_not_clean() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk);
    let p = partition(topic(&mut store, "orders"));
    let (sequence, generation, _) = prepare(&mut store, p);
    one(&mut store, activate(p, sequence, generation)).expect("activated");
    assert!(matches!(one(&mut store, MetaOrder::CloseClean), Ok(MetaDone::Closed { clean: false })));
}

#[test]
fn one_that_fails_does_not_take_the_others_along() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk);
    let t = topic(&mut store, "orders");
    disk.hook(|op, path| (op == "reserve" && path.starts_with("segments/")).then_some(libc::ENOSPC));
    let mut results = run(
        &mut store,
        vec![
            MetaOrder::PrepareSegment { partition: partition(t), size: SIZE },
            create_topic("more"),
            create_topic("more"),
            create_topic("strange/name"),
            MetaOrder::AddPartitions { topic: t, total: 2 },
            MetaOrder::PrepareSegment { partition: PartitionId { topic: t, partition: 4 }, size: SIZE },
            MetaOrder::PrepareSegment { partition: partition(TopicId(77)), size: SIZE },
        ],
    )
    .into_iter();
    let mut next = || results.next().expect("an answer for each");
    assert_eq!(kind(next()), Some(ErrorKind::NoSpace));
    assert!(matches!(next(), Ok(MetaDone::TopicCreated { .. })));
    assert_eq!(kind(next()), Some(ErrorKind::AlreadyExists));
    assert_eq!(kind(next()), Some(ErrorKind::InvalidArgument));
    assert_eq!(kind(next()), Some(ErrorKind::InvalidArgument));
    assert_eq!(kind(next()), Some(ErrorKind::NotFound));
    assert_eq!(kind(next()), Some(ErrorKind::NotFound));
    assert!(!disk.exists(&names::segment(partition(t), 0)), "what could not be reserved is gone");
    disk.unhook();
    assert_eq!(prepare(&mut store, partition(t)).0, 0);
}

#[test]
fn a_batch_costs_one_commit() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk);
    let commits = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = Arc::clone(&commits);
    disk.hook(move |op, path| {
        let commit = op == "write_durable" && path == names::log(1);
        count.fetch_add(u64::from(commit), std::sync::atomic::Ordering::Relaxed);
        None
    });
    run(&mut store, (0..50).map(|i| create_topic(&format!("t{i}"))).collect());
    assert_eq!(commits.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(store.image().topics.len(), 50);
}

#[test]
fn a_deleted_topics_files_are_recycled_unless_they_are_in_use() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk);
    let t = topic(&mut store, "orders");
    let first = prepare(&mut store, partition(t));
    let mut held = None;
    for _ in 0..2 {
        let (sequence, generation, file) = prepare(&mut store, partition(t));
        one(&mut store, activate(partition(t), sequence, generation)).expect("activated");
        held = Some(file);
    }
    let old = first.1;
    drop(first);
    one(&mut store, MetaOrder::DeleteTopic { topic: t }).expect("deleted");
    assert_eq!(kind(one(&mut store, MetaOrder::DeleteTopic { topic: t })), Some(ErrorKind::Deleted));
    assert!(disk.paths().iter().all(|path| !path.starts_with("segments/")), "{:?}", disk.paths());
    assert_eq!(disk.paths().iter().filter(|path| path.starts_with("pool/")).count(), 2, "the held file is removed");
    drop(held);
    let t = topic(&mut store, "orders");
    assert_eq!(t, TopicId(2), "a number is never used again");
    let (_, generation, _) = prepare(&mut store, partition(t));
    assert_ne!(generation, old);
    assert_eq!(disk.paths().iter().filter(|path| path.starts_with("pool/")).count(), 1, "one came from the pool");
}

#[test]
fn a_deletion_stopped_anywhere_is_finished_or_never_began() {
    for stop in 0.. {
        let disk = MemoryDisk::new();
        let mut store = create(&disk);
        let t = topic(&mut store, "orders");
        for _ in 0..4 {
            let (sequence, generation, _) = prepare(&mut store, partition(t));
            one(&mut store, activate(partition(t), sequence, generation)).expect("activated");
        }
        disk.stop_after(stop);
        let answered = one(&mut store, MetaOrder::DeleteTopic { topic: t }).is_ok();
        let finished = disk.paths().iter().all(|path| !path.starts_with("segments/"));
        disk.unhook();
        let store = reopen(&disk);
        let segments = disk.paths().iter().filter(|path| path.starts_with("segments/")).count();
        if store.image().topics.contains_key(&t) {
            assert!(!answered);
            assert_eq!(segments, 4, "stop {stop}");
        } else {
            assert_eq!(segments, 0, "stop {stop}");
        }
        if finished {
            return;
        }
    }
}

#[test]
fn a_segment_stopped_anywhere_is_activated_with_its_header_or_not_at_all() {
    for stop in 0.. {
        let disk = MemoryDisk::new();
        let mut store = create(&disk);
        let p = partition(topic(&mut store, "orders"));
        disk.stop_after(stop);
        let prepared = one(&mut store, MetaOrder::PrepareSegment { partition: p, size: SIZE });
        let activated = match prepared {
            Ok(MetaDone::SegmentPrepared { sequence, generation, .. }) => {
                one(&mut store, activate(p, sequence, generation)).is_ok()
            }
            _ => false,
        };
        disk.unhook();
        let store = reopen(&disk);
        match store.image().partitions.get(&p).and_then(|known| known.segments.get(&0)) {
            Some(segment) => disk.edit(&names::segment(p, 0), |bytes| {
                let header = SegmentHeader::parse(&bytes[..4096]).expect("the header came first");
                assert_eq!(header.generation, segment.generation);
            }),
            None => assert!(!activated && !disk.exists(&names::segment(p, 0)), "stop {stop}"),
        }
        if activated {
            return;
        }
    }
}

#[test]
fn journal_files_are_written_before_they_have_a_name_and_used_again() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk);
    let Ok(MetaDone::JournalFilePrepared { number, file, size }) = one(&mut store, MetaOrder::PrepareJournalFile)
    else {
        panic!("a file")
    };
    assert_eq!((number, size, file.size().expect("a size")), (1, 2 << 20, 2 << 20));
    one(&mut store, MetaOrder::ReleaseJournalFile { number, reuse: true }).expect("released");
    let again = one(&mut store, MetaOrder::PrepareJournalFile);
    assert!(matches!(again, Ok(MetaDone::JournalFilePrepared { number: 1, .. })));
    let (generation, first_lsn, end_lsn) = (Generation(4), Lsn(1), Lsn(5));
    let order = MetaOrder::KeepJournalFile { shard: 0, number, generation, first_lsn, end_lsn };
    one(&mut store, order).expect("kept");
    // A file in the making, as a stop leaves it.
    use crate::io::Disk;
    disk.open(&names::journal_unfinished(9), crate::io::OpenMode::CreateNew).expect("a file");
    let mut store = reopen(&disk);
    assert!(!disk.exists(&names::journal_unfinished(9)));
    let next = one(&mut store, MetaOrder::PrepareJournalFile);
    assert!(matches!(next, Ok(MetaDone::JournalFilePrepared { number: 2, .. })), "a kept file is not idle");
    one(&mut store, MetaOrder::ReleaseJournalFile { number: 1, reuse: false }).expect("released");
    assert!(store.image().kept.is_empty() && !disk.exists(&names::journal(1)));
}

#[test]
fn a_manifest_that_fails_fails_what_depends_on_it_only() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk);
    let p = partition(topic(&mut store, "orders"));
    let (sequence, generation, _) = prepare(&mut store, p);
    one(&mut store, activate(p, sequence, generation)).expect("activated");
    disk.hook(|op, path| (op == "write_durable" && path.ends_with(".log")).then_some(libc::EIO));
    let mut results =
        run(&mut store, vec![create_topic("other"), MetaOrder::OpenSegmentFile { partition: p, generation }]);
    assert!(results.pop().expect("an answer").is_ok());
    assert_eq!(kind(results.pop().expect("an answer")), Some(ErrorKind::Io));
    disk.unhook();
    assert_eq!(kind(one(&mut store, create_topic("other"))), Some(ErrorKind::Io), "poisoned");
}

#[test]
fn topics_are_named_as_the_readme_says() {
    let disk = MemoryDisk::new();
    let mut store = create(&disk);
    for good in ["a", "A.b_c-9", &"x".repeat(249), "..."] {
        assert!(one(&mut store, create_topic(good)).is_ok(), "{good}");
    }
    for bad in ["", ".", "..", "a b", "ä", "a/b", &"x".repeat(250)] {
        assert_eq!(kind(one(&mut store, create_topic(bad))), Some(ErrorKind::InvalidArgument), "{bad}");
    }
}
