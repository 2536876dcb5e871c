//! Every outcome that recovery knows, each counted: what no test reaches shows as a zero.

use core::fmt;

macro_rules! rows {
    ($($(#[$doc:meta])+ $row:ident,)+) => {
        /// One outcome, in the order of the steps.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Row {
            $($(#[$doc])+ $row,)+
        }

        impl Row {
            /// Every outcome.
            pub(crate) const ALL: &'static [Row] = &[$(Row::$row,)+];

            /// The outcome's name, as reports print it.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Row::$row => stringify!($row),)+
                }
            }
        }
    };
}

rows! {
    // Step 1: the manifest.
    /// The store was closed cleanly: nothing is read, nothing is replayed.
    ManifestClean,
    /// It was not: everything below.
    ManifestNotClean,

    // Step 2: the journal's files and writes.
    /// A journal file that was never written in.
    JournalFileUnused,
    /// A journal file whose header is none, nor do its first writes say what it was: torn with the file's first write,
    /// or rotten.
    JournalFileUnreadable,
    /// A journal file whose header is none; its writes say what it was.
    JournalFileHeaderMadeUp,
    /// A journal file of an older set, or of another store.
    JournalFileOfAnotherSet,
    /// The scan went on in a file with a higher number, the one before being full.
    JournalContinued,
    /// The scan left a file in which a write had failed for the one that began with that write's number.
    JournalFailedFileLeft,
    /// A write with exactly the next number, whole.
    JournalWriteAccepted,
    /// A write with a number below the checkpoint's: its ranges are durable in their segments.
    JournalWriteBelowCheckpoint,
    /// A write below the checkpoint that cannot be read, and that nobody needs.
    JournalUnneededWriteUnreadable,
    /// The scan stopped: the file ends here.
    JournalStoppedAtFileEnd,
    /// The scan stopped: no write of this generation and place.
    JournalStoppedNoTable,
    /// The scan stopped: the table is whole, the payload is not.
    JournalStoppedBadPayload,
    /// The scan stopped: a whole write, but of another number.
    JournalStoppedOtherNumber,
    /// A valid write behind the stop. It testifies, and is not data.
    JournalEvidenceOnly,
    /// Nothing says that the write at the stop was ever durable: torn.
    JournalTorn,
    /// A later write says that the one at the stop was durable: damaged. The scan goes on behind it.
    JournalDamaged,
    /// A kept file, read in addition.
    JournalKeptFileRead,
    /// A kept file of which a part cannot be read.
    JournalKeptFileDamaged,

    // Step 3: ranges and watermarks.
    /// A range of a segment that is open: overlaid.
    RangeOverlaid,
    /// A range below the position that its segment is known to be durable up to.
    RangeBelowCheckpoint,
    /// A range within its sealed segment, which is durable.
    RangeInSealedSegment,
    /// Dropped: its generation is recorded as retired.
    RangeRetired,
    /// Dropped: its topic is deleted.
    RangeTopicDeleted,
    /// Dropped: its offsets are below the log start.
    RangeBelowLogStart,
    /// Dropped: it exceeds its generation's recorded end.
    RangeBeyondSealedEnd,
    /// A generation that the manifest does not know: damage.
    RangeUnknownGeneration,
    /// A range that begins behind the end of what could be accepted: unusable.
    RangeBeyondHole,
    /// A range of a damaged write.
    RangeLost,
    /// A watermark that testifies.
    WatermarkEvidence,
    /// A watermark of a generation, or of an end, that is gone: it says nothing.
    WatermarkDropped,

    // Step 4: frames and segments.
    /// The scan began at the checkpoint's position.
    ScanFromCheckpoint,
    /// The scan began at the start of the segment.
    ScanFromStart,
    /// The header sector is not this segment's; the manifest knows what it said.
    SegmentHeaderUnreadable,
    /// The scan stopped: the segment is full.
    ScanStoppedFull,
    /// The scan stopped: no header of a frame of this place.
    ScanStoppedBadHeader,
    /// The scan stopped: a header that reaches beyond the segment.
    ScanStoppedBeyondCapacity,
    /// The scan stopped: the frame's checksum fails.
    ScanStoppedBadChecksum,
    /// The scan stopped: a whole frame that does not begin with the next offset.
    ScanStoppedOtherOffset,
    /// The scan stopped: a whole frame whose records do not add up.
    ScanStoppedBadBody,
    /// The scan stopped: a whole frame of a kind that this build does not know. The partition waits for one that does.
    ScanStoppedUnsupported,
    /// The scan stopped: the device gives an error. The partition is unavailable behind it.
    ScanStoppedUnreadable,
    /// The scan stopped where the successor begins.
    ScanStoppedAtCut,
    /// A segment's file is missing.
    SegmentFileMissing,
    /// The successor begins where the segment before ends.
    SuccessorContinues,
    /// The successor begins above that, and the manifest records the gap.
    SuccessorGapRecorded,
    /// The successor begins below that, and cuts the segment before.
    SuccessorCuts,
    /// The successor begins above that: evidence only, and dropped.
    SuccessorBeyondGap,

    // Step 5: evidence.
    /// Frames behind the end testify to a durable offset.
    EvidenceBehindEnd,
    /// Nothing lies behind the end that was durable: the tail is whole, or torn.
    TornTail,
    /// More was durable than can be accepted.
    Damaged,

    // Step 6: making it durable.
    /// A segment with accepted bytes was flushed.
    SegmentFlushed,
    /// Overlaid bytes were written to their segment.
    OverlayDestaged,
    /// Overlaid bytes were in their segment already: an earlier recovery, or a destage, had got so far.
    OverlayAlreadyThere,
    /// The end was padded to the sector.
    TailPadded,
    /// A flush failed: the partition is unavailable, its journal files stay.
    FlushFailed,
    /// A destage failed: likewise.
    DestageFailed,
    /// What was destaged does not read back: likewise.
    DestageUnverified,
    /// A journal file stays because of ranges that are needed.
    JournalKept,
    /// A kept file is no longer needed.
    JournalReleased,

    // Step 7: the commit.
    /// A segment got its end.
    SegmentSealed,
    /// A segment without a frame was dropped.
    SegmentEmptyDropped,
    /// A segment behind a gap was dropped.
    SuccessorDropped,
    /// The commit point was passed.
    Committed,
    /// The commit failed: recovery begins anew at the next open.
    CommitFailed,
}

#[cfg(any(test, feature = "sim"))]
impl Row {
    /// Outcomes that no crash or fault of the simulation leads to: they need a later version's file, or bytes that
    /// somebody forged. The cases of `tests/forged.rs` reach each of them; a crash need not.
    /// `JournalUnneededWriteUnreadable` and `JournalStoppedAtFileEnd` are possible there, and too rare to count on: the latter came once in 200,000 crashes.
    pub(crate) const BY_HAND: &'static [Row] = &[
        Row::RangeUnknownGeneration,
        Row::JournalStoppedOtherNumber,
        Row::JournalUnneededWriteUnreadable,
        Row::JournalStoppedAtFileEnd,
        Row::JournalKeptFileDamaged,
        Row::ScanStoppedBeyondCapacity,
        Row::ScanStoppedUnsupported,
        Row::ScanStoppedBadBody,
        Row::SegmentFileMissing,
        Row::SuccessorGapRecorded,
        Row::SuccessorCuts,
    ];
}

