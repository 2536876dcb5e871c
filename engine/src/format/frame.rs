//! The frame: one batch, the unit of append, checksum and atomicity.
//!
//! A frame is bound to its place. The partition, the segment's generation, the position in the file and the base
//! offset enter its checksums without being stored in it, so that a stale frame of a recycled file, a misdirected one,
//! or one forged inside a payload fails like a damaged one.

use core::fmt;

use super::view;
use crate::checksum::{crc, mix};
use crate::ids::{Generation, PartitionId};
use crate::limits::{FRAME_ALIGN, FRAME_MAX, TIME_MAX};
use crate::sim::bugs::{self, Bug};

/// Bytes before a frame's optional block and body.
pub(crate) const HEADER_SIZE: usize = 40;
/// The lag that stands for "no evidence".
const NO_LAG: u32 = u32::MAX;

const KIND_MASK: u16 = 0b111;
const COMPRESSION_MASK: u16 = 0b111 << 3;
const PAD_SHIFT: u32 = 6;
const PAD_MASK: u16 = 0b111 << PAD_SHIFT;
/// One record, without a header of its own.
pub(crate) const SINGLE: u16 = 1 << 9;
/// The single record has no key.
pub(crate) const NULL_KEY: u16 = 1 << 10;
/// The single record has no value.
pub(crate) const NULL_VALUE: u16 = 1 << 11;
/// The single record has headers.
pub(crate) const HAS_HEADERS: u16 = 1 << 12;
/// Times of the records in a list differ; the header's create time is the latest of them.
pub(crate) const OWN_TIMES: u16 = 1 << 13;
const UNKNOWN_BITS: u16 = 0b11 << 14;
const SINGLE_ONLY: u16 = NULL_KEY | NULL_VALUE | HAS_HEADERS;

/// Tag of the optional field that holds the consensus term.
pub(crate) const TAG_TERM: u8 = 1;
/// Bytes of that field.
pub(crate) const TERM_SIZE: usize = 2 + size_of::<u64>();

/// Multipliers of the header check, one per word. They are chosen so that a change of any one byte moves the sum by at
/// least 2^48 either way, and therefore always changes its upper 16 bits (a test walks through all of them).
const CHECK: [u64; 5] =
    [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 0xd6e8_feb8_6659_fd93, 0xa076_1d64_78bd_642f];
const PARTITION_MULTIPLIER: u64 = 0xe703_7ed1_a0b4_28db;
const OFFSET_MULTIPLIER: u64 = 0x8ebc_6af0_9c88_c6e3;

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub partition: PartitionId,
    /// Of the segment.
    pub generation: Generation,
    /// Byte of the segment file where the frame begins.
    pub position: u64,
    /// Base offset of the segment.
    pub segment_base: u64,
}

impl Place {
    #[inline]
    fn seed(&self) -> u64 {
        if bugs::active(Bug::UnseededCrc) {
            return 0;
        }
        let partition = self.partition.as_u64().wrapping_mul(PARTITION_MULTIPLIER);
        mix(self.generation.0 ^ partition, self.position)
    }
}

#[inline]
fn crc_seed(seed: u64, base_offset: u64) -> u32 {
    ((seed ^ base_offset.wrapping_mul(OFFSET_MULTIPLIER)) >> 32) as u32
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Records.
    Data,
    /// Fills space; takes no offsets.
    Pad,
    /// An abandoned reservation: takes offsets, has no records.
    Void,
    /// Reserved by version 1.
    Control,
    /// Reserved by version 1.
    Transaction,
    /// A number that version 1 gives no meaning.
    Unknown(u8),
}

impl Kind {
    #[inline]
    fn number(self) -> u16 {
        match self {
            Kind::Data => 0,
            Kind::Pad => 1,
            Kind::Void => 2,
            Kind::Control => 3,
            Kind::Transaction => 4,
            Kind::Unknown(number) => u16::from(number),
        }
    }

