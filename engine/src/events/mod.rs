//! What happens in an engine, for the program around it: opened, recovered, damaged, refused by the device.
//!
//! Whoever notices something [raises](Events::raise) it. It goes into a bounded queue, and with the feature `tracing`
//! also to whatever collects that.

mod event;
mod queue;
#[cfg(feature = "tracing")]
mod trace;

pub use event::{Event, EventKind, Fallback};
pub use queue::Events;
