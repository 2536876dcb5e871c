//! Small durable appends spread over many partitions.

use crate::plan::Case;

/// One caller with many in flight, each to the next partition.
pub(super) fn cases() -> Vec<Case> {
    [1, 64, 1024, 10_000].map(|partitions| Case { partitions, in_flight: 4096, ..Case::default() }).to_vec()
}
