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
        Submitter {
            topic,
            batches: (0..payload.count()).map(batch).collect(),
            first,
            partitions,
            in_flight: in_flight as usize,
            tickets: VecDeque::new(),
            last: None,
        }
    }
}

impl Producer for Submitter<'_> {
    fn append(&mut self, batch: usize, begun: Option<Instant>, acknowledged: &mut dyn FnMut(Instant)) -> Result<()> {
        let target = Target::Partition(self.first + (batch % self.partitions as usize) as u32);
        let records = &self.batches[batch % self.batches.len()];
        if self.in_flight == 1 {
            self.topic.append_batch(target, records)?;
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
        let ticket = self.topic.submit(target, records, AppendOptions::default())?;
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
