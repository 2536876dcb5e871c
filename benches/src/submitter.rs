//! A thread that appends to the engine.

use std::collections::VecDeque;
use std::time::Instant;

use thalweg::{AppendOptions, ErrorKind, Record, Target, Ticket, Topic};

use crate::error::Result;
use crate::payload::Payload;
use crate::producer::Producer;

/// Appends to some partitions of a topic in turns.
pub(crate) struct Submitter<'a> {
    topic: &'a Topic,
    payload: &'a Payload,
    /// Made once, where there are many records in one.
    batches: Vec<Vec<Record<'a>>>,
    first: u32,
    partitions: u32,
    /// 1: it waits for each. 0: as many as the memory takes.
    in_flight: usize,
    /// Those that are timed, oldest first.
    tickets: VecDeque<(Instant, Ticket)>,
    /// The last one, if it is not timed.
    last: Option<Ticket>,
}

impl<'a> Submitter<'a> {
    /// To so many partitions from `first` on.
    pub(crate) fn new(topic: &'a Topic, payload: &'a Payload, first: u32, partitions: u32, in_flight: u32) -> Self {
        let batch = |number| payload.values(number).map(Record::new).collect();
        let batches = if payload.batch() > 1 { (0..payload.count()).map(batch).collect() } else { Vec::new() };
        let (tickets, last) = (VecDeque::new(), None);
        Submitter { topic, payload, batches, first, partitions, in_flight: in_flight as usize, tickets, last }
    }

    fn submit(&self, batch: usize) -> Result<Ticket> {
        let target = self.target(batch);
        let options = AppendOptions::default();
        if self.batches.is_empty() {
            return Ok(self.topic.submit(target, &[Record::new(self.payload.value(batch))], options)?);
        }
        Ok(self.topic.submit(target, &self.batches[batch % self.batches.len()], options)?)
    }

    fn append_and_wait(&self, batch: usize) -> Result<()> {
        let target = self.target(batch);
        if self.batches.is_empty() {
            self.topic.append_batch(target, &[Record::new(self.payload.value(batch))])?;
        } else {
            self.topic.append_batch(target, &self.batches[batch % self.batches.len()])?;
        }
        Ok(())
    }

    fn target(&self, batch: usize) -> Target<'static> {
        Target::Partition(self.first + (batch % self.partitions as usize) as u32)
    }
}

impl Producer for Submitter<'_> {
    fn append(&mut self, batch: usize, begun: Option<Instant>, acknowledged: &mut dyn FnMut(Instant)) -> Result<()> {
        if self.in_flight == 1 {
            self.append_and_wait(batch)?;
            begun.map(acknowledged);
            return Ok(());
        }
        if self.in_flight > 0
            && self.tickets.len() >= self.in_flight
            && let Some((begun, oldest)) = self.tickets.pop_front()
        {
            oldest.wait(None)?;
            acknowledged(begun);
        }
        let ticket = self.submit(batch)?;
        let Some(begun) = begun else {
            self.last = Some(ticket);
            return Ok(());
        };
        self.last = None;
        self.tickets.push_back((begun, ticket));
        while let Some((begun, oldest)) = self.tickets.front()
            && oldest.is_durable()?
        {
            acknowledged(*begun);
            self.tickets.pop_front();
        }
        Ok(())
    }

    fn settle(&mut self, until: Option<Instant>, acknowledged: &mut dyn FnMut(Instant)) -> Result<()> {
        while let Some((begun, oldest)) = self.tickets.front() {
            match oldest.wait(until.map(|until| until.saturating_duration_since(Instant::now()))) {
                Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(()),
                result => result?,
            };
            acknowledged(*begun);
            self.tickets.pop_front();
        }
        if until.is_none()
            && let Some(last) = self.last.take()
        {
            last.wait(None)?;
        }
        Ok(())
    }
}
