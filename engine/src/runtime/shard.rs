//! The shard as what a thread drives.

use super::machine::Machine;
use crate::buffer::Block;
use crate::error::Error;
use crate::io::{Completion, Op};
use crate::manifest::{MetaRequest, MetaResponse};
use crate::shard::{Outbox, Shard};
use crate::sync::Arc;

impl Machine for Shard {
    type Request = MetaRequest;
    type Response = MetaResponse;

    fn turn(&mut self, now_ns: u64, ops: &mut Vec<Op>, requests: &mut Vec<MetaRequest>) {
        let mut out = Outbox { ops: std::mem::take(ops), meta: std::mem::take(requests) };
        Shard::turn(self, now_ns, &mut out);
        (*ops, *requests) = (out.ops, out.meta);
    }

    fn complete(&mut self, completion: Completion) {
        Shard::complete(self, completion);
    }

    fn answered(&mut self, response: MetaResponse) {
        self.meta_done(response);
    }

    fn next_deadline(&self) -> Option<u64> {
        Shard::next_deadline(self)
    }

    fn has_input(&self) -> bool {
        self.has_messages()
    }

    fn is_closed(&self) -> bool {
        Shard::is_closed(self)
    }

    fn lasting_memory(&self) -> Vec<Arc<Block>> {
        self.staging().to_vec()
    }

    fn fail(&mut self, error: &Error) {
        Shard::fail(self, error);
    }
}
