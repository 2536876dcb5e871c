//! What wakes a consumer: one bell for all its partitions, rung once until it has looked.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use crate::sync::{Notify, callback};

/// Collects the tokens of what has news, and wakes the thread or task that waits for any.
#[derive(Default)]
pub(super) struct Signal {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    tokens: Vec<u64>,
    /// The task that waits; taken by the first news.
    waker: Option<Waker>,
    /// A thread sleeps and has not been woken.
    sleeping: bool,
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

    /// Sleeps until there is news, or `deadline`; whether there is.
    pub(super) fn sleep(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        while state.tokens.is_empty() {
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
        !state.tokens.is_empty()
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
