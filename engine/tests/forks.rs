//! What a forked child may still do with handles that its parent has: be refused, and let go of them.
//!
//! Alone in its process, because a child of a process with several busy threads may not do much.

mod common;

use common::{append, open, permitted, topic, values};
use thalweg::{AppendOptions, ErrorKind, Record, Runtime, Start, Target, TopicOptions};

fn child_lets_go(runtime: Runtime) {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = open(dir.path(), runtime);
    let t = topic(&engine, 2);
    append(&t, "before");
    let batch = t.read(0, 0, 100).or_else(|_| t.read(1, 0, 100)).expect("read");
    let mut reader = t.reader(0, Start::Earliest).expect("a reader");
    let ticket = t.submit(Target::Partition(1), &[Record::new("x")], AppendOptions::default()).expect("submitted");
    // SAFETY: the child calls into the engine, which is what is tested, and ends without returning.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let forked = |error: thalweg::Error| error.kind() == ErrorKind::Forked;
        let refused = t.append(&Record::new("y")).err().is_some_and(forked)
            && t.read(0, 0, 1).err().is_some_and(forked)
            && reader.next(1, None).err().is_some_and(forked)
            && t.describe().err().is_some_and(forked)
            && engine.topics().err().is_some_and(forked)
            && engine.create_topic("u", TopicOptions::default()).err().is_some_and(forked);
        drop((batch, reader, ticket, t));
        let closed = engine.close().err().is_some_and(forked);
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(i32::from(!(refused && closed))) };
    }
    let mut status = 0;
    // SAFETY: `status` is a live value that the call fills.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "the child was refused and let go: {status:#x}");
    // The parent goes on as if nothing had happened.
    ticket.wait(None).expect("durable");
    append(&t, "after");
    assert_eq!(batch.len(), 1);
    engine.close().expect("closed");
    let engine = open(dir.path(), runtime);
    assert!(engine.info().recovery.clean);
    let t = engine.topic("t").expect("there");
    assert_eq!(values(&t, 0).len() + values(&t, 1).len(), 3);
}

#[test]
fn a_forked_child_is_refused_and_lets_go_without_harm() {
    child_lets_go(Runtime::Posix);
    if permitted(Runtime::Uring) {
        child_lets_go(Runtime::Uring);
    }
}
