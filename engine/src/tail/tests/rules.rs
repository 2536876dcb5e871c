//! One test per rule.

use super::*;
use crate::buffer::MemorySource;
use crate::error::{Error, ErrorKind};
use crate::limits::{BATCH_IN_BLOCK_MAX, BLOCK_MAX, INDEX_INTERVAL, RESERVATIONS_MAX, SECTOR};
use crate::segment::{Prefix, SEGMENT_DATA_START};
use crate::tail::Refusal;

const MIB: usize = 1 << 20;

fn ready(capacity: u64) -> Tail {
    let tail = tail_at(100, 256 * MIB);
    tail.offer_segment(Ok(prepared(1, capacity)));
    tail
}

fn all(tail: &Tail) -> Vec<Found> {
    let mut found = Vec::new();
    for segment in tail.active().iter() {
        let end = segment.published().position;
        let bytes = bytes_of(segment, SEGMENT_DATA_START, end);
        found.extend(frames(segment, SEGMENT_DATA_START, &bytes));
    }
    found
}

#[test]
fn an_append_is_published_whole_when_it_returns() {
    let tail = ready(1 << 20);
    let first = append(&tail, b"one").expect("there is room");
    let second = append(&tail, b"two").expect("there is room");
    assert_eq!((first.base_offset, second.base_offset), (100, 101));
    assert_eq!(tail.active()[0].published(), second.end);
    let found = all(&tail);
    assert_eq!(found.iter().map(Found::body).collect::<Vec<_>>(), [b"one", b"two"]);
    assert_eq!(found[1].header.durable_lag, Some(1), "the frame says how far behind it the device was");
}

#[test]
fn without_a_segment_an_append_wishes_for_one_and_claims_nothing() {
    let tail = tail_at(5, 64 * MIB);
    assert_eq!(tail.wants_segment(), None);
    let refusal = append(&tail, b"x").expect_err("there is no segment");
    assert_eq!(refusal, Refusal::Segment(0));
    assert!(tail.wants_segment().is_some());
    assert_eq!(tail.snapshot().next_offset, 5);
    tail.offer_segment(Ok(prepared(1, 1 << 20)));
    assert_eq!(tail.wants_segment(), None);
    assert!(tail.wait_room(&refusal, None).expect("the offer came"), "an offer that came before the wait is seen");
    assert_eq!(append(&tail, b"x").expect("there is room").base_offset, 5);
    assert_eq!(tail.active()[0].base_offset, 5);
    assert_eq!(tail.active()[0].base_time, 1000);
}

#[test]
fn a_segment_that_cannot_be_made_is_told_once_and_wished_for_again() {
    let tail = tail_at(0, 64 * MIB);
    let refusal = append(&tail, b"x").expect_err("there is no segment");
    let full = Error::new(ErrorKind::NoSpace, "no space");
    assert!(tail.offer_segment(Err(full.clone())).is_none());
    assert_eq!(tail.wait_room(&refusal, None), Err(full.clone()));
    assert!(matches!(append(&tail, b"x"), Err(Refusal::Segment(_))), "it was told");
    assert!(tail.offer_segment(Err(full.clone())).is_none());
    let refusal = append(&tail, b"x").expect_err("nobody has waited");
    assert!(matches!(&refusal, Refusal::Full(_, error) if *error == full));
    assert!(tail.wants_segment().is_some());
    assert!(matches!(append(&tail, b"x"), Err(Refusal::Segment(_))));
    tail.offer_segment(Ok(prepared(1, 1 << 20)));
    assert!(tail.wait_room(&refusal, None).expect("by now there is space"));
    append(&tail, b"x").expect("there is room again");
}

/// Appends waited for memory that nobody had.
#[test]
fn a_system_without_memory_is_an_error_and_nothing_to_wait_for() {
    struct NoMemory;

    impl MemorySource for NoMemory {
        fn map(&self, _size: usize) -> Option<core::ptr::NonNull<u8>> {
            None
        }

        unsafe fn unmap(&self, _at: core::ptr::NonNull<u8>, _size: usize) {}
    }

    let pool = Pool::new(Budget::new(64 * MIB, 0), Box::new(NoMemory));
    let start = TailStart { partition: PARTITION, durability: Durability::Durable, next_offset: 0, last_time: 0 };
    let tail = Tail::new(start, pool, Arc::new(Chain::new(Vec::new())));
    tail.offer_segment(Ok(prepared(1, 1 << 20)));
    let refusal = append(&tail, b"x").expect_err("there is no memory");
    assert!(matches!(refusal, Refusal::NoMemory(_)), "{refusal:?}");
    let error = tail.wait_room(&refusal, None).expect_err("nothing to wait for");
    assert_eq!(error.kind(), ErrorKind::NoMemory, "{error}");
    assert_eq!(tail.snapshot().next_offset, 0);
}

