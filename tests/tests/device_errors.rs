//! EIO through a real ring: a file that this test serves by FUSE, a loop device over it, a file system on that, and a
//! store there. The file refuses what carries a mark. Needs root; the lane `loop` that runs it is skipped without.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use thalweg::{Engine, ErrorKind, EventKind, Options, Record, Runtime, Target, Topic, TopicOptions};
use thalweg_tests::ledger;
use thalweg_tests::mount::{self, Mounted};

const SIZE: u64 = 500 << 20;
/// What a transfer carries that is to fail: nothing else on the device has these bytes.
const MARK: [u8; 16] = *b"\xf1this transfer\xf2\xf3";

/// What fails at the moment.
#[derive(Default)]
struct Faults {
    writes: AtomicBool,
    reads: AtomicBool,
    flushes: AtomicBool,
}

/// The file system: one file.
struct OneFile {
    image: File,
    faults: Arc<Faults>,
}

const IMAGE: INodeNo = INodeNo(2);
const FOR_LONG: Duration = Duration::from_secs(3600);

fn attributes(ino: INodeNo) -> FileAttr {
    let directory = ino == INodeNo::ROOT;
    FileAttr {
        ino,
        size: if directory { 0 } else { SIZE },
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: if directory { FileType::Directory } else { FileType::RegularFile },
        perm: if directory { 0o755 } else { 0o644 },
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn marked(bytes: &[u8]) -> bool {
    bytes.chunks(512).any(|sector| sector.windows(MARK.len()).any(|window| window == MARK))
}

impl Filesystem for OneFile {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if parent == INodeNo::ROOT && name == "image" {
            reply.entry(&FOR_LONG, &attributes(IMAGE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOR_LONG, &attributes(ino));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // No cache of the kernel's in between.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut bytes = vec![0; size as usize];
        match self.image.read_at(&mut bytes, offset) {
            Ok(_) if self.faults.reads.load(Ordering::SeqCst) && marked(&bytes) => reply.error(Errno::EIO),
            Ok(got) => reply.data(&bytes[..got]),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let fails = self.faults.writes.load(Ordering::SeqCst) && marked(data);
        match fails {
            false if self.image.write_all_at(data, offset).is_ok() => reply.written(data.len() as u32),
            _ => reply.error(Errno::EIO),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        if self.faults.flushes.load(Ordering::SeqCst) { reply.error(Errno::EIO) } else { reply.ok() }
    }
}

/// The store's device; taken down in the order of its fields.
struct Device {
    mounted: Mounted,
    session: Option<BackgroundSession>,
    faults: Arc<Faults>,
    _dir: tempfile::TempDir,
}

impl Device {
    /// `None`: it cannot be had here, and why was said.
    fn new() -> Option<Device> {
        if !mount::permitted() || !mount::kernel_has("fuse") {
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let image = File::options().read(true).write(true).create(true).truncate(true).open(dir.path().join("bytes"));
        let image = image.expect("a file for the bytes");
        image.set_len(SIZE).expect("sparse");
        let at = dir.path().join("fuse");
        std::fs::create_dir(&at).expect("a mount point");
        let faults = Arc::new(Faults::default());
        let served = OneFile { image, faults: Arc::clone(&faults) };
        let session = fuser::spawn_mount(served, &at, &Config::default()).expect("FUSE works here");
        let mounted = Mounted::on("ext4", &at.join("image"));
        Some(Device { mounted, session: Some(session), faults, _dir: dir })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        for fault in [&self.faults.writes, &self.faults.reads, &self.faults.flushes] {
            fault.store(false, Ordering::SeqCst);
        }
        self.mounted.take_down();
        if let Some(session) = self.session.take() {
            // Its directory is a temporary one.
            let _ = session.umount_and_join();
        }
    }
}

fn open(path: &Path, runtime: Runtime) -> Engine {
    let options = Options::default().runtime(runtime).shards(1).memory_budget(64 << 20).segment_size(4 << 20);
    Engine::open(path, options).expect("the store opens")
}

fn append(topic: &Topic, partition: u32, sequence: u64, size: usize) -> thalweg::Result<u64> {
    let value = ledger::value(partition, sequence, 0, 1, size);
    topic.append_batch(Target::Partition(partition), &[Record::new(&value)]).map(|at| at.base_offset)
}

/// What was told of since the last call: refused operations, each once, and partitions that failed.
fn told(engine: &Engine) -> (Vec<&'static str>, Vec<u32>) {
    let events = engine.events();
    let (mut operations, mut failed) = (Vec::new(), Vec::new());
    while let Some(event) = events.try_next() {
        match event.kind {
            EventKind::IoError { operation, error, file, .. } => {
                // After a failed flush the file system turns read-only by itself.
                assert!(matches!(error.os_code(), Some(libc::EIO | libc::EROFS)), "{operation} of {file}: {error}");
                operations.push(operation);
            }
            EventKind::PartitionFailed { topic, partition, .. } => {
                assert_eq!(topic, "t");
                failed.push(partition);
            }
            EventKind::Damage(range) => panic!("{range} are not damaged"),
            _ => {}
        }
    }
    operations.dedup();
    failed.sort_unstable();
    (operations, failed)
}

fn marked_value(size: usize) -> Vec<u8> {
    MARK.iter().copied().cycle().take(size).collect()
}

fn a_write_fails(device: &Device, runtime: Runtime) {
    let store = device.mounted.path().join(format!("write-{runtime}"));
    let engine = open(&store, runtime);
    let topic = engine.create_topic("t", TopicOptions::default().partitions(3)).expect("a topic");
    for sequence in 0..10 {
        for partition in 0..3 {
            append(&topic, partition, sequence, 30_000).expect("appended");
        }
    }
    device.faults.writes.store(true, Ordering::SeqCst);
    let value = marked_value(60_000);
    let refused = topic.append_batch(Target::Partition(0), &[Record::new(&value)]).expect_err("the device refuses");
    assert!(matches!(refused.kind(), ErrorKind::Io | ErrorKind::PartitionFailed), "{refused:?}");
    assert_eq!(told(&engine), (vec!["write"], vec![0]));
    let after = append(&topic, 0, 10, 30_000).expect_err("the partition refuses");
    assert_eq!(after.kind(), ErrorKind::PartitionFailed, "{after}");
    // Others go on, and what is durable is readable.
    for sequence in 10..20 {
        append(&topic, 1, sequence, 30_000).expect("appended");
        append(&topic, 2, sequence, 500).expect("appended");
    }
    assert_eq!(ledger::check(&topic, 0).next[&0], 10);
    assert_eq!(told(&engine), (vec![], vec![]), "the others have nothing to tell");
    device.faults.writes.store(false, Ordering::SeqCst);
    let after = append(&topic, 0, 10, 30_000).expect_err("until the next open, whatever the device does now");
    assert_eq!(after.kind(), ErrorKind::PartitionFailed, "{after}");
    assert_eq!(engine.close().expect_err("not clean").kind(), ErrorKind::PartitionFailed);

    let engine = open(&store, runtime);
    let topic = engine.topic("t").expect("the topic");
    append(&topic, 0, 10, 30_000).expect("appended again");
    let ends: Vec<u64> = (0..3).map(|partition| ledger::check(&topic, partition).next[&partition]).collect();
    assert_eq!(ends, [11, 20, 20]);
    engine.close().expect("a clean close");
}

fn a_read_fails(device: &Device, runtime: Runtime) {
    let store = device.mounted.path().join(format!("read-{runtime}"));
    let engine = open(&store, runtime);
    let topic = engine.create_topic("t", TopicOptions::default().partitions(2)).expect("a topic");
    // Each has a block of its own.
    for sequence in 0..9 {
        let value = if sequence == 4 { marked_value(200_000) } else { ledger::value(0, sequence, 0, 1, 200_000) };
        topic.append_batch(Target::Partition(0), &[Record::new(&value)]).expect("appended");
        append(&topic, 1, sequence, 3000).expect("appended");
    }
    engine.close().expect("a clean close");

    let engine = open(&store, runtime);
    let topic = engine.topic("t").expect("the topic");
    device.faults.reads.store(true, Ordering::SeqCst);
    let refused = topic.read(0, 4, 1).expect_err("the device refuses");
    assert_eq!((refused.kind(), refused.os_code()), (ErrorKind::Io, Some(libc::EIO)), "{refused:?}");
    assert_eq!(told(&engine), (vec!["read"], vec![]));
    let range = refused.damaged().expect("the offsets are named").clone();
    assert_eq!((range.topic.as_str(), range.partition, range.start, range.end), ("t", 0, 4, 5), "{refused}");
    let report = engine.verify(|_| ()).expect("verification goes on");
    assert_eq!((&report.damaged[..], report.records), (&[range][..], 17));
    for offset in [0, 3, 5, 8] {
        assert_eq!(topic.read(0, offset, 1).expect("the rest is readable").next_offset(), offset + 1);
    }
    assert_eq!(ledger::check(&topic, 1).next[&1], 9);
    append(&topic, 0, 9, 3000).expect("and appends go on");
    device.faults.reads.store(false, Ordering::SeqCst);
    assert_eq!(topic.read(0, 4, 1).expect("the device reads again").next_offset(), 5);
    engine.close().expect("a clean close");
}

/// A flush that fails takes the file system with it, so this comes last.
fn a_flush_fails(device: &Device) {
    let store = device.mounted.path().join("flush");
    let engine = open(&store, Runtime::Auto);
    let topic = engine.create_topic("t", TopicOptions::default().partitions(2)).expect("a topic");
    for sequence in 0..10 {
        append(&topic, 0, sequence, 30_000).expect("appended");
        append(&topic, 1, sequence, 300).expect("appended");
    }
    device.faults.flushes.store(true, Ordering::SeqCst);
    append(&topic, 0, 10, 30_000).expect_err("nothing is acknowledged that was not flushed");
    append(&topic, 1, 10, 300).expect_err("nor through the journal");
    let (operations, failed) = told(&engine);
    assert!(operations.contains(&"write") || operations.contains(&"flush"), "{operations:?}");
    assert_eq!(failed, [0, 1]);
    device.faults.flushes.store(false, Ordering::SeqCst);
    append(&topic, 0, 10, 30_000).expect_err("and a later flush is not trusted");
    assert_eq!(ledger::check(&topic, 0).next[&0], 10);
    assert_eq!(ledger::check(&topic, 1).next[&1], 10);
    engine.close().expect_err("not clean");
    // It keeps its files open.
    drop(topic);

    assert!(device.mounted.unmount(), "nobody uses it any more");
    device.mounted.mount();
    let engine = open(&store, Runtime::Auto);
    let report = engine.info().recovery;
    assert!(report.damaged.is_empty() && report.unavailable.is_empty(), "{report:?}");
    let topic = engine.topic("t").expect("the topic");
    for partition in 0..2 {
        assert!(ledger::check(&topic, partition).next[&partition] >= 10);
    }
    engine.close().expect("a clean close");
}

#[test]
fn device_errors_through_a_real_ring() {
    let Some(device) = Device::new() else { return };
    for runtime in [Runtime::Auto, Runtime::Posix] {
        a_write_fails(&device, runtime);
        a_read_fails(&device, runtime);
    }
    a_flush_fails(&device);
}
