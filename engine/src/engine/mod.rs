//! The engine: what opens, recovers, assigns and closes.

mod options;

pub use options::{Options, Runtime};
