//! A segment file's fixed parts: the header sector before its frames, the index footer after them.

use zerocopy::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::file::{FileError, area_is_whole, check_head, seal_area, write_head};
use crate::ids::{Generation, PartitionId, TopicId};
use crate::limits::{SECTOR, SEGMENT_MAX};

/// Where a segment's first frame stands. Bytes; the header has the space before it.
pub(crate) const SEGMENT_DATA_START: u64 = SECTOR;
/// Bytes of the header's sector.
pub(crate) const SEGMENT_HEADER_SIZE: usize = SECTOR as usize;

const HEADER_MAGIC: &[u8; 8] = b"THLWGSEG";
const FOOTER_MAGIC: &[u8; 8] = b"THLWGIDX";
/// Bytes of a footer before its columns.
const FOOTER_FIXED: usize = core::mem::size_of::<FooterBytes>();
/// Bytes of one index entry over the three columns.
const ENTRY_SIZE: usize = 16;
/// Before every timestamp: that of no record.
pub(crate) const NEVER: i64 = i64::MIN;
/// Marks, in a stored position, the start of a block.
const BLOCK_START: u32 = 1 << 31;

/// What a segment is. It stands in the header, in the footer and in the manifest, so that one rotten sector does not
/// lose a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Identity of the store.
    pub store: u64,
    pub partition: PartitionId,
    /// Number of the segment within its partition; never used twice.
    pub sequence: u32,
    pub generation: Generation,
    pub base_offset: u64,
    /// Append time of the first record, ms since 1970.
    pub base_time: i64,
    /// Byte of the file up to which frames may reach.
    pub capacity: u64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct HeaderBytes {
    head: [u8; 16],
    store: U64,
    topic: U32,
    partition: U32,
    sequence: U32,
    zero: U32,
    generation: U64,
    base_offset: U64,
    base_time: I64,
    capacity: U64,
}

impl SegmentHeader {
    /// Writes the header sector.
    pub(crate) fn encode(&self, sector: &mut [u8]) {
        assert!(sector.len() == SEGMENT_HEADER_SIZE, "the header fills its sector");
        sector.fill(0);
        self.write(sector, HEADER_MAGIC);
        seal_area(sector);
    }

    /// Reads a header sector.
    pub(crate) fn parse(sector: &[u8]) -> Result<SegmentHeader, FileError> {
        check_head(sector, HEADER_MAGIC)?;
        let whole = sector.get(..SEGMENT_HEADER_SIZE).is_some_and(area_is_whole);
        if !whole {
            return Err(FileError::Damaged("the checksum of the segment header does not match"));
        }
        SegmentHeader::read(sector).ok_or(FileError::Damaged("the segment header does not add up"))
    }

    fn write(&self, bytes: &mut [u8], magic: &[u8; 8]) {
        let fields = HeaderBytes {
            head: [0; 16],
            store: self.store.into(),
            topic: self.partition.topic.0.into(),
            partition: self.partition.partition.into(),
            sequence: self.sequence.into(),
            zero: 0.into(),
            generation: self.generation.0.into(),
            base_offset: self.base_offset.into(),
            base_time: self.base_time.into(),
            capacity: self.capacity.into(),
        };
        fields.write_to_prefix(bytes).expect("a sector holds the header");
        write_head(bytes, magic);
    }

    fn read(bytes: &[u8]) -> Option<SegmentHeader> {
        let (fields, _) = HeaderBytes::ref_from_prefix(bytes).ok()?;
        let capacity = fields.capacity.get();
        (fields.zero.get() == 0 && (SEGMENT_DATA_START..=SEGMENT_MAX).contains(&capacity)).then(|| SegmentHeader {
            store: fields.store.get(),
            partition: PartitionId { topic: TopicId(fields.topic.get()), partition: fields.partition.get() },
            sequence: fields.sequence.get(),
            generation: Generation(fields.generation.get()),
            base_offset: fields.base_offset.get(),
            base_time: fields.base_time.get(),
            capacity,
        })
    }
}

/// One entry of the sparse index: the frame that stands at a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// Base offset of the frame less that of the segment.
    pub relative_offset: u32,
    /// Position in 8-byte units; the top bit marks the start of a block. Use [`IndexEntry::position`].
    pub place: u32,
    /// The latest timestamp of the segment's records before the frame, ms since 1970; [`NEVER`] if there are none.
    pub newest: i64,
}

impl IndexEntry {
    /// The entry of a frame at `position`, a multiple of 8 within [`SEGMENT_MAX`].
    pub(crate) fn new(relative_offset: u32, position: u64, block_start: bool, newest: i64) -> IndexEntry {
        debug_assert!(position.is_multiple_of(8) && position < SEGMENT_MAX, "frames stand at multiples of 8");
        let mark = if block_start { BLOCK_START } else { 0 };
        IndexEntry { relative_offset, place: (position / 8) as u32 | mark, newest }
    }

    /// Byte of the file.
    pub(crate) fn position(&self) -> u64 {
        u64::from(self.place & !BLOCK_START) * 8
    }

