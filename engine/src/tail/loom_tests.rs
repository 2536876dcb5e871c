//! The tail under the model checker: published prefix, reservations, recycled blocks, announcements, waiting.

use std::sync::Arc as StdArc;

use loom::thread;

use super::{Refusal, Tail, TailStart};
use crate::buffer::{Block, Budget, HeapMemory, Pool};
use crate::durability::Durability;
use crate::format::frame::{self, Kind, Place};
use crate::format::plan::Plan;
use crate::format::record::Record;
use crate::ids::{Generation, PartitionId};
use crate::io::File;
use crate::segment::{Chain, PreparedSegment, SEGMENT_DATA_START, Segment};
use crate::sync::model::{model, needs};
use crate::sync::{Arc, AtomicBool, Guard, Ordering, held};

struct NoFile;

impl File for NoFile {
    fn read_at(&self, _: u64, _: &mut [u8]) -> std::io::Result<usize> {
        Ok(0)
    }
    fn write_at(&self, _: u64, _: &[u8], _: bool) -> std::io::Result<usize> {
        Ok(0)
    }
    fn sync(&self) -> std::io::Result<()> {
        Ok(())
    }
    fn reserve(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
    fn set_size(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
    fn size(&self) -> std::io::Result<u64> {
        Ok(0)
    }
}

fn prepared(capacity: u64) -> PreparedSegment {
    PreparedSegment { sequence: 1, generation: Generation(9), capacity, file: StdArc::new(NoFile) }
}

fn tail_with(memory: usize) -> Arc<Tail> {
    tail_of(Durability::Durable, memory)
}

fn tail_of(durability: Durability, memory: usize) -> Arc<Tail> {
    let pool = Pool::new(Budget::new(memory, 0), Box::new(HeapMemory));
    let start = TailStart { partition: PartitionId::default(), durability, next_offset: 0, last_time: 0 };
    let tail = Tail::new(start, pool, Arc::new(Chain::new(Vec::new())));
    tail.offer_segment(Ok(prepared(1 << 20)));
    Arc::new(tail)
}

fn append(tail: &Tail, value: u8) -> Result<super::Appended, Refusal> {
    let value = [value];
    let records = [Record::new(&value)];
    tail.append(&Plan::new(&records).expect("within limits"), &records, 0)
}

fn reserve_and_publish(tail: &Tail, value: u8) {
    let value = [value];
    let records = [Record::new(&value)];
    let plan = Plan::new(&records).expect("within limits");
    let mut reservation = tail.reserve(&plan, 0).expect("there is room");
    reservation.fill(&plan, &records);
    reservation.publish();
}

/// Reads what is published, as shard and readers do: every frame must be there, whole. Answers the end offset.
fn read(segment: &Segment) -> u64 {
    let published = segment.published();
    let (mut position, mut offset) = (SEGMENT_DATA_START, segment.base_offset);
    while position < published.position {
        // The block may have been taken away meanwhile; then the device has it.
        let Some(block) = segment.block_at(position) else { return published.offset };
        offset = read_frame(segment, &block, &mut position);
    }
    assert_eq!((position, offset), (published.position, published.offset));
    offset
}

fn read_frame(segment: &Segment, block: &Block, position: &mut u64) -> u64 {
    let place = Place {
        partition: segment.partition,
        generation: segment.generation,
        position: *position,
        segment_base: segment.base_offset,
    };
    let at = (*position - block.position()) as usize;
    // SAFETY: the range is below the published prefix. loom checks that this is so.
    let header = frame::peek(unsafe { block.bytes(at, frame::HEADER_SIZE) }, &place).expect("a published frame");
    // SAFETY: as above.
    let header = frame::verify(unsafe { block.bytes(at, header.size as usize) }, &place).expect("a whole frame");
    *position += u64::from(header.size);
    header.base_offset + if header.kind == Kind::Pad { 0 } else { u64::from(header.count) }
}

fn published_is_readable() {
    let tail = tail_with(1 << 16);
    append(&tail, 1).expect("there is room");
    let segment = Arc::clone(&tail.active()[0]);
    let appender = {
        let tail = Arc::clone(&tail);
        thread::spawn(move || append(&tail, 2).map(|_| ()).expect("there is room"))
    };
    read(&segment);
    appender.join().expect("no thread panics");
    assert_eq!(read(&segment), 2);
}

#[test]
fn loom_what_is_published_is_readable() {
    model(3, published_is_readable);
}

needs!(loom_the_published_prefix_needs_its_release: published_is_readable without PrefixReleases, 3);

fn two_appenders_share_a_tail() {
    let tail = tail_with(1 << 16);
    append(&tail, 1).expect("there is room");
    let segment = Arc::clone(&tail.active()[0]);
    let appenders: Vec<_> = (2..4)
        .map(|value| {
            let tail = Arc::clone(&tail);
            thread::spawn(move || append(&tail, value).map(|_| ()).expect("there is room"))
        })
        .collect();
    for appender in appenders {
        appender.join().expect("no thread panics");
    }
    assert_eq!(read(&segment), 3);
}

#[test]
fn loom_two_appenders_share_a_tail() {
    model(2, two_appenders_share_a_tail);
}

needs!(loom_the_tail_needs_the_locks_exclusion: two_appenders_share_a_tail without LockExcludes, 2);
needs!(loom_the_tail_needs_the_locks_release: two_appenders_share_a_tail without UnlockReleases, 2);

fn reservations_are_published_in_order() {
    let tail = tail_with(1 << 16);
    // Turns the ring, so that slots are used again.
    for value in 0..3 {
        reserve_and_publish(&tail, value);
    }
    let segment = Arc::clone(&tail.active()[0]);
    let reservers: Vec<_> = (3..5)
        .map(|value| {
            let tail = Arc::clone(&tail);
            thread::spawn(move || reserve_and_publish(&tail, value))
        })
        .collect();
    read(&segment);
    for reserver in reservers {
        reserver.join().expect("no thread panics");
    }
    assert_eq!(read(&segment), 5);
    assert_eq!(tail.snapshot().slots, 0);
}

#[test]
fn loom_reservations_are_published_in_order() {
    model(3, reservations_are_published_in_order);
}

needs!(loom_reservations_need_their_order: reservations_are_published_in_order without PrefixInOrder, 3);
needs!(loom_reservations_need_the_prefix_release: reservations_are_published_in_order without PrefixReleases, 2);

#[test]
fn loom_small_appends_pass_a_reservation_and_a_dropped_one_is_void() {
    model(2, || {
        let tail = tail_with(1 << 16);
        append(&tail, 1).expect("there is room");
        let segment = Arc::clone(&tail.active()[0]);
        let dropper = {
            let tail = Arc::clone(&tail);
            thread::spawn(move || {
                let records = [Record::new(b"x")];
                let plan = Plan::new(&records).expect("within limits");
                drop(tail.reserve(&plan, 0).expect("there is room"));
            })
        };
        append(&tail, 2).expect("there is room");
        read(&segment);
        dropper.join().expect("no thread panics");
        assert_eq!(read(&segment), 3);
    });
}

/// A shard gives written blocks back while a reader reads one and an appender gets its memory.
fn memory_is_recycled_when_nobody_holds_it() {
    // Readers' half and appenders' half: two of the smallest blocks each.
    let tail = tail_with(512);
    append(&tail, 1).expect("there is room");
    let segment = Arc::clone(&tail.active()[0]);
    let reader = {
        let segment = Arc::clone(&segment);
        thread::spawn(move || {
            if let Some(block) = segment.block_at(SEGMENT_DATA_START)
                && let Some(_pin) = Block::pin(&block)
            {
                read_frame(&segment, &block, &mut { SEGMENT_DATA_START });
            }
        })
    };
    let shard = {
        let (tail, segment) = (Arc::clone(&tail), Arc::clone(&segment));
        thread::spawn(move || {
            let (_, end) = tail.flush_to_sector().expect("there is a segment");
            segment.set_device_end(end.position);
            tail.release_idle();
            for block in segment.take_blocks_below(end.position) {
                block.retire_to_cache(true);
            }
        })
    };
    for value in 2..4 {
        // Refused when all memory is held: that is no error here.
        let _refused = append(&tail, value);
    }
    reader.join().expect("no thread panics");
    shard.join().expect("no thread panics");
}

#[test]
fn loom_memory_is_recycled_when_nobody_holds_it() {
    model(2, memory_is_recycled_when_nobody_holds_it);
}

needs!(loom_recycled_memory_needs_its_holders: memory_is_recycled_when_nobody_holds_it without MemoryHeld, 2);

/// An appender publishes twice; a shard is told at least once after the last.
fn no_announcement_is_lost() {
    let tail = tail_with(1 << 16);
    append(&tail, 1).expect("there is room");
    let segment = Arc::clone(&tail.active()[0]);
    assert!(tail.announce());
    let queued = Arc::new(AtomicBool::new(true));
    let shard = {
        let (tail, segment, queued) = (Arc::clone(&tail), Arc::clone(&segment), Arc::clone(&queued));
        thread::spawn(move || {
            queued.store(false, Ordering::Relaxed);
            let early = (!held(Guard::AcceptFirst)).then(|| segment.published().offset);
            tail.accept();
            early.unwrap_or_else(|| segment.published().offset)
        })
    };
    append(&tail, 2).expect("there is room");
    if tail.announce() {
        queued.store(true, Ordering::Relaxed);
    }
    let seen = shard.join().expect("no thread panics");
    assert!(seen == 2 || tail.is_announced(), "published, not seen, and nobody will tell");
}

#[test]
fn loom_no_announcement_is_lost() {
    model(3, no_announcement_is_lost);
}

needs!(loom_the_announcement_needs_its_order: no_announcement_is_lost without AnnounceOrders, 3);
needs!(loom_the_announcement_needs_to_be_accepted_first: no_announcement_is_lost without AcceptFirst, 3);

/// A shard takes its promise to look back and looks; an append that relied on the promise is seen.
fn no_promise_is_broken() {
    let tail = tail_with(1 << 16);
    append(&tail, 1).expect("there is room");
    let segment = Arc::clone(&tail.active()[0]);
    tail.promise_look(u64::MAX);
    let shard = {
        let (tail, segment) = (Arc::clone(&tail), Arc::clone(&segment));
        thread::spawn(move || {
            let early = (!held(Guard::AcceptFirst)).then(|| segment.published().offset);
            tail.promise_look(0);
            early.unwrap_or_else(|| segment.published().offset)
        })
    };
    let heard = append(&tail, 2).expect("there is room").heard;
    let seen = shard.join().expect("no thread panics");
    assert!(seen == 2 || !heard, "the shard promised to look, and did not see it");
}

#[test]
fn loom_no_promise_is_broken() {
    model(3, no_promise_is_broken);
}

needs!(loom_the_promise_needs_to_be_taken_back_first: no_promise_is_broken without AcceptFirst, 3);

fn an_append_waits_for_room() {
    let tail = tail_with(1 << 16);
    append(&tail, 1).expect("there is room");
    tail.seal();
    let offerer = {
        let tail = Arc::clone(&tail);
        thread::spawn(move || {
            tail.offer_segment(Ok(prepared(1 << 20)));
        })
    };
    while let Err(refusal) = append(&tail, 2) {
        assert!(tail.wait_room(&refusal, None).expect("nothing fails here"));
    }
    offerer.join().expect("no thread panics");
}

#[test]
fn loom_an_append_waits_for_room() {
    model(3, an_append_waits_for_room);
}

needs!(loom_waiting_for_room_needs_the_second_look: an_append_waits_for_room without WaiterRechecks, 3);

#[test]
fn loom_an_append_is_acknowledged() {
    model(2, || {
        let tail = tail_with(1 << 16);
        append(&tail, 1).expect("there is room");
        let shard = {
            let tail = Arc::clone(&tail);
            thread::spawn(move || tail.watermark().advance_durable(1))
        };
        assert_eq!(tail.watermark().wait(Durability::Durable, 1, None), Ok(true));
        shard.join().expect("no thread panics");
    });
}

/// In a topic that loses on a kill, a reader waits for records that a reservation holds up, or that are published at
/// once: whoever publishes them wakes it.
fn publication_wakes_readers() {
    let tail = tail_of(Durability::LoseOnKill, 1 << 16);
    append(&tail, 1).expect("there is room");
    let reserver = {
        let tail = Arc::clone(&tail);
        thread::spawn(move || reserve_and_publish(&tail, 2))
    };
    let appender = {
        let tail = Arc::clone(&tail);
        thread::spawn(move || append(&tail, 3).map(|_| ()).expect("there is room"))
    };
    assert_eq!(tail.watermark().wait(Durability::LoseOnKill, 3, None), Ok(true));
    assert_eq!(read(&tail.active()[0]), 3);
    reserver.join().expect("no thread panics");
    appender.join().expect("no thread panics");
}

#[test]
fn loom_publication_wakes_readers() {
    model(2, publication_wakes_readers);
}

needs!(loom_publication_needs_the_wakers_fence: publication_wakes_readers without WakerFences, 2);

#[test]
fn loom_pins_are_charged_once_and_given_back() {
    model(2, || {
        let tail = tail_with(1 << 16);
        append(&tail, 1).expect("there is room");
        let block = tail.active()[0].block_at(SEGMENT_DATA_START).expect("it is in memory");
        let pinner = {
            let block = Arc::clone(&block);
            thread::spawn(move || drop(Block::pin(&block).expect("there is room for pins").clone()))
        };
        let pin = Block::pin(&block).expect("there is room for pins");
        block.retire_to_cache(true);
        assert_eq!(tail.pool().usage().pins, block.charged());
        drop(pin);
        pinner.join().expect("no thread panics");
        let usage = tail.pool().usage();
        assert_eq!((usage.pins, usage.cache, usage.appenders), (0, block.charged(), 0));
    });
}
