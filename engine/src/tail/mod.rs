//! The growing end of a partition: where appends are claimed, copied, published and waited for.

mod append;
mod counts;
mod place;
mod reservation;
mod room;
mod slots;
mod state;
#[allow(clippy::module_inception, reason = "the noun of this level")]
mod tail;
mod watermark;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use counts::AppendTotals;
#[cfg(any(test, feature = "sim"))]
pub(crate) use reservation::Claim;
pub(crate) use room::{Refusal, SegmentWish};
pub(crate) use tail::{Announce, Appended, Tail, TailStart};
pub(crate) use watermark::Watermark;
