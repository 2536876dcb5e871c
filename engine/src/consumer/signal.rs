//! What wakes a consumer: one bell for all its partitions, rung once until it has looked.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::io::EventFd;
use crate::sync::{Notify, callback};

/// Collects the tokens of what has news, and wakes the thread or task that waits for any.
#[derive(Default)]
pub(super) struct Signal {
    state: Mutex<State>,
    arrived: Condvar,
    /// Made when it is first asked for: who sleeps in a poll does without.
    event: OnceLock<EventFd>,
}

#[derive(Default)]
struct State {
    tokens: Vec<u64>,
    /// The task that waits; taken by the first news.
    waker: Option<Waker>,
    /// A thread sleeps and has not been woken.
    sleeping: bool,
    /// The sleep that is under way, or else the next one, ends without news.
    interrupted: bool,
    /// The descriptor is readable.
    raised: bool,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what has news.
    pub(super) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut self.lock().tokens)
    }

    /// Sleeps until there is news, or `deadline`, or somebody interrupts; whether there is news.
    pub(super) fn sleep(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        while state.tokens.is_empty() && !state.interrupted {
            state.sleeping = true;
            state = match deadline {
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.sleeping = false;
        state.interrupted = false;
        !state.tokens.is_empty()
    }

    /// Ends the sleep that is under way, or else the next one.
    pub(super) fn interrupt(&self) {
        let mut state = self.lock();
        state.interrupted = true;
        state.sleeping = false;
        drop(state);
        self.arrived.notify_one();
    }

    /// A descriptor that is readable while there is news, or `more` to take without any.
    pub(super) fn descriptor(&self, more: bool) -> Result<BorrowedFd<'_>> {
        let mut state = self.lock();
        if self.event.get().is_none() {
            let made = EventFd::new().map_err(|e| Error::os("cannot create an eventfd", &e))?;
            // Under the lock: nobody else has made one meanwhile.
            let _first = self.event.set(made);
            self.show(&mut state, more);
        }
        drop(state);
        Ok(self.event.get().expect("it was just made").as_fd())
    }

    /// Whether there is more to take without news: the descriptor, if there is one, follows.
    pub(super) fn settle(&self, more: bool) {
        if self.event.get().is_some() {
            self.show(&mut self.lock(), more);
        }
    }

    fn show(&self, state: &mut State, more: bool) {
        let readable = more || !state.tokens.is_empty();
        if let Some(event) = self.event.get().filter(|_| readable != state.raised) {
            match readable {
                true => event.notify(),
                false => _ = event.drain(),
            }
            state.raised = readable;
        }
    }

    /// Has a task woken by the next news. `false`: there is news already, and nobody will be woken.
    pub(super) fn watch(&self, waker: &Waker) -> bool {
        let mut waker = Some(waker.clone());
        let mut state = self.lock();
        let waits = state.tokens.is_empty();
        if waits {
            std::mem::swap(&mut state.waker, &mut waker);
        }
        // Code of the host runs, where one is dropped, outside the lock.
        drop(state);
        drop(waker);
        waits
    }

    /// Nobody waits any more.
    pub(super) fn unwatch(&self) {
        let waker = self.lock().waker.take();
        drop(waker);
    }
}

impl Notify for Signal {
    fn notify(&self, token: u64) {
        let mut state = self.lock();
        state.tokens.push(token);
        self.show(&mut state, true);
        let (waker, sleeping) = (state.waker.take(), std::mem::take(&mut state.sleeping));
        drop(state);
        if sleeping {
            self.arrived.notify_one();
        }
        if let Some(waker) = waker {
            callback(|| waker.wake());
        }
    }
}
