//! Indexes of sealed segments: loaded when they are needed, bounded in memory, rebuilt when they cannot be trusted.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::extent::{Extent, Look};
use super::lender::{Found, Lender, full};
use super::rebuilding::{Rebuilding, Unfinished, Work};
use crate::buffer::{Block, Share};
use crate::error::{Error, ErrorKind, Result};
use crate::format::segment::Footer;
use crate::ids::Generation;
use crate::limits::{BLOCK_MAX, INDEX_INTERVAL, SECTOR};
use crate::partition::Partition;
use crate::segment::{Index, Prefix, Segment};
use crate::sync::{Arc, Mutex};

/// Bytes of one entry in memory.
const ENTRY_SIZE: usize = 16;
/// The part of the memory budget that indexes of sealed segments may take beside it.
const BUDGET_PART: usize = 32;

/// What is known of indexes.
#[derive(Default)]
pub(super) struct Indexes {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Segments whose index was made out of the log itself.
    rebuilt: BTreeSet<Generation>,
    /// Those whose index is being made so.
    work: BTreeMap<Generation, Work>,
    /// Those whose log was not to be read to its end: the next try begins with the read that was refused, so that it costs
    /// no more than that as long as the device does not relent.
    unfinished: BTreeMap<Generation, Unfinished>,
    /// Indexes that can be loaded again, oldest first, and their bytes.
    loaded: BTreeMap<u64, (std::sync::Weak<Segment>, usize)>,
    bytes: usize,
    next: u64,
}

impl Indexes {
    pub(super) fn forget(&self, generation: Generation) {
        let mut state = self.state.lock();
        state.rebuilt.remove(&generation);
        state.work.remove(&generation);
        state.unfinished.remove(&generation);
    }

    /// An index has been made out of the log, and put where it belongs.
    pub(super) fn rebuilt(&self, segment: &Arc<Segment>) {
        let mut state = self.state.lock();
        // The segment may have been forgotten meanwhile.
        if state.work.remove(&segment.generation).is_some() {
            state.rebuilt.insert(segment.generation);
        }
    }

    /// It could not be made; a part of it may have been.
    pub(super) fn stopped(&self, segment: &Arc<Segment>, error: Error, unfinished: Option<Unfinished>) {
        let mut state = self.state.lock();
        if state.work.remove(&segment.generation).is_some() {
            state.work.insert(segment.generation, Work::Failed(error));
            state.unfinished.extend(unfinished.map(|unfinished| (segment.generation, unfinished)));
        }
    }

    fn is_unfinished(&self, segment: &Arc<Segment>) -> bool {
        self.state.lock().unfinished.get(&segment.generation).is_some_and(|unfinished| unfinished.is_of(segment))
    }

    /// What there is to wait for while an index is being made. The error is told once.
    fn under_way(&self, generation: Generation) -> Option<Result<Arc<Extent>>> {
        let mut state = self.state.lock();
        match state.work.get(&generation)? {
            Work::UnderWay(goal) => Some(Ok(Arc::clone(goal))),
            Work::Failed(_) => match state.work.remove(&generation)? {
                Work::Failed(error) => Some(Err(error)),
                Work::UnderWay(goal) => Some(Ok(goal)),
            },
        }
    }

    /// Notes an index that can be loaded again, and drops the oldest ones beyond `most` bytes.
    fn note(&self, segment: &Arc<Segment>, entries: usize, most: usize) {
        let mut state = self.state.lock();
        let (number, size) = (state.next, entries * ENTRY_SIZE);
        state.next += 1;
        state.bytes += size;
        state.loaded.insert(number, (Arc::downgrade(segment), size));
        if state.bytes > most {
            state.sweep();
        }
        while state.bytes > most && state.loaded.len() > 1 {
            let Some((_, (segment, size))) = state.loaded.pop_first() else { break };
            state.bytes -= size;
            if let Some(segment) = segment.upgrade() {
                segment.set_index(None);
            }
        }
    }
}

impl State {
    /// Counts no more what is gone with its segment.
    fn sweep(&mut self) {
        let bytes = &mut self.bytes;
        self.loaded.retain(|_, (segment, size)| {
            let alive = segment.strong_count() > 0;
            *bytes -= if alive { 0 } else { *size };
            alive
        });
    }
}

/// Entries that most segments with frames up to `end` have no more of.
fn usual_entries(end: u64) -> usize {
    (end / INDEX_INTERVAL) as usize * 2 + 64
}