    #[inline]
    fn of(attributes: u16) -> Kind {
        match attributes & KIND_MASK {
            0 => Kind::Data,
            1 => Kind::Pad,
            2 => Kind::Void,
            3 => Kind::Control,
            4 => Kind::Transaction,
            number => Kind::Unknown(number as u8),
        }
    }
}

/// What is known of a frame's moment only under the append lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Absolute offset of the first record; of a PAD, the next offset.
    pub base_offset: u64,
    /// Ms since 1970, from [`append_time`].
    pub append_time: i64,
    /// A lower bound of the offset below which the partition is durable on the device; never of a weaker mode.
    pub durable: Option<u64>,
}

/// The append time that follows `last` at the clock's `now`: monotone, and within what a header can hold.
#[inline]
pub(crate) fn append_time(now_ms: i64, last: i64) -> i64 {
    now_ms.clamp(0, TIME_MAX).max(last)
}

/// What [`seal`] writes into a header, apart from sizes and checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub kind: Kind,
    /// [`SINGLE`] and the bits that go with it.
    pub flags: u16,
    /// Unused bytes at the end of the body, below 8.
    pub pad: u8,
    pub count: u16,
    pub key_size: u16,
    pub optional_size: u16,
    /// Create time of all records, or the latest where they differ; `None`: the append time.
    pub create_time: Option<i64>,
    pub stamp: Stamp,
}

/// A frame's header, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Of the whole frame. Bytes.
    pub size: u32,
    pub kind: Kind,
    /// Offsets that the frame takes.
    pub count: u16,
    /// Absolute.
    pub base_offset: u64,
    /// One record, whose parts the header describes.
    pub single: bool,
    /// Of the single record.
    pub key_size: u16,
    /// All attribute bits, as stored.
    pub flags: u16,
    /// Ms since 1970.
    pub append_time: i64,
    /// Create time less append time, ms.
    pub create_delta: i64,
    /// Base offset less the offset known durable when the frame was written.
    pub durable_lag: Option<u32>,
    pub optional_size: u16,
    /// Consensus term, known after [`verify`] only.
    pub term: Option<u64>,
}

impl Header {
    /// The offset after the frame.
    #[inline]
    pub(crate) fn end_offset(&self) -> u64 {
        self.base_offset + u64::from(self.count)
    }

    /// Timestamp of the records that carry none of their own.
    #[inline]
    pub(crate) fn create_time(&self) -> i64 {
        if self.flags & OWN_TIMES != 0 { self.append_time } else { self.newest() }
    }

    /// The latest timestamp of the frame's records.
    #[inline]
    pub(crate) fn newest(&self) -> i64 {
        self.append_time + self.create_delta
    }

    /// The offset below which the partition was durable when this was written.
    pub(crate) fn durable(&self) -> Option<u64> {
        self.durable_lag.map(|lag| self.base_offset - u64::from(lag))
    }

    /// Unused bytes at the end of the body.
    pub(crate) fn pad(&self) -> usize {
        usize::from((self.flags & PAD_MASK) >> PAD_SHIFT)
    }

    fn unsupported(&self) -> Option<String> {
        let what = match self.kind {
            Kind::Control => "control frames".into(),
            Kind::Transaction => "transaction frames".into(),
            Kind::Unknown(number) => format!("frames of kind {number}"),
            _ if self.flags & COMPRESSION_MASK != 0 => "compressed frames".into(),
            _ if self.flags & UNKNOWN_BITS != 0 => format!("frame attributes {:#06x}", self.flags),
            _ => return None,
        };
        Some(format!("this build does not know {what}"))
    }
}

