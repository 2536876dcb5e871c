//! What both drivers have to do alike.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Bench, SOON, block, bytes, disk_in, pool, read, sync, transfer, write};
use crate::ids::DurablePrimitive;
use crate::io::{Descriptor, Disk, File, OpKind, OpenMode};

/// Each driver, each durable primitive, each kind of file system.
fn everywhere(run: impl Fn(&mut Bench, &dyn Disk)) {
    for parent in ["/tmp", "/dev/shm"] {
        for primitive in [DurablePrimitive::DurableWrite, DurablePrimitive::WriteThenSync] {
            for mut bench in [Bench::posix(), Bench::uring(primitive)] {
                let directory = tempfile::tempdir_in(parent).expect("a temporary directory");
                let disk = disk_in(directory.path());
                disk.set_durable(primitive);
                run(&mut bench, &disk);
            }
        }
    }
}

#[test]
fn what_was_written_is_read() {
    everywhere(|bench, disk| {
        let pool = pool();
        let file = disk.open("file", OpenMode::CreateNew).expect("a new file");
        file.reserve(8 << 20).expect("space");
        let written = block(&pool, 1 << 20, 1);
        let sizes = [4096, 8192, 16384, 65536, 262_144];
        let mut ops = Vec::new();
        let mut position = 4096;
        // More than fit in flight at once, at places all over the block.
        for i in 0..200 {
            let size = sizes[i % sizes.len()];
            let at = (i * 4096) % (1 << 19);
            let kind = OpKind::Write { durable: i % 3 != 0 };
            ops.push(transfer(kind, &file, &written, position, at, size));
            position += size as u64;
        }
        for (result, size) in bench.run(ops).into_iter().zip(sizes.iter().cycle()) {
            assert_eq!(result.expect("written"), *size, "{}", bench.name);
        }
        assert_eq!(bench.run_one(sync(&file)).expect("durable"), 0);
        let into = block(&pool, 1 << 20, 0);
        let mut position = 4096;
        for i in 0..200 {
            let size = sizes[i % sizes.len()];
            assert_eq!(bench.run_one(read(&file, &into, position, 8192, size)).expect("read"), size);
            let at = (i * 4096) % (1 << 19);
            assert!(bytes(&into, 8192, size) == bytes(&written, at, size), "{}: write {i}", bench.name);
            position += size as u64;
        }
    });
}

/// Writes from memory that is registered, up to its end, beside others that is not.
#[test]
fn registered_memory_is_written_like_any_other() {
    for primitive in [DurablePrimitive::DurableWrite, DurablePrimitive::WriteThenSync] {
        let pool = pool();
        let blocks: Vec<_> =
            [(1 << 20, 1), (131_072, 2), (1 << 20, 3)].map(|(size, seed)| block(&pool, size, seed)).into();
        let (mut bench, registered) = Bench::registered(primitive, blocks[..2].to_vec());
        assert_eq!(registered, (1 << 20) + 131_072, "whoever runs these tests may lock so much memory");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let disk = disk_in(directory.path());
        disk.set_durable(primitive);
        let file = disk.open("file", OpenMode::CreateNew).expect("a new file");
        let places: Vec<_> = (0..100)
            .map(|i| {
                let (block, size) = (&blocks[i % 3], [4096, 16384, 65536, 131_072][i % 4]);
                (block, block.capacity() - size - i * 4096 % (block.capacity() - size + 4096), size)
            })
            .collect();
        let mut position = 0;
        let mut ops = Vec::new();
        for (block, at, size) in &places {
            ops.push(write(&file, block, position, *at, *size));
            position += *size as u64;
        }
        for (result, (_, _, size)) in bench.run(ops).into_iter().zip(&places) {
            assert_eq!(result.expect("written"), *size);
        }
        let into = block(&pool, 131_072, 0);
        position = 0;
        for (block, at, size) in places {
            assert_eq!(bench.run_one(read(&file, &into, position, 0, size)).expect("read"), size);
            assert!(bytes(&into, 0, size) == bytes(block, at, size), "{size} bytes from {at} on");
            position += size as u64;
        }
    }
}

#[test]
fn reads_end_with_the_file_and_errors_come_back() {
    everywhere(|bench, disk| {
        let pool = pool();
        let memory = block(&pool, 65536, 3);
        let file = disk.open("file", OpenMode::CreateNew).expect("a new file");
        assert_eq!(bench.run_one(write(&file, &memory, 0, 0, 16384)).expect("written"), 16384);
        file.set_size(10_000).expect("cut");
        assert_eq!(bench.run_one(read(&file, &memory, 0, 0, 16384)).expect("read"), 10_000);
        assert_eq!(bench.run_one(read(&file, &memory, 4096, 0, 65536)).expect("read"), 5904);
        assert_eq!(bench.run_one(read(&file, &memory, 1 << 30, 0, 4096)).expect("at the end"), 0);
        let read_only = disk.open("file", OpenMode::Read).expect("opened to read");
        for error in bench.run(vec![
            write(&read_only, &memory, 0, 0, 4096),
            transfer(OpKind::Write { durable: false }, &read_only, &memory, 0, 0, 4096),
            write(&file, &memory, 1 << 63, 0, 4096),
        ]) {
            let code = error.expect_err("refused").raw_os_error();
            assert!(matches!(code, Some(libc::EBADF | libc::EFBIG | libc::EINVAL)), "{}: {code:?}", bench.name);
        }
        // The driver is none the worse for it.
        assert_eq!(bench.run_one(write(&file, &memory, 0, 0, 4096)).expect("written"), 4096);
    });
}

