//! A producer that sends several appends before it takes the replies of the first.

use std::collections::VecDeque;
use std::time::Instant;

use crate::error::Result;
use crate::payload::Payload;
use crate::producer::Producer;

/// Bytes of values that are under way, where the caller does not wait for each append.
const UNDER_WAY: usize = 1 << 20;

/// A connection that answers in order.
pub(super) trait Replies {
    fn send(&mut self, bytes: &[u8]) -> Result<()>;

    /// Takes the reply to one record; a refusal is an error.
    fn acknowledge(&mut self) -> Result<()>;

    /// Whether there is one to take, until then; `None`: without end.
    fn is_ready(&mut self, until: Option<Instant>) -> Result<bool>;
}

/// Appends over a connection of its own.
pub(super) struct Pipeline<C> {
    connection: C,
    /// What appends a batch, for each batch of the payload.
    commands: Vec<Vec<u8>>,
    /// Replies to one of them.
    replies: usize,
    /// Batches that may be under way.
    most: usize,
    begun: VecDeque<Option<Instant>>,
}

impl<C: Replies> Pipeline<C> {
    /// `command` is what appends one value. `waits`: one batch at a time.
    pub(super) fn new(connection: C, payload: &Payload, waits: bool, command: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let commands = (0..payload.count()).map(|number| payload.values(number).flat_map(&command).collect()).collect();
        let most = if waits { 1 } else { (UNDER_WAY / payload.size()).max(2) };
        Pipeline { connection, commands, replies: payload.batch(), most, begun: VecDeque::new() }
    }

    fn take(&mut self, acknowledged: &mut dyn FnMut(Instant)) -> Result<()> {
        for _ in 0..self.replies {
            self.connection.acknowledge()?;
        }
        if let Some(begun) = self.begun.pop_front().flatten() {
            acknowledged(begun);
        }
        Ok(())
    }
}

impl<C: Replies> Producer for Pipeline<C> {
    fn append(&mut self, batch: usize, begun: Option<Instant>, acknowledged: &mut dyn FnMut(Instant)) -> Result<()> {
        self.connection.send(&self.commands[batch % self.commands.len()])?;
        self.begun.push_back(begun);
        while self.begun.len() >= self.most {
            self.take(acknowledged)?;
        }
        Ok(())
    }

    fn settle(&mut self, until: Option<Instant>, acknowledged: &mut dyn FnMut(Instant)) -> Result<()> {
        while !self.begun.is_empty() && self.connection.is_ready(until)? {
            self.take(acknowledged)?;
        }
        Ok(())
    }
}