#[test]
fn times_never_go_back() {
    let tail = ready(1 << 20);
    let (plan, records) = plan(b"x");
    let times = [50, 40, -7, 60, i64::MIN].map(|now| tail.append(&plan, &records, now).expect("room").append_time);
    assert_eq!(times, [50, 50, 50, 60, 60]);
}

#[test]
fn a_flush_ends_on_a_sector_and_the_block_goes_on_behind_it() {
    let tail = ready(1 << 20);
    // Fill beyond the smallest block, so that a block has more than one sector.
    while tail.snapshot().block < Some(16384) {
        append(&tail, &[1; 500]).expect("there is room");
    }
    append(&tail, b"x").expect("there is room");
    let (segment, end) = tail.flush_to_sector().expect("there is a segment");
    assert!(end.position.is_multiple_of(SECTOR));
    assert_eq!(segment.published(), end);
    assert_eq!(tail.flush_to_sector().expect("there is a segment").1, end, "nothing new needs no pad");
    let blocks = segment.blocks().len();
    let next = append(&tail, b"y").expect("there is room");
    assert_eq!(next.end.position, end.position + 48);
    assert_eq!(segment.blocks().len(), blocks, "the block goes on");
    let _parsed = all(&tail);
}

#[test]
fn a_gap_too_small_for_a_header_pads_one_sector_further() {
    for gap in (0..80).step_by(8) {
        let tail = ready(1 << 20);
        tail.flush_to_sector();
        // Large enough blocks first.
        while tail.snapshot().block < Some(16384) {
            append(&tail, &[1; 500]).expect("there is room");
        }
        let (_, start) = tail.flush_to_sector().expect("there is a segment");
        append(&tail, &vec![2; value_for(SECTOR as usize - gap)]).expect("there is room");
        let (segment, end) = tail.flush_to_sector().expect("there is a segment");
        let sectors = if gap == 0 || gap >= frame::HEADER_SIZE { 1 } else { 2 };
        assert_eq!(end.position, start.position + sectors * SECTOR, "a gap of {gap}");
        assert_eq!(segment.published(), end);
        let _parsed = all(&tail);
    }
}

#[test]
fn a_batch_that_would_leave_too_small_a_gap_at_the_end_of_a_block_does_not_fit() {
    let tail = ready(1 << 20);
    append(&tail, &vec![1; value_for(2048)]).expect("there is room");
    let next = append(&tail, &vec![2; value_for(2048 - 16)]).expect("there is room");
    assert_eq!(next.end.position, SEGMENT_DATA_START + SECTOR + 2048 - 16, "it begins in a block of its own");
    let exact = append(&tail, &vec![3; value_for(1024)]).expect("there is room");
    assert_eq!(exact.end.position, next.end.position + 1024);
    assert_eq!(all(&tail).iter().filter(|found| !found.is_data()).count(), 1);
}

#[test]
fn blocks_grow_with_traffic_and_shrink_when_it_stops() {
    let tail = ready(64 << 20);
    let mut sizes = Vec::new();
    while sizes.len() < 7 {
        append(&tail, &[1; 1000]).expect("there is room");
        let size = tail.snapshot().block.expect("a block is open");
        if sizes.last() != Some(&size) || size == BLOCK_MAX {
            sizes.push(size);
        }
    }
    assert_eq!(sizes[..5], [4096, 16384, 65536, 262_144, BLOCK_MAX]);
    let (segment, end) = tail.flush_to_sector().expect("there is a segment");
    assert!(tail.release_idle().is_none(), "the device does not have it yet");
    segment.set_device_end(end.position);
    tail.release_idle().expect("the block comes back");
    assert!(tail.release_idle().is_none());
    assert_eq!(segment.block_at(end.position - 8).map(|block| block.position() < end.position - 8), None);
    let next = append(&tail, &[1; 10]).expect("there is room");
    assert_eq!(next.end.position, end.position + 56);
    assert_eq!(tail.snapshot().block, Some(BLOCK_MAX / 4));
}

