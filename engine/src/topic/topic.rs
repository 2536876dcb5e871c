//! The handle of a topic.

use std::ops::ControlFlow;
use std::time::Duration;

use super::describe::TopicDescription;
use super::dump::FrameInfo;
use super::options::check_partitions;
use super::state::TopicState;
use crate::error::{Error, ErrorKind, Result};
use crate::format::plan::check;
use crate::format::record::Record;
use crate::format::source::{Encode, Given, RecordList};
use crate::partition::{Patience, Seat};
use crate::producer::{
    AppendOptions, Appended, CompletionQueue, Part, Place, Target, Ticket, Vacancy, partition_of, split, submit,
};
use crate::reader::{Batch, Cursor, Reader, Source, Start};
use crate::sync::{Arc, Notify};

/// A topic: a named set of partitions to append to and to read from.
///
/// Handles are cheap to clone, may be used from any number of threads at once, and may outlive the [`Engine`]: calls
/// after its close answer [`Closed`](crate::ErrorKind::Closed), calls after the topic was deleted
/// [`Deleted`](crate::ErrorKind::Deleted), and calls in a forked child [`Forked`](crate::ErrorKind::Forked).
///
/// [`Engine`]: crate::Engine
///
/// ```
/// # fn main() -> thalweg::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// use thalweg::{Engine, Options, Record, TopicOptions};
/// let engine = Engine::open(dir.path(), Options::default())?;
/// let topic = engine.create_topic("orders", TopicOptions::default().partitions(4))?;
/// let at = topic.append(&Record::new("paid").key("order-17"))?;
/// let batch = topic.read(at.partition, at.base_offset, 1 << 20)?;
/// assert_eq!(batch.iter().next().and_then(|record| record.value), Some(&b"paid"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Topic {
    state: Arc<TopicState>,
}

impl Topic {
    pub(crate) fn new(state: Arc<TopicState>) -> Topic {
        Topic { state }
    }

    pub(crate) fn state(&self) -> &Arc<TopicState> {
        &self.state
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Its number; never used again in this store, even after the topic is deleted.
    pub fn id(&self) -> u32 {
        self.state.id.0
    }

    /// The number of its partitions.
    pub fn partitions(&self) -> u32 {
        self.state.partitions()
    }

    /// The partition that a key belongs to: murmur2, exactly as Kafka's Java client.
    pub fn partition_of(&self, key: &[u8]) -> u32 {
        partition_of(key, self.state.partitions())
    }

    /// Appends one record, to the partition of its key or, without one, to the next by turns. Returns when it is as
    /// durable as the topic asks for. Waits while the appenders' part of the memory budget is used up.
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorKind::TooLarge) beyond a limit; [`NoSpace`](crate::ErrorKind::NoSpace) when the device
    /// is full, and a later append may succeed; [`PartitionFailed`](crate::ErrorKind::PartitionFailed) when the device
    /// refused an earlier write or this one, until the store is opened again;
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for a partition in which acknowledged records are damaged;
    /// [`NoMemory`](crate::ErrorKind::NoMemory) if the budget has room and the system gives none. Where the
    /// device refused this very write it is not known whether the record is on it; it is not acknowledged, and
    /// recovery decides.
    pub fn append(&self, record: &Record<'_>) -> Result<Appended> {
        let target = record.key.map_or(Target::RoundRobin, Target::Key);
        self.append_batch(target, core::slice::from_ref(record))
    }

