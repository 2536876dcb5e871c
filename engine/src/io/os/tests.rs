//! A store directory on real file systems: containment, modes, durable and unaligned transfers, limits.

use std::io::ErrorKind as Kind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use super::{AlignedMemory, OsDisk};
use crate::error::{Error, ErrorKind};
use crate::ids::DurablePrimitive;
use crate::io::{Disk, File, OpKind, OpenMode, read_full, write_full};

fn disk_in(directory: &Path) -> OsDisk {
    OsDisk::open(&directory.join("store"), true, false).expect("a store in a fresh directory")
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).expect("it exists").mode() & 0o7777
}

/// Every way to walk a path gives the same answers.
fn for_each_walk(run: impl Fn(&Path, &OsDisk)) {
    for by_parts in [false, true] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let disk = disk_in(directory.path());
        if by_parts {
            disk.walk_by_parts();
        }
        run(directory.path(), &disk);
    }
}

#[test]
fn paths_never_leave_the_store() {
    for_each_walk(|directory, disk| {
        std::fs::write(directory.join("secret"), b"outside").expect("a file outside");
        symlink(directory.join("secret"), directory.join("store/link")).expect("a link to a file");
        symlink(directory, directory.join("store/up")).expect("a link to a directory");
        for path in ["../secret", "a/../../secret", "/etc/passwd", ".", "..", "a//b", "./a", "a/", "zero\0byte"] {
            for mode in [OpenMode::Read, OpenMode::Write, OpenMode::CreateNew] {
                let error = disk.open(path, mode).err().expect("refused");
                assert_eq!(error.kind(), Kind::InvalidInput, "{path:?}");
            }
            assert!(disk.remove(path).is_err() && disk.create_dir(path).is_err() && disk.rename(path, "x").is_err());
        }
        for path in ["link", "up/secret", "up/store/link"] {
            for mode in [OpenMode::Read, OpenMode::Write] {
                let error = disk.open(path, mode).err().expect("links are not followed");
                assert!(matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENOTDIR)), "{path}: {error}");
            }
        }
        assert_eq!(disk.open("link", OpenMode::CreateNew).err().expect("it exists").kind(), Kind::AlreadyExists);
        assert!(disk.list("up").is_err() && disk.remove("up/secret").is_err() && disk.create_dir("up/made").is_err());
        assert!(disk.rename("link", "up/moved").is_err() && disk.sync_dir("up").is_err());
        disk.remove("link").expect("the link itself can go");
        assert_eq!(std::fs::read(directory.join("secret")).expect("still there"), b"outside");
    });
}

/// A pipe in the place of a file held up whoever opened it, without end.
#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    for_each_walk(|directory, disk| {
        let path = |name: &str| directory.join("store").join(name);
        let pipe = std::ffi::CString::new(path("pipe").into_os_string().into_encoded_bytes()).expect("no zero byte");
        // SAFETY: the path is a zero-terminated string that outlives the call.
        assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).expect("a socket");
        std::fs::create_dir(path("directory")).expect("a directory");
        symlink("nowhere", path("link")).expect("a link");
        for name in ["pipe", "socket", "directory", "link", "missing"] {
            for mode in [OpenMode::Read, OpenMode::Write] {
                for error in [disk.open(name, mode).err(), disk.open_one_of_many(name, mode).err()] {
                    let error = error.unwrap_or_else(|| panic!("{name} is no file"));
                    assert_eq!(Error::file("it", &error).kind(), ErrorKind::Corrupt, "{name}: {error}");
                }
            }
        }
        let file = disk.open("file", OpenMode::CreateNew).expect("a new file");
        let held = file.descriptor(OpKind::Read).expect("open");
        // SAFETY: no memory is handed over.
        assert_eq!(unsafe { libc::fcntl(held.raw(), libc::F_GETFL) } & libc::O_NONBLOCK, 0, "transfers wait");
    });
}

#[test]
fn directories_and_files_come_and_go() {
    for_each_walk(|_, disk| {
        disk.create_dir("a").expect("a directory");
        assert_eq!(disk.create_dir("a").expect_err("it exists").kind(), Kind::AlreadyExists);
        disk.create_dir("a/b").expect("a directory in it");
        disk.open("a/b/one", OpenMode::CreateNew).expect("a new file");
        assert_eq!(disk.open("a/b/one", OpenMode::CreateNew).err().expect("exists").kind(), Kind::AlreadyExists);
        assert_eq!(disk.open("a/b/two", OpenMode::Write).err().expect("missing").kind(), Kind::NotFound);
        disk.rename("a/b/one", "two").expect("moved");
        disk.open("three", OpenMode::CreateNew).expect("a new file");
        assert_eq!(disk.list("").expect("names"), ["a", "three", "two"]);
        disk.rename("three", "two").expect("replaces");
        assert_eq!(disk.list("").expect("names"), ["a", "two"]);
        assert_eq!(disk.list("a/b").expect("names"), Vec::<String>::new());
        assert!(disk.remove_dir("a").is_err(), "not empty");
        disk.remove_dir("a/b").expect("empty");
        disk.remove("two").expect("removed");
        disk.sync_dir("a").and_then(|()| disk.sync_dir("")).expect("durable");
        assert!(disk.free_space().expect("known") > 0);
    });
}