/// Why bytes are not a frame of this place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// As far as the bytes go they may be one; `needed` bytes decide it.
    Incomplete { needed: usize },
    /// The header is not one, or not of this place.
    BadHeader,
    /// The header matches, the checksum does not.
    BadCrc,
    /// Whole, but of a kind, or with bits or fields, that this build does not know.
    Unsupported(String),
    /// Whole, but its records do not add up: a fault of the writer, not of the device.
    BadBody,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Incomplete { needed } => write!(f, "the frame ends beyond what is there ({needed} bytes)"),
            FrameError::BadHeader => f.write_str("no frame header of this place"),
            FrameError::BadCrc => f.write_str("the frame's checksum does not match"),
            FrameError::Unsupported(what) => f.write_str(what),
            FrameError::BadBody => f.write_str("the frame's records do not add up"),
        }
    }
}

#[inline]
fn header_check(seed: u64, words: &[u64; 5]) -> u16 {
    let mut sum = seed;
    sum = sum.wrapping_add((words[0] & 0xffff_ffff).wrapping_mul(CHECK[0]));
    sum = sum.wrapping_add((words[1] & !0xffff).wrapping_mul(CHECK[1]));
    sum = sum.wrapping_add(words[2].wrapping_mul(CHECK[2]));
    sum = sum.wrapping_add(words[3].wrapping_mul(CHECK[3]));
    sum = sum.wrapping_add(words[4].wrapping_mul(CHECK[4]));
    (sum >> 48) as u16
}

#[inline]
fn words(header: &[u8; HEADER_SIZE]) -> [u64; 5] {
    let (chunks, _) = header.as_chunks::<8>();
    core::array::from_fn(|i| u64::from_le_bytes(chunks[i]))
}

/// Completes a frame whose body, and optional block before it, already stand in `frame[40..]`.
///
/// The slice is the whole frame. Panics if the size, or an offset relative to the segment's base, is out of range:
/// plans check the former, the tail rolls the segment before the latter.
#[inline]
pub(crate) fn seal(frame: &mut [u8], place: &Place, fields: &Fields) {
    let size = frame.len();
    assert!((HEADER_SIZE..=FRAME_MAX).contains(&size) && size.is_multiple_of(FRAME_ALIGN), "a frame has a valid size");
    let stamp = &fields.stamp;
    debug_assert!((0..=TIME_MAX).contains(&stamp.append_time), "append times are clamped");
    let relative = stamp.base_offset.checked_sub(place.segment_base).and_then(|relative| u32::try_from(relative).ok());
    let relative = relative.expect("the tail rolls a segment before its offsets leave u32");
    let delta = fields.create_time.map_or(0, |time| time - stamp.append_time);
    let lag = stamp
        .durable
        .map_or(NO_LAG, |durable| u32::try_from(stamp.base_offset.saturating_sub(durable)).unwrap_or(NO_LAG));
    let attributes = fields.kind.number() | fields.flags | (u16::from(fields.pad) << PAD_SHIFT);

    let seed = place.seed();
    let mut words = [
        size as u64,
        (u64::from(attributes) << 16) | (u64::from(relative) << 32),
        u64::from(fields.optional_size) | ((delta as u64) << 16),
        stamp.append_time as u64,
        u64::from(lag) | (u64::from(fields.count) << 32) | (u64::from(fields.key_size) << 48),
    ];
    words[1] |= u64::from(header_check(seed, &words));
    for (at, word) in words.iter().enumerate() {
        frame[at * 8..at * 8 + 8].copy_from_slice(&word.to_le_bytes());
    }
    let sum = crc(crc_seed(seed, stamp.base_offset), &frame[8..]);
    frame[4..8].copy_from_slice(&sum.to_le_bytes());
}

/// Fills the whole slice with one PAD frame.
pub(crate) fn pad(bytes: &mut [u8], place: &Place, stamp: &Stamp) {
    fill(bytes, place, stamp, Kind::Pad, 0);
}

/// Fills the whole slice with one VOID frame: an abandoned reservation of `count` offsets.
pub(crate) fn void(bytes: &mut [u8], place: &Place, count: u16, stamp: &Stamp) {
    fill(bytes, place, stamp, Kind::Void, count);
}