    /// Appends records to one partition as one batch, which is there whole or not at all. Otherwise as
    /// [`append`](Topic::append).
    ///
    /// # Errors
    /// As [`append`](Topic::append); [`InvalidArgument`](crate::ErrorKind::InvalidArgument) without a record;
    /// [`NotFound`](crate::ErrorKind::NotFound) for a partition that the topic does not have.
    #[inline]
    pub fn append_batch<'r>(&self, target: Target<'_>, records: impl Into<RecordList<'r>>) -> Result<Appended> {
        self.submit(target, records, AppendOptions::default())?.wait(None)
    }

    /// Divides records by the partitions of their keys, and appends each part as one batch: there whole or not at
    /// all. Records without a key go together to the next partition by turns. Returns when all are durable, with one
    /// part for each partition that got any, in the order of the partitions; each has its own result. A record that
    /// a part is refused for is named by its place in the list.
    ///
    /// # Errors
    /// Where nothing can be appended, whatever the records: [`Closed`](crate::ErrorKind::Closed),
    /// [`Deleted`](crate::ErrorKind::Deleted), [`Forked`](crate::ErrorKind::Forked),
    /// [`ReadOnly`](crate::ErrorKind::ReadOnly).
    pub fn append_split(&self, records: &[Record<'_>]) -> Result<Vec<Part>> {
        self.state.check_change()?;
        let parts = split(records, self.state.partitions(), &self.state.turns);
        let submit = |(partition, indexes): (u32, Vec<usize>)| {
            let part: Vec<Record<'_>> = indexes.iter().map(|index| records[*index]).collect();
            let ticket = self.submit(Target::Partition(partition), &part, AppendOptions::default());
            let ticket = ticket.map_err(|error| of_list(error, records, &indexes));
            (partition, indexes, ticket)
        };
        // All are under way before the first is waited for.
        let parts: Vec<(u32, Vec<usize>, Result<Ticket>)> = parts.into_iter().map(submit).collect();
        let part = |(partition, records, ticket): (u32, Vec<usize>, Result<Ticket>)| {
            let result = ticket.and_then(|ticket| ticket.wait(None));
            Part { partition, records, result }
        };
        Ok(parts.into_iter().map(part).collect())
    }

    /// Appends records to one partition as one batch, and returns as soon as they are in memory and have their
    /// offsets. The ticket tells when they are acknowledged.
    ///
    /// # Errors
    /// As [`append_batch`](Topic::append_batch). [`WouldBlock`](crate::ErrorKind::WouldBlock) if
    /// [`wait_for_memory`](AppendOptions::wait_for_memory) is off and there is no room; nothing was appended then.
    #[inline]
    pub fn submit<'r>(
        &self,
        target: Target<'_>,
        records: impl Into<RecordList<'r>>,
        options: AppendOptions,
    ) -> Result<Ticket> {
        self.submit_list(target, records.into(), options)
    }

    fn submit_list(&self, target: Target<'_>, records: RecordList<'_>, options: AppendOptions) -> Result<Ticket> {
        match records.given() {
            Given::List(records) => self.submit_given(target, records, options),
            Given::Source(records) => self.submit_given(target, records, options),
        }
    }

    fn submit_given(
        &self,
        target: Target<'_>,
        records: &(impl Encode + ?Sized),
        options: AppendOptions,
    ) -> Result<Ticket> {
        if options.notify {
            let message = "the option notify is for appends that report to a completion queue";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        self.submit_at(self.seat(target)?, records, options, options.patience())
    }

    #[inline(always)]
    fn seat(&self, target: Target<'_>) -> Result<&Seat> {
        self.state.check_change()?;
        let index = match target {
            Target::Partition(index) => index,
            Target::Key(key) => self.partition_of(key),
            Target::RoundRobin => self.state.turns.next(self.state.partitions()),
        };
        self.state.seat(index).map(Arc::as_ref)
    }

    #[inline(always)]
    fn submit_at(
        &self,
        seat: &Seat,
        records: &(impl Encode + ?Sized),
        options: AppendOptions,
        patience: Patience<'_>,
    ) -> Result<Ticket> {
        submit(seat, records, options, patience, &*self.state.common.environment)
    }

    /// As [`submit`](Topic::submit), but the acknowledgement arrives in a completion queue, under `token`. Returns
    /// where the batch stands.
    ///
    /// # Errors
    /// As [`submit`](Topic::submit), and [`WouldBlock`](crate::ErrorKind::WouldBlock) if the queue is full. After an
    /// error nothing arrives in the queue, but for what [`AppendOptions::notify`] asks for.
    #[inline]
    pub fn submit_to<'r>(
        &self,
        queue: &CompletionQueue,
        token: u64,
        target: Target<'_>,
        records: impl Into<RecordList<'r>>,
        options: AppendOptions,
    ) -> Result<Appended> {
        self.submit_list_to(queue, token, target, records.into(), options)
    }

    fn submit_list_to(
        &self,
        queue: &CompletionQueue,
        token: u64,
        target: Target<'_>,
        records: RecordList<'_>,
        options: AppendOptions,
    ) -> Result<Appended> {
        match records.given() {
            Given::List(records) => self.submit_given_to(queue, token, target, records, options),
            Given::Source(records) => self.submit_given_to(queue, token, target, records, options),
        }
    }

    fn submit_given_to(
        &self,
        queue: &CompletionQueue,
        token: u64,
        target: Target<'_>,
        records: &(impl Encode + ?Sized),
        options: AppendOptions,
    ) -> Result<Appended> {
        let place = queue.reserve(token)?;
        let seat = self.seat(target)?;
        let (ticket, place) = match self.submit_at(seat, records, options, options.patience()) {
            Err(refused) if options.notify && refused.kind() == ErrorKind::WouldBlock => {
                self.submit_or_tell(seat, records, options, place)?
            }
            submitted => (submitted?, place),
        };
        let appended = ticket.appended();
        ticket.report_to(place);
        Ok(appended)
    }

    /// Once more, after there was no room: whoever asked is told in its queue when there may be.
    #[cold]
    fn submit_or_tell(
        &self,
        seat: &Seat,
        records: &(impl Encode + ?Sized),
        options: AppendOptions,
        place: Place,
    ) -> Result<(Ticket, Place)> {
        let vacancy = std::sync::Arc::new(Vacancy::new(place));
        let told: std::sync::Arc<dyn Notify> = vacancy.clone();
        let ticket = self.submit_at(seat, records, options, Patience::Told(&told))?;
        let place = vacancy.take().expect("who is told is not appended");
        Ok((ticket, place))
    }

    /// The offset that the next append to a partition gets. Beyond the high watermark while appends are under way, and
    /// old as soon as it is answered where others append too: see [`AppendOptions::expected_offset`].
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for a partition that the topic does not have.
    pub fn next_offset(&self, partition: u32) -> Result<u64> {
        self.state.check()?;
        Ok(self.state.partition(partition)?.tail().next_offset())
    }

    /// Reads from `offset`: up to `max_bytes` of records, but at least one batch as it was appended, whatever its
    /// size. At the high watermark the answer is an empty batch. Waits for the device if the records are not in
    /// memory, for nothing else.
    ///
    /// # Errors
    /// [`OutOfRange`](crate::ErrorKind::OutOfRange) below the log start offset or beyond the high watermark;
    /// [`Corrupt`](crate::ErrorKind::Corrupt) where acknowledged records are damaged, with the range, behind which
    /// reading goes on; [`Io`](crate::ErrorKind::Io) if the device refuses;
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock) if batches that are held use up the readers' part of the memory
    /// budget; [`NotFound`](crate::ErrorKind::NotFound) for a partition that the topic does not have.
    pub fn read(&self, partition: u32, offset: u64, max_bytes: usize) -> Result<Batch> {
        self.unnamed(partition)?.read(&mut Cursor::new(offset), max_bytes)
    }

    /// As [`read`](Topic::read), but at the high watermark waits until there is more, or `timeout` has passed
    /// (`None`: without end); the batch is empty then. It sleeps until then, and does not poll.
    ///
    /// # Errors
    /// As [`read`](Topic::read); and what will keep the partition from ever showing more, as
    /// [`PartitionFailed`](crate::ErrorKind::PartitionFailed).
    pub fn read_wait(&self, partition: u32, offset: u64, max_bytes: usize, timeout: Option<Duration>) -> Result<Batch> {
        self.unnamed(partition)?.read_wait(&mut Cursor::new(offset), max_bytes, timeout)
    }

    /// A reader of one partition, which moves on by itself and has the device asked ahead.
    ///
    /// # Errors
    /// [`OutOfRange`](crate::ErrorKind::OutOfRange) for a [`Start::Offset`] below the log start offset or beyond the
    /// high watermark; [`NotFound`](crate::ErrorKind::NotFound) for a partition that the topic does not have.
    pub fn reader(&self, partition: u32, start: Start) -> Result<Reader> {
        Reader::new(self.source(partition)?, start)
    }

    /// For a read without a reader.
    fn unnamed(&self, partition: u32) -> Result<Source> {
        let mut source = self.source(partition)?;
        source.hold_as(self.state.common.lender.unnamed());
        Ok(source)
    }

    pub(crate) fn source(&self, partition: u32) -> Result<Source> {
        self.state.check()?;
        let common = &self.state.common;
        let (lender, gate) = (Arc::clone(&common.lender), Arc::clone(&common.gate));
        Ok(Source::new(Arc::clone(self.state.seat(partition)?), lender, gate))
    }

    /// Removes the records below `offset`: it becomes the log start offset. Beyond the end it becomes the next offset
    /// too, and nothing is left. Whole segments are freed; in the one that holds `offset`, records below it are no
    /// longer read. Durable when it returns. An offset at or below the log start changes nothing.
    ///
    /// Batches that readers hold stay as they are. A reader or consumer that stands below `offset` is
    /// [out of range](crate::ErrorKind::OutOfRange), and so is a committed position. A partition whose damaged
    /// offsets all lie below `offset` is whole again.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for a partition that the topic does not have;
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) beyond
    /// [`LOG_START_MAX`](crate::limits::LOG_START_MAX);
    /// [`PartitionFailed`](crate::ErrorKind::PartitionFailed) for one whose device refused a write; and those of the
    /// metadata, after which nothing has changed.
    pub fn truncate_before(&self, partition: u32, offset: u64) -> Result<()> {
        self.state.truncate_before(partition, offset)
    }

    /// Cuts off the records at `offset` and beyond: `offset` becomes the next offset, and what is appended from then on
    /// stands in a new segment, under a new generation. Durable when it returns. Everything appended before is made
    /// durable first; appends meanwhile wait. At the next offset nothing is cut.
    ///
    /// A ticket whose records were cut answers [`Truncated`](crate::ErrorKind::Truncated) to whoever asks it from then
    /// on, also if it had been acknowledged, and never answers for other records at its offsets. Batches that readers
    /// hold stay as they are. A [`Reader`] or consumer that stands beyond `offset` is
    /// [out of range](crate::ErrorKind::OutOfRange) until it seeks, also once new records have come to where it stands.
    /// Committed positions beyond `offset` go back to it, before the cut: after a crash between the two a consumer reads
    /// again what it had read. An offset given to [`read`](Topic::read) is out of range only as long as it lies beyond
    /// the end.
    ///
    /// # Errors
    /// [`OutOfRange`](crate::ErrorKind::OutOfRange) below the log start offset or beyond the next offset;
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) in the middle of a batch, whose bounds it names: a batch
    /// is there whole or not at all, and among offsets without records;
    /// [`NotFound`](crate::ErrorKind::NotFound) for a partition that the topic does not have;
    /// [`Corrupt`](crate::ErrorKind::Corrupt) and [`PartitionFailed`](crate::ErrorKind::PartitionFailed) for one that
    /// takes no appends, or whose records there are damaged; `Corrupt` also if the committed positions have to be
    /// [repaired](crate::Positions::repair) first; and those of reads and of the metadata, after which nothing is cut.
    /// Committed positions may have gone back already.
    pub fn truncate_after(&self, partition: u32, offset: u64) -> Result<()> {
        self.state.truncate_after(partition, offset)
    }

    /// What the topic looks like now.
    ///
    /// # Errors
    /// Those of a handle that is not valid any more, and [`NoMemory`](crate::ErrorKind::NoMemory) if the system has none
    /// for the list of the partitions.
    pub fn describe(&self) -> Result<TopicDescription> {
        self.state.check()?;
        self.state.describe()
    }

    /// Shows the frames of a partition as they stand in its segments, beginning with the one that holds the offset
    /// `from`, until `visit` breaks off. What is on the device is read from there, past the cache, and checked; damage
    /// is shown in its place.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for a partition that the topic does not have;
    /// [`Deleted`](crate::ErrorKind::Deleted) if it is deleted meanwhile;
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock) if batches that are held leave no memory for it.
    pub fn dump_frames(
        &self,
        partition: u32,
        from: u64,
        mut visit: impl FnMut(&FrameInfo) -> ControlFlow<()>,
    ) -> Result<()> {
        self.state.dump_frames(partition, from, &mut visit)
    }

    /// Raises the number of partitions to `total`, at most 65,536. Keys may belong to other partitions from then on;
    /// records that are there stay where they are.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `total` is not more than now, or beyond the limit.
    pub fn add_partitions(&self, total: u32) -> Result<()> {
        check_partitions(total)?;
        self.state.add_partitions(total)
    }
}

/// The error of a part that one of its records is to blame for, which the caller knows by its place in the whole list.
#[cold]
fn of_list(error: Error, records: &[Record<'_>], part: &[usize]) -> Error {
    let refused = |index: &usize| {
        let error = check(&records[*index]).err()?;
        Some(error.context(format_args!("record {index} of the list")))
    };
    match error.kind() {
        ErrorKind::TooLarge | ErrorKind::InvalidArgument => part.iter().find_map(refused).unwrap_or(error),
        _ => error,
    }
}

impl core::fmt::Debug for Topic {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Topic({:?}, {} partitions)", self.name(), self.partitions())
    }
}
