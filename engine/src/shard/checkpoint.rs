//! Checkpoints: where recovery may begin.

use crate::manifest::Settled;
use crate::shard::{Outbox, Shard};

/// A checkpoint is due after so many bytes written. Bytes.
const INTERVAL: u64 = 64 << 20;

impl Shard {
    /// Asks for a checkpoint when one frees journal files, or when recovery would have much to read.
    pub(super) fn checkpoint(&mut self, out: &mut Outbox) {
        // Without a journal, a checkpoint testifies what partitions that fell quiet had made durable.
        let testify = self.testify_now && !self.journal.usable();
        let due = testify || self.journal.has_released_files() || self.bytes_since_checkpoint >= INTERVAL;
        if !due || self.checkpointing || self.checkpoint_refused || self.closing {
            return;
        }
        self.testify_now &= !testify;
        self.checkpointing = true;
        self.bytes_since_checkpoint = 0;
        let lsn = self.journal.first_needed();
        let mut settled = Vec::new();
        for writer in &mut self.writers {
            let durable = writer.is_durable();
            for segment in &mut writer.segments {
                if durable && std::mem::take(&mut segment.checkpoint_due) {
                    settled.push(Settled {
                        partition: writer.tail.partition(),
                        generation: segment.segment.generation,
                        position: segment.settled.position,
                        offset: segment.settled.offset,
                        // Of the last frame claimed: no frame below the position has a later one.
                        time: segment.segment.last_time(),
                    });
                }
            }
        }
        self.ask_for_checkpoint(lsn, settled, out);
    }
}
