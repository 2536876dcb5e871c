//! Reads: from the blocks that were appended to, from the cache, or from the device.

mod areas;
mod batch;
mod bounds;
mod cache;
mod check;
mod cold;
mod copies;
mod extent;
mod index;
mod lender;
#[allow(clippy::module_inception, reason = "the noun of this level")]
mod reader;
mod rebuild;
mod rebuilding;
mod survey;
mod times;
mod walk;

pub use batch::{Batch, Records};
pub(crate) use copies::Holder;
pub(crate) use lender::{Attempt, Cursor, Found, Lender};
pub(crate) use reader::Source;
pub use reader::{Reader, Start};
pub(crate) use survey::Surveyed;
pub(crate) use times::Search;
