//! What the store consists of, and the one place where that changes.

pub(crate) mod names;
mod request;
mod scratch;

#[cfg(test)]
pub(crate) mod memory;

pub(crate) use request::{MetaDone, MetaOrder, MetaRequest, MetaResponse, SegmentEnd, Settled};
pub(crate) use scratch::Scratch;
