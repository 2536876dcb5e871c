//! Wakers of the host, which run on the engine's threads: whatever they do, the engine goes on or ends in order.

mod common;

use std::future::Future;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use common::LONG;
use thalweg::{AppendOptions, ConsumerOptions, Engine, ErrorKind, EventKind, Record, Result, Target, Ticket, Topic};

/// Does something once, on whichever thread wakes it, and says on which.
struct Act {
    act: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    woken: Sender<String>,
}

impl Wake for Act {
    fn wake(self: Arc<Self>) {
        let act = self.act.lock().expect("no panic under the lock").take();
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        self.woken.send(thread).expect("the test waits");
        if let Some(act) = act {
            act();
        }
    }
}

fn waker(act: impl FnOnce() + Send + 'static) -> (Waker, Receiver<String>) {
    let (woken, told) = channel();
    (Waker::from(Arc::new(Act { act: Mutex::new(Some(Box::new(act))), woken })), told)
}

fn submit(topic: &Topic, partition: u32) -> Result<Ticket> {
    topic.submit(Target::Partition(partition), &[Record::new("x")], AppendOptions::default())
}

/// Submits until an append is still on its way when it is polled. The ticket has to be kept: dropped, it wakes nobody.
fn pending(topic: &Topic, waker: &Waker) -> std::pin::Pin<Box<Ticket>> {
    loop {
        let mut ticket = Box::pin(submit(topic, 0).expect("submitted"));
        if ticket.as_mut().poll(&mut Context::from_waker(waker)).is_pending() {
            return ticket;
        }
    }
}

for_each_runtime! {
    /// A panic in a waker ended the shard: every later append of all its partitions was refused.
    fn a_panic_in_a_waker_ends_nothing_else(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 2);
        let (of_ticket, told) = waker(|| panic!("a waker panics on purpose"));
        let ticket = pending(&topic, &of_ticket);
        let thread = told.recv_timeout(LONG).expect("woken");
        assert!(thread.starts_with("thalweg-shard"), "{thread}");
        ticket.wait(Some(LONG)).expect("acknowledged");

        let (of_consumer, told) = waker(|| panic!("a waker panics on purpose"));
        let mut consumer = engine.consumer(ConsumerOptions::default()).expect("made");
        consumer.subscribe(&topic).expect("subscribed");
        consumer.poll(1 << 20, Some(LONG)).expect("what was appended");
        let mut polling = Box::pin(consumer.poll_async(1 << 20));
        assert!(polling.as_mut().poll(&mut Context::from_waker(&of_consumer)).is_pending());
        common::append(&topic, "y");
        told.recv_timeout(LONG).expect("woken");
        drop(polling);

        for partition in 0..2 {
            submit(&topic, partition).expect("submitted").wait(Some(LONG)).expect("the shards go on");
        }
        engine.close().expect("closed");
    }

    /// The thread joined itself, which panicked, and the store was left as after a crash.
    fn an_engine_that_a_waker_closes_or_drops_is_closed(runtime: Runtime) {
        for close in [true, false] {
            let dir = tempfile::tempdir().expect("a directory");
            let engine = common::open(dir.path(), runtime);
            let (events, topic) = (engine.events(), common::topic(&engine, 1));
            while events.try_next().is_some() {}
            let own: Arc<Mutex<Option<Engine>>> = Arc::new(Mutex::new(None));
            let (answer, answered) = channel();
            let (waker, told) = waker({
                let own = Arc::clone(&own);
                move || {
                    let engine = own.lock().expect("no panic").take().expect("it is there");
                    let result = if close {
                        engine.close()
                    } else {
                        drop(engine);
                        Ok(())
                    };
                    answer.send(result).expect("the test waits");
                }
            });
            let held = own.lock().map(|mut own| *own = Some(engine));
            held.expect("no panic");
            let ticket = pending(&topic, &waker);
            assert!(told.recv_timeout(LONG).expect("woken").starts_with("thalweg-shard"));
            let result = answered.recv_timeout(LONG).expect("it comes back");
            assert_eq!(result.err().map(|error| error.kind()), close.then_some(ErrorKind::WouldBlock));
            ticket.wait(Some(LONG)).expect("it was acknowledged");
            let begun = std::time::Instant::now();
            let ended = loop {
                match events.try_next() {
                    Some(event) => break event.kind,
                    None => assert!(begun.elapsed() < LONG, "the close comes to its end"),
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            };
            assert!(matches!(ended, EventKind::Closed { clean: true, .. }), "{ended}");
            let engine = common::open(dir.path(), runtime);
            assert!(engine.info().recovery.clean);
            assert!(!common::values(&engine.topic("t").expect("there"), 0).is_empty());
        }
    }
}
