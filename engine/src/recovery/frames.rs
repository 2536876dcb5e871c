//! Steps 4 and 5 within one segment: frame by frame up to the first failure, and what testifies behind it.

use crate::error::{Error, ErrorKind};
use crate::format::frame::{self, FrameError, HEADER_SIZE, Header, Place};
use crate::ids::PartitionId;
use crate::limits::{FRAME_MAX, SECTOR};
use crate::manifest::{Segment, SegmentEnd};
use crate::recovery::bytes::{NoView, Source, Window};
use crate::recovery::table::Row;
use crate::sim::bugs::{self, Bug};

/// Writes of one partition that may be in flight at once, and the largest of them. Bytes. Behind the end of what is
/// valid no flush can have landed farther away than their product.
const DEPTH: u64 = 16;
const LARGEST_WRITE: u64 = 1 << 20;

/// Why a scan stopped.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    Full,
    BadHeader,
    BeyondCapacity,
    /// The bytes that the header claims.
    BadChecksum(u32),
    OtherOffset,
    /// A whole frame that is no use; the offset after it.
    BadBody(u64),
    Unsupported(Error),
    Unreadable(Error),
    AtCut,
}

impl Stop {
    pub(super) fn row(&self) -> Row {
        match self {
            Stop::Full => Row::ScanStoppedFull,
            Stop::BadHeader => Row::ScanStoppedBadHeader,
            Stop::BeyondCapacity => Row::ScanStoppedBeyondCapacity,
            Stop::BadChecksum(_) => Row::ScanStoppedBadChecksum,
            Stop::OtherOffset => Row::ScanStoppedOtherOffset,
            Stop::BadBody(_) => Row::ScanStoppedBadBody,
            Stop::Unsupported(_) => Row::ScanStoppedUnsupported,
            Stop::Unreadable(_) => Row::ScanStoppedUnreadable,
            Stop::AtCut => Row::ScanStoppedAtCut,
        }
    }
}

/// What a scan found.
#[derive(Clone, Debug)]
pub(super) struct Scanned {
    /// Where the accepted frames end.
    pub end: SegmentEnd,
    pub stop: Stop,
    /// The highest offset that accepted frames say was durable on the device.
    pub durable: Option<u64>,
    /// The last frame boundary at or below the position asked for.
    pub mark: SegmentEnd,
    /// Frames that belonged to this segment follow the cut.
    pub cuts: bool,
}

/// A segment whose frames are read.
pub(super) struct Frames<'a> {
    pub partition: PartitionId,
    pub segment: &'a Segment,
    pub source: &'a mut dyn Source,
    pub window: &'a mut Window,
}

/// What stands at a position.
enum Found {
    Frame(Header),
    No(Stop),
}