/// A pipe in the place of a file: a read that takes as long as the test wants.
struct Pipe(OwnedFd);

impl File for Pipe {
    fn read_at(&self, _: u64, into: &mut [u8]) -> io::Result<usize> {
        // SAFETY: pointer and length are those of a live slice.
        crate::io::os::check_size(unsafe { libc::read(self.0.as_raw_fd(), into.as_mut_ptr().cast(), into.len()) })
    }
    fn write_at(&self, _: u64, _: &[u8], _: bool) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn sync(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn reserve(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn set_size(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn size(&self) -> io::Result<u64> {
        Ok(0)
    }
    fn descriptor(&self, _: OpKind) -> io::Result<Descriptor> {
        self.0.try_clone().map(Descriptor::of)
    }
}

fn pipe() -> (Arc<dyn File>, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    (Arc::new(Pipe(reader.into())), writer)
}

#[test]
fn slow_reads_do_not_delay_writes() {
    everywhere(|bench, disk| {
        let pool = pool();
        let memory = block(&pool, 65536, 3);
        let file = disk.open("file", OpenMode::CreateNew).expect("a new file");
        let (slow, mut other_end) = pipe();
        for token in 0..20 {
            bench.driver.submit(super::Op { token, ..read(&slow, &memory, 0, 4096 * (token as usize % 8), 4096) });
        }
        let mut answers = Vec::new();
        for token in 100..120 {
            bench.driver.submit(super::Op { token, ..write(&file, &memory, 4096 * token, 32768, 4096) });
        }
        let begin = Instant::now();
        while answers.len() < 20 {
            answers.extend(bench.wait(SOON));
            assert!(begin.elapsed() < SOON, "{}: writes wait for reads", bench.name);
        }
        assert!(answers.iter().all(|answer| answer.token >= 100 && matches!(answer.result, Ok(4096))));
        assert_eq!(bench.driver.in_flight(), 20);
        for _ in 0..20 {
            io::Write::write_all(&mut other_end, &[9; 1]).expect("the pipe has room");
        }
        drop(other_end);
        let mut moved = 0;
        while bench.driver.in_flight() > 0 {
            moved += bench.wait(SOON).into_iter().map(|answer| answer.result.expect("read")).sum::<usize>();
            assert!(begin.elapsed() < SOON, "{}: reads never end", bench.name);
        }
        assert_eq!(moved, 20);
    });
}

#[test]
fn waits_end_by_time_and_by_the_doorbell() {
    everywhere(|bench, _| {
        let begin = Instant::now();
        assert!(bench.wait(Duration::from_millis(30)).is_empty());
        assert!(begin.elapsed() >= Duration::from_millis(29), "{}: {:?}", bench.name, begin.elapsed());
        assert!(bench.wait(Duration::ZERO).is_empty());
        for _ in 0..3 {
            let doorbell = Arc::clone(&bench.doorbell);
            let waker = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                doorbell.wake();
            });
            let begin = Instant::now();
            assert!(bench.wait(SOON).is_empty());
            assert!(begin.elapsed() < SOON / 2, "{}: not woken", bench.name);
            waker.join().expect("the waker ends");
        }
        // Nobody sleeps: no ring is left over that would wake the next sleep.
        bench.doorbell.wake();
        let begin = Instant::now();
        assert!(bench.wait(Duration::from_millis(30)).is_empty());
        assert!(begin.elapsed() >= Duration::from_millis(29), "{}: {:?}", bench.name, begin.elapsed());
    });
}

#[test]
fn ending_waits_for_what_is_in_flight() {
    everywhere(|bench, disk| {
        let pool = pool();
        let memory = block(&pool, 1 << 20, 3);
        let file = disk.open("file", OpenMode::CreateNew).expect("a new file");
        for token in 0..8 {
            bench.driver.submit(super::Op { token, ..write(&file, &memory, token << 20, 0, 1 << 20) });
        }
        let _ = bench.wait(Duration::ZERO);
        let doorbell = Arc::clone(&bench.doorbell);
        // The old driver is dropped with its work; nothing holds the memory afterwards.
        bench.driver = Box::new(super::Posix::new(doorbell).expect("threads"));
        assert_eq!(crate::sync::Arc::strong_count(&memory), 1);
    });
}
