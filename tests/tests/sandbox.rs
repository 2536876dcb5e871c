//! io_uring forbidden by a seccomp filter, as containers do.

use std::io::{Read, Write};

use thalweg::{Engine, ErrorKind, EventKind, Fallback, Options, Record, Runtime, TopicOptions};
use thalweg_tests::{child, ledger};

/// Forbids io_uring_setup for this process from now on.
fn forbid_io_uring() {
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let jump = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let ret = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        step(load, 0, 0, 0), // The system call's number.
        step(jump, 0, 1, libc::SYS_io_uring_setup as u32),
        step(ret, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(ret, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its filter live until the call returns, which copies them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
}

/// Becomes an ordinary user, who may lock so many bytes of memory.
fn become_user(user: u32, lockable: u64) {
    let limit = libc::rlimit { rlim_cur: lockable, rlim_max: lockable };
    // SAFETY: plain calls; the limit is a live value.
    unsafe {
        assert_eq!(libc::setresgid(user, user, user), 0);
        assert_eq!(libc::setresuid(user, user, user), 0);
        assert_eq!(libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit), 0);
    }
}

/// Appends and reads with io_uring where so much memory may be locked; tells what the engine says of it.
fn with_lockable_memory(name: &str, user: u32, lockable: u64) {
    let Some(role) = child::role(name) else { return };
    let mut pipe = role.pipe.expect("the parent gives a pipe");
    become_user(user, lockable);
    let options = Options::default().runtime(Runtime::Uring).shards(2);
    let engine = Engine::open(role.dir.join("store"), options).expect("io_uring works without locked memory");
    let topic = engine.create_topic("locked", TopicOptions::default()).expect("a topic");
    for sequence in 0..100 {
        topic.append(&Record::new(&ledger::value(1, sequence, 0, 1, 3000))).expect("a durable append");
    }
    assert_eq!(ledger::check(&topic, 0).next[&1], 100);
    let (info, events) = (engine.info(), engine.events());
    engine.close().expect("a clean close");
    let told = std::iter::from_fn(|| events.try_next())
        .filter(|event| matches!(event.kind, EventKind::Fallback { what: Fallback::UnregisteredMemory, .. }));
    assert_eq!(told.count(), usize::from(info.registered_memory == 0), "{}", info.registered_reason);
    write!(pipe, "{} {} {}", info.runtime, info.registered_memory, info.registered_reason).expect("the test listens");
}

#[test]
fn locks_nothing() {
    with_lockable_memory("locks_nothing", 61_001, 64 << 10);
}

#[test]
fn locks_staging() {
    with_lockable_memory("locks_staging", 61_002, 8 << 20);
}

fn said_by(name: &str, user: u32) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::chown(dir.path(), Some(user), Some(user)).expect("only root can become another user");
    let (mut process, pipe) = child::start(name, dir.path(), true);
    let mut said = String::new();
    pipe.expect("asked for").read_to_string(&mut said).expect("the child speaks");
    assert!(process.wait().expect("the child is ours").success(), "{said}");
    said
}

#[test]
fn where_no_memory_may_be_locked_io_uring_works_without_registered_memory_and_info_says_so() {
    let said = said_by("locks_nothing", 61_001);
    assert!(said.starts_with("uring 0 ") && said.contains("RLIMIT_MEMLOCK"), "{said}");
    // The limit that most users have is enough for the staging of two shards.
    let said = said_by("locks_staging", 61_002);
    assert!(said.starts_with("uring 4194304 ") && said.contains("registered"), "{said}");
}

#[test]
fn sandboxed() {
    let Some(role) = child::role("sandboxed") else { return };
    let mut pipe = role.pipe.expect("the parent gives a pipe");
    forbid_io_uring();
    let refused = Engine::open(role.dir.join("other"), Options::default().runtime(Runtime::Uring));
    let error = refused.expect_err("the runtime `uring` was asked for");
    assert!(matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported), "{error:?}");
    assert!(error.message().contains("io_uring"), "{error}");

    let engine = Engine::open(role.dir.join("store"), Options::default()).expect("the store opens without io_uring");
    let info = engine.info();
    assert_eq!(info.runtime, "posix");
    assert!(info.runtime_reason.contains("io_uring"), "{}", info.runtime_reason);
    let events = engine.events();
    let told: Vec<EventKind> = std::iter::from_fn(|| events.try_next()).map(|event| event.kind).collect();
    let fell_back = |kind: &EventKind| match kind {
        EventKind::Fallback { what: Fallback::Posix, reason, .. } => *reason == info.runtime_reason,
        _ => false,
    };
    assert_eq!(told.iter().filter(|kind| fell_back(kind)).count(), 1, "{told:?}");
    let topic = engine.create_topic("sandbox", TopicOptions::default()).expect("a topic");
    for sequence in 0..200 {
        topic.append(&Record::new(&ledger::value(1, sequence, 0, 1, 5000))).expect("a durable append");
    }
    assert_eq!(ledger::check(&topic, 0).next[&1], 200);
    engine.close().expect("a clean close");
    pipe.write_all(b"done").expect("the test listens");
}

#[test]
fn without_io_uring_the_guarantees_are_the_same_and_info_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut process, pipe) = child::start("sandboxed", dir.path(), true);
    let mut said = String::new();
    pipe.expect("asked for").read_to_string(&mut said).expect("the child speaks");
    assert!(process.wait().expect("the child is ours").success() && said == "done", "{said}");
    // What the fallback wrote, the ring reads.
    let engine = Engine::open(dir.path().join("store"), Options::default()).expect("the store opens");
    assert!(engine.info().recovery.clean);
    assert_eq!(ledger::check(&engine.topic("sandbox").expect("the topic"), 0).next[&1], 200);
}
