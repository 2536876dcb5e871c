//! Aligned memory that devices and callers share, out of one budget.

mod block;
mod budget;
mod memory;
mod pool;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use block::{Block, Pin};
pub(crate) use budget::{Budget, Share, Usage};
pub(crate) use memory::{HeapMemory, MemorySource};
pub(crate) use pool::{Memory, Pool, Relief};
