//! What a container, a limit or a mask may do to the engine, each in a process of its own.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::super::start::Choice;
use super::threads::{Event, Fixture, Message, fixture, settings};
use super::{Bench, block, bytes, disk_in, pool, write};
use crate::error::{Error, ErrorKind};
use crate::ids::DurablePrimitive;
use crate::io::lock::{PATIENCE, StoreLock};
use crate::io::os::OsDisk;
use crate::io::{Disk, OpenMode, child, read_full, write_full};
use crate::sync::Arc as Shared;

fn in_child(test: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    child::run(&format!("runtime::tests::surroundings::{test}"), directory.path());
}

/// From now on these system calls fail with `errno`, in all threads of this process.
fn forbid(calls: &[libc::c_long], errno: i32) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let line = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // The call's number is the first word of what a filter sees.
    let mut program = vec![line(LOAD, 0, 0, 0)];
    for call in calls {
        program.push(line(EQUAL, 0, 1, u32::try_from(*call).expect("a call's number")));
        program.push(line(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()));
    }
    program.push(line(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    let length = u16::try_from(program.len()).expect("a short program");
    let filter = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: the program and its description are live values that the kernel copies.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let (set, all) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC);
        assert_eq!(libc::syscall(libc::SYS_seccomp, set, all, &raw const filter), 0);
    }
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: `limit` is a live value.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

/// The runtime does its work: writes and reads, helper, doorbell, lock.
fn works(fixture: Fixture) {
    let pool = pool();
    let disk = disk_in(Path::new("."));
    let lock = StoreLock::acquire(&disk, PATIENCE).expect("nobody else");
    let file = disk.open("works", OpenMode::CreateNew).expect("a new file");
    let block = block(&pool, 8192, 1);
    fixture.handles[0].send(Message::Store(file, Shared::clone(&block), 0));
    assert!(matches!(fixture.next(), Event::Stored(0)));
    assert!(bytes(&block, 0, 4096) == bytes(&block, 4096, 4096));
    fixture.handles[1].send(Message::Meta(1));
    assert!(matches!(fixture.next(), Event::Meta(2)));
    fixture.close();
    disk.remove("works").expect("removed");
    lock.release();
}

