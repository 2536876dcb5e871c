//! What is asked of the store beside reading and writing: files, names, and everything the manifest has to know.

use std::sync::Arc;

use crate::durability::Durability;
use crate::error::Result;
use crate::ids::{Generation, Lsn, PartitionId, TopicId};
use crate::io::File;
use crate::manifest::Settled;

/// A request, executed on the metadata thread together with the others of its batch.
pub(crate) struct MetaRequest {
    /// Chosen by the asker; comes back in the response.
    pub ticket: u64,
    pub order: MetaOrder,
}

/// The answer to one request.
pub(crate) struct MetaResponse {
    pub ticket: u64,
    pub result: Result<MetaDone>,
}

/// Where a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentEnd {
    /// Byte after the last frame.
    pub position: u64,
    /// Offset after the last record.
    pub offset: u64,
    /// Append time of the last frame, ms.
    pub time: i64,
}

/// What is asked.
pub(crate) enum MetaOrder {
    /// A file for a partition's next segment, its space reserved, under a new generation. Nothing may be acknowledged
    /// out of it before [`ActivateSegment`](MetaOrder::ActivateSegment) is answered.
    PrepareSegment {
        partition: PartitionId,
        /// Of the file: header, data and footer. Bytes, a multiple of the sector.
        size: u64,
    },
    /// Makes a prepared segment part of its partition: header and manifest name its generation durably.
    ActivateSegment {
        partition: PartitionId,
        sequence: u32,
        generation: Generation,
        base_offset: u64,
        base_time: i64,
        /// The base is meant to lie above the previous segment's end.
        gap: bool,
    },
    /// Gives a prepared segment back that no append has switched to.
    DiscardSegment {
        partition: PartitionId,
        generation: Generation,
    },
    /// A segment is complete: every byte below its end is durable in its own file.
    SealSegment {
        partition: PartitionId,
        generation: Generation,
        end: SegmentEnd,
        /// The encoded footer, or empty: then the index is rebuilt by whoever needs it.
        footer: Vec<u8>,
    },
    /// Recovery of a shard's journal may begin at `lsn`, and of the partitions named at their positions. Partitions
    /// that are not named keep the position named last.
    Checkpoint {
        set: u64,
        shard: u32,
        lsn: Lsn,
        settled: Vec<Settled>,
    },
    /// A pre-written journal file: every byte was durably written once. It has no header of the current set.
    PrepareJournalFile,
    /// A journal file, with this header, stays for as long as reads and recovery need its ranges.
    KeepJournalFile {
        shard: u32,
        number: u32,
        generation: Generation,
        first_lsn: Lsn,
        end_lsn: Lsn,
    },
    /// A journal file is no longer needed. `reuse` says that no write of it failed.
    ReleaseJournalFile {
        number: u32,
        reuse: bool,
    },
    /// Opens a segment's file for reads.
    OpenSegmentFile {
        partition: PartitionId,
        generation: Generation,
    },
    CreateTopic {
        name: String,
        partitions: u32,
        durability: Durability,
    },
    DeleteTopic {
        topic: TopicId,
    },
    /// Raises the number of a topic's partitions to `total`.
    AddPartitions {
        topic: TopicId,
        total: u32,
    },
    /// The partition's log begins at `offset` from now on; segments that end there or before are removed. Their files
    /// stay readable until [`RecycleSegments`](MetaOrder::RecycleSegments).
    TruncateBefore {
        partition: PartitionId,
        offset: u64,
    },
    /// The partition's log, all of which is sealed, ends at `offset` from now on: a segment that reaches beyond it ends
    /// at `end`, and those that begin there or later are removed, as by [`TruncateBefore`](MetaOrder::TruncateBefore).
    TruncateAfter {
        partition: PartitionId,
        offset: u64,
        end: Option<(Generation, SegmentEnd)>,
    },
    /// Nobody begins to read these removed segments any more: their files are free.
    RecycleSegments {
        generations: Vec<Generation>,
    },
    /// Whether a segment of `size` could be prepared. Leaves nothing behind.
    ProbeSpace {
        size: u64,
    },
    /// Everything is sealed and the journal holds nothing: the next open needs no recovery. The last request.
    CloseClean,
}

/// What was done.
pub(crate) enum MetaDone {
    SegmentPrepared {
        sequence: u32,
        generation: Generation,
        file: Arc<dyn File>,
        /// The position at which data has to end, so that the footer fits behind it.
        capacity: u64,
    },
    SegmentActivated,
    SegmentDiscarded,
    SegmentSealed,
    Checkpointed,
    JournalFilePrepared {
        number: u32,
        file: Arc<dyn File>,
        size: u64,
    },
    JournalFileKept,
    JournalFileReleased,
    SegmentFileOpened {
        file: Arc<dyn File>,
    },
    TopicCreated {
        topic: TopicId,
    },
    TopicDeleted,
    PartitionsAdded,
    Truncated {
        removed: Vec<Generation>,
    },
    SegmentsRecycled,
    SpaceFound,
    /// Whether the manifest now says clean; it does not while a segment is open or a journal file kept.
    Closed {
        clean: bool,
    },
}