fn fill(bytes: &mut [u8], place: &Place, stamp: &Stamp, kind: Kind, count: u16) {
    bytes[HEADER_SIZE..].fill(0);
    let (flags, pad, key_size, optional_size) = (0, 0, 0, 0);
    seal(bytes, place, &Fields { kind, flags, pad, count, key_size, optional_size, create_time: None, stamp: *stamp });
}

/// Reads and checks a header, and nothing after it: whether the size can be believed.
///
/// An unknown kind or bit passes, so that [`verify`] can tell it from damage.
#[inline]
pub(crate) fn peek(bytes: &[u8], place: &Place) -> Result<Header, FrameError> {
    let Some(header) = bytes.first_chunk::<HEADER_SIZE>() else {
        return Err(FrameError::Incomplete { needed: HEADER_SIZE });
    };
    let words = words(header);
    if words[1] as u16 != header_check(place.seed(), &words) {
        return Err(FrameError::BadHeader);
    }
    decode(&words, place.segment_base).ok_or(FrameError::BadHeader)
}

/// Reads the header of a frame that was verified before, or never left this process's memory. Checks limits only.
#[inline]
pub(crate) fn trusted(bytes: &[u8], segment_base: u64) -> Option<Header> {
    decode(&words(bytes.first_chunk()?), segment_base)
}

/// What it takes to pass over a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Of the whole frame. Bytes.
    pub size: u32,
    /// It holds records.
    pub data: bool,
    /// Absolute.
    pub base_offset: u64,
    pub end_offset: u64,
}

/// As [`trusted`], for whoever only walks: no more of the header is looked at than that takes.
#[inline]
pub(crate) fn outline(bytes: &[u8], segment_base: u64) -> Option<Outline> {
    let words = words(bytes.first_chunk()?);
    let size = words[0] as u32;
    let base_offset = segment_base.checked_add(words[1] >> 32)?;
    let end_offset = base_offset.checked_add(u64::from((words[4] >> 32) as u16))?;
    let data = (words[1] >> 16) as u16 & KIND_MASK == Kind::Data.number();
    (size as usize >= HEADER_SIZE).then_some(Outline { size, data, base_offset, end_offset })
}

#[inline]
fn decode(words: &[u64; 5], segment_base: u64) -> Option<Header> {
    let size = words[0] as u32;
    let attributes = (words[1] >> 16) as u16;
    let base_offset = segment_base.checked_add(words[1] >> 32)?;
    let optional_size = words[2] as u16;
    let append_time = i64::try_from(words[3]).ok().filter(|time| *time <= TIME_MAX)?;
    let lag = words[4] as u32;
    let count = (words[4] >> 32) as u16;
    let header = Header {
        size,
        kind: Kind::of(attributes),
        count,
        base_offset,
        single: attributes & SINGLE != 0,
        key_size: (words[4] >> 48) as u16,
        flags: attributes,
        append_time,
        create_delta: (words[2] as i64) >> 16,
        durable_lag: (lag != NO_LAG).then_some(lag),
        optional_size,
        term: None,
    };
    base_offset.checked_add(u64::from(count))?;
    let fits = size as usize <= FRAME_MAX
        && (size as usize).is_multiple_of(FRAME_ALIGN)
        && size as usize >= HEADER_SIZE + usize::from(optional_size)
        && (lag == NO_LAG || u64::from(lag) <= base_offset);
    (fits && consistent(&header)).then_some(header)
}

/// Rules between the fields of a header whose every bit is known.
#[inline]
fn consistent(header: &Header) -> bool {
    if header.flags & (COMPRESSION_MASK | UNKNOWN_BITS) != 0 {
        return true;
    }
    let plain = header.flags & (SINGLE | SINGLE_ONLY | OWN_TIMES | PAD_MASK) == 0
        && header.key_size == 0
        && header.optional_size == 0
        && header.create_delta == 0;
    match header.kind {
        Kind::Data if header.single => {
            header.count == 1 && header.flags & OWN_TIMES == 0 && (header.flags & NULL_KEY == 0 || header.key_size == 0)
        }
        Kind::Data => header.count > 0 && header.flags & SINGLE_ONLY == 0 && header.key_size == 0,
        Kind::Pad => header.count == 0 && plain,
        Kind::Void => header.count > 0 && plain,
        Kind::Control | Kind::Transaction | Kind::Unknown(_) => true,
    }
}

