//! One partition, as topics and readers use it: its tail, its shard, and what is known of its damage.

mod reads;
mod seat;

pub(crate) use reads::{ReadFrom, ReadTotals};
pub(crate) use seat::Seat;

use core::ops::Range;
use std::sync::OnceLock;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use crate::durability::Durability;
use crate::error::{DamagedRange, Error, ErrorKind, Place, Result};
use crate::events::EventKind;
use crate::format::plan::Plan;
use crate::format::source::Encode;
use crate::gate::Gate;
use crate::ids::{Generation, PartitionId};
use crate::io::Environment;
use crate::limits::APPEND_INSIDE_LOCK_MAX;
use crate::segment::{Chain, Prefix, SEGMENT_DATA_START, Segment};
use crate::shard::{Message, Reach, ReadRequest, ShardHandle};
use crate::sync::{Arc, AtomicBool, AtomicU64, Notify, Ordering};
use crate::tail::{Announce, Appended, Refusal, Tail, TailStart, Watermark};
use reads::ReadCounts;

/// What a partition is made of at open, or when it is first used.
pub(crate) struct PartitionStart {
    pub topic: Arc<str>,
    pub gate: Arc<Gate>,
    pub tail: Tail,
    pub shard: Arc<ShardHandle>,
    pub log_start: u64,
    /// Acknowledged offsets that recovery could not find whole.
    pub damaged: Vec<Range<u64>>,
}

/// One partition.
pub(crate) struct Partition {
    topic: Arc<str>,
    gate: Arc<Gate>,
    tail: Arc<Tail>,
    shard: Arc<ShardHandle>,
    log_start: AtomicU64,
    damaged: Vec<Range<u64>>,
    /// Why recovery could not bring the partition to its end: what it ends with is not known.
    unavailable: OnceLock<Error>,
    /// Another incarnation has taken its place.
    ended: AtomicBool,
    reads: Arc<ReadCounts>,
}

/// Tells the shard of a reservation that was dropped. It must not keep the tail alive that owns it.
struct Unattended {
    tail: std::sync::Weak<Tail>,
    shard: Arc<ShardHandle>,
}

/// How long an append waits for room.
#[derive(Clone, Copy)]
pub(crate) enum Patience<'a> {
    None,
    /// Until then, or without end.
    Until(Option<Instant>),
    /// Not at all, but this one is told, once, when another try may succeed.
    Told(&'a std::sync::Arc<dyn Notify>),
}

impl Announce for Unattended {
    fn announce(&self) {
        if let Some(tail) = self.tail.upgrade() {
            self.shard.send(Message::Announced(tail));
        }
    }
}

impl Partition {
    pub(crate) fn new(start: PartitionStart) -> Partition {
        let PartitionStart { topic, gate, tail, shard, log_start, damaged } = start;
        let tail = Arc::new(tail);
        tail.set_announcer(Box::new(Unattended { tail: Arc::downgrade(&tail), shard: Arc::clone(&shard) }));
        Partition {
            topic,
            gate,
            tail,
            shard,
            log_start: AtomicU64::new(log_start),
            damaged,
            unavailable: OnceLock::new(),
            ended: AtomicBool::new(false),
            reads: Arc::default(),
        }
    }

    /// The incarnation that goes on after a truncation, with these segments. This one is held and settled.
    pub(crate) fn successor(&self, segments: Vec<Arc<Segment>>, log_start: u64, end: TailStart) -> Partition {
        let damaged: Vec<Range<u64>> = self.damaged.iter().filter(|range| range.end > log_start).cloned().collect();
        let tail = Tail::new(end, Arc::clone(self.tail.pool()), Arc::new(Chain::new(segments))).following(&self.tail);
        let partition = Partition::new(PartitionStart {
            topic: Arc::clone(&self.topic),
            gate: Arc::clone(&self.gate),
            tail,
            shard: Arc::clone(&self.shard),
            log_start,
            damaged,
        });
        if !partition.damaged.is_empty()
            && let Some(error) = self.watermark().failure()
        {
            partition.fail(error);
        }
        Partition { reads: Arc::clone(&self.reads), ..partition }
    }

    /// Another incarnation has taken its place: who waits here goes on there. What lies at `cut` or beyond is gone.
    pub(crate) fn end(&self, cut: u64) {
        self.ended.store(true, Ordering::Release);
        self.watermark().cut(cut, cut_off());
    }

    /// Whether another incarnation has taken its place, or its topic is deleted.
    fn ended(&self) -> Option<Error> {
        if self.ended.load(Ordering::Acquire) {
            return Some(cut_off());
        }
        self.watermark().failure().filter(|error| error.kind() == ErrorKind::Deleted).cloned()
    }

    /// Holds appends up until a truncation is over.
    pub(crate) fn hold(&self) {
        self.tail.fail(truncated("the log is being cut"));
    }

    /// Has the shard settle the partition as far as a truncation needs it. `false`: the engine has ended.
    pub(crate) fn settle(&self, reach: Reach) -> bool {
        self.begin_settling(reach).recv().is_ok()
    }