#[test]
fn a_large_batch_has_a_block_of_its_own() {
    let tail = ready(64 << 20);
    append(&tail, b"before").expect("there is room");
    let value = vec![7; BATCH_IN_BLOCK_MAX];
    let (plan, records) = plan(&value);
    let mut reservation = tail.reserve(&plan, 0).expect("there is room");
    reservation.fill(&plan, &records);
    let large = reservation.publish();
    append(&tail, b"behind").expect("there is room");
    let found = all(&tail);
    let block = tail.active()[0].block_at(large.end.position - 8).expect("the block is in memory");
    let at = found.iter().find(|found| found.body() == value).expect("the batch is there").position;
    assert_eq!(block.position(), at);
    assert_eq!(block.capacity() as u64, (large.end.position - at).next_multiple_of(SECTOR));
    assert_ne!(tail.active()[0].block_at(found.last().expect("a frame").position).expect("in memory").position(), at);
}

#[test]
fn a_stalled_reservation_holds_up_what_is_published_not_what_is_claimed() {
    let tail = ready(64 << 20);
    let value = vec![1; 10_000];
    let (plan, records) = plan(&value);
    let mut stalled = tail.reserve(&plan, 0).expect("there is room");
    stalled.fill(&plan, &records);
    for _ in 0..1000 {
        append(&tail, b"small").expect("small appends share one slot");
    }
    assert_eq!(tail.active()[0].published().offset, 100);
    assert_eq!(tail.snapshot().slots, 2);
    let (segment, end) = tail.flush_to_sector().expect("there is a segment");
    assert_eq!(segment.published().offset, 100);
    stalled.publish();
    assert_eq!(segment.published(), end);
    assert_eq!(all(&tail).iter().filter(|found| found.is_data()).count(), 1001);
}

#[test]
fn slots_run_out_as_a_refusal_and_a_flush_still_pads() {
    let tail = ready(64 << 20);
    let value = vec![1; 10_000];
    let (plan, records) = plan(&value);
    let mut held = Vec::new();
    let refusal = loop {
        match tail.reserve(&plan, 0) {
            Ok(reservation) => held.push(reservation),
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, Refusal::Slots(_)));
    assert!(held.len() >= RESERVATIONS_MAX - 8, "{} slots were of use", held.len());
    let before = tail.snapshot();
    let (segment, end) = tail.flush_to_sector().expect("there is a segment");
    assert_eq!(end.offset, before.next_offset);
    for mut reservation in held.drain(..).rev() {
        reservation.fill(&plan, &records);
        reservation.publish();
    }
    assert_eq!(segment.published(), end);
    assert!(tail.wait_room(&refusal, None).expect("slots are free"));
    assert_eq!(tail.snapshot().slots, 0);
    let _parsed = all(&tail);
}

#[test]
fn a_dropped_reservation_leaves_a_gap_of_offsets() {
    let tail = ready(64 << 20);
    let value = vec![1; 10_000];
    let (plan, _) = plan(&value);
    drop(tail.reserve(&plan, 0).expect("there is room"));
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _reservation = tail.reserve(&plan, 0).expect("there is room");
        panic!("the appender's own trouble");
    }));
    assert!(unwound.is_err());
    let detached = tail.reserve(&plan, 0).expect("there is room").detach();
    append(&tail, b"behind").expect("there is room");
    assert_eq!(tail.active()[0].published().offset, 102);
    drop(tail.attach(detached));
    let found = all(&tail);
    let kinds = found.iter().map(|found| (found.header.kind, found.header.base_offset));
    assert!(kinds.filter(|(kind, _)| *kind != Kind::Pad).eq([
        (Kind::Void, 100),
        (Kind::Void, 101),
        (Kind::Void, 102),
        (Kind::Data, 103)
    ]));
}

/// Panics when it is asked for the second time.
struct Once(std::cell::Cell<bool>);

impl crate::format::source::RecordSource for Once {
    fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        assert!(!self.0.replace(true), "the appender's own trouble");
        [Record::new(b"x")].into_iter()
    }
}

#[test]
fn an_append_that_unwinds_leaves_a_gap_of_offsets() {
    use crate::format::source::Encode;

    let tail = ready(64 << 20);
    let once = Once(std::cell::Cell::new(false));
    let plan = once.plan().expect("within limits");
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tail.append(&plan, &once, 0).is_ok()));
    assert!(unwound.is_err());
    append(&tail, b"behind").expect("there is room");
    let kinds: Vec<_> = all(&tail).iter().map(|found| (found.header.kind, found.header.base_offset)).collect();
    assert_eq!(kinds[..2], [(Kind::Void, 100), (Kind::Data, 101)]);
}

