//! What moves bytes for a shard.

use std::io;
use std::time::Duration;

use crate::io::{Completion, Op};

/// Operations that a shard has in flight at most.
pub(super) const DEPTH: usize = 128;

/// Runs operations, on behalf of one thread. Each is answered once, with what the kernel said.
pub(super) trait Driver {
    /// Operations that can be submitted now.
    fn room(&self) -> usize;

    /// Operations that were submitted and are not yet answered.
    fn in_flight(&self) -> usize;

    /// Takes an operation; there is room. It begins at the latest with the next [`wait`](Driver::wait).
    fn submit(&mut self, op: Op);

    /// Waits for an answer, for the doorbell, or for the time to pass (`None`: without end), whatever comes first, and
    /// adds the answers to `out`. May come back early without any. After an error nothing can be run any more.
    fn wait(&mut self, timeout: Option<Duration>, out: &mut Vec<Completion>) -> io::Result<()>;

    /// Waits for what is in flight, for as long as is reasonable, and drops the answers. Whether nothing is left.
    fn end(&mut self) -> bool;
}
