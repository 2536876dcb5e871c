//! What the shard asks of the metadata thread: files are made, named and recorded there, never in a turn.

use crate::error::{Error, ErrorKind};
use crate::format::segment::{Footer, SegmentHeader};
use crate::ids::{Generation, Lsn, PartitionId};
use crate::io::no_descriptor;
use crate::limits::SECTOR;
use crate::manifest::{MetaDone, MetaOrder, MetaRequest, MetaResponse, SegmentEnd, Settled};
use crate::segment::{Prefix, PreparedSegment, SEGMENT_DATA_START, Segment};
use crate::shard::writer::Birth;
use crate::shard::{Outbox, ReadRequest, Shard};
use crate::tail::SegmentWish;

/// A segment is followed by one up to so many times its size while its partition is busy.
const GROWTH: u64 = 4;

/// What an answer is for.
pub(super) enum Asked {
    Prepare {
        writer: usize,
        size: u64,
    },
    Activate {
        writer: usize,
        generation: Generation,
    },
    Seal {
        writer: usize,
        generation: Generation,
    },
    Checkpoint {
        lsn: Lsn,
    },
    JournalFile,
    KeepJournalFile {
        number: u32,
    },
    OpenForRead {
        request: ReadRequest,
    },
    /// Whether there is space again.
    Space {
        size: u64,
    },
    /// Nothing depends on the answer.
    Courtesy,
}

/// Partitions of a topic that is being deleted, which still have something under way.
pub(super) struct Stopping {
    writers: Vec<usize>,
    done: Option<Box<dyn FnOnce() + Send>>,
}

impl Shard {
    pub(super) fn ask(&mut self, asked: Asked, order: MetaOrder, out: &mut Outbox) {
        if let Asked::Prepare { writer, .. } | Asked::Activate { writer, .. } | Asked::Seal { writer, .. } = asked {
            self.writers[writer].under_way += 1;
        }
        self.next_ticket += 1;
        self.asked.insert(self.next_ticket, asked);
        out.meta.push(MetaRequest { ticket: self.next_ticket, order });
    }

    /// Takes an answer of the metadata thread. What follows from it is said by the next turn.
    pub(crate) fn meta_done(&mut self, response: MetaResponse) {
        self.answers.push(response);
    }

    pub(super) fn take_answers(&mut self, out: &mut Outbox) {
        for response in std::mem::take(&mut self.answers) {
            self.take_answer(response, out);
        }
    }

    fn take_answer(&mut self, response: MetaResponse, out: &mut Outbox) {
        let asked = self.asked.remove(&response.ticket).expect("an answer belongs to a question");
        if let Asked::Prepare { writer, .. } | Asked::Activate { writer, .. } | Asked::Seal { writer, .. } = asked {
            self.writers[writer].under_way -= 1;
        }
        if let Err(error) = &response.result
            && !matches!(asked, Asked::OpenForRead { .. } | Asked::JournalFile | Asked::Space { .. })
            && !(matches!(asked, Asked::Activate { .. }) && no_descriptor(error.os_code()))
        {
            self.tell_metadata_refused(error);
        }
        match (asked, response.result) {
            (Asked::Prepare { writer, size }, result) => self.prepared(writer, size, result, out),
            (Asked::Activate { writer, generation }, result) => self.activated(writer, generation, result),
            (Asked::Seal { writer, generation }, result) => self.sealed(writer, generation, result),
            (Asked::Checkpoint { lsn }, result) => {
                self.checkpointing = false;
                self.checkpoint_refused = result.is_err();
                if result.is_ok() {
                    for number in self.journal.checkpointed(lsn) {
                        self.journal_asked = self.journal_asked.saturating_sub(1);
                        self.ask(Asked::Courtesy, MetaOrder::ReleaseJournalFile { number, reuse: false }, out);
                    }
                }
            }
            (Asked::JournalFile, Ok(MetaDone::JournalFilePrepared { number, file, size })) => {
                self.journal.add_file(number, file, size);
            }
            // Without a file the journal stays as it is; small ranges go to their segments.
            (Asked::JournalFile, Err(error)) => self.tell_no_journal(&error),
            (Asked::JournalFile, Ok(_)) => {}
            (Asked::KeepJournalFile { number }, Ok(_)) => {
                self.journal.remove_file(number);
                self.journal_asked = self.journal_asked.saturating_sub(1);
            }
            (Asked::Space { size }, result) => self.looked_for_space(size, result.map(|_| ())),
            (Asked::OpenForRead { request }, result) => self.opened_for_read(request, result, out),
            (Asked::KeepJournalFile { .. } | Asked::Courtesy, _) => {}
        }
    }

    /// Has a segment prepared when the tail wants one, or will soon.
    pub(super) fn prepare_segment(&mut self, writer: usize, out: &mut Outbox) {
        if self.closing
            && let Some(unused) = self.writers[writer].tail.take_prepared()
        {
            self.discard_segment(writer, &unused, out);
        }
        let w = &mut self.writers[writer];
        if w.preparing || w.seal {
            return;
        }
        let Some(wish) = w.tail.wants_segment() else { return };
        let size = w.next_size.max(least_size(wish));
        w.preparing = true;
        let partition = w.tail.partition();
        self.ask(Asked::Prepare { writer, size }, MetaOrder::PrepareSegment { partition, size }, out);
    }