#[test]
fn a_full_segment_is_closed_only_when_the_next_is_there() {
    let tail = ready(SECTOR * 4);
    let mut last = append(&tail, &[1; 1000]).expect("there is room");
    let refusal = loop {
        match append(&tail, &[1; 1000]) {
            Ok(appended) => last = appended,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, Refusal::Segment(_)));
    let first = Arc::clone(&tail.active()[0]);
    assert_eq!(first.closed(), None);
    append(&tail, b"a small one still fits").expect("there is room");
    tail.offer_segment(Ok(prepared(2, SECTOR * 4)));
    let next = append(&tail, &[2; 1000]).expect("there is room");
    assert_eq!(next.base_offset, last.base_offset + 2);
    let closed = first.closed().expect("the tail has moved on");
    assert!(first.is_complete());
    assert!(closed.position.is_multiple_of(SECTOR) && closed.position <= first.capacity);
    assert_eq!(closed.offset, next.base_offset);
    assert_eq!(tail.active()[1].base_offset, next.base_offset);
    assert_eq!(tail.chain().find(next.base_offset).expect("in the chain").sequence, 2);
    assert_eq!(tail.chain().find(next.base_offset - 1).expect("in the chain").sequence, 1);
    tail.retire(first.generation);
    assert_eq!(tail.active().len(), 1);
}

#[test]
fn a_segment_is_wished_for_before_the_last_one_is_full() {
    let tail = ready(1 << 20);
    while tail.wants_segment().is_none() {
        append(&tail, &[1; 1000]).expect("the wish comes before the refusal");
    }
    // It was not needed yet, so that it could not be made is nobody's error.
    tail.offer_segment(Err(Error::new(ErrorKind::NoSpace, "no space")));
    assert_eq!(tail.wants_segment(), None);
    append(&tail, &[1; 1000]).expect("there is room");
}

#[test]
fn too_small_an_offer_is_exchanged() {
    let tail = tail_at(0, 256 * MIB);
    let value = vec![1; 3 * MIB];
    let (plan, _) = plan(&value);
    tail.offer_segment(Ok(prepared(1, 1 << 20)));
    assert!(matches!(tail.reserve(&plan, 0), Err(Refusal::Segment(_))));
    let wish = tail.wants_segment().expect("a larger one is wished for");
    assert!(wish.size >= 3 << 20);
    let back = tail.offer_segment(Ok(prepared(2, wish.size + SEGMENT_DATA_START)));
    assert_eq!(back.expect("the small one comes back").sequence, 1);
    drop(tail.reserve(&plan, 0).expect("there is room"));
}

#[test]
fn offsets_beyond_32_bits_of_the_base_roll() {
    let tail = ready(1 << 20);
    append(&tail, b"x").expect("there is room");
    let first = Arc::clone(&tail.active()[0]);
    assert!(first.takes_offsets(100 + u64::from(u32::MAX) - 5, 5));
    assert!(!first.takes_offsets(100 + u64::from(u32::MAX) - 5, 6));
    assert!(!first.takes_offsets(100 + u64::from(u32::MAX) + 1, 1));
}

#[test]
fn offsets_end_at_the_largest_number() {
    let tail = tail_at(u64::MAX - 1, 64 * MIB);
    tail.offer_segment(Ok(prepared(1, 1 << 20)));
    assert_eq!(append(&tail, b"x").expect("the last offset").base_offset, u64::MAX - 1);
    assert!(matches!(append(&tail, b"x"), Err(Refusal::Failed(error)) if error.kind() == ErrorKind::OutOfRange));
    assert_eq!(tail.active()[0].published().offset, u64::MAX);
}

#[test]
fn memory_runs_out_as_a_refusal_and_comes_back() {
    let tail = tail_at(0, 64 << 10);
    tail.offer_segment(Ok(prepared(1, 1 << 20)));
    let refusal = loop {
        if let Err(refusal) = append(&tail, &[1; 1000]) {
            break refusal;
        }
    };
    assert!(matches!(refusal, Refusal::Memory(_)));
    let before = tail.snapshot();
    assert!(matches!(append(&tail, &[1; 3000]), Err(Refusal::Memory(_))));
    assert_eq!(tail.snapshot().next_offset, before.next_offset);
    let usage = tail.pool().usage();
    assert!(usage.appenders <= 48 << 10, "readers keep their part: {usage:?}");
    let (segment, end) = tail.flush_to_sector().expect("there is a segment");
    segment.set_device_end(end.position);
    for block in segment.take_blocks_below(end.position) {
        let _cached = block.retire_to_cache(true);
    }
    tail.release_idle();
    assert!(tail.wait_room(&refusal, None).expect("memory came back"));
    append(&tail, &[1; 1000]).expect("there is memory");
}