/// All that readers see of a segment.
fn whole(partition: &Partition, segment: &Segment) -> Range<u64> {
    segment.base_offset..partition.visible(segment).offset
}

/// Whether a footer is that of a sealed segment.
pub(super) fn is_footer_of(footer: &Footer, segment: &Segment) -> bool {
    let end = segment.published();
    footer.header.generation == segment.generation
        && footer.header.partition == segment.partition
        && (footer.end_position, footer.end_offset) == (end.position, end.offset)
}

impl Lender {
    /// The index of a segment. A sealed one's is read from its footer when it is not in memory.
    pub(super) fn index(&self, partition: &Partition, segment: &Arc<Segment>) -> Result<Found<Arc<Index>>> {
        if let Some(index) = segment.index() {
            return Ok(Found::There(index));
        }
        if let Some(goal) = self.rebuilding(partition, segment)? {
            return Ok(Found::Wait(goal));
        }
        // There is no footer that would do.
        if self.indexes.is_unfinished(segment) {
            return self.rebuild(partition, segment, false).map(Found::Wait);
        }
        // A segment that was cut has no footer, but is asked for it like any other: that opens its file.
        let end = segment.published().position.next_multiple_of(SECTOR);
        let extent = match self.cache.find(segment.generation, end) {
            Some(extent) => extent,
            None => self.load_footer(partition, segment, end, Footer::size(usual_entries(end)))?,
        };
        match extent.look() {
            Ok(Look::Wait) => Ok(Found::Wait(extent)),
            Ok(Look::Check(size)) => {
                let found = self.read_footer(partition, segment, &extent, size);
                extent.checked(Arc::new([]));
                self.cache.remove(&extent);
                found
            }
            // Another reader has just put the index where it belongs, or it was dropped since: look again.
            Ok(Look::Ready(_)) => {
                self.cache.remove(&extent);
                self.index(partition, segment)
            }
            Err(error) => {
                self.cache.remove(&extent);
                // The log is there even if its index cannot be read.
                if error.kind() == ErrorKind::Io && segment.file().is_some() {
                    return self.rebuild(partition, segment, false).map(Found::Wait);
                }
                Err(partition.unreadable(error, whole(partition, segment)))
            }
        }
    }

    /// As [`index`](Lender::index); blocks while the device is asked.
    pub(super) fn index_now(&self, partition: &Partition, segment: &Arc<Segment>) -> Result<Arc<Index>> {
        Found::now(|| self.index(partition, segment))
    }

    fn load_footer(&self, partition: &Partition, segment: &Arc<Segment>, end: u64, size: usize) -> Result<Arc<Extent>> {
        self.load(partition, segment, end, Prefix { position: end + size as u64, offset: u64::MAX })
            .map_err(|why| full(partition, why))
    }

    fn read_footer(
        &self,
        partition: &Partition,
        segment: &Arc<Segment>,
        extent: &Arc<Extent>,
        size: usize,
    ) -> Result<Found<Arc<Index>>> {
        // SAFETY: the read is over, and nobody writes the block again.
        let bytes = unsafe { extent.block.bytes(0, size.min(extent.size())) };
        let most = Footer::size((extent.position() / SECTOR) as usize);
        let claimed = Footer::claimed_size(bytes).filter(|claimed| *claimed <= most);
        if let Some(claimed) = claimed.filter(|claimed| *claimed > extent.size()) {
            // The guess was too small.
            return self.load_footer(partition, segment, extent.position(), claimed).map(Found::Wait);
        }
        let footer = claimed
            .and_then(|claimed| Footer::parse(bytes.get(..claimed)?).ok())
            .filter(|(footer, _)| is_footer_of(footer, segment));
        let Some((footer, entries)) = footer else {
            // Somebody else may have been here before.
            return match segment.index() {
                Some(index) => Ok(Found::There(index)),
                None => self.rebuild(partition, segment, false).map(Found::Wait),
            };
        };
        let index = Arc::new(Index::from_entries(entries.iter()));
        segment.set_newest(footer.newest);
        segment.set_index(Some(Arc::clone(&index)));
        self.note_index(segment);
        Ok(Found::There(index))
    }

    /// Counts an index that can be loaded again, which may cost others their place in memory.
    pub(super) fn note_index(&self, segment: &Arc<Segment>) {
        if let Some(index) = segment.index() {
            self.indexes.note(segment, index.len(), self.most_indexed());
        }
    }

