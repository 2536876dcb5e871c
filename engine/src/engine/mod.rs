//! The engine: what opens, recovers, assigns and closes.

pub(crate) mod core;
mod info;
mod measure;
mod open;
mod options;
mod positions;
#[cfg(test)]
mod tests;
mod verify;

use std::path::Path;
use std::sync::Arc;

use self::core::Core;
use crate::consumer::{Consumer, ConsumerOptions};
use crate::error::{DamagedRange, Result};
use crate::events::Events;
use crate::internal::{KeyValues, Repaired};
use crate::metrics::Metrics;
use crate::topic::{Topic, TopicDescription, TopicOptions};
pub use info::{Info, RecoveryReport};
use open::Host;
pub use options::{Options, Runtime};
pub use positions::{NamedPosition, Positions};
pub use verify::VerifyReport;

/// A store, opened: topics to append to and read from, and the threads that make it so.
///
/// One engine owns a directory; a second open of it, in this or another process, fails with
/// [`AlreadyOpen`](crate::ErrorKind::AlreadyOpen). A process may have several engines on different directories. All
/// calls may come from any thread. Dropping the engine closes it, and passes over errors; [`close`](Engine::close)
/// tells them. Topics, readers, tickets and batches may outlive it.
///
/// ```
/// # fn main() -> thalweg::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// # let path = dir.path().join("store");
/// use thalweg::{Engine, Options, Record, TopicOptions};
/// let engine = Engine::open(&path, Options::default())?;
/// let orders = engine.create_topic("orders", TopicOptions::default())?;
/// orders.append(&Record::new("paid").key("order-17"))?;
/// engine.close()?;
///
/// let engine = Engine::open(&path, Options::default())?;
/// assert_eq!(engine.topic("orders")?.read(0, 0, 1 << 20)?.len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Engine {
    core: Arc<Core>,
    host: Host,
}