    /// Whether a block begins here.
    pub(crate) fn is_block_start(&self) -> bool {
        self.place & BLOCK_START != 0
    }
}

/// What is known of a segment once it is sealed, apart from its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Copy of the segment's header.
    pub header: SegmentHeader,
    /// Byte after the last frame; a multiple of the sector. The footer stands there.
    pub end_position: u64,
    /// Offset after the last record.
    pub end_offset: u64,
    /// Append time of the last frame, ms since 1970.
    pub end_time: i64,
    /// The latest timestamp of the segment's records, ms since 1970; [`NEVER`] if there are none.
    pub newest: i64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct FooterBytes {
    header: HeaderBytes,
    end_position: U64,
    end_offset: U64,
    end_time: I64,
    newest: I64,
    entries: U32,
    zero: U32,
}

impl Footer {
    /// Bytes of a footer with so many entries: whole sectors.
    pub(crate) fn size(entries: usize) -> usize {
        (FOOTER_FIXED + entries * ENTRY_SIZE + 4).next_multiple_of(SECTOR as usize)
    }

    /// Writes the footer over the whole slice, whose length is [`Footer::size`] of the entries.
    pub(crate) fn encode(&self, entries: &[IndexEntry], into: &mut [u8]) {
        assert!(into.len() == Footer::size(entries.len()), "the footer fills its sectors");
        into.fill(0);
        self.header.write(into, FOOTER_MAGIC);
        let (fields, columns) = FooterBytes::mut_from_prefix(into).expect("a sector holds the fixed part");
        fields.end_position = self.end_position.into();
        fields.end_offset = self.end_offset.into();
        fields.end_time = self.end_time.into();
        fields.newest = self.newest.into();
        fields.entries =
            u32::try_from(entries.len()).expect("an index has fewer entries than a segment has bytes").into();
        let (offsets, columns) = columns.split_at_mut(entries.len() * 4);
        let (places, times) = columns.split_at_mut(entries.len() * 4);
        for (index, entry) in entries.iter().enumerate() {
            offsets[index * 4..index * 4 + 4].copy_from_slice(&entry.relative_offset.to_le_bytes());
            places[index * 4..index * 4 + 4].copy_from_slice(&entry.place.to_le_bytes());
            times[index * 8..index * 8 + 8].copy_from_slice(&entry.newest.to_le_bytes());
        }
        seal_area(into);
    }

    /// Reads a footer: exactly its sectors.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Footer, Entries<'_>), FileError> {
        check_head(bytes, FOOTER_MAGIC)?;
        if !area_is_whole(bytes) {
            return Err(FileError::Damaged("the checksum of the segment footer does not match"));
        }
        Footer::read(bytes).ok_or(FileError::Damaged("the segment footer does not add up"))
    }

    /// The size that the footer at the beginning of `bytes` claims to have. Nothing is checked but the magic number.
    pub(crate) fn claimed_size(bytes: &[u8]) -> Option<usize> {
        let (fields, _) = FooterBytes::ref_from_prefix(bytes).ok()?;
        let is_footer = fields.header.head.starts_with(FOOTER_MAGIC);
        is_footer.then(|| Footer::size(fields.entries.get() as usize))
    }

    fn read(bytes: &[u8]) -> Option<(Footer, Entries<'_>)> {
        let (fields, columns) = FooterBytes::ref_from_prefix(bytes).ok()?;
        let entries = fields.entries.get() as usize;
        let (offsets, columns) = <[U32]>::ref_from_prefix_with_elems(columns, entries).ok()?;
        let (places, columns) = <[U32]>::ref_from_prefix_with_elems(columns, entries).ok()?;
        let (times, _) = <[I64]>::ref_from_prefix_with_elems(columns, entries).ok()?;
        let footer = Footer {
            header: SegmentHeader::read(bytes)?,
            end_position: fields.end_position.get(),
            end_offset: fields.end_offset.get(),
            end_time: fields.end_time.get(),
            newest: fields.newest.get(),
        };
        let fits = bytes.len() == Footer::size(entries)
            && fields.zero.get() == 0
            && footer.end_position.is_multiple_of(SECTOR)
            && (SEGMENT_DATA_START..=footer.header.capacity).contains(&footer.end_position)
            && footer.end_offset >= footer.header.base_offset;
        fits.then_some((footer, Entries { offsets, places, times }))
    }
}

/// The columns of a footer's index, in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries<'a> {
    offsets: &'a [U32],
    places: &'a [U32],
    times: &'a [I64],
}

impl<'a> Entries<'a> {
    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// The entry at `index`.
    pub(crate) fn get(&self, index: usize) -> Option<IndexEntry> {
        Some(IndexEntry {
            relative_offset: self.offsets.get(index)?.get(),
            place: self.places.get(index)?.get(),
            newest: self.times.get(index)?.get(),
        })
    }

    /// All entries, in order.
    pub(crate) fn iter(self) -> impl Iterator<Item = IndexEntry> + 'a {
        (0..self.len()).filter_map(move |index| self.get(index))
    }
}
