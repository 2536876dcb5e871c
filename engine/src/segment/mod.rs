//! A partition's segments as appenders, shard and readers share them: what is where, and how far it is published.

mod chain;
mod index;
#[cfg(all(test, loom))]
mod loom_tests;
mod prefix;
#[allow(clippy::module_inception, reason = "the noun of this level")]
mod segment;

pub(crate) use chain::Chain;
pub(crate) use index::Index;
pub(crate) use prefix::{Prefix, PrefixWord};
pub(crate) use segment::{PreparedSegment, Segment};

/// Where a segment's first frame stands.
pub(crate) use crate::format::segment::{IndexEntry, NEVER, SEGMENT_DATA_START};