impl Frames<'_> {
    fn place(&self, position: u64) -> Place {
        Place {
            partition: self.partition,
            generation: self.segment.generation,
            position,
            segment_base: self.segment.base_offset,
        }
    }

    /// Accepts frames from `from` on, each beginning with the next offset, up to the first that fails, or to the
    /// offset `cut`. `mark`: see [`Scanned::mark`].
    pub(super) fn scan(&mut self, from: SegmentEnd, cut: Option<u64>, mark: u64) -> Scanned {
        let mut scanned = Scanned { end: from, stop: Stop::Full, durable: None, mark: from, cuts: false };
        loop {
            let end = scanned.end;
            if end.position <= mark {
                scanned.mark = end;
            }
            let found = self.frame_at(end.position);
            // At the cut only pads still belong to this segment.
            let over = match (&found, cut) {
                (_, None) => false,
                (Found::Frame(header), Some(cut)) => {
                    header.end_offset() > cut || (end.offset >= cut && header.count > 0)
                }
                (Found::No(_), Some(cut)) => end.offset >= cut,
            };
            if over {
                scanned.cuts = matches!(found, Found::Frame(header) if header.base_offset == end.offset);
                scanned.stop = Stop::AtCut;
                return scanned;
            }
            match found {
                Found::Frame(header) if header.base_offset == end.offset => {
                    scanned.take(&header);
                    continue;
                }
                Found::Frame(_) => scanned.stop = Stop::OtherOffset,
                Found::No(stop) => scanned.stop = stop,
            }
            if !(bugs::active(Bug::AcceptBeyondHole) && self.skip_hole(&mut scanned)) {
                return scanned;
            }
        }
    }

    fn frame_at(&mut self, position: u64) -> Found {
        let place = self.place(position);
        let capacity = self.source.limit();
        if position.saturating_add(HEADER_SIZE as u64) > capacity {
            return Found::No(Stop::Full);
        }
        let header = match self.window.view(self.source, position, HEADER_SIZE) {
            Ok(bytes) => frame::peek(bytes, &place),
            Err(error) => return Found::No(no_view(error)),
        };
        let size = match header {
            Ok(header) => header.size as usize,
            Err(_) => return Found::No(Stop::BadHeader),
        };
        if position + size as u64 > capacity {
            return Found::No(Stop::BeyondCapacity);
        }
        debug_assert!(size <= FRAME_MAX, "a header that passes is within the limits");
        let bytes = match self.window.view(self.source, position, size) {
            Ok(bytes) => bytes,
            Err(error) => return Found::No(no_view(error)),
        };
        match frame::verify(bytes, &place) {
            Ok(header) => Found::Frame(header),
            Err(FrameError::Unsupported(what)) => {
                Found::No(Stop::Unsupported(Error::new(ErrorKind::Unsupported, what)))
            }
            Err(FrameError::BadBody) => {
                let after = frame::peek(bytes, &place).map_or(0, |header| header.end_offset());
                Found::No(Stop::BadBody(after))
            }
            Err(FrameError::BadCrc | FrameError::BadHeader | FrameError::Incomplete { .. }) => {
                Found::No(Stop::BadChecksum(size as u32))
            }
        }
    }

    /// The highest durable offset that valid frames behind `end` testify, beginning at sectors: a flush begins at
    /// one. Frames that follow a valid one are read as well. What is found is evidence, never data.
    pub(super) fn evidence_behind(&mut self, end: u64) -> Option<u64> {
        let mut durable = None;
        let mut position = (end + 1).next_multiple_of(SECTOR);
        // A frame that was begun at the end may be longer than any window; flushes go on behind it.
        let place = self.place(end);
        let torn = self.window.view(self.source, end, HEADER_SIZE).ok();
        let torn = torn.and_then(|bytes| frame::peek(bytes, &place).ok());
        let torn = torn.map_or(0, |header| u64::from(header.size));
        let until = (end + torn).saturating_add(DEPTH * LARGEST_WRITE).min(self.source.limit());
        // A wrong header that passes its check costs a checksum over what it claims. Bounded, whatever the bytes.
        let mut allowance = 4 * DEPTH * LARGEST_WRITE;
        while position < until && allowance > 0 {
            match self.frame_at(position) {
                Found::Frame(header) => {
                    durable = durable.max(header.durable());
                    position += u64::from(header.size);
                    continue;
                }
                Found::No(Stop::BadChecksum(size)) => allowance = allowance.saturating_sub(u64::from(size)),
                Found::No(_) => {}
            }
            position = (position + 1).next_multiple_of(SECTOR);
        }
        durable
    }

    /// The highest durable offset that the frames from a position on testify, and where they end.
    pub(super) fn testimony_at(&mut self, mut position: u64) -> (Option<u64>, u64) {
        let mut durable = None;
        while let Found::Frame(header) = self.frame_at(position) {
            durable = durable.max(header.durable());
            position += u64::from(header.size);
        }
        (durable, position)
    }

    /// The planted bug: goes on with the next frame that is valid by itself.
    fn skip_hole(&mut self, scanned: &mut Scanned) -> bool {
        let mut position = (scanned.end.position + 1).next_multiple_of(SECTOR);
        let until = position.saturating_add(LARGEST_WRITE).min(self.source.limit());
        while position < until {
            if let Found::Frame(header) = self.frame_at(position)
                && header.base_offset > scanned.end.offset
            {
                scanned.end.position = position;
                scanned.end.offset = header.base_offset;
                return true;
            }
            position += SECTOR;
        }
        false
    }
}

impl Scanned {
    fn take(&mut self, header: &Header) {
        self.durable = self.durable.max(header.durable());
        self.end = SegmentEnd {
            position: self.end.position + u64::from(header.size),
            offset: header.end_offset(),
            time: self.end.time.max(header.append_time),
        };
    }
}

fn no_view(error: NoView) -> Stop {
    match error {
        NoView::Unreadable(error) => Stop::Unreadable(Error::os("reading a segment", &error)),
        NoView::NoMemory(error) => Stop::Unreadable(error),
    }
}
