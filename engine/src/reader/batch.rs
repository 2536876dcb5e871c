//! Records lent to a reader.

use core::fmt;

use super::copies::Copied;
use super::walk::Span;
use crate::buffer::Pin;
use crate::format::frame;
use crate::format::record::RecordView;
use crate::format::view::FrameRecords;

/// Records of one partition, in order, borrowed from the engine's memory where they lie.
///
/// A batch holds one block of memory, up to 1 MiB or the size of its largest record, until it is dropped. It stays
/// valid whatever happens to the reader, the topic, or the engine that it came from. Held batches never slow down
/// appends; they use up the readers' part of the memory budget. When that is gone, batches of up to 64 KiB are copied, one
/// such at a time for each reader or consumer, and 1 MiB of all together; beyond that, reads answer
/// [`WouldBlock`](crate::ErrorKind::WouldBlock).
///
/// ```
/// # fn main() -> thalweg::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// # use thalweg::{Engine, Options, Record, Target, TopicOptions};
/// # let engine = Engine::open(dir.path(), Options::default())?;
/// # let topic = engine.create_topic("orders", TopicOptions::default())?;
/// topic.append_batch(Target::Partition(0), &[Record::new("first"), Record::new("second")])?;
/// let batch = topic.read(0, 0, 1 << 20)?;
/// let values: Vec<_> = batch.iter().map(|record| record.value.unwrap_or_default()).collect();
/// assert_eq!(values, [b"first".as_slice(), b"second"]);
/// assert_eq!(batch.next_offset(), 2);
/// # Ok(())
/// # }
/// ```
pub struct Batch {
    memory: Memory,
    segment_base: u64,
    /// Records below belong to the first frame, and were not asked for.
    first: u64,
    next: u64,
    count: u64,
}

enum Memory {
    None,
    /// `size` bytes of the block from `at`.
    Pinned(Pin, usize, usize),
    Copied(Copied),
}

impl Batch {
    /// Nothing; the next read begins at `next`.
    pub(crate) fn empty(next: u64) -> Batch {
        Batch { memory: Memory::None, segment_base: 0, first: next, next, count: 0 }
    }

    /// The frames of `span`, which begins `at` bytes into the block.
    pub(crate) fn pinned(pin: Pin, at: usize, span: &Span, segment_base: u64, first: u64) -> Batch {
        let memory = Memory::Pinned(pin, at + span.at, span.size);
        Batch { memory, segment_base, first, next: span.next, count: span.count }
    }

    /// The same, copied.
    pub(crate) fn copied(copied: Copied, span: &Span, segment_base: u64, first: u64) -> Batch {
        Batch { memory: Memory::Copied(copied), segment_base, first, next: span.next, count: span.count }
    }

    fn frames(&self) -> &[u8] {
        match &self.memory {
            Memory::None => &[],
            // SAFETY: a batch is made of published bytes, which never change; the pin keeps the block from being used
            // again while the batch lives.
            Memory::Pinned(pin, at, size) => unsafe { pin.bytes(*at, *size) },
            Memory::Copied(copied) => copied.bytes(),
        }
    }

    /// The records, in the order of their offsets. Nothing is copied or allocated.
    pub fn iter(&self) -> Records<'_> {
        Records { rest: self.frames(), segment_base: self.segment_base, first: self.first, frame: None }
    }

    /// Where to read on: behind the last record. Equal to the offset that was asked for if nothing new was there.
    pub fn next_offset(&self) -> u64 {
        self.next
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    /// Whether it has no records: nothing was visible at the offset.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The offsets of its first batch as it was appended: its base, and the one after it.
    pub(crate) fn bounds(&self) -> Option<(u64, u64)> {
        frame::outline(self.frames(), self.segment_base).map(|frame| (frame.base_offset, frame.end_offset))
    }

    /// The memory that all its records lie in, as stored: keys, values and headers that [`iter`](Batch::iter) gives are
    /// parts of it.
    pub fn bytes(&self) -> &[u8] {
        self.frames()
    }

    /// Bytes of its records as stored, with their headers.
    pub fn size(&self) -> usize {
        self.frames().len()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Batch { first, next, count, .. } = self;
        write!(f, "Batch({count} records, offsets {first}..{next}, {} bytes)", self.size())
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = RecordView<'a>;
    type IntoIter = Records<'a>;

    fn into_iter(self) -> Records<'a> {
        self.iter()
    }
}

/// The records of a [`Batch`].
#[derive(Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    segment_base: u64,
    first: u64,
    frame: Option<FrameRecords<'a>>,
}

impl<'a> Records<'a> {
    /// Goes to the next frame.
    #[inline]
    fn advance(&mut self) -> Option<()> {
        let header = frame::trusted(self.rest, self.segment_base)?;
        let mut records = FrameRecords::new(self.rest, &header);
        if header.base_offset < self.first {
            records.skip_to(self.first);
        }
        self.frame = Some(records);
        self.rest = self.rest.get(header.size as usize..).unwrap_or_default();
        Some(())
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordView<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordView<'a>> {
        loop {
            if let Some(record) = self.frame.as_mut().and_then(Iterator::next) {
                return Some(record);
            }
            self.advance()?;
        }
    }

    /// Frame by frame, so that the walk through one is a loop of its own.
    #[inline]
    fn fold<B, F: FnMut(B, RecordView<'a>) -> B>(mut self, init: B, mut f: F) -> B {
        let mut folded = init;
        loop {
            if let Some(frame) = self.frame.take() {
                folded = frame.fold(folded, &mut f);
            }
            if self.advance().is_none() {
                return folded;
            }
        }
    }
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("bytes_left", &self.rest.len()).finish_non_exhaustive()
    }
}