    /// As [`settle`](Partition::settle), without waiting: something is received when it is over.
    pub(crate) fn begin_settling(&self, reach: Reach) -> Receiver<()> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let done = Box::new(move || {
            // Nobody waits any more if the engine has ended.
            let _waits = sender.send(());
        });
        self.shard.send(Message::Settle(Arc::clone(&self.tail), reach, done));
        receiver
    }

    /// The log begins at `offset` from now on; segments that are `gone` are not its own any more.
    pub(crate) fn begin_at(&self, offset: u64, gone: &[Generation]) {
        self.log_start.store(offset, Ordering::Release);
        self.chain().remove(gone);
    }

    pub(crate) fn raise(&self, event: impl FnOnce(&crate::events::Events) -> EventKind) {
        self.shard.raise(event);
    }

    pub(crate) fn id(&self) -> PartitionId {
        self.tail.partition()
    }

    pub(crate) fn tail(&self) -> &Arc<Tail> {
        &self.tail
    }

    pub(crate) fn chain(&self) -> &Chain {
        self.tail.chain()
    }

    /// Bytes of its frames, padding counted.
    pub(crate) fn size(&self) -> u64 {
        let segments = self.chain().segments();
        segments.iter().map(|segment| segment.published().position - SEGMENT_DATA_START).sum()
    }

    pub(crate) fn watermark(&self) -> &Watermark {
        self.tail.watermark()
    }

    pub(crate) fn log_start(&self) -> u64 {
        self.log_start.load(Ordering::Acquire)
    }

    pub(crate) fn reads(&self) -> &ReadCounts {
        &self.reads
    }

    pub(crate) fn damaged(&self) -> &[Range<u64>] {
        &self.damaged
    }

    /// Appends a batch to memory, or answers `WouldBlock` if there is no room for it in time, and nothing has happened.
    pub(crate) fn append(
        &self,
        plan: &Plan,
        records: &(impl Encode + ?Sized),
        environment: &dyn Environment,
        patience: Patience<'_>,
    ) -> Result<Appended> {
        loop {
            let result = self.try_append(plan, records, environment.now_ms());
            if !result.as_ref().is_ok_and(|appended| appended.heard) {
                self.shard.announce(&self.tail);
            }
            let refusal = match result {
                Ok(appended) => return Ok(appended),
                Err(refusal) => refusal,
            };
            let waited = match (&refusal, patience) {
                (Refusal::Failed(_) | Refusal::NoMemory(_), _) => self.tail.wait_room(&refusal, None),
                (_, Patience::None) | (Refusal::Full(..), Patience::Told(_)) => Ok(false),
                (_, Patience::Until(deadline)) => self.tail.wait_room(&refusal, deadline),
                (_, Patience::Told(who)) => Ok(self.tail.tell_of_room(&refusal, who)),
            };
            let waited = waited.map_err(|error| self.named(error))?;
            if !waited {
                return Err(self.would_block(&refusal));
            }
        }
    }

    fn try_append(
        &self,
        plan: &Plan,
        records: &(impl Encode + ?Sized),
        now_ms: i64,
    ) -> core::result::Result<Appended, Refusal> {
        if plan.frame_size() <= APPEND_INSIDE_LOCK_MAX {
            return self.tail.append(plan, records, now_ms);
        }
        let mut reservation = self.tail.reserve(plan, now_ms)?;
        reservation.fill(plan, records);
        Ok(reservation.publish())
    }

    fn would_block(&self, refusal: &Refusal) -> Error {
        let why = match refusal {
            Refusal::Memory(_) => "the appenders' memory is used up until the device has taken some",
            Refusal::Segment(_) => "its next segment is being prepared",
            Refusal::Full(_, error) => return self.named(error.clone()),
            _ => "too many large appends are under way",
        };
        self.named(Error::new(ErrorKind::WouldBlock, why))
    }

    /// Has everything below `offset` made as durable as asked for, where the topic's own mode would not.
    pub(crate) fn want(&self, durability: Durability, offset: u64) {
        if durability == Durability::Durable && self.watermark().durability() != Durability::Durable {
            self.tail.want_durable(offset);
            self.shard.announce(&self.tail);
        }
    }

    /// Whether everything below `offset` is acknowledged in a mode, or never will be; `None`: not yet.
    pub(crate) fn acknowledged(&self, durability: Durability, offset: u64) -> Option<Result<()>> {
        if let Err(forked) = self.gate.check_process() {
            return Some(Err(forked));
        }
        let watermark = self.watermark();
        // The failure is looked at first: what was acknowledged before it stays so.
        let failure = watermark.failure();
        if watermark.reached(durability, offset) {
            return Some(Ok(()));
        }
        failure.map(|error| Err(self.named(error.clone())))
    }

    /// Blocks until everything below `offset` is acknowledged in a mode, or `deadline`; whether it is.
    pub(crate) fn wait_acknowledged(
        &self,
        durability: Durability,
        offset: u64,
        deadline: Option<Instant>,
    ) -> Result<bool> {
        self.gate.check_process()?;
        self.watermark().wait(durability, offset, deadline).map_err(|error| self.named(error))
    }

    /// Whether this is a forked child, where locks may be held by threads that do not exist.
    pub(crate) fn is_forked(&self) -> bool {
        self.gate.is_forked()
    }

    /// What readers may see of a segment.
    pub(crate) fn visible(&self, segment: &Segment) -> Prefix {
        match self.watermark().durability() {
            // Moved by appenders, not by the shard.
            Durability::LoseOnKill => segment.published(),
            _ => segment.visible(),
        }
    }

    /// The offset up to which readers see; an error for an offset that lies outside, or in damage.
    pub(crate) fn check_readable(&self, offset: u64) -> Result<u64> {
        if let Some(ended) = self.ended() {
            return Err(ended);
        }
        let (start, high) = (self.log_start(), self.watermark().high());
        if let Some(damage) = self.damage_in(offset..offset.saturating_add(1)) {
            return Err(Error::corrupt(damage, "recovery found acknowledged records missing or damaged"));
        }
        if let Some(error) = self.unavailable.get().filter(|_| offset >= high) {
            let error = error.clone().context(format_args!("{self} from offset {high} on"));
            return Err(error.of(&self.topic, Some(self.id().partition)));
        }
        if (start..=high).contains(&offset) || self.damaged.iter().any(|range| range.end == offset) {
            return Ok(high);
        }
        // What a segment shows is as durable as the topic asks for a moment before the watermark says so. Whoever has
        // read that far asks on from there.
        if offset > high && self.chain().segments().last().is_some_and(|last| self.visible(last).offset >= offset) {
            return Ok(offset);
        }
        let message = format!("offset {offset} is out of range; readable is {start}..{high}");
        Err(self.named(Error::new(ErrorKind::OutOfRange, message)))
    }

    /// Refuses an offset that no reader can have come to.
    pub(crate) fn check_reached(&self, offset: u64) -> Result<()> {
        if offset <= self.watermark().high() {
            return Ok(());
        }
        match self.check_readable(offset) {
            Err(error) if error.kind() == ErrorKind::OutOfRange => Err(error),
            _ => Ok(()),
        }
    }

    /// The error of a read of `offsets`. Where a file or the device did not give them, it names them.
    pub(crate) fn unreadable(&self, error: Error, offsets: Range<u64>) -> Error {
        if let Some(ended) = self.ended() {
            return ended;
        }
        // The log start has moved over what was being read.
        if offsets.end <= self.log_start()
            && let Err(out_of_range) = self.check_readable(offsets.start)
        {
            return out_of_range;
        }
        let start = offsets.start.max(self.log_start());
        match error.kind() {
            ErrorKind::Io | ErrorKind::PermissionDenied | ErrorKind::Corrupt if error.damaged().is_none() => {
                error.of_range(self.damage(start, offsets.end))
            }
            _ => error,
        }
    }

    /// The same error, with the partition before its sentence.
    pub(crate) fn named(&self, error: Error) -> Error {
        error.context(self).of(&self.topic, Some(self.id().partition))
    }

    /// The first range of damage known from recovery that meets `offsets`.
    pub(crate) fn damage_in(&self, offsets: Range<u64>) -> Option<DamagedRange> {
        let met = self.damaged.iter().find(|range| range.start < offsets.end && offsets.start < range.end)?;
        Some(self.damage(met.start, met.end))
    }

    /// The public name of damaged offsets.
    pub(crate) fn damage(&self, start: u64, end: u64) -> DamagedRange {
        DamagedRange { topic: self.topic.to_string(), partition: self.id().partition, start, end }
    }

    /// Waits until readers see more than `offset`, or `deadline`; whether they do. The error is that of a partition
    /// that will never show more.
    pub(crate) fn wait_beyond(&self, offset: u64, deadline: Option<Instant>) -> Result<bool> {
        self.gate.check_process()?;
        let watermark = self.watermark();
        watermark.wait(watermark.durability(), offset.saturating_add(1), deadline).map_err(|error| self.named(error))
    }

    /// Refuses appends, and tells whoever waits that nothing more will come.
    pub(crate) fn fail(&self, error: &Error) {
        self.tail.fail(error.clone());
        self.watermark().fail(error.clone());
    }

    /// Recovery could not bring the partition to its end. What is there is readable; the rest answers the error, and not
    /// that it is the end.
    pub(crate) fn make_unavailable(&self, error: &Error) {
        self.unavailable.get_or_init(|| error.clone());
        self.fail(error);
    }

    /// Tells the program around of damage that was just found.
    pub(crate) fn tell_damage(&self, start: u64, end: u64) {
        self.shard.raise(|_| EventKind::Damage(self.damage(start, end)));
    }

    pub(crate) fn shard(&self) -> &Arc<ShardHandle> {
        &self.shard
    }

    pub(crate) fn read_from_device(&self, request: ReadRequest) {
        self.shard.send(Message::Read(request));
    }
}

fn cut_off() -> Error {
    truncated("the log was cut before these records")
}

fn truncated(why: &str) -> Error {
    Error::new(ErrorKind::Truncated, why)
}

impl core::fmt::Display for Partition {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(&Place(&self.topic, self.id().partition), f)
    }
}
