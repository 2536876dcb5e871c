//! The records of one append: a list, or whatever else gives them one at a time.

use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::plan::Plan;
use super::record::Record;
use crate::error::Result;

/// Gives the records of a batch one at a time, so that a program whose records lie in values of its own need not make
/// a list of them: they are looked at where they are.
///
/// ```
/// use thalweg::{AppendOptions, Record, RecordList, RecordSource, Target};
/// # use thalweg::{Engine, Options, TopicOptions};
///
/// struct Readings(Vec<(String, [u8; 8])>);
///
/// impl RecordSource for Readings {
///     fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
///         self.0.iter().map(|(sensor, value)| Record::new(value).key(sensor))
///     }
/// }
///
/// # fn main() -> thalweg::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// # let engine = Engine::open(dir.path(), Options::default())?;
/// # let topic = engine.create_topic("readings", TopicOptions::default())?;
/// let readings = Readings(vec![("attic".into(), [21; 8]), ("cellar".into(), [9; 8])]);
/// let ticket = topic.submit(Target::Partition(0), RecordList::from_source(&readings), AppendOptions::default())?;
/// assert_eq!(ticket.wait(None)?.count, 2);
/// # engine.close()
/// # }
/// ```
pub trait RecordSource {
    /// The records, in the order in which they are appended. It is asked twice for one append, the second time with a
    /// lock held, and has to give the same, soon: an append of records that change meanwhile panics, or stores a mixture.
    fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>>;
}

impl<const N: usize> RecordSource for [Record<'_>; N] {
    #[inline]
    fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.iter().copied()
    }
}

impl RecordSource for Vec<Record<'_>> {
    #[inline]
    fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.iter().copied()
    }
}

/// The records of one append. Made of a list of [`Record`]s by `into`, or of a [`RecordSource`].
#[derive(Clone, Copy)]
pub struct RecordList<'a>(Given<'a>);

/// The two kinds of them. Each has an append path of its own: whoever gives a list does not pay for the other.
#[derive(Clone, Copy)]
pub(crate) enum Given<'a> {
    List(&'a [Record<'a>]),
    Source(&'a dyn Encode),
}

impl<'a> RecordList<'a> {
    /// The records that a source gives.
    #[inline]
    pub fn from_source<S: RecordSource>(source: &'a S) -> RecordList<'a> {
        RecordList(Given::Source(source))
    }

    /// What its makers gave.
    #[inline(always)]
    pub(crate) fn given(self) -> Given<'a> {
        self.0
    }
}

impl<'a> From<&'a [Record<'_>]> for RecordList<'a> {
    #[inline]
    fn from(records: &'a [Record<'_>]) -> RecordList<'a> {
        RecordList(Given::List(records))
    }
}

impl<'a, const N: usize> From<&'a [Record<'_>; N]> for RecordList<'a> {
    #[inline]
    fn from(records: &'a [Record<'_>; N]) -> RecordList<'a> {
        RecordList(Given::List(records))
    }
}

impl<'a> From<&'a Vec<Record<'_>>> for RecordList<'a> {
    #[inline]
    fn from(records: &'a Vec<Record<'_>>) -> RecordList<'a> {
        RecordList(Given::List(records))
    }
}

impl fmt::Debug for RecordList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Given::List(records) => records.fmt(f),
            Given::Source(_) => f.write_str("RecordList of a source"),
        }
    }
}

/// What an append asks of its records, once for all of them.
pub(crate) trait Encode {
    /// Checks the limits of the batch and lays out its frame.
    fn plan(&self) -> Result<Plan>;
    /// Writes the body of the frame, as [`Plan::encode`]. The error is a panic of whoever gives the records.
    fn encode(&self, plan: &Plan, frame: &mut [u8]) -> thread::Result<()>;
}

impl Encode for [Record<'_>] {
    #[inline]
    fn plan(&self) -> Result<Plan> {
        Plan::new(self)
    }

    #[inline]
    fn encode(&self, plan: &Plan, frame: &mut [u8]) -> thread::Result<()> {
        plan.encode(self, frame);
        Ok(())
    }
}

impl<S: RecordSource> Encode for S {
    fn plan(&self) -> Result<Plan> {
        Plan::of_source(self)
    }

    fn encode(&self, plan: &Plan, frame: &mut [u8]) -> thread::Result<()> {
        // What it was writing becomes a VOID frame.
        catch_unwind(AssertUnwindSafe(|| plan.encode_source(self, frame)))
    }
}
