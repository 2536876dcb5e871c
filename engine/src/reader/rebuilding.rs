//! An index on its way: made out of the log, one read after the other, by the shard that answers the reads.

use super::cache::Cache;
use super::extent::Extent;
use super::index::Indexes;
use super::rebuild::{Progress, Rebuild, Window};
use crate::buffer::Block;
use crate::error::{Error, ErrorKind, Result};
use crate::gate::closed;
use crate::limits::BLOCK_MAX;
use crate::segment::{Index, SEGMENT_DATA_START, Segment};
use crate::shard::{Message, ReadRequest, ShardHandle};
use crate::sync::Arc;

/// An index of which a part is made.
pub(super) struct Unfinished {
    rebuild: Rebuild,
    /// The index that there is was found to be wrong.
    distrusted: bool,
    /// Byte of the file that is read next.
    at: u64,
}

impl Unfinished {
    /// One of which nothing is made. The `hints` of an index that is `distrusted` help to find the way on behind damage.
    pub(super) fn new(segment: &Arc<Segment>, hints: Option<Arc<Index>>, distrusted: bool) -> Unfinished {
        Unfinished { rebuild: Rebuild::new(segment, hints), distrusted, at: SEGMENT_DATA_START }
    }

    /// Whether it is one of this segment, as that is now.
    pub(super) fn is_of(&self, segment: &Arc<Segment>) -> bool {
        Arc::ptr_eq(self.rebuild.segment(), segment)
    }
}

/// What is made, and for whom. Whoever waits for the goal looks for the index again once it is loaded.
pub(super) struct Rebuilding {
    /// `None` once it is over.
    unfinished: Option<Unfinished>,
    shard: Arc<ShardHandle>,
    indexes: Arc<Indexes>,
    cache: Arc<Cache>,
    goal: Arc<Extent>,
}

impl Rebuilding {
    pub(super) fn new(
        unfinished: Unfinished,
        shard: &Arc<ShardHandle>,
        (indexes, cache): (&Arc<Indexes>, &Arc<Cache>),
        goal: &Arc<Extent>,
    ) -> Rebuilding {
        Rebuilding {
            unfinished: Some(unfinished),
            shard: Arc::clone(shard),
            indexes: Arc::clone(indexes),
            cache: Arc::clone(cache),
            goal: Arc::clone(goal),
        }
    }

    /// Asks the shard for what comes next; the rest follows by itself.
    pub(super) fn read(self) {
        let Some(Unfinished { rebuild, at, .. }) = &self.unfinished else { return };
        let (shard, block, start) = (Arc::clone(&self.shard), Arc::clone(&self.goal.block), *at);
        let segment = Arc::clone(rebuild.segment());
        let size = rebuild.window(start, block.capacity().min(BLOCK_MAX));
        let done = Box::new({
            let block = Arc::clone(&block);
            move |result| self.answered(&block, size, result)
        });
        shard.send(Message::Read(ReadRequest { segment, position: start, size, block, done }));
    }

    fn answered(mut self, block: &Block, size: usize, result: Result<usize>) {
        let Some(unfinished) = &mut self.unfinished else { return };
        let got = match result {
            Ok(got) => got.min(size),
            Err(error) => return self.stop(error),
        };
        // SAFETY: the read is over, and the next one is not asked for before this has been looked at.
        let bytes = unsafe { block.bytes(0, got) };
        let start = unfinished.at;
        match unfinished.rebuild.advance(&Window { bytes, start, end: start + size as u64 }) {
            Progress::Read(next) => {
                unfinished.at = next;
                self.read();
            }
            Progress::Done => self.finish(),
        }
    }

    fn finish(&mut self) {
        let Some(Unfinished { mut rebuild, distrusted, .. }) = self.unfinished.take() else { return };
        let segment = Arc::clone(rebuild.segment());
        let (index, newest) = rebuild.finish();
        let same = rebuild.hints().is_some_and(|hints| hints.iter().eq(index.iter()));
        segment.set_newest(newest);
        segment.set_index(Some(Arc::new(index)));
        if distrusted && !same {
            // They were read and checked by it.
            self.cache.forget(segment.generation);
        }
        self.indexes.rebuilt(&segment);
        self.goal.loaded(Ok(0));
    }

    /// The log was not to be read. What is made of it so far is kept for the next try.
    fn stop(&mut self, error: Error) {
        let Some(unfinished) = self.unfinished.take() else { return };
        let segment = Arc::clone(unfinished.rebuild.segment());
        if error.kind() == ErrorKind::Closed {
            self.indexes.stopped(&segment, error, None);
        } else {
            let error = error.context(format_args!("rebuilding the index of segment {:05x}", segment.sequence));
            self.indexes.stopped(&segment, error, Some(unfinished));
        }
        self.goal.loaded(Ok(0));
    }
}

impl Drop for Rebuilding {
    /// Nobody answers any more.
    fn drop(&mut self) {
        self.stop(closed());
    }
}

/// What is known of an index on its way.
pub(super) enum Work {
    UnderWay(Arc<Extent>),
    /// For whoever asks next.
    Failed(Error),
}
