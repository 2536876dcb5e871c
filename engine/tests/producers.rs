//! Tickets, futures and completion queues.

mod common;

use std::future::Future;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake};
use std::time::{Duration, Instant};

use common::{LONG, open, topic, values};
use thalweg::{AppendOptions, CompletionQueue, ErrorKind, Record, Target, Ticket};

/// An executor in a few lines: polls when woken, and counts.
struct Unpark {
    thread: std::thread::Thread,
    wakes: AtomicUsize,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn block_on<F: Future>(future: F) -> (F::Output, usize) {
    let unpark = Arc::new(Unpark { thread: std::thread::current(), wakes: AtomicUsize::new(0) });
    let waker = Arc::clone(&unpark).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let begin = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return (output, unpark.wakes.load(Ordering::SeqCst));
        }
        std::thread::park_timeout(LONG);
        assert!(begin.elapsed() < LONG, "a wake-up was lost");
    }
}

fn readable(fd: impl AsRawFd, ms: i32) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer and the count describe one pollfd, which lives through the call.
    unsafe { libc::poll(&raw mut poll, 1, ms) == 1 }
}

fn now() -> AppendOptions {
    AppendOptions::default()
}

for_each_runtime! {
    fn tickets_are_waited_for_one_by_one_and_together(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 4);
        let tickets: Vec<Ticket> = (0..400u32)
            .map(|i| topic.submit(Target::Partition(i % 4), &[Record::new(&i.to_string())], now()).expect("submitted"))
            .collect();
        assert_eq!(tickets[0].wait(Some(LONG)).expect("durable"), tickets[0].appended());
        for (ticket, result) in tickets.iter().zip(Ticket::wait_all(&tickets, Some(LONG))) {
            assert_eq!(result.expect("durable"), ticket.appended());
            assert!(ticket.is_durable().expect("no failure"));
        }
        for partition in 0..4 {
            let of_partition: Vec<u32> = (0..400).filter(|i| i % 4 == partition).collect();
            let read: Vec<u32> = values(&topic, partition)
                .iter()
                .map(|v| String::from_utf8_lossy(v).parse().expect("a number"))
                .collect();
            assert_eq!(read, of_partition);
        }
    }

    fn a_ticket_is_a_future_that_any_executor_can_poll(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        for i in 0..50u64 {
            let ticket = topic.submit(Target::Partition(0), &[Record::new("x")], now()).expect("submitted");
            let (result, wakes) = block_on(ticket);
            assert_eq!(result.expect("durable").base_offset, i);
            assert!(wakes <= 1, "{wakes} wake-ups for one acknowledgement");
        }
        // Several at once in one task, polled in turn.
        let tickets: Vec<Ticket> =
            (0..20).map(|_| topic.submit(Target::Partition(0), &[Record::new("y")], now()).expect("submitted")).collect();
        let (sum, _) = block_on(async {
            let mut sum = 0;
            for ticket in tickets {
                sum += ticket.await.expect("durable").base_offset;
            }
            sum
        });
        assert_eq!(sum, (50..70).sum::<u64>());
        // One that is dropped after it was polled leaves nothing behind that could be woken.
        let mut dropped = Box::pin(topic.submit(Target::Partition(0), &[Record::new("z")], now()).expect("submitted"));
        let unpark = Arc::new(Unpark { thread: std::thread::current(), wakes: AtomicUsize::new(0) });
        let waker = Arc::clone(&unpark).into();
        let pending = dropped.as_mut().poll(&mut Context::from_waker(&waker)).is_pending();
        drop(dropped);
        topic.append(&Record::new("behind it")).expect("appended");
        drop(waker);
        assert!(!pending || unpark.wakes.load(Ordering::SeqCst) <= 1);
        assert_eq!(Arc::strong_count(&unpark), 1, "the registration is gone");
    }

    fn a_completion_queue_tells_of_appends_to_many_partitions(runtime: Runtime) {
        const APPENDS: u64 = 1000;
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 8);
        let queue = CompletionQueue::new().expect("a queue");
        assert!(!readable(queue.eventfd(), 0));
        let mut done = Vec::new();
        for token in 0..APPENDS {
            let target = Target::Partition((token % 8) as u32);
            let at = topic.submit_to(&queue, token, target, &[Record::new("x")], now()).expect("submitted");
            assert_eq!(at.base_offset, token / 8);
            if token % 100 == 99 {
                queue.poll(&mut done);
            }
        }
        let begin = Instant::now();
        while (done.len() as u64) < APPENDS {
            // As an event loop would: sleep on the descriptor, then take what is there.
            assert!(readable(queue.eventfd(), 60_000), "after {:?}: {} of {APPENDS}", begin.elapsed(), done.len());
            assert!(queue.poll(&mut done) > 0, "readable means that something is there");
        }
        assert!(!readable(queue.eventfd(), 0));
        assert_eq!(queue.under_way(), 0);
        let mut tokens: Vec<u64> = done.iter().map(|c| c.token).collect();
        tokens.sort_unstable();
        assert!(tokens.iter().copied().eq(0..APPENDS), "each token once");
        for completed in done {
            let at = completed.result.expect("durable");
            assert_eq!((u64::from(at.partition), at.base_offset), (completed.token % 8, completed.token / 8));
        }
    }

    fn a_full_queue_refuses_and_takes_nothing(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let queue = CompletionQueue::with_capacity(2).expect("a queue");
        let submit = |token| topic.submit_to(&queue, token, Target::Partition(0), &[Record::new("x")], now());
        submit(0).expect("room");
        submit(1).expect("room");
        assert_eq!(submit(2).expect_err("full").kind(), ErrorKind::WouldBlock);
        let mut done = Vec::new();
        while done.len() < 2 {
            assert!(queue.wait(Some(LONG)).expect("no error"));
            queue.poll(&mut done);
        }
        assert!(!queue.wait(Some(LONG)).expect("no error"), "nothing is under way");
        submit(2).expect("room again");
        // An append that fails before it begins gives its place back, and completes nothing.
        while queue.under_way() > 0 {
            queue.wait(Some(LONG)).expect("no error");
            queue.poll(&mut done);
        }
        let none = topic.submit_to(&queue, 9, Target::Partition(7), &[Record::new("x")], now());
        assert_eq!(none.expect_err("no such partition").kind(), ErrorKind::NotFound);
        assert_eq!(queue.under_way(), 0);
        assert_eq!(values(&topic, 0).len(), 3);
    }

    fn tickets_and_queues_outlive_the_engine(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let queue = CompletionQueue::new().expect("a queue");
        let tickets: Vec<Ticket> =
            (0..100).map(|_| topic.submit(Target::Partition(0), &[Record::new("x")], now()).expect("submitted")).collect();
        for token in 0..100 {
            topic.submit_to(&queue, token, Target::Partition(0), &[Record::new("y")], now()).expect("submitted");
        }
        engine.close().expect("closed");
        // Close makes everything durable, so every acknowledgement is known, and good.
        for ticket in &tickets {
            assert_eq!(ticket.wait(Some(Duration::ZERO)).expect("durable"), ticket.appended());
        }
        let mut done = Vec::new();
        queue.poll(&mut done);
        assert_eq!(done.len(), 100);
        assert!(done.iter().all(|c| c.result.is_ok()));
        let late = topic.submit(Target::Partition(0), &[Record::new("z")], now());
        assert_eq!(late.expect_err("closed").kind(), ErrorKind::Closed);
        assert_eq!(topic.read(0, 0, 1).expect_err("closed").kind(), ErrorKind::Closed);
        assert_eq!(topic.describe().expect_err("closed").kind(), ErrorKind::Closed);
    }

    fn appends_that_may_not_wait_are_refused_whole_when_memory_is_used_up(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        let value = vec![7u8; 1 << 20];
        let options = AppendOptions::default().wait_for_memory(false);
        let (mut accepted, mut refused) = (0u64, 0u64);
        let mut tickets = Vec::new();
        let begin = Instant::now();
        // The device takes bytes meanwhile, so it needs some persistence to see a refusal.
        while (refused == 0 || accepted < 50) && begin.elapsed() < LONG {
            match topic.submit(Target::Partition(0), &[Record::new(&value)], options) {
                Ok(ticket) => {
                    assert_eq!(ticket.appended().base_offset, accepted, "a refusal takes no offset");
                    tickets.push(ticket);
                    accepted += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                    refused += 1;
                    std::thread::yield_now();
                }
            }
        }
        assert!(refused > 0);
        for result in Ticket::wait_all(&tickets, Some(LONG)) {
            result.expect("durable");
        }
        let describe = topic.describe().expect("described");
        assert_eq!(describe.partitions[0].high_watermark, accepted);
        // One that may wait does, and gets through.
        for _ in 0..100 {
            topic.submit(Target::Partition(0), &[Record::new(&value)], AppendOptions::default()).expect("waited for").wait(Some(LONG)).expect("durable");
        }
    }

    /// Whoever is refused is told when to try again: no append is lost, and nobody polls or sleeps.
    fn who_is_refused_for_want_of_room_is_told_when_there_is_some(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 2);
        let queue = CompletionQueue::new().expect("queue");
        let value = vec![7u8; 1 << 20];
        let options = AppendOptions::default().notify();
        let (mut accepted, mut told, mut durable, mut done) = (0, 0, 0, Vec::new());
        // The first append of a partition finds no segment; later ones find the memory used up.
        while accepted < 300 || told < 2 {
            assert!(accepted < 100_000, "the device is faster than memory");
            let target = Target::Partition(accepted as u32 % 2);
            match topic.submit_to(&queue, accepted, target, &[Record::new(&value)], options) {
                Ok(_) => accepted += 1,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                    told += 1;
                    let waiting = accepted;
                    loop {
                        assert!(readable(queue.eventfd(), LONG.as_millis() as i32), "nobody was told");
                        queue.poll(&mut done);
                        let refused = done.iter().filter(|completed| completed.result.is_err()).count();
                        durable += (done.len() - refused) as u64;
                        let tokens: Vec<_> = done.drain(..).filter_map(|c| Some((c.token, c.result.err()?.kind()))).collect();
                        match tokens[..] {
                            [] => continue,
                            [(token, ErrorKind::WouldBlock)] if token == waiting => break,
                            _ => panic!("{tokens:?} instead of {waiting}"),
                        }
                    }
                }
            }
        }
        while durable < accepted {
            assert!(queue.wait(Some(LONG)).expect("wait"));
            queue.poll(&mut done);
            for completed in done.drain(..) {
                completed.result.expect("durable");
                durable += 1;
            }
        }
        assert_eq!((durable, queue.under_way()), (accepted, 0));
        let high: u64 = topic.describe().expect("described").partitions.iter().map(|p| p.high_watermark).sum();
        assert_eq!(high, accepted, "what was refused took no offset");
        let refused = topic.submit(Target::Partition(0), &[Record::new("x")], options).expect_err("no queue");
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        // A full queue makes room by itself.
        let small = CompletionQueue::with_capacity(1).expect("queue");
        topic.submit_to(&small, 1, Target::Partition(0), &[Record::new("x")], options).expect("submitted");
        let refused = topic.submit_to(&small, 2, Target::Partition(0), &[Record::new("x")], options).expect_err("full");
        assert_eq!(refused.kind(), ErrorKind::WouldBlock);
        assert!(small.wait(Some(LONG)).expect("wait"));
        small.poll(&mut done);
        assert_eq!(done.iter().map(|completed| completed.token).collect::<Vec<_>>(), [1]);
        assert_eq!(small.under_way(), 0);
    }

    /// Truncations and a close let nobody wait for good.
    fn who_waits_for_room_is_told_by_truncations_and_a_close(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = topic(&engine, 1);
        topic.append(&Record::new("first")).expect("appended");
        let queue = CompletionQueue::new().expect("queue");
        let options = AppendOptions::default().notify();
        let stop = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let cutter = scope.spawn(|| {
                while stop.load(Ordering::SeqCst) == 0 {
                    topic.truncate_before(0, topic.next_offset(0).expect("open")).expect("cut");
                    let _moved = topic.truncate_after(0, topic.next_offset(0).expect("open"));
                }
            });
            let (mut refused, mut done) = (0, Vec::new());
            for token in 0.. {
                if refused == 20 {
                    break;
                }
                if let Err(error) = topic.submit_to(&queue, token, Target::Partition(0), &[Record::new("x")], options) {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                    refused += 1;
                    while !done.iter().any(|completed: &thalweg::Completed| completed.token == token) {
                        assert!(queue.wait(Some(LONG)).expect("wait") , "nobody was told");
                        queue.poll(&mut done);
                    }
                    done.clear();
                }
                queue.poll(&mut done);
            }
            stop.store(1, Ordering::SeqCst);
            cutter.join().expect("the cutter ends");
        });
        // Somebody waits for memory when the engine is closed.
        let value = vec![7u8; 1 << 20];
        let waits = (0..100_000).any(|token| topic.submit_to(&queue, token, Target::Partition(0), &[Record::new(&value)], options).is_err());
        assert!(waits);
        engine.close().expect("closed");
        let mut done = Vec::new();
        while queue.under_way() > 0 {
            assert!(queue.wait(Some(LONG)).expect("wait"));
            queue.poll(&mut done);
        }
        queue.poll(&mut done);
        let told = done.iter().filter(|completed| completed.result.as_ref().is_err_and(|e| e.kind() == ErrorKind::WouldBlock));
        assert_eq!(told.count(), 1);
    }
}