impl Engine {
    /// Opens the store in the directory `path`, or makes one there. Recovers what a process that was killed, or a
    /// machine that lost power, has left: exactly a prefix of every partition, with all that was acknowledged. After a
    /// clean close this takes no longer for more data.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an option outside its range;
    /// [`AlreadyOpen`](crate::ErrorKind::AlreadyOpen), with the holder's process number where it is known;
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is no store and [`create`](Options::create) is off;
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) for a directory that others may write;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a store of a later version, or a runtime that this system
    /// lacks; [`Corrupt`](crate::ErrorKind::Corrupt) if the manifest cannot be read. Damage in one partition is no
    /// reason not to open: [`info`](Engine::info) and reads tell of it.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Engine> {
        let (core, host) = open::open(path.as_ref(), &options)?;
        Ok(Engine { core: Arc::new(core), host })
    }

    /// How the engine works, and why so.
    pub fn info(&self) -> Info {
        self.host.info(&self.core)
    }

    /// What happens in the engine: opened, recovered, damaged, refused by the device, closed. What happened since the
    /// open began is in it, until it is taken or gives way to newer events. With the feature `tracing` the same goes to
    /// `tracing`, under the target `thalweg`.
    pub fn events(&self) -> Events {
        self.core.common().events.clone()
    }

    /// What the engine counts of itself, as it is now: as a struct, and from there as JSON or for Prometheus. Appends and
    /// reads do not wait for it. It may wait for the device: the first call reads the log of named positions, and one
    /// during the deletion of a topic waits for that. In a forked child, where the engine does nothing, all numbers
    /// are 0.
    ///
    /// ```
    /// # fn main() -> thalweg::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a directory");
    /// use thalweg::{Engine, Options, Record, TopicOptions};
    /// let engine = Engine::open(dir.path(), Options::default())?;
    /// let orders = engine.create_topic("orders", TopicOptions::default())?;
    /// orders.append(&Record::new("two lamps").key("ann"))?;
    /// let metrics = engine.metrics();
    /// assert_eq!(metrics.topics[0].appends.bytes, 12);
    /// assert!(metrics.to_prometheus().contains("thalweg_topic_appends_total{topic=\"orders\"} 1"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn metrics(&self) -> Metrics {
        self.core.metrics(self.host.runtime())
    }

    /// Creates a topic. Durable when it returns.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists); [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for
    /// a name that is not 1 to 249 of `[A-Za-z0-9._-]`, or is `.` or `..`, and for a number of partitions outside its
    /// range.
    pub fn create_topic(&self, name: &str, options: TopicOptions) -> Result<Topic> {
        self.core.create_topic(name, &options)
    }

    /// The topic of a name.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub fn topic(&self, name: &str) -> Result<Topic> {
        self.core.topic(name)
    }

    /// All topics as they are now, by name.
    ///
    /// # Errors
    /// Only [`Forked`](crate::ErrorKind::Forked).
    pub fn topics(&self) -> Result<Vec<TopicDescription>> {
        self.core.topics()
    }

    /// Deletes a topic and its records. Durable when it returns; handles of the topic answer
    /// [`Deleted`](crate::ErrorKind::Deleted) from then on, batches that were read stay valid.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound). After another error the topic can no longer be used, and the next
    /// open tells whether it is gone.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        self.core.delete_topic(name)
    }

    /// A consumer, which reads nothing yet.
    ///
    /// # Errors
    /// [`AlreadyOpen`](crate::ErrorKind::AlreadyOpen) if a consumer of the same name is open;
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name that is not 1 to 249 of `[A-Za-z0-9._-]`, and
    /// for a start that belongs to one partition.
    pub fn consumer(&self, options: ConsumerOptions) -> Result<Consumer> {
        Consumer::new(self.core.common(), self.core.positions(), options)
    }

    /// The named positions of this store, to list, reset and delete.
    pub fn positions(&self) -> Positions<'_> {
        Positions::new(&self.core)
    }

    /// The key-values of a topic.
    ///
    /// # Errors
    /// [`Deleted`](crate::ErrorKind::Deleted); [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a topic of
    /// another engine.
    pub fn key_values(&self, topic: &Topic) -> Result<KeyValues> {
        self.core.key_values(topic)
    }

    /// Where damage on the device keeps the key-values of all topics from being read: goes on with those that can be
    /// read. Changes that are damaged, or that the device does not give, are lost, and the value before such a change is
    /// what is left. The answer counts what is uncertain: where an old value does harm, delete it. Durable when it
    /// returns, all or nothing. Without damage it only rewrites the log.
    ///
    /// # Errors
    /// As [`Positions::repair`].
    pub fn repair_key_values(&self) -> Result<Repaired> {
        self.core.values().repair()
    }

    /// Reads everything that is on the device, and checks every checksum and every offset. `tell` gets each damaged
    /// range as it is found, those that recovery found among them; the report has them all, and the headers and footers
    /// of segments that are damaged, though nothing is lost by these. Of segments that were sealed since the open, the
    /// footers are not looked at. Appends and reads go on
    /// meanwhile. Reads past the cache, with as much memory as one read of the largest batch takes.
    ///
    /// # Errors
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock) if batches that are held leave no memory for it. Damage is no
    /// error of this call.
    pub fn verify(&self, mut tell: impl FnMut(&DamagedRange)) -> Result<VerifyReport> {
        self.core.common().gate.check()?;
        self.core.verify(&mut tell)
    }

    /// Makes everything that was appended durable, ends the threads, and marks the store as cleanly closed. Waits for
    /// the device. Calls on topics and readers answer [`Closed`](crate::ErrorKind::Closed) from then on; batches stay
    /// valid, and so do tickets, which tell what became of their appends. Nothing of the store is held open any more.
    /// Closing it again does nothing.
    ///
    /// # Errors
    /// If something could not be written: it is not lost that was acknowledged, and the next open recovers.
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock) on a thread of the engine itself, in a
    /// [waker](crate::Ticket#wakers): the close goes on behind the call, and the event
    /// [`Closed`](crate::EventKind::Closed) tells its end. Dropping the engine there does the same.
    pub fn close(&self) -> Result<()> {
        self.host.close(&self.core)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`.
        let _ = self.host.close(&self.core);
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({:?})", self.host.path())
    }
}
