//! The journal: a file header, then writes that each gather small ranges of many partitions.
//!
//! A write is bound to its place by generation, number and position, as a frame is. Its table of contents stands first
//! and has a checksum of its own: when the payload is damaged, the table still names whose bytes are missing.

use core::fmt;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::file::{FileError, area_is_whole, check_head, seal_area, write_head};
use crate::checksum::{crc, mix};
use crate::ids::{Generation, Lsn, PartitionId, TopicId};
use crate::limits::{JOURNAL_WRITE_MAX, SECTOR, SEGMENT_MAX};

/// Where a journal file's first write stands. Bytes.
pub(crate) const JOURNAL_DATA_START: u64 = 2 * SECTOR;
/// Bytes of the file header's sector.
pub(crate) const JOURNAL_HEADER_SIZE: usize = SECTOR as usize;

const MAGIC: &[u8; 8] = b"THLWGJNL";
/// Bytes of a write before its table.
pub(crate) const WRITE_FIXED: usize = core::mem::size_of::<FixedBytes>();
/// Bytes of an entry of the table.
pub(crate) const TABLE_ENTRY: usize = core::mem::size_of::<EntryBytes>();

/// What a journal file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JournalHeader {
    /// Identity of the store.
    pub store: u64,
    /// The journal set that the manifest names; files of older sets are void.
    pub set: u64,
    pub generation: Generation,
    /// Number of the file; grows from file to file of a shard.
    pub number: u32,
    pub shard: u32,
    /// Number of the first write.
    pub first_lsn: Lsn,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct HeaderBytes {
    head: [u8; 16],
    fields: HeaderFields,
}

/// What a header says, and each write of the file after it.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct HeaderFields {
    store: U64,
    set: U64,
    generation: U64,
    number: U32,
    shard: U32,
    first_lsn: U64,
}

impl From<&JournalHeader> for HeaderFields {
    fn from(header: &JournalHeader) -> HeaderFields {
        HeaderFields {
            store: header.store.into(),
            set: header.set.into(),
            generation: header.generation.0.into(),
            number: header.number.into(),
            shard: header.shard.into(),
            first_lsn: header.first_lsn.0.into(),
        }
    }
}

impl From<&HeaderFields> for JournalHeader {
    fn from(fields: &HeaderFields) -> JournalHeader {
        JournalHeader {
            store: fields.store.get(),
            set: fields.set.get(),
            generation: Generation(fields.generation.get()),
            number: fields.number.get(),
            shard: fields.shard.get(),
            first_lsn: Lsn(fields.first_lsn.get()),
        }
    }
}

impl JournalHeader {
    /// Writes the header sector.
    pub(crate) fn encode(&self, sector: &mut [u8]) {
        assert!(sector.len() == JOURNAL_HEADER_SIZE, "the header fills its sector");
        sector.fill(0);
        let bytes = HeaderBytes { head: [0; 16], fields: self.into() };
        bytes.write_to_prefix(sector).expect("a sector holds the header");
        write_head(sector, MAGIC);
        seal_area(sector);
    }

    /// Reads a header sector.
    pub(crate) fn parse(sector: &[u8]) -> Result<JournalHeader, FileError> {
        check_head(sector, MAGIC)?;
        let damaged = FileError::Damaged("the checksum of the journal header does not match");
        let Some(sector) = sector.get(..JOURNAL_HEADER_SIZE).filter(|sector| area_is_whole(sector)) else {
            return Err(damaged);
        };
        let Ok((bytes, _)) = HeaderBytes::ref_from_prefix(sector) else {
            return Err(damaged);
        };
        Ok((&bytes.fields).into())
    }
}

/// Bytes of a segment that a write carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RangeEntry {
    pub partition: PartitionId,
    /// Of the segment.
    pub generation: Generation,
    /// Byte of the segment file where the range belongs.
    pub position: u64,
    /// Bytes; not 0.
    pub size: u32,
    /// Where they stand in the payload. The builder sets it.
    pub at: u32,
    /// Offset after the range's last record.
    pub end_offset: u64,
}

