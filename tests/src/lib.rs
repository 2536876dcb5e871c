//! Tests of Thalweg that cross crates, processes and devices, and what they share.

pub mod child;
pub mod ledger;
