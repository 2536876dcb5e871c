//! A shard: the state machine that owns partitions and moves their bytes to the device.
//!
//! No system call, clock, thread or randomness of its own: messages, completions and time come in; operations and
//! metadata requests go out. A runtime, or the simulator, drives it: [`Shard::turn`] whenever something arrived.
//! The work of a turn is proportional to the partitions that have something new.

mod acknowledge;
mod checkpoint;
mod counts;
mod events;
mod flush;
mod handle;
mod journalling;
mod metadata;
mod quiet;
mod reads;
mod settling;
mod shortage;
mod starved;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use counts::Latency;
pub(crate) use handle::{Message, Reach, ReadRequest, ShardHandle, Wake};

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::buffer::Block;
use crate::error::{Error, ErrorKind};
use crate::ids::{Generation, PartitionId};
use crate::io::{Completion, Environment, InFlight, Op, OpKind, Progress};
use crate::journal::{Journal, JournalIdentity, Range};
use crate::manifest::{MetaRequest, MetaResponse};
use crate::segment::Segment;
use crate::sim::bugs::{self, Bug};
use counts::{Counted, WriteTo};
use metadata::Asked;
use reads::Reads;
use writer::Writer;

/// What a shard is made with.
pub(crate) struct ShardConfig {
    pub(crate) identity: JournalIdentity,
    /// Files of the journal.
    pub(crate) journal_files: u32,
    /// Staging for journal writes, out of the reserve.
    pub(crate) staging: Vec<Arc<Block>>,
    /// Sizes of a partition's first and largest segments. Bytes.
    pub(crate) first_segment: u64,
    pub(crate) largest_segment: u64,
    /// Operations in flight at once.
    pub(crate) depth: usize,
    pub(crate) environment: Arc<dyn Environment>,
    /// Takes blocks whose bytes are in their file.
    pub(crate) keeper: Arc<dyn Keep>,
    /// A partition without appends for so long is padded, written and gives its memory back. ns.
    pub(crate) quiet_after: u64,
}

/// Keeps written blocks for readers (the cache).
pub(crate) trait Keep: Send + Sync {
    /// The block's bytes are in the segment's file; its memory may be given up at any time from now on. `followed`: a
    /// reader has lately been at the partition.
    fn keep(&self, segment: &Arc<Segment>, block: Arc<Block>, followed: bool);

    /// The segment's index is in its file; its memory may be given up at any time from now on.
    fn keep_index(&self, segment: &Arc<Segment>);
}

/// What a turn wants done.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) ops: Vec<Op>,
    pub(crate) meta: Vec<MetaRequest>,
}

/// What an operation in flight is for.
enum Purpose {
    Segment {
        writer: usize,
        generation: Generation,
        flight: u64,
        /// Bytes of it that are in the journal already.
        destaged: u64,
    },
    Sync {
        writer: usize,
        generation: Generation,
    },
    Journal {
        write: u64,
        block: Arc<Block>,
    },
    Read {
        read: usize,
    },
}

impl Purpose {
    /// Whose file it is on, where that is a partition's that is written.
    fn writer(&self) -> Option<usize> {
        match self {
            Purpose::Segment { writer, .. } | Purpose::Sync { writer, .. } => Some(*writer),
            Purpose::Journal { .. } | Purpose::Read { .. } => None,
        }
    }
}

/// See the module.
pub(crate) struct Shard {
    config: ShardConfig,
    handle: Arc<ShardHandle>,
    inbox: VecDeque<Message>,
    now: u64,

    writers: Vec<Writer>,
    by_id: HashMap<PartitionId, usize>,
    /// Writers to look at in this turn.
    queue: VecDeque<usize>,

    journal: Journal,
    journal_asked: u32,
    /// A small range was seen: the journal has a use.
    journal_wanted: bool,
    /// Files with acknowledged bytes of failed partitions, to be taken out of the rotation.
    journals_to_keep: Vec<u32>,
    /// Ranges for the next journal write, at most one per writer.
    ranges: VecDeque<Range>,
    /// Writers whose small ranges wait for the journal.
    journal_waiters: Vec<usize>,
    /// Writers whose durable offset nothing on the device testifies yet.
    silent: VecDeque<usize>,
    /// Writers that may fall quiet.
    watched: VecDeque<(u64, usize)>,
    /// A partition fell quiet whose last durable offset nothing on the device testifies.
    testify_now: bool,
    bytes_since_checkpoint: u64,
    checkpointing: bool,
    /// A checkpoint was refused; the journal keeps its files.
    checkpoint_refused: bool,

