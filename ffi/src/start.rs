//! Where reading begins.

use thalweg::Start;

use crate::failure::{Answer, Failure};
use crate::status::INVALID_ARGUMENT;

/// Start at the oldest record that is kept.
pub const THALWEG_START_EARLIEST: u32 = 0;
/// Start at the high watermark: what becomes visible from now on.
pub const THALWEG_START_LATEST: u32 = 1;
/// Start at the offset that is the value.
pub const THALWEG_START_OFFSET: u32 = 2;
/// Start at the first record whose timestamp is the value or later, in ms since 1970; a negative one is passed as it is
/// converted to uint64_t. At the high watermark if there is none.
pub const THALWEG_START_TIME: u32 = 3;
/// As THALWEG_START_TIME, by the time at which records were appended.
pub const THALWEG_START_APPEND_TIME: u32 = 4;
/// Consumers only: at the position committed under the consumer's name, or without one where its options say.
pub const THALWEG_START_COMMITTED: u32 = 5;

/// A start of the caller.
pub(crate) fn start(start: u32, value: u64) -> Answer<Start> {
    match start {
        THALWEG_START_EARLIEST => Ok(Start::Earliest),
        THALWEG_START_LATEST => Ok(Start::Latest),
        THALWEG_START_OFFSET => Ok(Start::Offset(value)),
        THALWEG_START_TIME => Ok(Start::Time(value as i64)),
        THALWEG_START_APPEND_TIME => Ok(Start::AppendTime(value as i64)),
        _ => Err(Failure::new(
            INVALID_ARGUMENT,
            format!("start is {start}; allowed here are 0 to 4, THALWEG_START_EARLIEST to THALWEG_START_APPEND_TIME"),
        )),
    }
}
