//! Consumers: many partitions read as one, and where to go on.

#[allow(clippy::module_inception, reason = "the noun of this level")]
mod consumer;
mod options;
mod poll;
mod polling;
mod positions;
mod signal;
mod slot;
mod wakeup;

pub use consumer::Consumer;
pub use options::{ConsumerOptions, OutOfRange};
pub use poll::Polled;
pub use polling::Polling;
pub use positions::{ConsumerPosition, Position};
pub use wakeup::Wakeup;
