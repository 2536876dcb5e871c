//! Callers that wait, and callers with many appends in flight.

use crate::plan::Case;

/// Callers that each wait for theirs, and one with many in flight.
pub(super) fn cases() -> Vec<Case> {
    let waiting = [1, 4, 16, 64].map(|threads| Case { threads, ..Case::default() });
    let in_flight = [16, 256, 4096].map(|in_flight| Case { in_flight, ..Case::default() });
    waiting.into_iter().chain(in_flight).collect()
}
