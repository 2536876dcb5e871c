//! What waits for a descriptor: the process has none left, and a file has to be opened again.
//!
//! Nothing of such an operation was done, so that trying it again proves what the first attempt would have. Writes wait
//! for as long as the engine is open: what they hold was accepted. Reads wait a little, then say what is missing.

use std::io;

use crate::error::Error;
use crate::io::{Op, OpKind, no_descriptor};
use crate::shard::{Outbox, Shard};

/// Between two attempts. ns.
const PAUSE: u64 = 10_000_000;
/// How long a read waits. ns.
const READ_PATIENCE: u64 = 200_000_000;
/// How long a close waits for what has to be written. ns.
const CLOSE_PATIENCE: u64 = 10_000_000_000;
/// It is told no more often than this. ns.
const TOLD: u64 = 60_000_000_000;

/// What is tried again, each with its time. In the order of the times, which all lie one pause ahead.
#[derive(Default)]
pub(super) struct Starved {
    ops: Vec<(u64, Op)>,
    /// Writers with a segment that could not be activated.
    writers: Vec<(u64, usize)>,
    told: Option<u64>,
}

impl Starved {
    /// Whether it is to be told now.
    fn tells(&mut self, now: u64) -> bool {
        let tells = self.told.is_none_or(|told| now.saturating_sub(told) >= TOLD);
        if tells {
            self.told = Some(now);
        }
        tells
    }

    /// Operations that wait.
    pub(super) fn len(&self) -> usize {
        self.ops.len()
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        let first = |at: Option<u64>| at.unwrap_or(u64::MAX);
        let next = first(self.ops.first().map(|(at, _)| *at)).min(first(self.writers.first().map(|(at, _)| *at)));
        (next < u64::MAX).then_some(next)
    }
}

impl Shard {
    /// An operation was not begun for want of a descriptor.
    pub(super) fn starve(&mut self, op: Op, error: &io::Error) {
        let slot = usize::try_from(self.in_flight.token_of(&op)).expect("tokens are slot numbers");
        let (purpose, counted) = self.purposes[slot].as_ref().expect("an operation in flight has a purpose");
        let (since, writer) = (counted.since, purpose.writer());
        let needed = writer.is_none_or(|writer| self.writers[writer].failed.is_none());
        let patience = if op.kind == OpKind::Read { self.now.saturating_sub(since) < READ_PATIENCE } else { true };
        if !(needed && patience && self.waits_for_descriptors()) {
            let token = self.in_flight.give_up(&op);
            let error = io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EMFILE));
            return self.done(token, Err(error));
        }
        if self.starved.tells(self.now) {
            self.tell_refused(purpose, op.kind, error);
        }
        self.starved.ops.push((self.now.saturating_add(PAUSE), op));
    }

    /// The header of a segment could not be written for want of a descriptor; whether that is tried again.
    pub(super) fn starve_writer(&mut self, writer: usize, error: &Error) -> bool {
        if !no_descriptor(error.os_code()) || !self.waits_for_descriptors() {
            return false;
        }
        if self.starved.tells(self.now) {
            self.tell_metadata_refused(error);
        }
        if !self.starved.writers.iter().any(|(_, waiting)| *waiting == writer) {
            self.starved.writers.push((self.now.saturating_add(PAUSE), writer));
        }
        true
    }

    fn waits_for_descriptors(&self) -> bool {
        !self.closing || self.now.saturating_sub(self.closing_since) < CLOSE_PATIENCE
    }

    /// Tries again what has waited long enough.
    pub(super) fn feed_starved(&mut self, out: &mut Outbox) {
        let now = self.now;
        let due = |at: u64| at <= now;
        let ops = self.starved.ops.partition_point(|(at, _)| due(*at));
        out.ops.extend(self.starved.ops.drain(..ops).map(|(_, op)| op));
        let writers = self.starved.writers.partition_point(|(at, _)| due(*at));
        for (_, writer) in self.starved.writers.drain(..writers).collect::<Vec<_>>() {
            self.enqueue(writer);
        }
    }
}
