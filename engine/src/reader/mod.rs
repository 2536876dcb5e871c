//! Reads: from the blocks that were appended to, from the cache, or from the device.

mod batch;
mod cache;
mod check;
mod copies;
mod extent;
mod walk;

pub use batch::{Batch, Records};
