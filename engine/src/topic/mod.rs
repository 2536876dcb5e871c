//! Topics: named sets of partitions.

mod describe;
mod dump;
mod name;
mod options;
mod slots;
mod state;
#[allow(clippy::module_inception, reason = "the noun of this level")]
mod topic;
mod totals;
mod truncate;

pub use describe::{PartitionDescription, TopicDescription};
pub use dump::FrameInfo;
pub use options::TopicOptions;
pub(crate) use state::{Common, Followers, Metadata, TopicState};
pub use topic::Topic;
pub(crate) use totals::Totals;
#[cfg(any(test, feature = "sim"))]
pub(crate) use truncate::{Others, Truncation};
