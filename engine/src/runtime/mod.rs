//! What drives shards on real threads.
//!
//! A shard is a state machine without I/O. Here each gets a thread and a [`Driver`]: io_uring where the kernel and the
//! container permit it ([`uring`]), else a bounded pool of threads that make plain calls ([`posix`]). Both answer every
//! operation once, with what the kernel said; neither retries or reorders on its own.

mod doorbell;
mod driver;
mod helper;
mod machine;
mod memory;
mod posix;
mod scheduling;
mod shard;
mod start;
mod uring;
mod worker;

#[cfg(test)]
mod tests;

pub(crate) use doorbell::Doorbell;
pub(crate) use helper::Helper;
pub(crate) use memory::DeviceMemory;
pub(crate) use start::{Choice, RegisteredMemory, Running, Settings, Thread, start};
