//! What the store consists of, and the one place where that changes.
//!
//! [`ManifestStore`] keeps the image durable: two roots, a log of edits. [`MetaStore`] executes what is asked of it,
//! together with the files that an edit speaks of.

mod damaged_copy;
pub(crate) mod foreign;
mod image;
pub(crate) mod journal_files;
mod load;
mod meta;
pub(crate) mod names;
mod pool;
mod request;
mod scratch;
mod store;
mod tidy;
mod trim;
mod written;

#[cfg(any(test, feature = "sim"))]
pub(crate) mod memory;
#[cfg(test)]
mod meta_tests;
#[cfg(test)]
mod store_tests;

pub(crate) use crate::format::manifest::CheckpointEntry as Settled;
pub(crate) use damaged_copy::DamagedCopy;
pub(crate) use image::{Damage, FIRST_LSN, Kept, Known, Manifest, Partition, Segment, SegmentState};
pub(crate) use meta::{MetaOptions, MetaStore};
pub(crate) use request::{MetaDone, MetaOrder, MetaRequest, MetaResponse, SegmentEnd};
pub(crate) use scratch::Scratch;
pub(crate) use store::ManifestStore;
pub(crate) use trim::trim;
pub(crate) use written::Written;
