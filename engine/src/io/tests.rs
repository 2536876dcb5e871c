//! Ownership of a store across processes, kills and forks.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use super::child;
use super::fork::ForkGuard;
use super::lock::{PATIENCE, StoreLock};
use super::os::OsDisk;
use crate::error::ErrorKind;

const SHORT: Duration = Duration::from_millis(30);

fn disk(directory: &Path) -> OsDisk {
    OsDisk::open(&directory.join("store"), true, false).expect("a store in a fresh directory")
}

fn end(mut child: Child) {
    child.kill().expect("it runs");
    let status = child.wait().expect("it was started here");
    assert_eq!(status.signal(), Some(libc::SIGKILL));
}

#[test]
fn a_second_open_in_this_process_fails_at_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let disk = disk(directory.path());
    let lock = StoreLock::acquire(&disk, PATIENCE).expect("nobody else");
    let begin = Instant::now();
    let error = StoreLock::acquire(&disk, PATIENCE).expect_err("held");
    assert!(begin.elapsed() < PATIENCE, "there is nothing to wait for");
    assert_eq!(error.kind(), ErrorKind::AlreadyOpen);
    assert!(error.message().contains(&format!("this process ({})", std::process::id())), "{error}");
    drop(lock);
    let lock = StoreLock::acquire(&disk, SHORT).expect("given up by dropping");
    lock.release();
    drop(StoreLock::acquire(&disk, SHORT).expect("given up by name"));
}

/// Removing a lock's file is what people do with one that looks stale. Its owner is still there.
#[test]
fn whoever_removes_the_lock_file_gets_no_second_owner() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let disk = disk(directory.path());
    let owner = StoreLock::acquire(&disk, PATIENCE).expect("nobody else");
    let file = directory.path().join("store").join("LOCK");
    std::fs::remove_file(&file).expect("there is one");
    for _ in 0..2 {
        let error = StoreLock::acquire(&disk, SHORT).expect_err("the owner is still there");
        assert_eq!(error.kind(), ErrorKind::AlreadyOpen);
        assert!(error.message().contains("was removed or replaced"), "{error}");
        let error = StoreLock::acquire_shared(&disk, SHORT).expect_err("readers would not be safe either");
        assert_eq!(error.kind(), ErrorKind::AlreadyOpen);
    }
    owner.release();
    drop(StoreLock::acquire(&disk, SHORT).expect("now it is free"));
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_that_holds_the_lock() {
    if child::is_child() {
        let _lock = StoreLock::acquire(&disk(Path::new(".")), PATIENCE).expect("nobody else");
        println!("\nHELD {}", std::process::id());
        std::thread::sleep(Duration::from_secs(60));
    }
}

#[test]
fn the_holder_is_named_and_its_death_frees_the_store() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (holder, number) = child::start("io::tests::child_that_holds_the_lock", directory.path(), "HELD ");
    let disk = disk(directory.path());
    let begin = Instant::now();
    let error = StoreLock::acquire(&disk, Duration::from_millis(100)).expect_err("held");
    assert!(begin.elapsed() >= Duration::from_millis(100), "a dead owner's last writes get their time");
    assert_eq!(error.kind(), ErrorKind::AlreadyOpen);
    assert!(error.message().contains(&format!("process {number} (")), "{error}");
    end(holder);
    drop(StoreLock::acquire(&disk, PATIENCE).expect("free"));
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_that_forks() {
    if !child::is_child() {
        return;
    }
    let lock = StoreLock::acquire(&disk(Path::new(".")), PATIENCE).expect("nobody else");
    // SAFETY: the child only sleeps and ends.
    let grandchild = unsafe { libc::fork() };
    if grandchild == 0 {
        // SAFETY: both calls are allowed after a fork of a process with several threads.
        unsafe {
            libc::sleep(60);
            libc::_exit(0);
        }
    }
    assert!(lock.raw_fd() > 2);
    println!("\nFORKED {grandchild}");
    std::thread::sleep(Duration::from_secs(60));
}

/// The child of a killed owner lives on, and would hold the lock if it had inherited it.
#[test]
fn a_forked_child_does_not_keep_the_store() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (owner, grandchild) = child::start("io::tests::child_that_forks", directory.path(), "FORKED ");
    child::closes(&grandchild, "LOCK");
    let grandchild: libc::pid_t = grandchild.parse().expect("a process number");
    end(owner);
    let taken = StoreLock::acquire(&disk(directory.path()), PATIENCE);
    // SAFETY: signal 0 only asks; then the process that the test started is ended.
    let lived = unsafe { libc::kill(grandchild, 0) == 0 && libc::kill(grandchild, libc::SIGKILL) == 0 };
    assert!(lived, "the child outlived its parent");
    taken.expect("the parent's death freed the store");
}

/// Runs `check` in a forked child and wants it to be true there.
fn in_fork(fork: impl FnOnce() -> libc::pid_t, check: impl FnOnce() -> bool) {
    let pid = fork();
    if pid == 0 {
        let code = if check() { 0 } else { 1 };
        // SAFETY: ends the child without running what belongs to its parent.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is a live number that the call fills.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "the child: {status:x}");
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_that_asks_whether_it_is_forked() {
    if !child::is_child() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let disk = disk(directory.path());
    let guard = ForkGuard::new();
    let mut lock = Some(StoreLock::acquire(&disk, PATIENCE).expect("nobody else"));
    assert!(!guard.forked());
    // SAFETY: what the children run needs no lock that another thread could hold: the test is the only one here.
    in_fork(
        || unsafe { libc::fork() },
        || {
            let own = ForkGuard::new();
            // The store is the parent's, by a lock that the child cannot give up for it.
            let held = StoreLock::acquire(&disk, SHORT).is_err();
            drop(lock.take());
            guard.forked() && !own.forked() && held && StoreLock::acquire(&disk, SHORT).is_err()
        },
    );
    // A fork that the C library does not know of: the page tells.
    // SAFETY: as above.
    in_fork(|| unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } as libc::pid_t, || guard.forked());
    assert!(!guard.forked());
    assert_eq!(StoreLock::acquire(&disk, SHORT).expect_err("still held").kind(), ErrorKind::AlreadyOpen);
}

#[test]
fn children_know_that_they_are() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    child::run("io::tests::child_that_asks_whether_it_is_forked", directory.path());
}
