//! A partition's segments, oldest first.

use super::Segment;
use crate::ids::Generation;
use crate::sync::{Arc, Swap};

/// The segments of one partition by base offset; read without a lock.
#[derive(Debug)]
pub(crate) struct Chain {
    segments: Swap<Vec<Arc<Segment>>>,
}

impl Chain {
    /// A chain of segments whose base offsets rise.
    pub(crate) fn new(segments: Vec<Arc<Segment>>) -> Chain {
        debug_assert!(segments.is_sorted_by_key(|segment| segment.base_offset), "segments follow each other");
        Chain { segments: Swap::new(segments) }
    }

    /// All segments now.
    pub(crate) fn segments(&self) -> Arc<Vec<Arc<Segment>>> {
        self.segments.load_full()
    }

    /// The last segment that begins at or before `offset`. The offset may lie in a gap behind it.
    pub(crate) fn find(&self, offset: u64) -> Option<Arc<Segment>> {
        let segments = self.segments.load();
        let after = segments.partition_point(|segment| segment.base_offset <= offset);
        segments[..after].last().map(Arc::clone)
    }

    /// The first segment that begins beyond `offset`.
    pub(crate) fn after(&self, offset: u64) -> Option<Arc<Segment>> {
        let segments = self.segments.load();
        let after = segments.partition_point(|segment| segment.base_offset <= offset);
        segments.get(after).map(Arc::clone)
    }

    /// Takes segments out that are not the partition's any more.
    pub(crate) fn remove(&self, gone: &[Generation]) {
        self.segments.update(|segments| {
            segments.iter().filter(|segment| !gone.contains(&segment.generation)).cloned().collect()
        });
    }

    /// Appends the newest segment.
    pub(crate) fn push(&self, segment: &Arc<Segment>) {
        self.segments.update(|segments| {
            debug_assert!(segments.last().is_none_or(|last| last.base_offset <= segment.base_offset));
            let mut segments = segments.clone();
            segments.push(Arc::clone(segment));
            segments
        });
    }
}
