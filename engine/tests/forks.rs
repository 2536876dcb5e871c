//! What a forked child may still do with handles that its parent has: be refused, and let go of them.
//!
//! Alone in its process, because a child of a process with several busy threads may not do much.

mod common;

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{LONG, append, open, permitted, topic, values};
use thalweg::{AppendOptions, CompletionQueue, ErrorKind, Record, Runtime, Start, Target, Ticket, TopicOptions};

fn child_lets_go(runtime: Runtime) {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = open(dir.path(), runtime);
    let t = topic(&engine, 2);
    append(&t, "before");
    let batch = t.read(0, 0, 100).or_else(|_| t.read(1, 0, 100)).expect("read");
    let mut reader = t.reader(0, Start::Earliest).expect("a reader");
    let ticket = t.submit(Target::Partition(1), &[Record::new("x")], AppendOptions::default()).expect("submitted");
    let all = vec![t.submit(Target::Partition(0), &[Record::new("y")], AppendOptions::default()).expect("submitted")];
    let mut future = t.submit(Target::Partition(0), &[Record::new("z")], AppendOptions::default()).expect("submitted");
    let queue = CompletionQueue::new().expect("a queue");
    t.submit_to(&queue, 7, Target::Partition(0), &[Record::new("q")], AppendOptions::default()).expect("submitted");
    // SAFETY: the child calls into the engine, which is what is tested, and ends without returning.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // Whatever waits in it waits for nothing: it is ended instead.
        // SAFETY: asks for a signal.
        unsafe { libc::alarm(60) };
        let forked = |error: thalweg::Error| error.kind() == ErrorKind::Forked;
        let mut context = Context::from_waker(Waker::noop());
        let polled = |poll| if let Poll::Ready(Err(error)) = poll { forked(error) } else { false };
        let refused = [
            t.append(&Record::new("y")).err().is_some_and(forked),
            t.read(0, 0, 1).err().is_some_and(forked),
            t.read_wait(0, 1 << 20, 1, None).err().is_some_and(forked),
            reader.next(1, None).err().is_some_and(forked),
            reader.seek(Start::Earliest).err().is_some_and(forked),
            t.describe().err().is_some_and(forked),
            engine.topics().err().is_some_and(forked),
            engine.verify(|_| ()).err().is_some_and(forked),
            engine.create_topic("u", TopicOptions::default()).err().is_some_and(forked),
            ticket.wait(None).err().is_some_and(forked),
            ticket.wait(Some(Duration::from_millis(1))).err().is_some_and(forked),
            ticket.is_durable().err().is_some_and(forked),
            Ticket::wait_all(&all, None).into_iter().all(|result| result.err().is_some_and(forked)),
            polled(Pin::new(&mut future).poll(&mut context)),
            queue.wait(None).err().is_some_and(forked),
            queue.wait(Some(Duration::from_millis(1))).err().is_some_and(forked),
            queue.poll(&mut Vec::new()) == 0 && queue.under_way() == 0,
            t.submit_to(&queue, 8, Target::RoundRobin, &[Record::new("q")], AppendOptions::default())
                .err()
                .is_some_and(forked),
        ];
        drop((batch, reader, ticket, all, future, queue, t));
        let closed = engine.close().err().is_some_and(forked);
        let first = refused.iter().position(|refused| !refused).map_or(0, |at| at + 1);
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(if closed { first as i32 } else { 99 }) };
    }
    let mut status = 0;
    // SAFETY: `status` is a live value that the call fills.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "the child was refused and let go: {status:#x}");
    // The parent goes on as if nothing had happened.
    ticket.wait(None).expect("durable");
    all[0].wait(None).expect("durable");
    future.wait(None).expect("durable");
    let mut done = Vec::new();
    assert!(queue.wait(Some(LONG)).expect("the parent waits"));
    assert_eq!((queue.poll(&mut done), done[0].token), (1, 7));
    append(&t, "after");
    assert_eq!(batch.len(), 1);
    engine.close().expect("closed");
    let engine = open(dir.path(), runtime);
    assert!(engine.info().recovery.clean);
    let t = engine.topic("t").expect("there");
    assert_eq!(values(&t, 0).len() + values(&t, 1).len(), 6);
}

#[test]
fn a_forked_child_is_refused_and_lets_go_without_harm() {
    child_lets_go(Runtime::Posix);
    if permitted(Runtime::Uring) {
        child_lets_go(Runtime::Uring);
    }
}