    fn prepared(&mut self, writer: usize, size: u64, result: Result<MetaDone, Error>, out: &mut Outbox) {
        let w = &mut self.writers[writer];
        w.preparing = false;
        let first = self.config.first_segment;
        match &result {
            Ok(_) => {
                w.next_size = (w.next_size * GROWTH).min(self.config.largest_segment).max(w.next_size);
                self.space_found(size);
            }
            Err(error) if error.kind() == ErrorKind::NoSpace => {
                // A smaller one may still have room; and when there is space again, growth begins anew.
                w.next_size = first;
                if w.tail.wants_segment().is_some_and(|wish| size > first.max(least_size(wish))) {
                    self.enqueue(writer);
                    return;
                }
                let partition = w.tail.partition();
                self.short_of_space(partition, size, error);
            }
            Err(_) => {}
        }
        let w = &mut self.writers[writer];
        let unneeded = w.tail.offer_segment(match result {
            Ok(MetaDone::SegmentPrepared { sequence, generation, file, capacity }) => {
                Ok(PreparedSegment { sequence, generation, file, capacity })
            }
            Ok(_) => Err(Error::new(ErrorKind::Panic, "the answer to a request for a segment is another's")),
            Err(error) => Err(error),
        });
        if let Some(unneeded) = unneeded {
            self.discard_segment(writer, &unneeded, out);
        }
        self.enqueue(writer);
    }

    /// Gives a prepared file back that no append will go to.
    fn discard_segment(&mut self, writer: usize, prepared: &PreparedSegment, out: &mut Outbox) {
        let partition = self.writers[writer].tail.partition();
        let generation = prepared.generation;
        self.ask(Asked::Courtesy, MetaOrder::DiscardSegment { partition, generation }, out);
    }

    /// Whether segment `at` may be written: its generation is durable in header and manifest. Asks for that once
    /// something was published in it.
    pub(super) fn born(&mut self, writer: usize, at: usize, out: &mut Outbox) -> bool {
        let w = &mut self.writers[writer];
        let segment = &mut w.segments[at];
        if segment.birth == Birth::Unborn && segment.segment.published().position > SEGMENT_DATA_START {
            segment.birth = Birth::Asked;
            let order = MetaOrder::ActivateSegment {
                partition: w.tail.partition(),
                sequence: segment.segment.sequence,
                generation: segment.segment.generation,
                base_offset: segment.segment.base_offset,
                base_time: segment.segment.base_time,
                gap: false,
            };
            let generation = segment.segment.generation;
            self.ask(Asked::Activate { writer, generation }, order, out);
            return false;
        }
        segment.birth == Birth::Durable
    }

    fn activated(&mut self, writer: usize, generation: Generation, result: Result<MetaDone, Error>) {
        let birth = match result {
            Ok(_) => Birth::Durable,
            Err(error) if self.starve_writer(writer, &error) => Birth::Unborn,
            Err(error) => {
                self.refuse(writer, "naming a segment in the manifest", &error);
                return;
            }
        };
        let again = birth == Birth::Unborn;
        if let Some(segment) = self.writers[writer].segment(generation) {
            segment.birth = birth;
        }
        if again {
            return;
        }
        self.enqueue(writer);
    }

    /// Seals segment `at` when it has ended and all of it is durable in its file.
    pub(super) fn seal(&mut self, writer: usize, at: usize, out: &mut Outbox) {
        let w = &mut self.writers[writer];
        let segment = &mut w.segments[at];
        let Some(end) = segment.segment.closed() else { return };
        let complete = segment.device_end >= end.position && segment.acknowledged.position >= end.position;
        if segment.sealing || !complete || segment.dirty || segment.flights() > 0 {
            return;
        }
        segment.sealing = true;
        let order = MetaOrder::SealSegment {
            partition: w.tail.partition(),
            generation: segment.segment.generation,
            end: SegmentEnd { position: end.position, offset: end.offset, time: segment.segment.last_time() },
            footer: encode_footer(&segment.segment, self.config.identity.store, end),
        };
        let generation = segment.segment.generation;
        self.ask(Asked::Seal { writer, generation }, order, out);
    }

    fn sealed(&mut self, writer: usize, generation: Generation, result: Result<MetaDone, Error>) {
        if let Err(error) = result {
            self.refuse(writer, "sealing a segment in the manifest", &error);
            return;
        }
        let w = &mut self.writers[writer];
        if let Some(at) = w.segments.iter().position(|s| s.segment.generation == generation) {
            let sealed = w.segments.remove(at);
            w.tail.retire(generation);
            if let Some(sealed) = sealed {
                self.config.keeper.keep_index(&sealed.segment);
            }
        }
        self.enqueue(writer);
    }