    fn most_indexed(&self) -> usize {
        self.pool.budget().total / BUDGET_PART
    }

    /// Bytes of indexes of sealed segments, and their limit.
    pub(crate) fn indexed(&self) -> (usize, usize) {
        (self.indexes.state.lock().bytes, self.most_indexed())
    }

    /// An index led nowhere. Has it made anew out of the log, once: `There` if it is to be believed.
    pub(super) fn distrust(&self, partition: &Partition, segment: &Arc<Segment>) -> Result<Found<()>> {
        if let Some(goal) = self.rebuilding(partition, segment)? {
            return Ok(Found::Wait(goal));
        }
        if segment.closed().is_none() || self.indexes.state.lock().rebuilt.contains(&segment.generation) {
            return Ok(Found::There(()));
        }
        self.rebuild(partition, segment, true).map(Found::Wait)
    }

    /// As [`distrust`](Lender::distrust), but where the log cannot be read to make a new one, the index has to do.
    pub(super) fn distrust_if_readable(&self, partition: &Partition, segment: &Arc<Segment>) -> Result<Found<()>> {
        match self.distrust(partition, segment) {
            Err(error) if error.damaged().is_some() => Ok(Found::There(())),
            result => result,
        }
    }

    /// What to wait for while the index of a segment is being made.
    fn rebuilding(&self, partition: &Partition, segment: &Segment) -> Result<Option<Arc<Extent>>> {
        let under_way = self.indexes.under_way(segment.generation).transpose();
        under_way.map_err(|error| partition.unreadable(error, whole(partition, segment)))
    }

