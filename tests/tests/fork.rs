//! fork without exec: the child has neither the store nor the right to use it.

use std::io::{Read, Write};
use std::time::Duration;

use thalweg::{Engine, ErrorKind, Options, Record, Start, TopicOptions};
use thalweg_tests::child;

/// Opens a store, appends, forks; the fork lives on and tries to use what it has inherited.
#[test]
fn forker() {
    let Some(role) = child::role("forker") else { return };
    let mut pipe = role.pipe.expect("the parent gives a pipe");
    let engine = Engine::open(role.dir.join("store"), Options::default().shards(2)).expect("the store opens");
    let topic = engine.create_topic("fork", TopicOptions::default()).expect("a topic");
    topic.append(&Record::new("before")).expect("an append");
    // SAFETY: the child only uses what it asserts on, and pauses; no lock is held by this thread.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let forked = |kind| if kind == ErrorKind::Forked { b'f' } else { b'x' };
        let append = topic.append(&Record::new("by the child")).map_or_else(|e| forked(e.kind()), |_| b'a');
        let read = topic.read(0, 0, 1000).map_or_else(|e| forked(e.kind()), |_| b'r');
        pipe.write_all(&[b'c', append, read, 0, 0]).expect("the test listens");
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    let [a, b, c, d] = pid.to_le_bytes();
    pipe.write_all(&[b'p', a, b, c, d]).expect("the test listens");
    loop {
        topic.append(&Record::new("meanwhile")).expect("the parent goes on");
    }
}

#[test]
fn a_fork_that_outlives_its_parent_does_not_hold_the_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut parent, pipe) = child::start("forker", dir.path(), true);
    let mut pipe = pipe.expect("asked for");
    let (mut pid, mut said) = (0, [0; 2]);
    for _ in 0..2 {
        let mut message = [0; 5];
        pipe.read_exact(&mut message).expect("both speak");
        match message {
            [b'c', append, read, ..] => said = [append, read],
            [_, a, b, c, d] => pid = i32::from_le_bytes([a, b, c, d]),
        }
    }
    assert_eq!(&said, b"ff", "append and read in the fork answer FORKED");
    std::thread::sleep(Duration::from_millis(50));
    child::kill(&mut parent);
    // SAFETY: signal 0 only asks whether the process is there.
    assert_eq!(unsafe { libc::kill(pid, 0) }, 0, "the fork lives on");

    let engine =
        Engine::open(dir.path().join("store"), Options::default()).expect("the store opens though the fork lives");
    let topic = engine.topic("fork").expect("the topic");
    let batch = topic.reader(0, Start::Earliest).and_then(|mut r| r.next(1 << 20, None)).expect("a read");
    assert_eq!(batch.iter().next().and_then(|r| r.value), Some(&b"before"[..]));
    assert!(batch.iter().all(|r| r.value != Some(b"by the child")));
    // SAFETY: the process is the one that this test's child made.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}
