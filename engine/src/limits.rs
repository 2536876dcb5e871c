//! Every limit in one place, and what ties them together.
//!
//! The model checker (`--cfg loom`) gets small ones, so that it can walk through every order of events.

/// Unit of direct I/O that the engine aligns to when the device asks for less. Bytes.
pub const SECTOR: u64 = if cfg!(loom) { 128 } else { 4096 };
/// Frames begin at multiples of this many bytes.
pub const FRAME_ALIGN: usize = 8;
/// The largest block that holds ordinary batches. Bytes.
pub const BLOCK_MAX: usize = if cfg!(loom) { 512 } else { 1 << 20 };
/// The smallest block. Bytes.
pub const BLOCK_MIN: usize = if cfg!(loom) { 128 } else { 4096 };
/// A batch up to this size never crosses a block boundary. Larger ones get a block of their own. Bytes.
pub const BATCH_IN_BLOCK_MAX: usize = if cfg!(loom) { 256 } else { 128 << 10 };
/// The largest frame (one batch with its header). Bytes.
pub const FRAME_MAX: usize = 20 << 20;
/// The largest record: key, value and headers together. Bytes.
pub const RECORD_MAX: usize = 16 << 20;
/// The largest key. Bytes.
pub const KEY_MAX: usize = 1 << 20;
/// Headers of one record.
pub const HEADERS_MAX: usize = 1024;
/// The longest name of a header. Bytes.
pub const HEADER_NAME_MAX: usize = 1024;
/// Records of one batch.
pub const BATCH_RECORDS_MAX: usize = 65_535;
/// Times lie between this and its negative: ms since 1970, about 2,200 years either way, so that the difference of any
/// two fits the 48 bits that a frame has for it.
pub const TIME_MAX: i64 = (1 << 46) - 1;
/// The highest offset that a log can be made to begin at: what follows is left for appends.
pub const LOG_START_MAX: u64 = u64::MAX - (1 << 32);
/// Partitions of one topic.
pub const PARTITIONS_MAX: u32 = 65_536;
/// The longest topic name. Bytes.
pub const TOPIC_NAME_MAX: usize = 249;
/// The longest name of a consumer. Bytes.
pub const CONSUMER_NAME_MAX: usize = 249;
/// The largest metadata of a named position. Bytes.
pub const POSITION_METADATA_MAX: usize = 4096;
/// All named positions of a store together, 64 bytes counted for each beside its name and metadata. Bytes.
pub const POSITIONS_SIZE_MAX: usize = 8 << 20;
/// The longest key of the key-value area. Bytes.
pub const KEY_VALUE_KEY_MAX: usize = 1024;
/// The largest value of the key-value area. Bytes.
pub const KEY_VALUE_VALUE_MAX: usize = 1 << 20;
/// Changes of one batch of the key-value area.
pub const KEY_VALUE_BATCH_MAX: usize = 1024;
/// All key-values of a store together, 64 bytes counted for each beside key and value. Bytes.
pub const KEY_VALUES_SIZE_MAX: usize = 8 << 20;
/// Appends up to this size run wholly inside the append lock; larger ones reserve, fill and publish. Bytes.
pub const APPEND_INSIDE_LOCK_MAX: usize = 4096;
/// Reservations of one partition that may be under way at once.
pub const RESERVATIONS_MAX: usize = if cfg!(loom) { 3 } else { 64 };
/// Pending ranges below this size go through the journal; larger ones straight to their segment. Bytes.
pub const JOURNAL_RANGE_MAX: usize = 16 << 10;
/// The largest journal write, its table of contents included. Bytes.
pub const JOURNAL_WRITE_MAX: usize = 1 << 20;
/// Journal writes in flight at once.
pub const JOURNAL_IN_FLIGHT_MAX: usize = 2;
/// An index entry stands at every block start and at least every so many bytes of a segment.
pub const INDEX_INTERVAL: u64 = 32 << 10;
/// The largest segment file. Bytes. Positions are kept as 31 bits of 8-byte units.
pub const SEGMENT_MAX: u64 = 8 << 30;
/// The smallest segment that an option may ask for. Bytes.
pub const SEGMENT_MIN: u64 = 64 << 10;
/// Shards of one engine.
pub const SHARDS_MAX: u32 = 64;
/// The fewest segment files that an option may have kept open.
pub const OPEN_FILES_MIN: u32 = 16;
/// The most.
pub const OPEN_FILES_MAX: u32 = 1 << 20;
/// The smallest memory budget. Bytes.
pub const MEMORY_BUDGET_MIN: u64 = 64 << 20;
/// The largest memory budget. Bytes.
pub const MEMORY_BUDGET_MAX: u64 = 1 << 40;

const _: () =
    assert!(BATCH_IN_BLOCK_MAX + (SECTOR as usize) < BLOCK_MAX, "the largest shared batch and its pad fit a block");
const _: () = assert!(CONSUMER_NAME_MAX <= u8::MAX as usize, "the size of a consumer's name fits a byte");
const _: () =
    assert!(KEY_VALUES_SIZE_MAX * 2 < FRAME_MAX, "any batch of key-values that is within the limit fits a frame");
const _: () = assert!(RECORD_MAX < FRAME_MAX, "the largest record fits a frame");
const _: () = assert!(SEGMENT_MAX / 8 <= (1 << 31), "a position in 8-byte units fits 31 bits");
const _: () = assert!(JOURNAL_RANGE_MAX * 4 <= JOURNAL_WRITE_MAX, "a journal write holds several ranges");
const _: () = assert!(TIME_MAX < 1 << 46, "the difference of two times fits 48 bits");
