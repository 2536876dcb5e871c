//! Topics: named sets of partitions.

pub(crate) mod name;
mod options;

pub use options::TopicOptions;
pub(crate) use options::check_partitions;