    pub(super) fn ask_for_checkpoint(&mut self, lsn: Lsn, settled: Vec<Settled>, out: &mut Outbox) {
        let (set, shard) = (self.config.identity.set, self.config.identity.shard);
        self.ask(Asked::Checkpoint { lsn }, MetaOrder::Checkpoint { set, shard, lsn, settled }, out);
    }

    /// Has journal files made when the first small range comes, and replaced when one is lost.
    pub(super) fn ask_for_journal_files(&mut self, out: &mut Outbox) {
        if self.closing || !self.journal_wanted {
            return;
        }
        while self.journal_asked < self.config.journal_files {
            self.journal_asked += 1;
            self.ask(Asked::JournalFile, MetaOrder::PrepareJournalFile, out);
        }
    }

    /// Files with acknowledged bytes of a partition that cannot be written any more leave the rotation and stay.
    pub(super) fn keep_journals(&mut self, numbers: &[u32]) {
        self.journals_to_keep.extend(numbers);
    }

    /// Asks for what [`keep_journals`](Shard::keep_journals) noted, of files that take no more writes.
    pub(super) fn keep_noted_journals(&mut self, out: &mut Outbox) {
        for number in std::mem::take(&mut self.journals_to_keep) {
            match self.journal.keep(number) {
                Some((generation, first_lsn, end_lsn)) => {
                    let shard = self.config.identity.shard;
                    let order = MetaOrder::KeepJournalFile { shard, number, generation, first_lsn, end_lsn };
                    self.ask(Asked::KeepJournalFile { number }, order, out);
                }
                None => {
                    if self.journal.files().iter().any(|f| f.number == number) {
                        self.journals_to_keep.push(number); // It still takes writes: later.
                    }
                }
            }
        }
    }

    /// Opens the file of a segment that somebody wants to read.
    pub(super) fn open_for_read(&mut self, request: ReadRequest, out: &mut Outbox) {
        let partition = request.segment.partition;
        let generation = request.segment.generation;
        self.ask(Asked::OpenForRead { request }, MetaOrder::OpenSegmentFile { partition, generation }, out);
    }

    fn opened_for_read(&mut self, request: ReadRequest, result: Result<MetaDone, Error>, out: &mut Outbox) {
        match result {
            Ok(MetaDone::SegmentFileOpened { file }) => {
                request.segment.set_file(Some(file));
                self.read(request, out);
            }
            Ok(_) => {
                let message = "the answer to the opening of a segment is another's";
                (request.done)(Err(Error::new(ErrorKind::Panic, message)));
            }
            Err(error) => {
                self.tell_not_opened(request.segment.partition, request.segment.sequence, &error);
                (request.done)(Err(error));
            }
        }
    }

    /// Partitions of a topic that is being deleted: refuse appends, and call back when nothing of them is under way. The
    /// journal keeps their bytes: the topic is there until the manifest says otherwise.
    pub(super) fn stop(&mut self, partitions: &[PartitionId], done: Box<dyn FnOnce() + Send>) {
        let writers: Vec<usize> = partitions.iter().filter_map(|p| self.by_id.get(p).copied()).collect();
        for &writer in &writers {
            let deleted = Error::new(ErrorKind::Deleted, "the topic was deleted");
            self.writers[writer].failed = Some(deleted.clone());
            self.writers[writer].tail.fail(deleted.clone());
            self.writers[writer].tail.watermark().fail(deleted);
        }
        self.stopping.push(Stopping { writers, done: Some(done) });
    }

    pub(super) fn finish_stopping(&mut self) {
        for mut stopping in std::mem::take(&mut self.stopping) {
            if stopping.writers.iter().any(|&w| self.writers[w].under_way > 0) {
                self.stopping.push(stopping);
            } else if let Some(done) = stopping.done.take() {
                done();
            }
        }
    }

    /// The topic of these partitions is gone for good.
    pub(super) fn forget(&mut self, partitions: &[PartitionId]) {
        for partition in partitions {
            let Some(writer) = self.by_id.remove(partition) else { continue };
            for segment in self.writers[writer].segments.drain(..) {
                for number in segment.journals() {
                    self.journal.release(number);
                }
            }
        }
    }
}

/// The smallest segment that holds what is wished for. Bytes.
fn least_size(wish: SegmentWish) -> u64 {
    // Header, pads and footer: a sector each, and an index entry of 16 bytes for every sector at the most.
    let overhead = 4 * SECTOR + (wish.size / SECTOR + 1) * 16;
    (wish.size + overhead).next_multiple_of(SECTOR)
}

/// The sealed segment's index with what names it, as it stands behind the data.
fn encode_footer(segment: &Segment, store: u64, end: Prefix) -> Vec<u8> {
    let header = SegmentHeader {
        store,
        partition: segment.partition,
        sequence: segment.sequence,
        generation: segment.generation,
        base_offset: segment.base_offset,
        base_time: segment.base_time,
        capacity: segment.capacity,
    };
    let footer = Footer {
        header,
        end_position: end.position,
        end_offset: end.offset,
        end_time: segment.last_time(),
        newest: segment.newest(),
    };
    let entries = segment.index_entries();
    let mut bytes = vec![0; Footer::size(entries.len())];
    footer.encode(&entries, &mut bytes);
    bytes
}
