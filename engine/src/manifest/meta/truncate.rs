//! Moving the two ends of a partition's log.

use std::sync::Arc;

use super::{Batch, Executed, MetaStore, Prepared, Then, capacity, in_use};
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::Edit;
use crate::ids::{Generation, PartitionId};
use crate::io::OpenMode;
use crate::manifest::{MetaDone, Partition, Segment, SegmentEnd, SegmentState, names};
use crate::sim::bugs::{self, Bug};

impl MetaStore {
    pub(super) fn truncate_before(&self, id: PartitionId, offset: u64, batch: &mut Batch) -> Result<Executed> {
        self.living_partition(id, batch)?;
        let known = self.image().partitions.get(&id).cloned().unwrap_or_default();
        // Said again if nothing changes: it may have failed to become durable, and the answer depends on that.
        batch.edits.push(Edit::LogStart { partition: id, offset: offset.max(known.log_start) });
        let whole = known.damaged.iter().all(|damage| damage.end <= offset);
        Ok(remove(id, &known, batch, |segment| match segment.state {
            SegmentState::Sealed { end, .. } => end.offset <= offset,
            SegmentState::Dropped => whole,
            SegmentState::Open { .. } => false,
        }))
    }

    pub(super) fn truncate_after(
        &self,
        id: PartitionId,
        offset: u64,
        end: Option<(Generation, SegmentEnd)>,
        batch: &mut Batch,
    ) -> Result<Executed> {
        self.living_partition(id, batch)?;
        let known = self.image().partitions.get(&id).cloned().unwrap_or_default();
        let wrong = |what| Err(Error::new(ErrorKind::InvalidArgument, format!("{id} cannot be cut: {what}")));
        if known.segments.values().any(Segment::is_open) || !known.damaged.is_empty() {
            return wrong("it is not whole, or not sealed");
        }
        let gone = |segment: &Segment| segment.base_offset >= offset || offset <= known.log_start;
        let last = known.segments.values().rev().find(|segment| !gone(segment));
        match (last, end) {
            (None, None) => batch.edits.push(Edit::LogStart { partition: id, offset }),
            (Some(last), None) if last.end().is_some_and(|end| end.offset == offset) => {
                // The answer depends on a commit, even if an earlier one that failed removed what is beyond.
                batch.edits.push(Edit::LogStart { partition: id, offset: known.log_start });
            }
            (Some(last), Some((generation, end)))
                if generation == last.generation
                    && end.offset == offset
                    && last.end().is_some_and(|before| end.position <= before.position) =>
            {
                batch.edits.push(Edit::SegmentSealed {
                    generation,
                    partition: id,
                    end_position: end.position,
                    end_offset: end.offset,
                    end_time: end.time,
                    footer_size: 0,
                });
            }
            _ => return wrong("no segment ends there"),
        }
        Ok(remove(id, &known, batch, gone))
    }

    pub(super) fn recycle_segments(&mut self, generations: &[Generation]) -> Executed {
        if bugs::active(Bug::KeepGeneration) {
            return MetaDone::SegmentsRecycled.into();
        }
        for generation in generations {
            let Some((id, sequence)) = self.removed.remove(generation) else { continue };
            let path = names::segment(id, sequence);
            let in_use = in_use(&self.handed_out, &path);
            self.pool.give(&**self.manifest.disk(), &path, in_use);
        }
        MetaDone::SegmentsRecycled.into()
    }

    /// Goes on in the file of a segment that was cut off, under its generation. For [`Bug::KeepGeneration`].
    pub(super) fn go_on_in(
        &mut self,
        generation: Generation,
        partition: PartitionId,
        sequence: u32,
    ) -> Result<Executed> {
        let path = names::segment(partition, sequence);
        let file = self.open_file(&path, OpenMode::Write)?;
        let size = file.size().map_err(|e| Error::file(format_args!("looking at {path}"), &e))?;
        let capacity = capacity(size)?;
        self.removed.remove(&generation);
        self.hand_out(path, &file);
        self.prepared.insert(generation, Prepared { partition, sequence, file: Arc::clone(&file), capacity });
        Ok(MetaDone::SegmentPrepared { sequence, generation, file, capacity }.into())
    }
}

/// Removes the segments that are `gone`; what becomes of their files is decided after the commit.
fn remove(id: PartitionId, known: &Partition, batch: &mut Batch, gone: impl Fn(&Segment) -> bool) -> Executed {
    let gone: Vec<&Segment> = known.segments.values().filter(|segment| gone(segment)).collect();
    batch
        .edits
        .extend(gone.iter().map(|segment| Edit::SegmentRemoved { partition: id, generation: segment.generation }));
    let removed = gone.iter().map(|segment| segment.generation).collect();
    let files = gone.iter().map(|segment| (segment.generation, id, segment.sequence)).collect();
    Executed { done: MetaDone::Truncated { removed }, directory: None, then: Then::Removed(files) }
}
