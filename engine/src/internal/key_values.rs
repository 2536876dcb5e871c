//! A small durable map beside each topic.

use super::log::Found;
use super::table::{Change, Table};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::TopicId;
use crate::limits::{KEY_VALUE_BATCH_MAX, KEY_VALUE_KEY_MAX, KEY_VALUE_VALUE_MAX, KEY_VALUES_SIZE_MAX};
use crate::sync::Arc;
use crate::topic::{Common, Topic};

/// A key with its value. Made by [`KeyValues::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// 1 to 1,024 bytes.
    pub key: Vec<u8>,
    /// Up to 1 MiB.
    pub value: Vec<u8>,
}

/// One change of an atomic [batch](KeyValues::batch).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write<'a> {
    /// The key gets this value.
    Put(&'a [u8], &'a [u8]),
    /// The key loses its value, if it has one.
    Delete(&'a [u8]),
}

/// The key-values of a topic: a few, small, and durable. For what belongs to a topic and is no record of it: a state
/// machine's vote, a schema, a cursor of another system.
///
/// Changes return when they are durable, and are seen from then on; a reader never sees what a crash can take back.
/// They are gone with their topic. All are kept in memory, so that a [`get`](KeyValues::get) waits for the device only
/// if it is the first use of the engine's key-values, which reads them. All topics together may have 8 MiB of them.
/// Handles may be used from any thread.
///
/// ```
/// # fn main() -> thalweg::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// use thalweg::{Engine, Options, TopicOptions, Write};
/// let engine = Engine::open(dir.path(), Options::default())?;
/// let topic = engine.create_topic("raft", TopicOptions::default())?;
/// let values = engine.key_values(&topic)?;
/// values.batch(&[Write::Put(b"term", b"7"), Write::Put(b"vote", b"node-2"), Write::Delete(b"old")])?;
/// assert_eq!(values.get(b"vote")?.as_deref(), Some(&b"node-2"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeyValues {
    table: Arc<Table>,
    topic: Topic,
}

impl KeyValues {
    /// The table that all are in.
    pub(crate) fn table(common: &Arc<Common>, found: &Found) -> Table {
        Table::new(common, "values", "the key-values", KEY_VALUES_SIZE_MAX, topic_of, found)
    }

    pub(crate) fn new(table: &Arc<Table>, topic: &Topic) -> KeyValues {
        KeyValues { table: Arc::clone(table), topic: topic.clone() }
    }

    /// The value of a key, if it has one.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for an empty key; [`TooLarge`](ErrorKind::TooLarge) for one
    /// beyond the limit; [`Deleted`](ErrorKind::Deleted) once the topic is;
    /// [`Corrupt`](ErrorKind::Corrupt) if the values cannot be read: see
    /// [`Engine::repair_key_values`](crate::Engine::repair_key_values).
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.topic.state().check()?;
        check_key(key)?;
        self.table.get(&self.stored(key))
    }

    /// Gives a key a value. Durable when it returns.
    ///
    /// # Errors
    /// As [`batch`](KeyValues::batch).
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.batch(&[Write::Put(key, value)])
    }

    /// Takes a key's value away, if it has one. Durable when it returns.
    ///
    /// # Errors
    /// As [`batch`](KeyValues::batch).
    pub fn delete(&self, key: &[u8]) -> Result<()> {
        self.batch(&[Write::Delete(key)])
    }

    /// Makes up to 1,024 changes, in their order: all or none, whatever crashes. Durable when it returns. Now and
    /// then it takes some milliseconds more, to rewrite the log of the changes.
    ///
    /// # Errors
    /// As [`get`](KeyValues::get); [`TooLarge`](ErrorKind::TooLarge) beyond a limit, the one of all topics together
    /// included; and those of [`Topic::append`]. After an error of the device it is not known whether the changes are
    /// made; the next open tells.
    pub fn batch(&self, writes: &[Write<'_>]) -> Result<()> {
        self.topic.state().check()?;
        if writes.len() > KEY_VALUE_BATCH_MAX {
            let message = format!("a batch has {} changes; the limit is {KEY_VALUE_BATCH_MAX}", writes.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let changes = writes.iter().map(|write| self.change(write)).collect::<Result<Vec<Change>>>()?;
        let written = self.table.write(changes);
        written.map_err(|error| error.context(format_args!("changing key-values of topic {:?}", self.topic.name())))
    }

    /// The keys that begin with `prefix`, which may be empty, with their values, in the order of their bytes.
    ///
    /// # Errors
    /// As [`get`](KeyValues::get).
    pub fn list(&self, prefix: &[u8]) -> Result<Vec<KeyValue>> {
        self.topic.state().check()?;
        let mut found = Vec::new();
        self.table.scan(&self.stored(prefix), |key, value| {
            found.push(KeyValue { key: key[4..].to_vec(), value: value.to_vec() });
        })?;
        Ok(found)
    }

    /// Topic numbers are never used twice, so that another topic of the same name begins with nothing.
    fn stored(&self, key: &[u8]) -> Vec<u8> {
        [&self.topic.state().id.0.to_be_bytes()[..], key].concat()
    }

    fn change(&self, write: &Write<'_>) -> Result<Change> {
        let (key, value) = match *write {
            Write::Put(key, value) => (key, Some(value)),
            Write::Delete(key) => (key, None),
        };
        check_key(key)?;
        if let Some(size) = value.map(<[u8]>::len).filter(|size| *size > KEY_VALUE_VALUE_MAX) {
            let message = format!("a value has {size} bytes; the limit is {KEY_VALUE_VALUE_MAX}");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok((self.stored(key).into(), value.map(Into::into)))
    }
}

fn topic_of(key: &[u8]) -> Option<TopicId> {
    key.first_chunk::<4>().map(|number| TopicId(u32::from_be_bytes(*number)))
}

fn check_key(key: &[u8]) -> Result<()> {
    if key.is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, "a key has at least one byte"));
    }
    if key.len() > KEY_VALUE_KEY_MAX {
        let message = format!("a key has {} bytes; the limit is {KEY_VALUE_KEY_MAX}", key.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(())
}

impl core::fmt::Debug for KeyValues {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "KeyValues({:?})", self.topic.name())
    }
}