/// How far a partition was durable when the write was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatermarkEntry {
    pub partition: PartitionId,
    /// Of the segment that `position` is in.
    pub generation: Generation,
    pub position: u64,
    pub offset: u64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct FixedBytes {
    table_crc: U32,
    size: U32,
    payload_crc: U32,
    payload_at: U32,
    payload_size: U32,
    entries: U32,
    lsn: U64,
    durable_lsn: U64,
    file: HeaderFields,
}

/// An entry of the table: a range, or with size 0 a watermark.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct EntryBytes {
    topic: U32,
    partition: U32,
    generation: U64,
    position: U64,
    offset: U64,
    size: U32,
    at: U32,
}

impl EntryBytes {
    fn partition(&self) -> PartitionId {
        PartitionId { topic: TopicId(self.topic.get()), partition: self.partition.get() }
    }

    /// Whether it lies inside the payload, and inside a segment.
    fn fits(&self, payload_size: u32) -> bool {
        let size = u64::from(self.size.get());
        u64::from(self.at.get()) + size <= u64::from(payload_size)
            && self.position.get().checked_add(size).is_some_and(|end| end <= SEGMENT_MAX)
    }

    fn range(&self) -> Option<RangeEntry> {
        (self.size.get() != 0).then(|| RangeEntry {
            partition: self.partition(),
            generation: Generation(self.generation.get()),
            position: self.position.get(),
            size: self.size.get(),
            at: self.at.get(),
            end_offset: self.offset.get(),
        })
    }

    fn watermark(&self) -> Option<WatermarkEntry> {
        (self.size.get() == 0).then(|| WatermarkEntry {
            partition: self.partition(),
            generation: Generation(self.generation.get()),
            position: self.position.get(),
            offset: self.offset.get(),
        })
    }
}

fn seed(generation: Generation, lsn: Lsn, position: u64) -> u32 {
    (mix(mix(generation.0, lsn.0), position) >> 32) as u32
}

/// Builds one write in place: each byte is copied once, to where the device reads it.
///
/// The table stands before the payload, so room for it is set aside at the start.
pub(crate) struct WriteBuilder<'a> {
    staging: &'a mut [u8],
    max_entries: usize,
    entries: usize,
    /// Where the payload begins.
    payload_at: usize,
    /// Bytes of payload so far.
    payload: usize,
    /// Bytes that the last range has still to get.
    owed: usize,
}

