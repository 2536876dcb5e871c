//! The thread that does what may block: opening, reserving, renaming, committing the manifest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::error::{Error, ErrorKind, Result};
use crate::io::signal::{self, AllBlocked};

/// Answers a batch of requests, one response each, in their order.
pub(crate) type Work<Request, Response> = Box<dyn FnMut(Vec<Request>) -> Vec<Response> + Send>;

/// Takes the response, or that there will be none.
type Reply<Response> = Box<dyn FnOnce(Result<Response>) + Send>;

/// One thread, whose batches are whatever came while it was busy with the one before.
pub(crate) struct Helper<Request, Response> {
    shared: Arc<Shared<Request, Response>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<Request, Response> {
    state: Mutex<State<Request, Response>>,
    news: Condvar,
}

struct State<Request, Response> {
    waiting: Vec<(Request, Reply<Response>)>,
    /// Why no more requests are taken.
    ended: Option<Error>,
}

/// Said in each place, because a thread whose stack has no size asks the environment for one. Bytes.
pub(super) const STACK: usize = 2 << 20;

impl<Request, Response> Shared<Request, Response> {
    fn lock(&self) -> MutexGuard<'_, State<Request, Response>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Request: Send + 'static, Response: Send + 'static> Helper<Request, Response> {
    /// Starts the thread.
    pub(crate) fn start(work: Work<Request, Response>) -> Result<Helper<Request, Response>> {
        let state = State { waiting: Vec::new(), ended: None };
        let shared = Arc::new(Shared { state: Mutex::new(state), news: Condvar::new() });
        let _signals = AllBlocked::new();
        let thread = std::thread::Builder::new()
            .name("thalweg-meta".into())
            .stack_size(STACK)
            .spawn({
                let shared = Arc::clone(&shared);
                move || run(&shared, work)
            })
            .map_err(|e| Error::thread("the metadata thread", &e))?;
        Ok(Helper { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Hands a request over. `reply` runs on the helper's thread, or on this one if the helper has ended.
    pub(crate) fn ask(&self, request: Request, reply: impl FnOnce(Result<Response>) + Send + 'static) {
        let mut state = self.shared.lock();
        if let Some(ended) = &state.ended {
            let ended = ended.clone();
            drop(state);
            return reply(Err(ended));
        }
        state.waiting.push((request, Box::new(reply)));
        drop(state);
        self.shared.news.notify_one();
    }

    /// Hands a request over and waits for its response.
    pub(crate) fn call(&self, request: Request) -> Result<Response> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.ask(request, move |response| {
            // The receiver waits below for as long as it takes.
            let _ = sender.send(response);
        });
        receiver.recv().map_err(|_| Error::new(ErrorKind::Closed, "the metadata thread has ended"))?
    }

    /// Finishes what was handed over, takes no more, and ends the thread.
    pub(crate) fn end(&self) {
        self.shared.lock().ended.get_or_insert_with(|| Error::new(ErrorKind::Closed, "the engine is closed"));
        self.shared.news.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Its panics were answered as errors.
            let _ = thread.join();
        }
    }
}

fn run<Request, Response>(shared: &Shared<Request, Response>, mut work: Work<Request, Response>) {
    signal::thread_takes_no_signals();
    loop {
        let batch = {
            let mut state = shared.lock();
            while state.waiting.is_empty() {
                if state.ended.is_some() {
                    return;
                }
                state = shared.news.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::take(&mut state.waiting)
        };
        let (requests, replies): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let responses = catch_unwind(AssertUnwindSafe(|| work(requests))).ok();
        match responses.filter(|responses| responses.len() == replies.len()) {
            Some(responses) => {
                for (reply, response) in replies.into_iter().zip(responses) {
                    reply(Ok(response));
                }
            }
            None => {
                // What it had done halfway is unknown: nobody may go on as if it were known.
                let error = Error::new(ErrorKind::Panic, "the metadata thread failed inside; open the store again");
                let late = {
                    let mut state = shared.lock();
                    state.ended = Some(error.clone());
                    std::mem::take(&mut state.waiting)
                };
                replies.into_iter().chain(late.into_iter().map(|(_, reply)| reply)).for_each(|r| r(Err(error.clone())));
                return;
            }
        }
    }
}
