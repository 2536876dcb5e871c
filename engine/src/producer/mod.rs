//! Appends: which partition, when acknowledged, and how the caller learns of it.

mod partitioner;
mod queue;
mod submit;
mod target;
mod ticket;
mod vacancy;

pub use partitioner::murmur2;
pub(crate) use partitioner::{RoundRobin, partition_of};
pub(crate) use queue::Place;
pub use queue::{Completed, CompletionQueue};
pub(crate) use submit::{split, submit};
pub use target::{AppendOptions, Appended, Part, Target};
pub use ticket::Ticket;
pub(crate) use vacancy::Vacancy;
