//! Named positions: where each consumer goes on.

use std::collections::BTreeSet;
use std::sync::Weak;

use super::log::Found;
use super::repaired::Repaired;
use super::table::{Change, Table};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{PartitionId, TopicId};
use crate::limits::{BATCH_RECORDS_MAX, CONSUMER_NAME_MAX, POSITION_METADATA_MAX, POSITIONS_SIZE_MAX};
use crate::partition::Seat;
use crate::sync::{Arc, Mutex};
use crate::topic::{Common, Followers, Totals};

/// A position of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) partition: PartitionId,
    /// The offset to go on at.
    pub(crate) offset: u64,
    pub(crate) metadata: Vec<u8>,
}

/// All named positions, and the names that are in use.
pub(crate) struct PositionStore {
    table: Table,
    open: Mutex<BTreeSet<String>>,
}

/// The store, for whom it knows.
struct Known(Weak<PositionStore>);

impl Followers for Known {
    fn go_back(&self, partition: PartitionId, offset: u64) -> Result<()> {
        self.0.upgrade().map_or(Ok(()), |store| store.go_back(partition, offset))
    }
}

/// The use of a name; nobody else has it while this lives.
pub(crate) struct OpenName {
    store: Arc<PositionStore>,
    name: String,
}

impl OpenName {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for OpenName {
    fn drop(&mut self) {
        self.store.open.lock().remove(&self.name);
    }
}

/// Refuses a name that is not 1 to 249 of `[A-Za-z0-9._-]`.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=CONSUMER_NAME_MAX).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    let message = format!(
        "consumer name {name:?}: allowed are 1 to {CONSUMER_NAME_MAX} letters, digits, '.', '_' and '-' (it has {} bytes)",
        name.len()
    );
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

impl PositionStore {
    pub(crate) fn new(common: &Arc<Common>, found: &Found) -> PositionStore {
        let table = Table::new(common, "positions", "the named positions", POSITIONS_SIZE_MAX, topic_of, found);
        PositionStore { table, open: Mutex::new(BTreeSet::new()) }
    }

    pub(crate) fn seats(&self) -> Vec<Arc<Seat>> {
        self.table.seats()
    }

    pub(crate) fn totals(&self) -> Totals {
        self.table.totals()
    }

    /// Takes a name.
    pub(crate) fn open(self: &Arc<Self>, name: &str) -> Result<OpenName> {
        check_name(name)?;
        if !self.open.lock().insert(name.to_owned()) {
            let message = format!("consumer {name:?} is open already; close it first, or use another name");
            return Err(Error::new(ErrorKind::AlreadyOpen, message));
        }
        Ok(OpenName { store: Arc::clone(self), name: name.to_owned() })
    }

    /// The positions of a name, by partition.
    pub(crate) fn of(&self, name: &str) -> Result<Vec<Saved>> {
        let mut found = Vec::new();
        self.table.scan(&prefix(name), |key, value| found.extend(decode(key, value).map(|(_, saved)| saved)))?;
        Ok(found)
    }

    /// All positions, by name and partition.
    pub(crate) fn all(&self) -> Result<Vec<(String, Saved)>> {
        let mut found = Vec::new();
        self.table.scan(&[], |key, value| found.extend(decode(key, value)))?;
        // Stored keys begin with the size of the name.
        found.sort_by(|a, b| (&a.0, a.1.partition).cmp(&(&b.0, b.1.partition)));
        Ok(found)
    }

    /// Replaces these positions of a name, all or none. Durable when it returns.
    pub(crate) fn commit(&self, name: &str, positions: &[Saved]) -> Result<()> {
        if positions.len() > BATCH_RECORDS_MAX {
            let message = format!("a commit has {} positions; the limit is {BATCH_RECORDS_MAX}", positions.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        for Saved { metadata, .. } in positions {
            if metadata.len() > POSITION_METADATA_MAX {
                let size = metadata.len();
                let message = format!("metadata of a position has {size} bytes; the limit is {POSITION_METADATA_MAX}");
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
        }
        let change = |saved: &Saved| -> Change {
            let value = [&saved.offset.to_le_bytes()[..], &saved.metadata].concat();
            (key(name, saved.partition), Some(value.into()))
        };
        let written = self.table.write(positions.iter().map(change).collect());
        written
            .map_err(|error| error.context(format_args!("committing {} of consumer {name:?}", count(positions.len()))))
    }

    /// Makes the log anew from what can be read of it.
    pub(crate) fn repair(&self) -> Result<Repaired> {
        self.table.repair()
    }

    /// What the truncation of a log tells.
    pub(crate) fn followers(self: &Arc<Self>) -> Box<dyn Followers> {
        Box::new(Known(Arc::downgrade(self)))
    }

    fn go_back(&self, partition: PartitionId, offset: u64) -> Result<()> {
        let mut changes = Vec::new();
        let scanned = self.table.scan(&[], |key, value| {
            let saved = decode(key, value).map(|(_, saved)| saved);
            if let Some(saved) = saved.filter(|saved| saved.partition == partition && saved.offset > offset) {
                let value = [&offset.to_le_bytes()[..], &saved.metadata].concat();
                changes.push((key.into(), Some(value.into())));
            }
        });
        match scanned {
            // Nobody goes by them before they are repaired.
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(()),
            scanned => scanned?,
        }
        for changes in changes.chunks(BATCH_RECORDS_MAX) {
            self.table.write(changes.to_vec())?;
        }
        Ok(())
    }

    /// Removes positions of a name: those of one topic, or all. Answers how many there were.
    pub(crate) fn delete(&self, name: &str, topic: Option<TopicId>) -> Result<usize> {
        let saved = self.of(name)?;
        let chosen = saved.iter().filter(|saved| topic.is_none_or(|topic| saved.partition.topic == topic));
        let changes: Vec<Change> = chosen.map(|saved| (key(name, saved.partition), None)).collect();
        let count = changes.len();
        for changes in changes.chunks(BATCH_RECORDS_MAX) {
            let written = self.table.write(changes.to_vec());
            written.map_err(|error| error.context(format_args!("removing positions of consumer {name:?}")))?;
        }
        Ok(count)
    }
}

fn count(positions: usize) -> String {
    if positions == 1 { "a position".into() } else { format!("{positions} positions") }
}

fn prefix(name: &str) -> Vec<u8> {
    let size = u8::try_from(name.len()).expect("a consumer's name is within its limit");
    [&[size][..], name.as_bytes()].concat()
}

fn key(name: &str, partition: PartitionId) -> Box<[u8]> {
    [&prefix(name)[..], &partition.topic.0.to_be_bytes(), &partition.partition.to_be_bytes()].concat().into()
}

fn topic_of(key: &[u8]) -> Option<TopicId> {
    decode(key, &[0; 8]).map(|(_, saved)| saved.partition.topic)
}

fn decode(key: &[u8], value: &[u8]) -> Option<(String, Saved)> {
    let (size, rest) = key.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*size))?;
    let (topic, rest) = rest.split_first_chunk::<4>()?;
    let partition = rest.first_chunk::<4>()?;
    let (offset, metadata) = value.split_first_chunk::<8>()?;
    let partition =
        PartitionId { topic: TopicId(u32::from_be_bytes(*topic)), partition: u32::from_be_bytes(*partition) };
    let name = String::from_utf8(name.to_vec()).ok()?;
    Some((name, Saved { partition, offset: u64::from_le_bytes(*offset), metadata: metadata.to_vec() }))
}
