//! The log behind a table: one partition of an internal topic, and the one that takes its place.

use std::collections::BTreeMap;

use crate::durability::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::format::record::Record;
use crate::limits::SECTOR;
use crate::manifest::{MetaDone, MetaOrder};
use crate::partition::{Patience, Seat};
use crate::producer::{AppendOptions, Ticket, submit};
use crate::reader::{Cursor, Source};
use crate::sync::{Arc, Mutex};
use crate::topic::{Common, TopicState, Totals};

/// Bytes asked for at once while a log is read.
const READ_BYTES: usize = 1 << 20;

/// What a segment takes beside its records, at least: its header, and its last sector. Bytes.
const SEGMENT_SIZE: u64 = 2 * SECTOR;

/// Internal topics that an open found, by name.
pub(crate) type Found = BTreeMap<String, Arc<TopicState>>;

/// What stands in a log.
pub(crate) enum Logged<'a> {
    /// A key with its value, or without one where it is gone.
    Change(&'a [u8], Option<&'a [u8]>),
    /// Changes that cannot be read. Whoever does not refuse them is shown what is behind.
    Damage(Error),
}

/// A log that can be replaced whole.
///
/// Its topic is called `$table.number`. Of several the lowest number counts: the others were being written when the
/// process ended, and are removed. The replacement takes effect when the deletion of its predecessor is durable.
pub(crate) struct Log {
    common: Arc<Common>,
    table: &'static str,
    topics: Mutex<Topics>,
}

#[derive(Default)]
struct Topics {
    /// The one that counts, and its number.
    current: Option<(u64, Arc<TopicState>)>,
    /// Those that never came to count.
    leftovers: Vec<Arc<TopicState>>,
}

impl Log {
    pub(crate) fn new(common: &Arc<Common>, table: &'static str, found: &Found) -> Log {
        let number = |name: &str| name.strip_prefix('$')?.strip_prefix(table)?.strip_prefix('.')?.parse().ok();
        let mut own: Vec<(u64, Arc<TopicState>)> =
            found.iter().filter_map(|(name, topic)| Some((number(name)?, Arc::clone(topic)))).collect();
        own.sort_by_key(|(number, _)| *number);
        let mut own = own.into_iter();
        let topics = Topics { current: own.next(), leftovers: own.map(|(_, topic)| topic).collect() };
        Log { common: Arc::clone(common), table, topics: Mutex::new(topics) }
    }

    pub(crate) fn common(&self) -> &Arc<Common> {
        &self.common
    }

    /// The places of all its partitions that were used, also those that do not count.
    pub(crate) fn seats(&self) -> Vec<Arc<Seat>> {
        let topics = self.topics.lock();
        let current = topics.current.iter().map(|(_, topic)| topic);
        current.chain(&topics.leftovers).flat_map(|topic| topic.seats()).collect()
    }

    /// What happened to its topics. Those that were replaced are in the totals of deleted topics, which the caller has
    /// locked.
    pub(crate) fn totals(&self) -> Totals {
        let topics = self.topics.lock();
        let mut totals = Totals::default();
        let current = topics.current.iter().map(|(_, topic)| topic);
        current.chain(&topics.leftovers).for_each(|topic| totals.add(topic.totals()));
        totals
    }