impl<'a> WriteBuilder<'a> {
    /// `staging` has whole sectors; `max_entries` ranges and watermarks will go in at most.
    pub(crate) fn new(staging: &'a mut [u8], max_entries: usize) -> WriteBuilder<'a> {
        let payload_at = WRITE_FIXED + max_entries * TABLE_ENTRY;
        assert!(staging.len().is_multiple_of(SECTOR as usize), "staging has whole sectors");
        assert!(staging.len() <= JOURNAL_WRITE_MAX && payload_at <= staging.len(), "a write fits its staging");
        WriteBuilder { staging, max_entries, entries: 0, payload_at, payload: 0, owed: 0 }
    }

    /// Whether one more entry fits, with `size` bytes of payload (0 for a watermark).
    pub(crate) fn fits(&self, size: usize) -> bool {
        self.entries < self.max_entries && size <= self.staging.len() - self.payload_at - self.payload
    }

    /// Begins a range of `entry.size` bytes with its first piece; [`WriteBuilder::more`] adds the others.
    pub(crate) fn range(&mut self, entry: RangeEntry, bytes: &[u8]) {
        assert!(entry.size > 0 && self.fits(entry.size as usize), "the caller asked whether it fits");
        self.put(EntryBytes {
            topic: entry.partition.topic.0.into(),
            partition: entry.partition.partition.into(),
            generation: entry.generation.0.into(),
            position: entry.position.into(),
            offset: entry.end_offset.into(),
            size: entry.size.into(),
            at: (self.payload as u32).into(),
        });
        self.owed = entry.size as usize;
        self.more(bytes);
    }

    /// Adds a piece to the range begun last.
    pub(crate) fn more(&mut self, bytes: &[u8]) {
        self.owed = self.owed.checked_sub(bytes.len()).expect("the pieces of a range add up to its size");
        let at = self.payload_at + self.payload;
        self.staging[at..at + bytes.len()].copy_from_slice(bytes);
        self.payload += bytes.len();
    }

    /// Adds a watermark.
    pub(crate) fn watermark(&mut self, entry: WatermarkEntry) {
        assert!(self.fits(0), "the caller asked whether it fits");
        self.put(EntryBytes {
            topic: entry.partition.topic.0.into(),
            partition: entry.partition.partition.into(),
            generation: entry.generation.0.into(),
            position: entry.position.into(),
            offset: entry.offset.into(),
            size: 0.into(),
            at: 0.into(),
        });
    }

    fn put(&mut self, entry: EntryBytes) {
        assert!(self.owed == 0, "a range is whole before the next entry");
        let at = WRITE_FIXED + self.entries * TABLE_ENTRY;
        entry.write_to_prefix(&mut self.staging[at..]).expect("room for the entry was set aside");
        self.entries += 1;
    }

    /// Pads, checksums, and answers the size of the write: whole sectors from the start of the staging.
    ///
    /// `position` is where the write will stand in its file; `durable_lsn` the highest number known durable.
    pub(crate) fn finish(self, file: &JournalHeader, lsn: Lsn, durable_lsn: Lsn, position: u64) -> usize {
        assert!(self.owed == 0, "the last range is whole");
        let payload_end = self.payload_at + self.payload;
        let size = payload_end.next_multiple_of(SECTOR as usize);
        let write = &mut self.staging[..size];
        write[WRITE_FIXED + self.entries * TABLE_ENTRY..self.payload_at].fill(0);
        write[payload_end..].fill(0);
        let seed = seed(file.generation, lsn, position);
        let fixed = FixedBytes {
            table_crc: 0.into(),
            size: (size as u32).into(),
            payload_crc: crc(seed, &write[self.payload_at..]).into(),
            payload_at: (self.payload_at as u32).into(),
            payload_size: (self.payload as u32).into(),
            entries: (self.entries as u32).into(),
            lsn: lsn.0.into(),
            durable_lsn: durable_lsn.0.into(),
            file: file.into(),
        };
        fixed.write_to_prefix(write).expect("a sector holds the fixed part");
        let sum = crc(seed, &write[4..self.payload_at]);
        write[..4].copy_from_slice(&sum.to_le_bytes());
        size
    }
}

/// A write whose table is valid.
#[derive(Clone, Copy)]
pub(crate) struct Write<'a> {
    pub lsn: Lsn,
    /// The highest number known durable when this was written.
    pub durable_lsn: Lsn,
    /// What the header of its file says.
    pub file: JournalHeader,
    /// Bytes of the file that the write takes; the next one follows.
    pub size: usize,
    entries: &'a [EntryBytes],
    payload: &'a [u8],
}

/// Why bytes are not a write of this place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum WriteError<'a> {
    /// As far as the bytes go they may be one; `needed` bytes decide it.
    Incomplete { needed: usize },
    /// The table is not one of this place: nothing, torn, stale, or damaged.
    BadTable,
    /// A valid table of another number.
    BadLsn(Lsn),
    /// The table is valid, the payload is not. The ranges that the write names are missing here.
    BadPayload(Write<'a>),
}

impl fmt::Debug for Write<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("lsn", &self.lsn)
            .field("durable_lsn", &self.durable_lsn)
            .field("size", &self.size)
            .field("entries", &self.entries.len())
            .finish()
    }
}

impl PartialEq for Write<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.lsn, self.size, self.entries.as_bytes(), self.payload)
            == (other.lsn, other.size, other.entries.as_bytes(), other.payload)
    }
}

impl<'a> Write<'a> {
    /// The ranges it carries.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = RangeEntry> + use<'a> {
        self.entries.iter().filter_map(EntryBytes::range)
    }

    /// The watermarks it carries.
    pub(crate) fn watermarks(&self) -> impl Iterator<Item = WatermarkEntry> + use<'a> {
        self.entries.iter().filter_map(EntryBytes::watermark)
    }

    /// The bytes of one of its ranges. Empty if the payload is damaged, or the range another write's.
    pub(crate) fn payload(&self, range: &RangeEntry) -> &'a [u8] {
        let start = range.at as usize;
        self.payload.get(start..start.saturating_add(range.size as usize)).unwrap_or_default()
    }
}

