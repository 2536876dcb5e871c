//! Where a batch goes, and how its append behaves.

use std::time::{Duration, Instant};

use crate::durability::Durability;
use crate::error::Result;
use crate::partition::Patience;

/// Which partition a batch goes to. A batch has one, whatever the keys of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// This one.
    Partition(u32),
    /// The one that this key belongs to: murmur2, exactly as Kafka's Java client.
    Key(&'a [u8]),
    /// The next one, by turns for each batch.
    RoundRobin,
}

/// How an append behaves. A plain builder.
///
/// ```
/// use thalweg::{AppendOptions, Durability};
/// let options = AppendOptions::default().durability(Durability::LoseOnKill).wait_for_memory(false);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct AppendOptions {
    pub(crate) durability: Option<Durability>,
    pub(crate) wait_for_memory: bool,
    pub(crate) memory_timeout: Option<Duration>,
    pub(crate) notify: bool,
    pub(crate) expected_offset: Option<u64>,
    pub(crate) term: Option<u64>,
}

impl Default for AppendOptions {
    fn default() -> AppendOptions {
        AppendOptions {
            durability: None,
            wait_for_memory: true,
            memory_timeout: None,
            notify: false,
            expected_offset: None,
            term: None,
        }
    }
}

impl AppendOptions {
    /// When this append is acknowledged; by default as its topic says. It does not change what readers see: the high
    /// watermark follows the topic.
    pub fn durability(mut self, durability: Durability) -> AppendOptions {
        self.durability = Some(durability);
        self
    }

    /// Whether the call waits when the appenders' share of the memory budget is used up, or the device is behind with
    /// preparing files; on by default. Off, it answers [`WouldBlock`](crate::ErrorKind::WouldBlock), and nothing is
    /// appended.
    pub fn wait_for_memory(mut self, wait: bool) -> AppendOptions {
        self.wait_for_memory = wait;
        self
    }

    /// How long the call waits for room at most, if it does; without end by default. When the time is over it answers
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock), and nothing is appended.
    pub fn memory_timeout(mut self, timeout: Duration) -> AppendOptions {
        self.memory_timeout = Some(timeout);
        self
    }

    /// As [`wait_for_memory`](AppendOptions::wait_for_memory) off, and whoever was refused hears when to try again: an
    /// append by [`Topic::submit_to`] that answered [`WouldBlock`](crate::ErrorKind::WouldBlock) for want of room has a
    /// completion under its token, with that error, once another try may succeed. So that an event loop need not poll.
    /// None comes where the completion queue itself was full: there, the next completion makes room.
    ///
    /// [`Topic::submit_to`]: crate::Topic::submit_to
    pub fn notify(mut self) -> AppendOptions {
        self.wait_for_memory = false;
        self.notify = true;
        self
    }

    pub(crate) fn patience(&self) -> Patience<'static> {
        match (self.wait_for_memory, self.memory_timeout) {
            (false, _) => Patience::None,
            (true, None) => Patience::Until(None),
            (true, Some(timeout)) => Patience::Until(Instant::now().checked_add(timeout)),
        }
    }

    /// Appends only if the batch gets this offset: the one that [`Topic::next_offset`] answers, or that the last
    /// append answered as its own next. Otherwise the answer is
    /// [`OffsetMismatch`](crate::ErrorKind::OffsetMismatch), and nothing is appended. Of several appends that expect
    /// the same offset at once, one at most succeeds.
    ///
    /// [`Topic::next_offset`]: crate::Topic::next_offset
    pub fn expected_offset(mut self, offset: u64) -> AppendOptions {
        self.expected_offset = Some(offset);
        self
    }

    /// A number that is kept with the batch and given back with each of its records: the term of a consensus protocol,
    /// an epoch of a writer. It means nothing to the engine. Takes 10 bytes for a batch.
    pub fn term(mut self, term: u64) -> AppendOptions {
        self.term = Some(term);
        self
    }
}

/// Where an acknowledged or submitted batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Appended {
    /// The partition's index.
    pub partition: u32,
    /// The offset of the first record. The others follow without a gap.
    pub base_offset: u64,
    /// The number of records.
    pub count: u32,
}

/// What became of the records of [`Topic::append_split`](crate::Topic::append_split) that went to one partition.
#[derive(Clone, Debug)]
pub struct Part {
    /// The partition's index.
    pub partition: u32,
    /// Which records of the list they are, in its order, from 0.
    pub records: Vec<usize>,
    /// Where they stand, or why none of them was appended.
    pub result: Result<Appended>,
}

impl Appended {
    /// The offset after the last record.
    pub fn next_offset(&self) -> u64 {
        self.base_offset + u64::from(self.count)
    }
}
