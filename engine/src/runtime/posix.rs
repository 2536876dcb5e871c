//! Plain calls on a bounded pool of threads, where io_uring is forbidden or missing.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::doorbell::Doorbell;
use super::driver::{DEPTH, Driver};
use crate::io::signal::{self, AllBlocked};
use crate::io::{Completion, Op, OpKind};

/// Threads that write and flush: writes of one shard in flight.
const WRITERS: usize = 8;
/// Threads that read. Their own, so that no read, however slow, stands before a write.
const READERS: usize = 8;
/// They only hand memory to the kernel. Bytes.
const STACK: usize = 256 << 10;

/// One kind of work: what waits for a thread, and the threads.
struct Line {
    name: &'static str,
    threads_max: usize,
    state: Mutex<LineState>,
    news: Condvar,
}

#[derive(Default)]
struct LineState {
    waiting: VecDeque<Op>,
    threads: Vec<JoinHandle<()>>,
    idle: usize,
    closing: bool,
}

struct Pool {
    lines: [Line; 2],
    done: Mutex<Vec<Completion>>,
    doorbell: Arc<Doorbell>,
}

/// The pool of one shard. One thread of each line is there from the start, so that whatever comes is done; the others
/// start when there is work for them, and where the system has no thread left those that are there do it.
pub(super) struct Posix {
    pool: Arc<Pool>,
    in_flight: usize,
}

/// The values behind these locks are whole at every step, so that a panic elsewhere does not make them unusable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    fn new(name: &'static str, threads_max: usize) -> Line {
        Line { name, threads_max, state: Mutex::default(), news: Condvar::new() }
    }

    /// The next piece of work; `None`: there will be no more.
    fn take(&self) -> Option<Op> {
        let mut state = lock(&self.state);
        loop {
            if let Some(op) = state.waiting.pop_front() {
                return Some(op);
            }
            if state.closing {
                return None;
            }
            state.idle += 1;
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

impl Pool {
    fn put(pool: &Arc<Pool>, op: Op) {
        let line = usize::from(op.kind == OpKind::Read);
        let mut state = lock(&pool.lines[line].state);
        state.waiting.push_back(op);
        // A thread that was notified counts as idle until it runs: compare with all that waits.
        if state.idle < state.waiting.len() && state.threads.len() < pool.lines[line].threads_max {
            let another = Pool::spawn(pool, line, state.threads.len());
            state.threads.extend(another.ok());
        }
        drop(state);
        pool.lines[line].news.notify_one();
    }

    fn spawn(pool: &Arc<Pool>, line: usize, number: usize) -> io::Result<JoinHandle<()>> {
        let builder = std::thread::Builder::new().name(format!("{}-{number}", pool.lines[line].name)).stack_size(STACK);
        let pool = Arc::clone(pool);
        let _signals = AllBlocked::new();
        builder.spawn(move || {
            signal::thread_takes_no_signals();
            while let Some(op) = pool.lines[line].take() {
                let result = catch_unwind(AssertUnwindSafe(|| op.run()))
                    .unwrap_or_else(|_| Err(io::Error::other("a file operation panicked")));
                pool.answer(op, result);
            }
        })
    }

    fn answer(&self, op: Op, result: io::Result<usize>) {
        let token = op.token;
        // The memory is let go first: whoever sees the answer may want it.
        drop(op);
        lock(&self.done).push(Completion { token, result });
        self.doorbell.wake();
    }
}

impl Posix {
    /// Starts the first threads.
    pub(super) fn new(doorbell: Arc<Doorbell>) -> io::Result<Posix> {
        let lines = [Line::new("thalweg-write", WRITERS), Line::new("thalweg-read", READERS)];
        let pool = Arc::new(Pool { lines, done: Mutex::default(), doorbell });
        // Dropped, it ends those that were started.
        let posix = Posix { pool: Arc::clone(&pool), in_flight: 0 };
        for (number, line) in pool.lines.iter().enumerate() {
            let first = Pool::spawn(&pool, number, 0)?;
            lock(&line.state).threads.push(first);
        }
        Ok(posix)
    }

    fn take_done(&mut self, out: &mut Vec<Completion>) -> bool {
        let mut done = lock(&self.pool.done);
        self.in_flight -= done.len();
        let any = !done.is_empty();
        out.append(&mut done);
        any
    }
}

impl Driver for Posix {
    fn room(&self) -> usize {
        DEPTH - self.in_flight
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn submit(&mut self, op: Op) {
        assert!(self.in_flight < DEPTH, "the caller asked for room");
        self.in_flight += 1;
        Pool::put(&self.pool, op);
    }

    fn wait(&mut self, timeout: Option<Duration>, out: &mut Vec<Completion>) -> io::Result<()> {
        // The note on the doorbell is up: an answer that comes after this look rings it.
        if self.take_done(out) || timeout == Some(Duration::ZERO) {
            return Ok(());
        }
        self.pool.doorbell.bell().sleep(timeout)?;
        self.take_done(out);
        Ok(())
    }

    /// Ends the threads. Work that has begun is waited for, as its memory is in use; the rest never begins.
    fn end(&mut self) -> bool {
        for line in &self.pool.lines {
            let threads = {
                let mut state = lock(&line.state);
                state.closing = true;
                state.waiting.clear();
                std::mem::take(&mut state.threads)
            };
            line.news.notify_all();
            for thread in threads {
                // A panic of the thread was already answered as an error.
                let _ = thread.join();
            }
        }
        true
    }
}

impl Drop for Posix {
    fn drop(&mut self) {
        self.end();
    }
}