    reads: Reads,
    /// Asked of the metadata thread, by ticket.
    asked: BTreeMap<u64, Asked>,
    next_ticket: u64,

    in_flight: InFlight,
    purposes: Vec<Option<(Purpose, Counted)>>,
    free_purposes: Vec<usize>,
    /// When the durable writes were decided on that were answered since the last turn. ns.
    answered: Vec<u64>,
    /// The rests of short transfers.
    resumed: Vec<Op>,
    /// Answers of the metadata thread, for the next turn.
    answers: Vec<MetaResponse>,
    /// Operations that wait for a slot.
    waiting: VecDeque<Op>,
    next_flight: u64,
    closing: bool,
    /// ns.
    closing_since: u64,
    starved: starved::Starved,
    /// There is no space for a segment, and that was told.
    shortage: Option<shortage::Shortage>,
    /// It was told that there is no journal.
    told_no_journal: bool,
    stopping: Vec<metadata::Stopping>,
    settling: Vec<settling::Settling>,
}

impl Shard {
    pub(crate) fn new(config: ShardConfig, handle: Arc<ShardHandle>) -> Shard {
        let journal = Journal::new(config.identity, config.staging.clone());
        Shard {
            journal,
            handle,
            inbox: VecDeque::new(),
            now: 0,
            writers: Vec::new(),
            by_id: HashMap::new(),
            queue: VecDeque::new(),
            journal_asked: 0,
            journal_wanted: false,
            journals_to_keep: Vec::new(),
            ranges: VecDeque::new(),
            journal_waiters: Vec::new(),
            silent: VecDeque::new(),
            watched: VecDeque::new(),
            testify_now: false,
            bytes_since_checkpoint: 0,
            checkpointing: false,
            checkpoint_refused: false,
            reads: Reads::default(),
            asked: BTreeMap::new(),
            next_ticket: 0,
            in_flight: InFlight::new(config.depth),
            purposes: Vec::new(),
            free_purposes: Vec::new(),
            answered: Vec::new(),
            resumed: Vec::new(),
            answers: Vec::new(),
            waiting: VecDeque::new(),
            next_flight: 0,
            closing: false,
            closing_since: 0,
            starved: starved::Starved::default(),
            shortage: None,
            told_no_journal: false,
            stopping: Vec::new(),
            settling: Vec::new(),
            config,
        }
    }

    /// The memory that journal writes are made in.
    pub(crate) fn staging(&self) -> &[Arc<Block>] {
        &self.config.staging
    }

    /// Takes in what arrived, and says what to do. Call again after anything else arrives, or at the deadline.
    pub(crate) fn turn(&mut self, now: u64, out: &mut Outbox) {
        self.now = now;
        for since in self.answered.drain(..) {
            self.handle.counts().durable_writes.record(now.saturating_sub(since));
        }
        out.ops.append(&mut self.resumed);
        self.feed_starved(out);
        self.take_answers(out);
        self.take_messages(out);
        self.look_for_space(out);
        self.look_for_quiet();
        loop {
            while let Some(writer) = self.queue.pop_front() {
                self.writers[writer].queued = false;
                self.advance(writer, out);
            }
            self.write_journal(out);
            self.press_journal();
            if self.queue.is_empty() {
                break;
            }
        }
        self.keep_noted_journals(out);
        self.checkpoint(out);
        self.finish_stopping();
        self.finish_settling();
        self.issue_waiting(out);
    }

    fn take_messages(&mut self, out: &mut Outbox) {
        let mut inbox = std::mem::take(&mut self.inbox);
        self.handle.take_all(&mut inbox);
        for message in inbox.drain(..) {
            match message {
                Message::Announced(tail) => self.announced(tail),
                Message::Read(request) => self.read(request, out),
                Message::Pressure => self.destage_everything(),
                Message::Stop(partitions, done) => self.stop(&partitions, done),
                Message::Forget(partitions) => self.forget(&partitions),
                Message::Settle(tail, reach, done) => self.settle(tail, reach, done),
                Message::Close => self.close(),
            }
        }
        self.inbox = inbox;
    }

