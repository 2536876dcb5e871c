//! Deterministic simulation: the production code over a disk that crashes, tears and lies, judged by a model.
//!
//! Only [`bugs`] exists in a library that was built for use, and there it is the constant `false`.

#![cfg_attr(not(any(test, feature = "sim")), allow(unreachable_pub, reason = "public with the feature only"))]

pub mod bugs;

#[cfg(any(test, feature = "sim"))]
mod disk;
#[cfg(any(test, feature = "sim"))]
mod env;
#[cfg(any(test, feature = "sim"))]
mod faults;
#[cfg(any(test, feature = "sim"))]
mod file;
#[cfg(any(test, feature = "sim"))]
mod harness;
#[cfg(any(test, feature = "sim"))]
mod image;
#[cfg(any(test, feature = "sim"))]
mod life;
#[cfg(any(test, feature = "sim"))]
mod memory;
#[cfg(any(test, feature = "sim"))]
mod names;
#[cfg(any(test, feature = "sim"))]
mod oracle;
#[cfg(any(test, feature = "sim"))]
mod rng;
#[cfg(any(test, feature = "sim"))]
mod setting;
#[cfg(any(test, feature = "sim"))]
mod steps;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "sim"))]
mod truncations;
#[cfg(any(test, feature = "sim"))]
mod workload;
#[cfg(any(test, feature = "sim"))]
mod world;