    /// Shows everything that is durable, in order. Answers the bytes that it takes, roughly.
    pub(crate) fn load(&self, visit: &mut dyn FnMut(Logged<'_>) -> Result<()>) -> Result<u64> {
        if self.common.gate.check_change().is_ok() {
            self.remove_leftovers()?;
        }
        let Some(seat) = self.current()? else { return Ok(0) };
        let partition = seat.current();
        let failure = partition.watermark().failure().map(|error| error.clone().context(&partition));
        // Damage that recovery found has its place among the rest; nothing else can be read past.
        let mut untold = match failure {
            Some(error) if partition.damaged().is_empty() => return Err(error),
            failure => failure,
        };
        let mut source = self.source(seat);
        let mut cursor = Cursor::in_order(partition.log_start());
        let mut size = partition.chain().segments().len() as u64 * SEGMENT_SIZE;
        loop {
            let batch = match source.read(&mut cursor, READ_BYTES) {
                Ok(batch) => batch,
                Err(error) => {
                    let end = error.damaged().map(|range| range.end).filter(|end| *end > cursor.offset);
                    let Some(end) = end else { return Err(error) };
                    visit(Logged::Damage(error))?;
                    (cursor, untold) = (Cursor::in_order(end), None);
                    continue;
                }
            };
            if batch.is_empty() {
                untold.map_or(Ok(()), |error| visit(Logged::Damage(error)))?;
                return Ok(size);
            }
            size += batch.size() as u64;
            for record in &batch {
                visit(Logged::Change(record.key.unwrap_or_default(), record.value))?;
            }
        }
    }

    /// Appends one batch: there whole or not at all. Makes the log if there is none.
    pub(crate) fn append(&self, records: &[Record<'_>]) -> Result<Ticket> {
        let seat = match self.current()? {
            Some(seat) => seat,
            None => {
                let topic = self.create(1)?;
                self.topics.lock().current = Some((1, Arc::clone(&topic)));
                Arc::clone(topic.seat(0)?)
            }
        };
        submit(&seat, records, AppendOptions::default(), Patience::Until(None), &*self.common.environment)
    }

    /// Puts these batches in the place of everything that was appended. The caller sees to it that nothing is
    /// appended meanwhile. After an error of the deletion it is not known which of the two the next open finds; they
    /// say the same.
    pub(crate) fn replace<'a>(&self, batches: impl Iterator<Item = Vec<Record<'a>>>) -> Result<()> {
        let Some((number, old)) = self.topics.lock().current.clone() else { return Ok(()) };
        // An earlier try may have ended half way.
        self.remove_leftovers()?;
        let new = self.create(number + 1)?;
        self.topics.lock().leftovers.push(Arc::clone(&new));
        let seat = Arc::clone(new.seat(0)?);
        let mut last = None;
        for records in batches {
            last = Some(submit(
                &seat,
                &records[..],
                AppendOptions::default(),
                Patience::Until(None),
                &*self.common.environment,
            )?);
        }
        // Acknowledged in order: the last one stands for all.
        if let Some(ticket) = last {
            ticket.wait(None)?;
        }
        old.delete()?;
        let mut deleted = self.common.deleted.lock();
        deleted.add(old.totals());
        let mut topics = self.topics.lock();
        topics.leftovers.retain(|topic| !Arc::ptr_eq(topic, &new));
        topics.current = Some((number + 1, new));
        Ok(())
    }

    fn current(&self) -> Result<Option<Arc<Seat>>> {
        let topic = self.topics.lock().current.clone();
        topic.map(|(_, topic)| topic.seat(0).cloned()).transpose()
    }

    fn remove_leftovers(&self) -> Result<()> {
        loop {
            let Some(topic) = self.topics.lock().leftovers.last().cloned() else { return Ok(()) };
            topic.delete()?;
            self.topics.lock().leftovers.pop();
        }
    }

    fn create(&self, number: u64) -> Result<Arc<TopicState>> {
        let name = format!("${}.{number}", self.table);
        let order = MetaOrder::CreateTopic { name: name.clone(), partitions: 1, durability: Durability::Durable };
        let MetaDone::TopicCreated { topic } = self.common.order(order)? else {
            return Err(Error::new(ErrorKind::Panic, "the answer to the creation of a topic is another's"));
        };
        Ok(Arc::new(TopicState::new(topic, &name, Durability::Durable, 1, &self.common)))
    }

    fn source(&self, seat: Arc<Seat>) -> Source {
        let (lender, gate) = (Arc::clone(&self.common.lender), Arc::clone(&self.common.gate));
        Source::new(seat, lender, gate)
    }
}
