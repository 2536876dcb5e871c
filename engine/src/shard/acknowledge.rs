//! From completions to watermarks, and from failed writes to refused appends.

use std::io;
use std::sync::Arc;

use crate::buffer::Block;
use crate::error::{Error, ErrorKind};
use crate::ids::Generation;
use crate::io::OpKind;
use crate::segment::Segment;
use crate::shard::{Outbox, Purpose, Shard};
use crate::sim::bugs::{self, Bug};

impl Shard {
    /// An operation of a flight to a segment is over.
    pub(super) fn segment_written(
        &mut self,
        writer: usize,
        generation: Generation,
        flight: u64,
        result: io::Result<()>,
    ) {
        let w = &mut self.writers[writer];
        if w.failed.is_some() {
            return;
        }
        let Some(segment) = w.segment(generation) else { return };
        match result {
            Err(error) if !bugs::active(Bug::AckFailedWrite) => self.fail_writer(writer, "writing", &error),
            _ => {
                segment.landed(flight);
                segment.segment.set_device_end(segment.device_end);
                let released = segment.take_released_journals();
                let written = segment.segment.take_blocks_below(segment.device_end);
                let owner = Arc::clone(&segment.segment);
                for number in released {
                    self.journal.release(number);
                }
                for block in written {
                    self.keep(writer, &owner, block);
                }
                self.acknowledge(writer);
                self.give_back(writer);
                self.enqueue(writer);
            }
        }
    }

    /// Gives the open block back if memory is short and all of the block is written.
    fn give_back(&mut self, writer: usize) {
        let w = &mut self.writers[writer];
        if !std::mem::take(&mut w.release) {
            return;
        }
        match (w.segments.back(), w.tail.release_idle()) {
            (Some(segment), Some(block)) => {
                let segment = Arc::clone(&segment.segment);
                self.keep(writer, &segment, block);
            }
            _ => w.release = true,
        }
    }

    /// Leaves a written block to the readers.
    pub(super) fn keep(&mut self, writer: usize, segment: &Arc<Segment>, block: Arc<Block>) {
        let followed = self.writers[writer].is_followed(block.capacity());
        self.config.keeper.keep(segment, block, followed);
    }

    /// Publishes what has become durable (or written, in a weaker topic) of a partition.
    pub(super) fn acknowledge(&mut self, writer: usize) {
        let w = &mut self.writers[writer];
        if w.failed.is_some() {
            return;
        }
        let mut silent = false;
        let durable = w.is_durable();
        for segment in &mut w.segments {
            if let Some(prefix) = segment.acknowledge(|lsn| self.journal.is_durable(lsn)) {
                if prefix > segment.segment.visible() {
                    segment.segment.show(prefix);
                }
                if durable {
                    w.tail.watermark().advance_durable(prefix.offset);
                    silent = true;
                } else {
                    w.tail.watermark().advance_written(prefix.offset);
                }
            }
            let all = segment.segment.closed().is_some_and(|c| segment.acknowledged.position >= c.position);
            if !all {
                break; // Later segments are acknowledged after this one.
            }
        }
        if silent && !std::mem::replace(&mut self.writers[writer].silent, true) {
            self.silent.push_back(writer);
        }
    }

    /// Makes written bytes of a weaker topic durable, where somebody asked for it or the segment ends.
    pub(super) fn make_durable(&mut self, writer: usize, at: usize, out: &mut Outbox) {
        let w = &mut self.writers[writer];
        if w.is_durable() {
            return;
        }
        let wanted = w.tail.durable_wanted() > w.tail.watermark().durable() || w.destage || w.seal;
        let segment = &mut w.segments[at];
        let ended = segment.segment.closed().is_some_and(|c| segment.device_end >= c.position);
        if !segment.dirty || segment.syncing.is_some() || segment.flights() > 0 || !(wanted || ended) {
            return;
        }
        // What is written waits for what was appended before it, in a segment before this one.
        if segment.acknowledged.position <= segment.synced.position {
            return;
        }
        segment.syncing = Some(segment.acknowledged);
        let file = segment.segment.file().expect("a segment that was written has its file");
        let generation = segment.segment.generation;
        self.issue(Purpose::Sync { writer, generation }, Shard::op(OpKind::Sync, file, 0, None, 0, 0), out);
    }

    /// A sync is over. It is never tried again: after a failure the data may be gone though the next sync succeeds.
    pub(super) fn segment_synced(&mut self, writer: usize, generation: Generation, result: io::Result<()>) {
        let w = &mut self.writers[writer];
        if w.failed.is_some() {
            return;
        }
        let Some(segment) = w.segment(generation) else { return };
        let reached = segment.syncing.take();
        match result {
            Err(_) if bugs::active(Bug::TrustRetriedSync) => self.enqueue(writer),
            Err(error) => self.fail_writer(writer, "flushing", &error),
            Ok(()) => {
                segment.dirty = segment.flights() > 0 || reached.is_none_or(|r| r.position < segment.device_end);
                segment.synced = reached.unwrap_or(segment.synced);
                if let Some(offset) = w.synced() {
                    w.tail.watermark().advance_durable(offset);
                }
                self.enqueue(writer);
            }
        }
    }

    /// A write of a partition failed: it refuses appends from now on; what is durable stays readable.
    fn fail_writer(&mut self, writer: usize, what: &str, error: &io::Error) {
        let id = self.writers[writer].tail.partition();
        self.refuse(writer, "storing what was appended", &Error::os(format!("{what} a segment of {id}"), error));
    }

    /// The same, for an error of any origin.
    pub(super) fn refuse(&mut self, writer: usize, what: &str, error: &Error) {
        let w = &mut self.writers[writer];
        if w.failed.is_some() {
            return;
        }
        let failed = Error::new(
            ErrorKind::PartitionFailed,
            format!(
                "{what}: {}; the partition refuses appends, what was acknowledged stays readable; free the device of its \
                 fault and open the store again",
                error.message()
            ),
        )
        .caused_by(error);
        w.failed = Some(failed.clone());
        w.tail.fail(failed.clone());
        let partition = w.tail.partition();
        // Before whoever waits is told: who is woken finds it in the queue.
        self.tell_failed(partition, &failed);
        let w = &mut self.writers[writer];
        w.tail.watermark().fail(failed);
        let numbers: Vec<u32> = w.segments.iter().flat_map(|s| s.journals()).collect();
        self.keep_journals(&numbers);
    }
}
