//! A shard's thread.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::doorbell::Doorbell;
use super::driver::Driver;
use super::helper::Helper;
use super::machine::Machine;
use crate::error::{Error, ErrorKind, Result};
use crate::io::{Completion, Environment, Op};

/// What the helper thread hands back to a shard.
struct Mailbox<Response> {
    letters: Mutex<Vec<Result<Response>>>,
    doorbell: Arc<Doorbell>,
}

impl<Response> Mailbox<Response> {
    fn put(&self, letter: Result<Response>) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
        self.doorbell.wake();
    }

    fn take(&self) -> Vec<Result<Response>> {
        std::mem::take(&mut *self.letters.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_empty(&self) -> bool {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// What a shard's thread works with.
pub(super) struct Worker<M: Machine, D> {
    machine: M,
    driver: D,
    doorbell: Arc<Doorbell>,
    helper: Arc<Helper<M::Request, M::Response>>,
    mailbox: Arc<Mailbox<M::Response>>,
    environment: Arc<dyn Environment>,
    /// Wanted, but the driver has no room yet.
    pending: VecDeque<Op>,
}

impl<M: Machine, D: Driver> Worker<M, D> {
    pub(super) fn new(
        machine: M,
        driver: D,
        doorbell: Arc<Doorbell>,
        helper: Arc<Helper<M::Request, M::Response>>,
        environment: Arc<dyn Environment>,
    ) -> Worker<M, D> {
        let mailbox = Arc::new(Mailbox { letters: Mutex::default(), doorbell: Arc::clone(&doorbell) });
        Worker { machine, driver, doorbell, helper, mailbox, environment, pending: VecDeque::new() }
    }

    /// Drives the machine until it is closed. However it ends, nobody is left waiting for it. Whether nothing is in
    /// flight any more.
    pub(super) fn run(mut self) -> bool {
        let error = match catch_unwind(AssertUnwindSafe(|| self.work())) {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error,
            Err(_) => Error::new(ErrorKind::Panic, "a shard failed inside; open the store again"),
        };
        // The machine may be in any state. If it cannot even fail, its waiters learn it from its being dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| self.machine.fail(&error)));
        self.driver.end()
    }

    fn work(&mut self) -> Result<()> {
        let (mut ops, mut requests, mut completions) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            for letter in self.mailbox.take() {
                self.machine.answered(letter?);
            }
            self.machine.turn(self.environment.monotonic_ns(), &mut ops, &mut requests);
            self.pending.extend(ops.drain(..));
            for request in requests.drain(..) {
                let mailbox = Arc::clone(&self.mailbox);
                self.helper.ask(request, move |response| mailbox.put(response));
            }
            self.submit();
            if self.machine.is_closed() && self.pending.is_empty() && self.driver.in_flight() == 0 {
                return Ok(());
            }
            self.doorbell.lie_down();
            let result = self.driver.wait(self.sleep_for(), &mut completions);
            self.doorbell.get_up();
            result.map_err(|e| lost(&e))?;
            completions.drain(..).for_each(|completion: Completion| self.machine.complete(completion));
        }
    }

    fn submit(&mut self) {
        while self.driver.room() > 0 {
            let Some(op) = self.pending.pop_front() else { return };
            self.driver.submit(op);
        }
    }

    /// How long there is nothing to do; looked at after the note on the doorbell is up.
    fn sleep_for(&self) -> Option<Duration> {
        if self.machine.has_input() || !self.mailbox.is_empty() {
            return Some(Duration::ZERO);
        }
        let deadline = self.machine.next_deadline()?;
        Some(Duration::from_nanos(deadline.saturating_sub(self.environment.monotonic_ns())))
    }
}

fn lost(error: &io::Error) -> Error {
    Error::os("the runtime can no longer reach the kernel", error)
}