    fn announced(&mut self, tail: Arc<crate::tail::Tail>) {
        tail.accept();
        let Some(writer) = self.writer_of(tail) else { return };
        if self.closing {
            // It raced with the close, or its partition was made behind the close's back.
            self.close_writer(writer);
        }
        self.enqueue(writer);
        self.watch(writer);
    }

    /// The writer of a tail. `None`: another tail has taken its place, and everything of it is sealed.
    fn writer_of(&mut self, tail: Arc<crate::tail::Tail>) -> Option<usize> {
        let Some(&writer) = self.by_id.get(&tail.partition()) else {
            let writer = self.writers.len();
            self.by_id.insert(tail.partition(), writer);
            self.writers.push(Writer::new(tail, self.config.first_segment));
            return Some(writer);
        };
        let known = &mut self.writers[writer];
        if tail.epoch() < known.tail.epoch() {
            return None;
        }
        if tail.epoch() > known.tail.epoch() {
            known.follow(tail, self.config.first_segment);
        }
        Some(writer)
    }

    /// Has the writer looked at in this turn or the next.
    fn enqueue(&mut self, writer: usize) {
        if !std::mem::replace(&mut self.writers[writer].queued, true) {
            self.queue.push_back(writer);
        }
    }

    /// Moves a partition on as far as it goes now.
    fn advance(&mut self, writer: usize, out: &mut Outbox) {
        if self.writers[writer].failed.is_some() {
            return;
        }
        self.take_promise_back(writer);
        self.writers[writer].adopt();
        self.prepare_segment(writer, out);
        for at in 0..self.writers[writer].segments.len() {
            if !self.born(writer, at, out) {
                break; // Later segments wait: acknowledgements are in order.
            }
            self.submit(writer, at, out);
            if bugs::active(Bug::ReadBeforeDurable) {
                let segment = &self.writers[writer].segments[at].segment;
                segment.show(segment.published());
                self.writers[writer].tail.watermark().advance_durable(segment.published().offset);
            }
            self.make_durable(writer, at, out);
            self.seal(writer, at, out);
        }
        self.promise_while_writing(writer);
    }

    /// Takes a completion. What follows from it is said by the next turn.
    pub(crate) fn complete(&mut self, completion: Completion) {
        match self.in_flight.complete(completion) {
            Progress::Resume(rest) => self.resumed.push(rest),
            Progress::NoDescriptor { op, error } => self.starve(op, &error),
            Progress::Done { token, missing } => self.done(token, missing),
        }
    }

    /// An operation is over.
    fn done(&mut self, token: u64, missing: std::io::Result<usize>) {
        let slot = usize::try_from(token).expect("tokens are slot numbers");
        let (purpose, counted) = self.purposes[slot].take().expect("an operation in flight has a purpose");
        self.free_purposes.push(slot);
        self.count(counted, &missing);
        if let Err(error) = &missing {
            self.tell_refused(&purpose, counted.kind, error);
        }
        if let Some(writer) = purpose.writer() {
            self.writers[writer].under_way -= 1;
        }
        match purpose {
            Purpose::Segment { writer, generation, flight, .. } => {
                self.segment_written(writer, generation, flight, missing.map(|_| ()));
            }
            Purpose::Sync { writer, generation } => self.segment_synced(writer, generation, missing.map(|_| ())),
            Purpose::Journal { write, block } => self.journal_written(write, block, missing.is_ok()),
            Purpose::Read { read } => self.read_done(read, missing),
        }
    }

    /// Counts an operation that is over.
    fn count(&mut self, operation: Counted, missing: &std::io::Result<usize>) {
        let counts = self.handle.counts();
        counts.queued(self.in_flight.len() + self.waiting.len());
        match missing {
            Ok(missing) => counts.done(operation, *missing as u64),
            Err(_) => counts.errors.add_alone(1),
        }
        // A turn follows, and brings the time.
        if missing.is_ok() && operation.is_durable() {
            self.answered.push(operation.since);
        }
    }