/// How often each outcome was met.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Rows {
    hits: [u64; Row::ALL.len()],
}

impl Default for Rows {
    fn default() -> Rows {
        Rows { hits: [0; Row::ALL.len()] }
    }
}

impl Rows {
    pub(crate) fn hit(&mut self, row: Row) {
        self.hits[row as usize] += 1;
    }

    pub(crate) fn of(&self, row: Row) -> u64 {
        self.hits[row as usize]
    }

    /// Adds those of another recovery.
    pub(crate) fn add(&mut self, other: &Rows) {
        for (mine, theirs) in self.hits.iter_mut().zip(other.hits) {
            *mine += theirs;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Row, u64)> {
        Row::ALL.iter().map(|row| (*row, self.of(*row)))
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().filter(|(_, n)| *n > 0).map(|(row, n)| (row.name(), n))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_own_counter_and_name() {
        let mut rows = Rows::default();
        for (i, row) in Row::ALL.iter().enumerate() {
            assert_eq!(*row as usize, i);
            rows.hit(*row);
        }
        let mut twice = rows.clone();
        twice.add(&rows);
        assert!(twice.iter().all(|(_, n)| n == 2));
        assert_eq!(rows.of(Row::Damaged), 1);
        assert_eq!(Row::TornTail.name(), "TornTail");
    }
}
