//! What a thread of the runtime drives.

use crate::buffer::Block;
use crate::error::Error;
use crate::io::{Completion, Op};
use crate::sync::Arc as Shared;

/// A state machine without I/O: a shard, or a stand-in for one in tests.
pub(crate) trait Machine: Send + 'static {
    /// What it asks of the helper thread, which may block on it.
    type Request: Send + 'static;
    /// The helper's answer.
    type Response: Send + 'static;

    /// Does what can be done now; appends what it wants run.
    fn turn(&mut self, now_ns: u64, ops: &mut Vec<Op>, requests: &mut Vec<Self::Request>);

    /// Takes an operation's answer.
    fn complete(&mut self, completion: Completion);

    /// Takes a request's answer.
    fn answered(&mut self, response: Self::Response);

    /// When it wants a turn at the latest, on the clock of [`Machine::turn`].
    fn next_deadline(&self) -> Option<u64>;

    /// Whether its inbox holds something that came after its last turn began. Asked before every sleep, after the
    /// doorbell has been told of it.
    fn has_input(&self) -> bool;

    /// Whether it has ended: it wants no more turns.
    fn is_closed(&self) -> bool;

    /// Memory that its operations use again and again. A runtime may hold it ready for the kernel.
    fn lasting_memory(&self) -> Vec<Shared<Block>> {
        Vec::new()
    }

    /// The runtime can no longer serve it. It refuses everything from now on and fails whoever waits for it. Some of
    /// its operations may never be answered.
    fn fail(&mut self, error: &Error);
}