#[test]
fn a_failed_tail_refuses_and_lets_go_of_those_who_wait() {
    let tail = ready(SECTOR * 2);
    let error = Error::new(ErrorKind::PartitionFailed, "the device said no");
    let refusal = loop {
        if let Err(refusal) = append(&tail, &[1; 1000]) {
            break refusal;
        }
    };
    let value = vec![1; 10];
    let (plan, records) = plan(&value);
    let mut reservation = tail.reserve(&plan, 0).expect("there is room for a small one");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| tail.wait_room(&refusal, None));
        tail.fail(error.clone());
        assert!(waiter.join().expect("the waiter returns").is_ok(), "it tries again and is told");
    });
    assert_eq!(append(&tail, b"x"), Err(Refusal::Failed(error.clone())));
    reservation.fill(&plan, &records);
    reservation.publish();
    assert_eq!(tail.offer_segment(Ok(prepared(9, 1 << 20))).expect("it is not needed").sequence, 9);
    assert_eq!(tail.wants_segment(), None);
}

/// The close of an engine waited forever for a large append that was under way when it began: refusing appends also kept
/// that one from being published.
#[test]
fn what_is_under_way_at_a_close_is_published_and_after_a_failure_it_is_not() {
    for (kind, published) in [(ErrorKind::Closed, true), (ErrorKind::PartitionFailed, false)] {
        let tail = ready(1 << 20);
        let value = vec![1; 10];
        let (plan, records) = plan(&value);
        let mut reservation = tail.reserve(&plan, 0).expect("there is room");
        tail.fail(Error::new(ErrorKind::Closed, "the engine is closed"));
        tail.fail(Error::new(kind, "and what came then"));
        let (segment, end) = tail.seal().expect("there is a segment");
        reservation.fill(&plan, &records);
        reservation.publish();
        assert_eq!(segment.published() == end, published, "{kind:?}");
        assert!(matches!(append(&tail, b"x"), Err(Refusal::Failed(error)) if error.kind() == kind));
    }
}

#[test]
fn an_announcement_is_made_once_until_it_is_accepted() {
    let tail = ready(1 << 20);
    append(&tail, b"x").expect("there is room");
    assert!(tail.announce());
    assert!(!tail.announce());
    tail.accept();
    assert!(tail.announce());
}

#[test]
fn the_index_has_every_block_start_and_intervals_between() {
    let tail = ready(64 << 20);
    for number in 0..5000_u32 {
        append(&tail, &vec![1; 200 + number as usize % 700]).expect("there is room");
    }
    let found = all(&tail);
    let segment = Arc::clone(&tail.active()[0]);
    let entries = segment.index_entries();
    for entry in &entries {
        let frame = found.iter().find(|frame| frame.position == entry.position()).expect("a frame stands there");
        assert!(frame.is_data());
        assert_eq!(frame.header.base_offset, segment.base_offset + u64::from(entry.relative_offset));
    }
    for block in segment.blocks().iter() {
        assert!(entries.iter().any(|entry| entry.is_block_start() && entry.position() == block.position()));
    }
    for pair in entries.windows(2) {
        assert!(pair[1].position() - pair[0].position() < INDEX_INTERVAL + 2000);
    }
}

#[test]
fn sealing_ends_the_segment_where_it_is() {
    let tail = ready(1 << 20);
    assert!(tail.seal().is_none());
    append(&tail, b"x").expect("there is room");
    let (segment, end) = tail.seal().expect("there is a segment");
    assert_eq!(segment.closed(), Some(end));
    assert_eq!(end, Prefix { position: SEGMENT_DATA_START + SECTOR, offset: 101 });
    assert!(segment.is_complete());
    assert!(matches!(append(&tail, b"x"), Err(Refusal::Segment(_))));
    tail.offer_segment(Ok(prepared(2, 1 << 20)));
    assert_eq!(append(&tail, b"x").expect("there is room").base_offset, 101);
}
