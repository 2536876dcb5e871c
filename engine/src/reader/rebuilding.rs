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

/// What is made, and for whom. Whoever waits for the goal looks for the index again once it is loaded.
pub(super) struct Rebuilding {
    rebuild: Rebuild,
    /// The index that there is was found to be wrong.
    distrusted: bool,
    shard: Arc<ShardHandle>,
    indexes: Arc<Indexes>,
    cache: Arc<Cache>,
    goal: Option<Arc<Extent>>,
}

impl Rebuilding {
    pub(super) fn new(
        segment: &Arc<Segment>,
        hints: Option<Arc<Index>>,
        distrusted: bool,
        shard: &Arc<ShardHandle>,
        (indexes, cache): (&Arc<Indexes>, &Arc<Cache>),
        goal: &Arc<Extent>,
    ) -> Rebuilding {
        Rebuilding {
            rebuild: Rebuild::new(segment, hints),
            distrusted,
            shard: Arc::clone(shard),
            indexes: Arc::clone(indexes),
            cache: Arc::clone(cache),
            goal: Some(Arc::clone(goal)),
        }
    }

    /// Asks the shard for what comes first; the rest follows by itself.
    pub(super) fn begin(self) {
        self.read(SEGMENT_DATA_START);
    }

    fn read(self, start: u64) {
        let Some(goal) = &self.goal else { return };
        let (shard, block) = (Arc::clone(&self.shard), Arc::clone(&goal.block));
        let segment = Arc::clone(self.rebuild.segment());
        let size = self.rebuild.window(start, block.capacity().min(BLOCK_MAX));
        let done = Box::new({
            let block = Arc::clone(&block);
            move |result| self.answered(&block, start, size, result)
        });
        shard.send(Message::Read(ReadRequest { segment, position: start, size, block, done }));
    }

    fn answered(mut self, block: &Block, start: u64, size: usize, result: Result<usize>) {
        let got = match result {
            Ok(got) => got.min(size),
            Err(error) => return self.end(Err(error)),
        };
        // SAFETY: the read is over, and the next one is not asked for before this has been looked at.
        let bytes = unsafe { block.bytes(0, got) };
        match self.rebuild.advance(&Window { bytes, start, end: start + size as u64 }) {
            Progress::Read(next) => self.read(next),
            Progress::Done => self.end(Ok(())),
        }
    }

    fn end(&mut self, result: Result<()>) {
        let Some(goal) = self.goal.take() else { return };
        let segment = self.rebuild.segment();
        let result = match result {
            Ok(()) => {
                let segment = Arc::clone(segment);
                let (index, newest) = self.rebuild.finish();
                let same = self.rebuild.hints().is_some_and(|hints| hints.iter().eq(index.iter()));
                segment.set_newest(newest);
                segment.set_index(Some(Arc::new(index)));
                if self.distrusted && !same {
                    // They were read and checked by it.
                    self.cache.forget(segment.generation);
                }
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Closed => Err(error),
            Err(error) => Err(error.context(format_args!("rebuilding the index of segment {:05x}", segment.sequence))),
        };
        self.indexes.rebuilt(self.rebuild.segment(), result);
        goal.loaded(Ok(0));
    }
}

impl Drop for Rebuilding {
    /// Nobody answers any more.
    fn drop(&mut self) {
        self.end(Err(closed()));
    }
}

/// What is known of an index on its way.
pub(super) enum Work {
    UnderWay(Arc<Extent>),
    /// For whoever asks next.
    Failed(Error),
}