fn refused(choice: Choice) -> Error {
    fixture(settings(choice), 2).err().expect("the runtime is refused")
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_without_io_uring() {
    if child::is_child() {
        forbid(&[libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register], libc::EPERM);
        let fixture = fixture(settings(Choice::Auto), 2).expect("the other runtime");
        assert_eq!(fixture.running.name(), "posix");
        let reason = fixture.running.reason().to_owned();
        assert!(reason.contains("io_uring_setup") && reason.contains("forbidden"), "{reason}");
        works(fixture);
        let error = refused(Choice::Uring);
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.message().contains("uring") && error.message().contains("forbidden"), "{error}");
    }
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_of_an_old_kernel() {
    if child::is_child() {
        let calls = [libc::SYS_io_uring_setup, libc::SYS_openat2, libc::SYS_pwritev2];
        forbid(&[&calls[..], &[libc::SYS_sched_setattr, libc::SYS_statx, libc::SYS_fallocate]].concat(), libc::ENOSYS);
        let fixture = fixture(settings(Choice::Auto), 2).expect("the other runtime");
        assert_eq!(fixture.running.name(), "posix");
        assert!(fixture.running.reason().contains("the kernel has no io_uring"), "{}", fixture.running.reason());
        works(fixture);
        assert_eq!(refused(Choice::Uring).kind(), ErrorKind::Unsupported);

        let disk = disk_in(Path::new("."));
        let choice = disk.measure_durable();
        assert_eq!(choice.primitive, DurablePrimitive::WriteThenSync);
        assert!(choice.reason.contains("no RWF_DSYNC"), "{choice:?}");
        // Without fallocate, space is reserved by writing it, and what is there stays.
        let file = disk.open("reserved", OpenMode::CreateNew).expect("a new file");
        write_full(&*file, 0, &[7; 8192], true).expect("written");
        assert_eq!(disk.durable(), DurablePrimitive::WriteThenSync, "found out by the first write");
        file.set_size(5000).expect("cut");
        file.reserve((3 << 20) + 4096).expect("space");
        let facts = std::fs::metadata("store/reserved").expect("it is there");
        assert_eq!(facts.len(), (3 << 20) + 4096);
        assert!(facts.blocks() * 512 >= facts.len(), "{} blocks are no reservation", facts.blocks());
        let mut back = vec![1; 8192];
        assert!(read_full(&*file, 0, &mut back).expect("read"));
        assert!(back[..5000].iter().all(|byte| *byte == 7) && back[5000..].iter().all(|byte| *byte == 0));
        assert_eq!(disk.open("../x", OpenMode::Read).err().expect("refused").kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_whose_rings_do_not_turn() {
    if child::is_child() {
        forbid(&[libc::SYS_io_uring_enter], libc::EPERM);
        let fixture = fixture(settings(Choice::Auto), 2).expect("the other runtime");
        assert_eq!(fixture.running.name(), "posix");
        assert!(fixture.running.reason().contains("first operation"), "{}", fixture.running.reason());
        works(fixture);
    }
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_without_locked_memory() {
    if child::is_child() {
        std::os::unix::fs::chown(".", Some(65_534), Some(65_534)).expect("the directory is given away");
        let other = 65_534;
        // SAFETY: no memory is handed over.
        unsafe {
            assert_eq!(libc::setresgid(other, other, other), 0);
            assert_eq!(libc::setresuid(other, other, other), 0);
        }
        // Downwards, as an ordinary user cannot raise a limit again.
        for size in [1 << 20, 128 << 10, 64 << 10, 32 << 10, 16 << 10, 4096, 0] {
            limit(libc::RLIMIT_MEMLOCK, size);
            let fixture = fixture(settings(Choice::Auto), 2).expect("one of the runtimes");
            let (name, reason) = (fixture.running.name(), fixture.running.reason().to_owned());
            println!("{size}: {name}: {reason}");
            assert!(name == "uring" || (name == "posix" && reason.contains("RLIMIT_MEMLOCK")), "{size}: {reason}");
            works(fixture);
        }
    }
}

/// Processes and threads of its user: from none beside those that are there up to more than are needed. The open is
/// refused, or everything works, with as few threads as there are.
#[test]
#[ignore = "runs in a child of another test"]
fn child_without_threads() {
    if child::is_child() {
        // A user that no other test has, so that nobody else's threads count.
        let other = 64_998;
        std::os::unix::fs::chown(".", Some(other), Some(other)).expect("the directory is given away");
        // SAFETY: no memory is handed over.
        unsafe {
            assert_eq!(libc::setresgid(other, other, other), 0);
            assert_eq!(libc::setresuid(other, other, other), 0);
        }
        let (mut refusals, mut successes) = (0, 0);
        for threads in 1..24 {
            let limit = libc::rlimit { rlim_cur: threads, rlim_max: 1000 };
            // SAFETY: `limit` is a live value.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) }, 0);
            // A thread counts for a moment longer than it is waited for.
            let mut opened = fixture(settings(Choice::Posix), 2);
            for _ in 0..10 {
                if opened.is_err() {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    opened = fixture(settings(Choice::Posix), 2);
                }
            }
            match opened {
                Ok(fixture) => {
                    successes += 1;
                    works(fixture);
                }
                Err(error) => {
                    refusals += 1;
                    assert_eq!(successes, 0, "{threads} are too few, and fewer were enough: {error}");
                    assert_eq!(error.os_code(), Some(libc::EAGAIN), "{error}");
                    assert!(error.message().contains("ulimit -u"), "{error}");
                }
            }
        }
        assert!(refusals > 3 && successes > 3, "{refusals} refused, {successes} worked");
    }
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_without_descriptors() {
    if child::is_child() {
        let disk = disk_in(Path::new("."));
        disk.open("first", OpenMode::CreateNew).expect("a new file");
        limit(libc::RLIMIT_NOFILE, 40);
        let mut open = Vec::new();
        let error = loop {
            match disk.open("first", OpenMode::Write) {
                Ok(file) => open.push(file),
                Err(e) => break e,
            }
            assert!(open.len() < 40, "the limit holds");
        };
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        let error = Error::os("opening a segment", &error);
        assert!(error.message().contains("ulimit -n"), "{error}");
        let refused = refused(Choice::Uring);
        assert!(refused.message().to_lowercase().contains("open files"), "{refused}");
        // One that becomes free is enough to go on, and to keep a spare again later.
        open.truncate(open.len() - 3);
        disk.open("first", OpenMode::Write).expect("there is room again");
        disk.list("").expect("there is room again");
    }
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_with_small_files() {
    if child::is_child() {
        let disk = disk_in(Path::new("."));
        limit(libc::RLIMIT_FSIZE, 64 << 10);
        let file = disk.open("small", OpenMode::CreateNew).expect("a new file");
        let too_large = |error: std::io::Error| assert_eq!(error.raw_os_error(), Some(libc::EFBIG), "{error}");
        let memory = vec![1; 8192];
        for durable in [false, true] {
            write_full(&*file, 32 << 10, &memory, durable).expect("below the limit");
            too_large(write_full(&*file, 60 << 10, &memory, durable).expect_err("above the limit"));
        }
        too_large(file.reserve(1 << 20).expect_err("above the limit"));
        too_large(file.set_size(1 << 20).expect_err("above the limit"));
        let pool = pool();
        let block = block(&pool, 8192, 1);
        let file: Arc<dyn crate::io::File> = file;
        for mut bench in [Bench::posix(), Bench::uring(DurablePrimitive::DurableWrite)] {
            // The driver of io_uring runs on this thread here, which takes signals; a shard's thread does not.
            let _signals = crate::io::signal::AllBlocked::new();
            assert_eq!(bench.run_one(write(&file, &block, 60 << 10, 0, 8192)).expect("what fits"), 4096);
            too_large(bench.run_one(write(&file, &block, 64 << 10, 0, 8192)).expect_err("above the limit"));
            drain_file_size_signal();
        }
        // Still here: no signal ended the process.
    }
}

/// Takes back what io_uring's write raised on this thread, before signals are open again.
fn drain_file_size_signal() {
    // SAFETY: the sets and the time are live values.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&raw mut set, libc::SIGXFSZ);
        let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const none);
    }
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_with_any_umask() {
    if child::is_child() {
        let mode = |path: &str| std::fs::symlink_metadata(path).expect("it is there").mode() & 0o7777;
        for mask in [0, 0o777, 0o022] {
            // SAFETY: no memory is handed over.
            unsafe { libc::umask(mask) };
            let disk = OsDisk::open(Path::new("masked"), true, false).expect("a new store");
            let _lock = StoreLock::acquire(&disk, PATIENCE).expect("nobody else");
            disk.create_dir("inside").expect("a new directory");
            disk.open("inside/file", OpenMode::CreateNew).expect("a new file");
            assert_eq!((mode("masked"), mode("masked/inside")), (0o700, 0o700), "umask {mask:o}");
            assert_eq!((mode("masked/LOCK"), mode("masked/inside/file")), (0o600, 0o600), "umask {mask:o}");
            std::fs::remove_dir_all("masked").expect("removed");
        }
    }
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_that_is_killed_at_work() {
    if child::is_child() {
        let disk = disk_in(Path::new("."));
        let lock = StoreLock::acquire(&disk, PATIENCE).expect("nobody else");
        let settings = super::super::Settings { lock: Some(lock.raw_fd()), ..settings(Choice::Uring) };
        let fixture = fixture(settings, 2).expect("io_uring works here");
        let pool = pool();
        let file = disk.open("file", OpenMode::CreateNew).expect("a new file");
        let block = block(&pool, 8192, 1);
        println!("\nWORKING {}", std::process::id());
        loop {
            fixture.handles[0].send(Message::Store(Arc::clone(&file), Shared::clone(&block), 0));
            assert!(matches!(fixture.next(), Event::Stored(_)));
        }
    }
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_that_forks_at_work() {
    if child::is_child() {
        let lock = StoreLock::acquire(&disk_in(Path::new(".")), PATIENCE).expect("nobody else");
        let settings = super::super::Settings { lock: Some(lock.raw_fd()), ..settings(Choice::Uring) };
        let _fixture = fixture(settings, 2).expect("io_uring works here");
        // SAFETY: the child only sleeps and ends, by calls that are allowed after a fork of several threads.
        let grandchild = unsafe {
            let pid = libc::fork();
            if pid == 0 {
                libc::sleep(60);
                libc::_exit(0);
            }
            pid
        };
        println!("\nFORKED {grandchild}");
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
}

/// A child has neither the rings, nor through them the lock.
#[test]
fn a_forked_child_has_no_ring() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let test = "runtime::tests::surroundings::child_that_forks_at_work";
    let (mut owner, grandchild) = child::start(test, directory.path(), "FORKED ");
    assert_eq!(child::count_open(&owner.id().to_string(), "io_uring"), 2);
    child::closes(&grandchild, "io_uring");
    owner.kill().and_then(|()| owner.wait()).expect("it was started here");
    let taken = StoreLock::acquire(&disk_in(directory.path()), PATIENCE);
    // SAFETY: ends a process that this test's child started.
    let lived = unsafe { libc::kill(grandchild.parse().expect("a process number"), libc::SIGKILL) } == 0;
    assert!(lived, "the child outlived its parent");
    taken.expect("the parent's death freed the store");
}

#[test]
fn io_uring_forbidden() {
    in_child("child_without_io_uring");
}

#[test]
fn an_old_kernel() {
    in_child("child_of_an_old_kernel");
}

#[test]
fn rings_that_do_not_turn() {
    in_child("child_whose_rings_do_not_turn");
}

#[test]
fn no_locked_memory() {
    in_child("child_without_locked_memory");
}

#[test]
fn no_threads() {
    in_child("child_without_threads");
}

#[test]
fn no_descriptors() {
    in_child("child_without_descriptors");
}

#[test]
fn small_files() {
    in_child("child_with_small_files");
}

#[test]
fn any_umask() {
    in_child("child_with_any_umask");
}

/// The ring holds the lock until its last operation is over, which is soon.
#[test]
fn a_killed_owner_lets_go() {
    for _ in 0..5 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let test = "runtime::tests::surroundings::child_that_is_killed_at_work";
        let (mut owner, number) = child::start(test, directory.path(), "WORKING ");
        let disk = disk_in(directory.path());
        let error = StoreLock::acquire(&disk, std::time::Duration::ZERO).expect_err("held");
        assert!(error.message().contains(&number), "{error}");
        owner.kill().and_then(|()| owner.wait()).expect("it was started here");
        StoreLock::acquire(&disk, PATIENCE).expect("free when the last write is over");
    }
}