    /// Has an index made out of the log itself: a rare way, and a long one. Goes on where an earlier try was refused.
    /// Answers what to wait for.
    fn rebuild(&self, partition: &Partition, segment: &Arc<Segment>, distrusted: bool) -> Result<Arc<Extent>> {
        let take = |share| Block::take(&self.pool, share, segment.generation, 0, BLOCK_MAX);
        let block = take(Share::Cache).or_else(|_| take(Share::Reserve)).map_err(|why| full(partition, why))?;
        let goal = Arc::new(Extent::loading(block, Prefix { position: BLOCK_MAX as u64, offset: u64::MAX }));
        let mut state = self.indexes.state.lock();
        match state.work.entry(segment.generation) {
            Entry::Occupied(there) => {
                if let Work::UnderWay(goal) = there.get() {
                    return Ok(Arc::clone(goal));
                }
                let Work::Failed(error) = there.remove() else { unreachable!("it is not under way") };
                return Err(partition.unreadable(error, whole(partition, segment)));
            }
            Entry::Vacant(place) => drop(place.insert(Work::UnderWay(Arc::clone(&goal)))),
        }
        let begun = state.unfinished.remove(&segment.generation).filter(|unfinished| unfinished.is_of(segment));
        drop(state);
        let unfinished =
            begun.unwrap_or_else(|| Unfinished::new(segment, segment.index().filter(|_| distrusted), distrusted));
        Rebuilding::new(unfinished, partition.shard(), (&self.indexes, &self.cache), &goal).read();
        Ok(goal)
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::Batch;
    use super::super::lender::{Attempt, Cursor};
    use super::*;
    use crate::buffer::{Budget, HeapMemory, Pool};
    use crate::durability::Durability;
    use crate::format::frame::{self, Place, Stamp};
    use crate::format::plan::Plan;
    use crate::format::record::Record;
    use crate::gate::Gate;
    use crate::ids::PartitionId;
    use crate::partition::PartitionStart;
    use crate::segment::{Chain, IndexEntry, SEGMENT_DATA_START};
    use crate::shard::{Keep, Message, ShardHandle};
    use crate::tail::{Tail, TailStart};

    /// What an appender leaves behind counts as what is read from a footer does: a store that only grows would
    /// otherwise hold 16 bytes for every 32 KiB that it ever took in.
    #[test]
    fn indexes_of_sealed_segments_stay_within_their_part_of_the_budget() {
        let pool = Pool::new(Budget::new(1 << 20, 0), Box::new(HeapMemory));
        let lender = Lender::new(pool);
        let segment = |sequence: u32| {
            let end = Prefix { position: 1 << 20, offset: 1000 };
            let generation = Generation(u64::from(sequence) + 1);
            let segment = Segment::sealed(PartitionId::default(), sequence, generation, 0, 0, 1 << 20, end, 0);
            let entries = (0..1000).map(|number| IndexEntry::new(number, u64::from(number) * 8, true, 0));
            segment.set_index(Some(Arc::new(Index::from_entries(entries))));
            Arc::new(segment)
        };
        let segments: Vec<Arc<Segment>> = (0..10).map(segment).collect();
        segments.iter().for_each(|segment| lender.keep_index(segment));
        let kept: Vec<usize> = (0..10).filter(|at| segments[*at].index().is_some()).collect();
        assert_eq!(kept, [8, 9], "two of 16,000 bytes fit into 32 KiB, and the newest stay");
        assert_eq!(lender.indexed(), (32_000, 32 << 10));
    }

    const GENERATION: Generation = Generation(7);

    /// A file of 24 records of 200,000 bytes, each a frame, without a footer; and its end.
    fn file() -> (Vec<u8>, Prefix) {
        let mut bytes = vec![0; SEGMENT_DATA_START as usize];
        for offset in 0..24 {
            let value = vec![offset as u8; 200_000];
            let records = [Record::new(&value)];
            let plan = Plan::new(&records).expect("within limits");
            let at = bytes.len();
            let place = Place {
                partition: PartitionId::default(),
                generation: GENERATION,
                position: at as u64,
                segment_base: 0,
            };
            bytes.resize((at + plan.frame_size()).next_multiple_of(SECTOR as usize), 0);
            let stamp = Stamp { base_offset: offset, append_time: 5, durable: None };
            let end = at + plan.frame_size();
            plan.encode(&records, &mut bytes[at..end]);
            frame::seal(&mut bytes[at..end], &place, &plan.fields(stamp));
            if end < bytes.len() {
                frame::pad(
                    &mut bytes[end..],
                    &Place { position: end as u64, ..place },
                    &Stamp { base_offset: offset + 1, ..stamp },
                );
            }
        }
        let end = Prefix { position: bytes.len() as u64, offset: 24 };
        (bytes, end)
    }

    struct Rig {
        lender: Lender,
        partition: Partition,
        segment: Arc<Segment>,
        handle: Arc<ShardHandle>,
        file: Vec<u8>,
        reads: usize,
    }

    impl Rig {
        fn new() -> Rig {
            let (file, end) = file();
            let pool = Pool::new(Budget::new(64 << 20, 0), Box::new(HeapMemory));
            let segment = Arc::new(Segment::sealed(PartitionId::default(), 0, GENERATION, 0, 0, 1 << 30, end, 0));
            let start = TailStart {
                partition: PartitionId::default(),
                durability: Durability::Durable,
                next_offset: end.offset,
                last_time: 5,
            };
            let tail = Tail::new(start, Arc::clone(&pool), Arc::new(Chain::new(vec![Arc::clone(&segment)])));
            let handle = Arc::new(ShardHandle::new(None));
            let partition = Partition::new(PartitionStart {
                topic: "t".into(),
                gate: Arc::new(Gate::new(None)),
                tail,
                shard: Arc::clone(&handle),
                log_start: 0,
                damaged: Vec::new(),
            });
            Rig { lender: Lender::new(pool), partition, segment, handle, file, reads: 0 }
        }

        /// The device answers everything that it was asked, and whatever it is asked thereupon.
        fn answer(&mut self, fails: impl Fn(u64) -> bool) {
            let mut messages = std::collections::VecDeque::new();
            loop {
                if messages.is_empty() {
                    self.handle.take_all(&mut messages);
                }
                let Some(message) = messages.pop_front() else { return };
                let Message::Read(request) = message else { panic!("nothing but reads are asked for") };
                self.reads += 1;
                let rest = self.file.get(request.position as usize..).unwrap_or_default();
                let got = rest.len().min(request.size);
                // SAFETY: nobody looks at the block before the answer.
                unsafe { request.block.bytes_mut(0, got) }.copy_from_slice(&rest[..got]);
                match fails(request.position) {
                    true => (request.done)(Err(Error::new(ErrorKind::Io, "no"))),
                    false => (request.done)(Ok(got)),
                }
            }
        }

        fn attempt(&self, cursor: &mut Cursor) -> Result<Option<Batch>> {
            match self.lender.attempt(&self.partition, cursor, 1)? {
                Attempt::Batch(batch) => Ok(Some(batch)),
                Attempt::Wait(_) => Ok(None),
            }
        }

        /// Reads at an offset, as a consumer does that never waits.
        fn poll(&mut self, offset: u64) -> Result<Batch> {
            let mut cursor = Cursor::new(offset);
            for _ in 0..100 {
                if let Some(batch) = self.attempt(&mut cursor)? {
                    return Ok(batch);
                }
                self.answer(|_| false);
            }
            panic!("the device has answered everything")
        }
    }

    /// It was made on the thread of whoever asked, which may be one that must not wait.
    #[test]
    fn an_index_is_made_anew_without_keeping_a_reader_that_does_not_wait() {
        let mut rig = Rig::new();
        let (mut first, mut second) = (Cursor::new(20), Cursor::new(3));
        for cursor in [&mut first, &mut second] {
            assert!(rig.attempt(cursor).expect("readable").is_none(), "there is a footer to be read");
        }
        rig.answer(|_| false);
        for cursor in [&mut first, &mut second] {
            assert!(rig.attempt(cursor).expect("readable").is_none(), "there is none, so the log is read");
        }
        let before = rig.reads;
        rig.answer(|_| false);
        assert_eq!(rig.reads - before, rig.file.len().div_ceil(BLOCK_MAX), "once for both, and block by block");
        assert!(rig.segment.index().is_some());
        for offset in [20, 3, 0, 23] {
            let batch = rig.poll(offset).expect("readable");
            let record = batch.iter().next().expect("a record");
            assert_eq!((record.offset, record.value.map(|value| value[0])), (offset, Some(offset as u8)));
        }
        let usage = rig.lender.pool().usage();
        rig.lender.evict(usize::MAX);
        assert_eq!(rig.lender.pool().usage().cache, 0, "nothing is left behind: {usage:?}");
    }

    /// Each reader began the whole scan anew, up to where the device refused it.
    #[test]
    fn a_log_that_is_refused_while_its_index_is_made_is_not_read_from_its_beginning_again() {
        let mut rig = Rig::new();
        let mut cursor = Cursor::new(20);
        rig.attempt(&mut cursor).expect("asks for the footer");
        rig.answer(|_| false);
        rig.attempt(&mut cursor).expect("asks for the log");
        let refuses = |position: u64| position > 2 << 20;
        rig.answer(refuses);
        let blocks = rig.file.len().div_ceil(BLOCK_MAX);
        assert!(rig.reads > 3, "{} reads", rig.reads);
        for ask in 0..4 {
            let error = rig.attempt(&mut cursor).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert!(error.message().contains("rebuilding the index"), "{error}");
            let before = rig.reads;
            cursor = Cursor::new([20, 3, 0, 23][ask]);
            assert!(rig.attempt(&mut cursor).expect("asks again").is_none());
            rig.answer(refuses);
            assert_eq!(rig.reads - before, 1, "only for what was refused");
        }
        rig.attempt(&mut cursor).expect_err("refused");
        // Once the device relents, it goes on from there.
        let before = rig.reads;
        assert!(rig.attempt(&mut cursor).expect("asks again").is_none());
        rig.answer(|_| false);
        assert!(rig.reads - before < blocks && rig.segment.index().is_some(), "{} reads", rig.reads - before);
        for offset in [20, 3, 0, 23] {
            let batch = rig.poll(offset).expect("readable");
            let record = batch.iter().next().expect("a record");
            assert_eq!((record.offset, record.value.map(|value| value[0])), (offset, Some(offset as u8)));
        }
        assert!(!rig.lender.indexes.is_unfinished(&rig.segment));
    }

    /// Damage that a wrong index made up.
    #[test]
    fn a_wrong_index_is_made_anew_without_keeping_a_reader_that_does_not_wait() {
        let mut rig = Rig::new();
        let wrong = (0..3).map(|at| IndexEntry::new(at * 8, SEGMENT_DATA_START + u64::from(at) * 1_024_000, true, 0));
        rig.segment.set_index(Some(Arc::new(Index::from_entries(wrong))));
        for offset in [0, 9, 23] {
            let batch = rig.poll(offset).expect("nothing is damaged");
            assert_eq!(batch.iter().next().expect("a record").offset, offset);
        }
        let at = rig.file.len() / 2;
        rig.file[at] ^= 1;
        rig.lender.evict(usize::MAX);
        let damaged: Vec<u64> = (0..24).filter(|offset| rig.poll(*offset).is_err()).collect();
        assert_eq!(damaged.len(), 1, "what is damaged stays so: {damaged:?}");
    }
}