    fn issue(&mut self, purpose: Purpose, op: Op, out: &mut Outbox) {
        let slot = self.free_purposes.pop().unwrap_or_else(|| {
            self.purposes.push(None);
            self.purposes.len() - 1
        });
        if let Some(writer) = purpose.writer() {
            self.writers[writer].under_way += 1;
        }
        let to = match purpose {
            Purpose::Segment { destaged, .. } => WriteTo::Segment { destaged },
            _ => WriteTo::Journal,
        };
        let counted = Counted { kind: op.kind, size: op.size as u64, since: self.now, to };
        self.purposes[slot] = Some((purpose, counted));
        self.waiting.push_back(Op { token: slot as u64, ..op });
        self.handle.counts().queued(self.in_flight.len() + self.waiting.len());
        self.issue_waiting(out);
    }

    fn issue_waiting(&mut self, out: &mut Outbox) {
        while self.in_flight.room() > 0 {
            let Some(op) = self.waiting.pop_front() else { break };
            out.ops.extend(self.in_flight.start(op));
        }
    }

    /// When [`turn`](Shard::turn) has something to do though nothing arrives. Monotone ns.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let watched = self.watched.front().map(|(at, _)| *at);
        let shortage = self.shortage.as_ref().and_then(shortage::Shortage::next_deadline);
        watched.into_iter().chain(self.starved.next_deadline()).chain(shortage).min()
    }

    /// Nothing moves before the [deadline](Shard::next_deadline) unless something new comes.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.len() == self.starved.len()
            && self.waiting.is_empty()
            && self.asked.is_empty()
            && self.answers.is_empty()
            && self.queue.is_empty()
            && self.inbox.is_empty()
            && self.handle.is_empty()
    }

    fn close(&mut self) {
        self.closing = true;
        self.closing_since = self.now;
        for writer in 0..self.writers.len() {
            self.close_writer(writer);
        }
    }

    /// Has everything of a writer made durable and sealed; it takes no more appends.
    fn close_writer(&mut self, writer: usize) {
        let w = &mut self.writers[writer];
        w.tail.fail(Error::new(ErrorKind::Closed, "the engine is closed"));
        w.destage = true;
        w.seal = true;
        self.enqueue(writer);
    }

    /// Asked to close, and everything that could be made durable and sealed is.
    pub(crate) fn is_closed(&self) -> bool {
        self.closing
            && self.is_idle()
            && self.starved.len() == 0
            && self.writers.iter().all(|w| w.failed.is_some() || w.segments.is_empty())
    }

    /// Whether every partition was sealed.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn is_clean(&self) -> bool {
        self.is_closed() && self.writers.iter().all(|w| w.failed.is_none())
    }

    /// The runtime can no longer serve the shard: everybody who waits for it, or will, gets the error.
    pub(crate) fn fail(&mut self, error: &Error) {
        self.handle.fail(error);
        for writer in &mut self.writers {
            writer.failed.get_or_insert_with(|| error.clone());
            writer.tail.fail(error.clone());
            writer.tail.watermark().fail(error.clone());
        }
        self.fail_reads(error);
        self.closing = true;
    }

    /// Whether messages have come since the last turn.
    pub(crate) fn has_messages(&self) -> bool {
        !self.handle.is_empty()
    }

    fn op(
        kind: OpKind,
        file: Arc<dyn crate::io::File>,
        position: u64,
        block: Option<Arc<Block>>,
        at: usize,
        size: usize,
    ) -> Op {
        Op { token: 0, kind, file, position, block, at, size }
    }

    /// What is under way, for a test that failed.
    #[cfg(test)]
    fn describe(&self) -> String {
        let files: Vec<_> =
            self.journal.files().iter().map(|f| (f.number, f.state, f.first, f.end, f.references)).collect();
        format!(
            "{} operations, {} waiting, {} questions, {} queued; journal {files:?}, first needed {:?}",
            self.in_flight.len(),
            self.waiting.len(),
            self.asked.len(),
            self.queue.len(),
            self.journal.first_needed(),
        )
    }
}
