//! What a consumer is made with.

use crate::error::{Error, ErrorKind, Result};
use crate::reader::Start;

/// Where a consumer goes on whose position is not there: the log start has overtaken it, or the log was cut before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutOfRange {
    /// Nowhere: polls answer [`ErrorKind::OutOfRange`] until it seeks. Nothing is passed over unnoticed.
    #[default]
    Error,
    /// At the oldest record that is kept.
    Earliest,
    /// At the high watermark.
    Latest,
    /// At the first record with this timestamp or a later one, in ms since 1970.
    Time(i64),
}

impl OutOfRange {
    pub(crate) fn start(self) -> Option<Start> {
        match self {
            OutOfRange::Error => None,
            OutOfRange::Earliest => Some(Start::Earliest),
            OutOfRange::Latest => Some(Start::Latest),
            OutOfRange::Time(ms) => Some(Start::Time(ms)),
        }
    }
}

/// How a consumer begins, and under which name. A plain builder.
///
/// ```
/// use thalweg::{ConsumerOptions, OutOfRange, Start};
/// let options = ConsumerOptions::default().name("billing").start(Start::Latest).out_of_range(OutOfRange::Earliest);
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ConsumerOptions {
    pub(crate) name: Option<String>,
    pub(crate) start: Start,
    pub(crate) out_of_range: OutOfRange,
}

impl Default for ConsumerOptions {
    fn default() -> ConsumerOptions {
        ConsumerOptions { name: None, start: Start::Earliest, out_of_range: OutOfRange::Error }
    }
}

impl ConsumerOptions {
    /// The name under which positions are committed, and found again: 1 to 249 of `[A-Za-z0-9._-]`. Without one, which
    /// is the default, nothing can be committed. A name is a group with one member.
    pub fn name(mut self, name: impl Into<String>) -> ConsumerOptions {
        self.name = Some(name.into());
        self
    }

    /// Where partitions begin of which the name has no position; [`Start::Earliest`] by default. Not
    /// [`Start::Offset`], which belongs to one partition.
    pub fn start(mut self, start: Start) -> ConsumerOptions {
        self.start = start;
        self
    }

    /// Where the consumer goes on when its position is out of range; [`OutOfRange::Error`] by default.
    pub fn out_of_range(mut self, policy: OutOfRange) -> ConsumerOptions {
        self.out_of_range = policy;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if let Start::Offset(offset) = self.start {
            let message =
                format!("option start is offset {offset}, which belongs to one partition; assign that one instead");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        Ok(())
    }
}