#[test]
fn a_store_that_others_may_write_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("store");
    drop(disk_in(directory.path()));
    assert_eq!(mode(&path), 0o700);
    for bits in [0o770, 0o702, 0o1777] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(bits)).expect("the mode is set");
        let error = OsDisk::open(&path, true, false).err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.message().contains("chmod go-w"), "{error}");
        OsDisk::open(&path, false, true).expect("trusted when told so");
    }
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("the mode is set");
    OsDisk::open(&path, false, false).expect("others may look at the directory");
    let error = OsDisk::open(&directory.path().join("none"), false, false).err().expect("missing");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// One of them found no directory, and was told that it exists when it made it.
#[test]
fn many_make_the_same_store_at_once() {
    for _ in 0..100 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (path, begin) = (directory.path().join("store"), std::sync::Barrier::new(4));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    begin.wait();
                    OsDisk::open(&path, true, false).map(drop).expect("made here or there")
                });
            }
        });
    }
}

/// Transfers of every alignment, on a file system with direct I/O and on one in memory.
#[test]
fn transfers_of_any_memory() {
    for parent in ["/tmp", "/dev/shm"] {
        let directory = tempfile::tempdir_in(parent).expect("a temporary directory");
        let disk = disk_in(directory.path());
        for primitive in [DurablePrimitive::DurableWrite, DurablePrimitive::WriteThenSync] {
            disk.set_durable(primitive);
            let name = format!("{primitive:?}");
            let file = disk.open(&name, OpenMode::CreateNew).expect("a new file");
            file.reserve(3 << 20).expect("space");
            assert_eq!(file.size().expect("known"), 3 << 20);
            let bytes: Vec<u8> = (0..(2 << 20) + 1).map(|i: u32| (i ^ (i >> 8)) as u8).collect();
            for shift in [0, 1] {
                write_full(&*file, 4096, &bytes[shift..shift + (2 << 20)], true).expect("written");
                let mut back = vec![0; 2 << 20];
                assert!(read_full(&*file, 4096, &mut back).expect("read"));
                assert!(back == bytes[shift..shift + (2 << 20)]);
                let mut few = [0; 100];
                assert!(read_full(&*file, 4096 + 5000, &mut few).expect("read at any place"));
                assert_eq!(few, bytes[shift + 5000..shift + 5100]);
            }
            let mut memory = AlignedMemory::new(8192).expect("memory");
            memory.bytes_mut().fill(7);
            write_full(&*file, 0, memory.bytes(), false).expect("written");
            file.sync().expect("durable");
            for (position, size) in [(1, 4096), (0, 100), (512, 4096)] {
                let error = file.write_at(position, &bytes[..size], true).expect_err("not whole sectors");
                assert_eq!(error.kind(), Kind::InvalidInput);
            }
            file.set_size(5000).expect("cut");
            let mut beyond = vec![1; 8192];
            assert!(!read_full(&*file, 0, &mut beyond).expect("ends before"));
            assert_eq!(file.read_at(8192, &mut beyond).expect("at the end"), 0);
            let read_only = disk.open(&name, OpenMode::Read).expect("opened to read");
            assert!(read_only.write_at(0, &bytes[..4096], false).is_err());
            assert_eq!(mode(&directory.path().join("store").join(&name)), 0o600);
        }
    }
}

#[test]
fn the_device_is_asked_and_tried() {
    let directory = tempfile::tempdir_in("/dev/shm").expect("a temporary directory");
    let disk = disk_in(directory.path());
    let facts = disk.facts();
    assert!(!facts.direct_io && facts.reason.contains("memory"), "{facts:?}");
    assert!(facts.alignment >= 4096);

    let directory = tempfile::tempdir().expect("a temporary directory");
    let disk = disk_in(directory.path());
    let facts = disk.facts();
    assert!(facts.alignment.is_power_of_two() && facts.alignment >= 4096, "{facts:?}");
    let choice = disk.measure_durable();
    assert!(choice.reason.contains("µs") || choice.reason.contains("RWF_DSYNC"), "{choice:?}");
    println!("{facts:?} {choice:?}");
    assert_eq!(disk.list("").expect("names"), Vec::<String>::new(), "nothing is left behind");
}

#[test]
fn a_failed_reservation_gives_everything_back() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let disk = disk_in(directory.path());
    let file: Arc<dyn File> = disk.open("file", OpenMode::CreateNew).expect("a new file");
    file.reserve(8192).expect("space");
    let error = file.reserve(u64::MAX).expect_err("no file is that large");
    assert_eq!(error.raw_os_error(), Some(libc::EFBIG));
    assert_eq!(file.size().expect("known"), 8192);
    assert!(file.reserve(1 << 50).is_err(), "no device here is that large");
    assert_eq!(file.size().expect("known"), 8192);
}
