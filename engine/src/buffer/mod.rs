//! Aligned memory that devices and callers share, out of one budget.

mod block;
mod budget;
mod memory;
mod pool;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use block::{Block, Pin};
#[cfg(test)]
pub(crate) use budget::Usage;
pub(crate) use budget::{Budget, Share};
#[cfg(any(test, feature = "sim"))]
pub(crate) use memory::HeapMemory;
pub(crate) use memory::MemorySource;
pub(crate) use pool::{Pool, Relief, Shortage};