/// Checks a whole frame: header, checksum, and the shape of the body, which iteration relies on afterwards.
///
/// `bytes` begins with the frame and may go on beyond it.
pub(crate) fn verify(bytes: &[u8], place: &Place) -> Result<Header, FrameError> {
    let mut header = peek(bytes, place)?;
    let Some(frame) = bytes.get(..header.size as usize) else {
        return Err(FrameError::Incomplete { needed: header.size as usize });
    };
    let stored = (words(frame.first_chunk().expect("a frame is not shorter than its header"))[0] >> 32) as u32;
    if stored != crc(crc_seed(place.seed(), header.base_offset), &frame[8..]) {
        return Err(FrameError::BadCrc);
    }
    if let Some(what) = header.unsupported() {
        return Err(FrameError::Unsupported(what));
    }
    if header.kind == Kind::Data {
        header.term = term(&frame[HEADER_SIZE..HEADER_SIZE + usize::from(header.optional_size)])?;
        view::check_shape(frame, &header)?;
    }
    Ok(header)
}

/// The optional field of a term.
pub(crate) fn term_field(term: u64) -> [u8; TERM_SIZE] {
    let mut field = [TAG_TERM, size_of::<u64>() as u8, 0, 0, 0, 0, 0, 0, 0, 0];
    field[2..].copy_from_slice(&term.to_le_bytes());
    field
}

/// The term of a frame that was verified before, as [`trusted`] is its header.
#[inline]
pub(crate) fn trusted_term(frame: &[u8], header: &Header) -> Option<u64> {
    if header.optional_size == 0 {
        return None;
    }
    term(frame.get(HEADER_SIZE..HEADER_SIZE + usize::from(header.optional_size))?).ok().flatten()
}

/// Walks the optional block: fields of tag, size, value.
fn term(mut optional: &[u8]) -> Result<Option<u64>, FrameError> {
    let mut term = None;
    while let [tag, size, rest @ ..] = optional {
        let Some((value, rest)) = rest.split_at_checked(usize::from(*size)) else {
            return Err(FrameError::BadBody);
        };
        match (*tag, <[u8; 8]>::try_from(value)) {
            (TAG_TERM, Ok(value)) if term.is_none() => term = Some(u64::from_le_bytes(value)),
            (TAG_TERM, _) => return Err(FrameError::BadBody),
            (tag, _) => {
                return Err(FrameError::Unsupported(format!("this build does not know optional field {tag}")));
            }
        }
        optional = rest;
    }
    if optional.is_empty() { Ok(term) } else { Err(FrameError::BadBody) }
}

/// Makes both checksums of a frame say yes to whatever it holds, for tests of hostile content.
#[cfg(any(test, feature = "sim"))]
pub(crate) fn forge(frame: &mut [u8], place: &Place) {
    let Some(header) = frame.first_chunk::<HEADER_SIZE>() else { return };
    let words = words(header);
    let seed = place.seed();
    let check = header_check(seed, &words);
    frame[8..10].copy_from_slice(&check.to_le_bytes());
    let base_offset = place.segment_base.wrapping_add(words[1] >> 32);
    let sum = crc(crc_seed(seed, base_offset), &frame[8..]);
    frame[4..8].copy_from_slice(&sum.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check alone, without the checksum, finds any one changed byte: the multipliers see to it.
    #[test]
    fn the_header_check_moves_with_every_byte() {
        for multiplier in CHECK {
            for byte in 0..8 {
                for delta in 1..=255u64 {
                    let moved = (delta << (8 * byte)).wrapping_mul(multiplier);
                    assert!((1 << 48..=u64::MAX - (1 << 48)).contains(&moved), "{multiplier:#x} {byte} {delta}");
                }
            }
        }
    }
}