/// Reads the write with the number `lsn`. `bytes` begins with it and may go on beyond it.
pub(crate) fn parse(
    bytes: &[u8],
    generation: Generation,
    lsn: Lsn,
    position: u64,
) -> Result<Write<'_>, WriteError<'_>> {
    let result = parse_any(bytes, generation, position);
    match result {
        Ok(write) | Err(WriteError::BadPayload(write)) if write.lsn != lsn => Err(WriteError::BadLsn(write.lsn)),
        result => result,
    }
}

/// Reads a write of whatever number, for what lies beyond the end of the journal: evidence, never data.
pub(crate) fn parse_any(bytes: &[u8], generation: Generation, position: u64) -> Result<Write<'_>, WriteError<'_>> {
    let Ok((fixed, _)) = FixedBytes::ref_from_prefix(bytes) else {
        return Err(WriteError::Incomplete { needed: WRITE_FIXED });
    };
    let size = fixed.size.get() as usize;
    let payload_at = fixed.payload_at.get() as usize;
    let payload_end = payload_at.saturating_add(fixed.payload_size.get() as usize);
    let table_end = (fixed.entries.get() as usize).saturating_mul(TABLE_ENTRY).saturating_add(WRITE_FIXED);
    let fits = size <= JOURNAL_WRITE_MAX
        && table_end <= payload_at
        && payload_at <= payload_end
        && size == payload_end.next_multiple_of(SECTOR as usize);
    if !fits {
        return Err(WriteError::BadTable);
    }
    let Some(head) = bytes.get(..payload_at) else {
        return Err(WriteError::Incomplete { needed: payload_at });
    };
    let lsn = Lsn(fixed.lsn.get());
    let seed = seed(generation, lsn, position);
    if fixed.table_crc.get() != crc(seed, &head[4..]) {
        return Err(WriteError::BadTable);
    }
    let table = &head[WRITE_FIXED..table_end];
    let entries = <[EntryBytes]>::ref_from_bytes(table).expect("the table is a whole number of entries");
    if !entries.iter().all(|entry| entry.fits(fixed.payload_size.get())) {
        return Err(WriteError::BadTable);
    }
    let (durable_lsn, file) = (Lsn(fixed.durable_lsn.get()), (&fixed.file).into());
    let mut write = Write { lsn, durable_lsn, file, size, entries, payload: &[] };
    let Some(whole) = bytes.get(..size) else {
        return Err(WriteError::Incomplete { needed: size });
    };
    if fixed.payload_crc.get() != crc(seed, &whole[payload_at..]) {
        return Err(WriteError::BadPayload(write));
    }
    write.payload = &whole[payload_at..payload_end];
    Ok(write)
}

/// The generation that a write claims for its file. It says nothing until the write is read with it.
pub(crate) fn claimed_generation(bytes: &[u8]) -> Option<Generation> {
    FixedBytes::ref_from_prefix(bytes).ok().map(|(fixed, _)| Generation(fixed.file.generation.get()))
}

/// Makes both checksums of a write say yes to whatever it holds, for tests of hostile content.
#[cfg(any(test, feature = "sim"))]
pub(crate) fn forge(write: &mut [u8], generation: Generation, position: u64) {
    let Ok((fixed, _)) = FixedBytes::read_from_prefix(write) else { return };
    let seed = seed(generation, Lsn(fixed.lsn.get()), position);
    let (size, payload_at) = (fixed.size.get() as usize, fixed.payload_at.get() as usize);
    if let Some(payload) = write.get(payload_at..size) {
        let sum = crc(seed, payload);
        write[8..12].copy_from_slice(&sum.to_le_bytes());
    }
    if let Some(table) = write.get(4..payload_at) {
        let sum = crc(seed, table);
        write[..4].copy_from_slice(&sum.to_le_bytes());
    }
}
