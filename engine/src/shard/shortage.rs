//! Want of space for a segment, until there is some again.
//!
//! Appends ask for themselves, each time they come. Whoever rather waits is told: the shard looks now and then.

use super::metadata::Asked;
use crate::error::Error;
use crate::events::EventKind;
use crate::ids::PartitionId;
use crate::manifest::MetaOrder;
use crate::shard::{Outbox, Shard};

/// Between two looks. ns.
const PAUSE: u64 = 1_000_000_000;

pub(super) struct Shortage {
    /// The first that was refused.
    partition: PartitionId,
    /// Of the smallest file that was refused since. Bytes.
    size: u64,
    /// When to look next; `None` while somebody does.
    look_at: Option<u64>,
}

impl Shortage {
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.look_at
    }
}

impl Shard {
    /// A segment could not be prepared for want of space. Told once until there is some again.
    pub(super) fn short_of_space(&mut self, partition: PartitionId, size: u64, error: &Error) {
        if let Some(shortage) = &mut self.shortage {
            // Who needs less does not wait until there is enough for others: they are refused again, and told again.
            shortage.size = shortage.size.min(size);
            return;
        }
        self.shortage = Some(Shortage { partition, size, look_at: Some(self.now.saturating_add(PAUSE)) });
        self.handle.raise(|events| EventKind::NoSpace {
            topic: events.name_of(partition.topic),
            partition: partition.partition,
            error: error.clone(),
        });
    }

    /// Looks whether there is space again, if it is time to.
    pub(super) fn look_for_space(&mut self, out: &mut Outbox) {
        let (now, closing) = (self.now, self.closing);
        let Some(shortage) = &mut self.shortage else { return };
        if closing {
            shortage.look_at = None;
        }
        if shortage.look_at.is_some_and(|at| at <= now) {
            shortage.look_at = None;
            let size = shortage.size;
            self.ask(Asked::Space { size }, MetaOrder::ProbeSpace { size }, out);
        }
    }

    /// Looked.
    pub(super) fn looked_for_space(&mut self, size: u64, result: Result<(), Error>) {
        match result {
            Ok(()) => self.space_found(size),
            // What else may be wrong with the store is told to appends.
            Err(_) => {
                if let Some(shortage) = &mut self.shortage {
                    shortage.look_at = Some(self.now.saturating_add(PAUSE));
                }
            }
        }
    }

    /// There is space for a segment of this size.
    pub(super) fn space_found(&mut self, size: u64) {
        let Some(Shortage { partition, .. }) = self.shortage.take_if(|shortage| size >= shortage.size) else { return };
        // Whoever waited for the event asks anew, and is either answered by what is now or is told of once more.
        for writer in &self.writers {
            writer.tail.forget_want_of_space();
        }
        self.handle.raise(|events| EventKind::SpaceAvailable {
            topic: events.name_of(partition.topic),
            partition: partition.partition,
        });
    }
}
