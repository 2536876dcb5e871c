//! Tests of Thalweg that cross crates, processes and devices, and what they share. The README's example is one of them.

pub mod child;
pub mod ledger;
pub mod mount;

/// The README, whose examples are compiled and run with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
