//! The tail against a naive model: a list of what was appended.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::limits::{BATCH_IN_BLOCK_MAX, BLOCK_MAX, SECTOR};
use crate::segment::SEGMENT_DATA_START;
use crate::tail::{Claim, Refusal};

#[derive(Clone, Debug)]
enum Step {
    /// Values of one batch.
    Append(Vec<usize>),
    Reserve(usize),
    /// Publishes, or drops, one of the reservations held.
    Finish(prop::sample::Index, bool),
    Flush,
    Seal,
    /// Writes what is published and aligned, as the shard would.
    Write,
    Idle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let small = prop_oneof![8 => 0_usize..300, 2 => 300..4200_usize, 1 => Just(4056), 1 => 4000..4100_usize];
    let large = prop_oneof![
        6 => 0_usize..20_000,
        1 => 100_000..140_000_usize,
        1 => (BATCH_IN_BLOCK_MAX - 100)..(BATCH_IN_BLOCK_MAX + 8),
        1 => 1_000_000..1_100_000_usize,
    ];
    let step = prop_oneof![
        10 => prop::collection::vec(small.clone(), 1..5).prop_map(Step::Append),
        4 => small.prop_map(|size| Step::Append(vec![size])),
        6 => large.prop_map(Step::Reserve),
        6 => (any::<prop::sample::Index>(), prop::bool::weighted(0.8)).prop_map(|(which, publish)| Step::Finish(which, publish)),
        3 => Just(Step::Flush),
        1 => Just(Step::Seal),
        3 => Just(Step::Write),
        1 => Just(Step::Idle),
    ];
    prop::collection::vec(step, 1..120)
}

/// What is expected at an offset: the values of a batch, or a gap.
type Expected = BTreeMap<u64, Option<Vec<Vec<u8>>>>;

struct Run {
    tail: Tail,
    held: Vec<(Claim, Plan, Vec<u8>)>,
    expected: Expected,
    next: u64,
    segments: u32,
    capacity: u64,
    images: BTreeMap<u32, Vec<u8>>,
    /// Block starts and capacities, per segment.
    blocks: BTreeMap<u32, BTreeMap<u64, usize>>,
    seed: u8,
}

impl Run {
    fn value(&mut self, size: usize) -> Vec<u8> {
        self.seed = self.seed.wrapping_add(41);
        (0..size).map(|at| self.seed.wrapping_add(at as u8)).collect()
    }

    fn retry<T>(&mut self, mut what: impl FnMut(&Tail) -> Result<T, Refusal>) -> Option<T> {
        loop {
            let before = self.tail.snapshot();
            match what(&self.tail) {
                Ok(done) => return Some(done),
                Err(Refusal::Segment(_)) => {
                    self.segments += 1;
                    let wish = self.tail.wants_segment().expect("a refusal wishes").size;
                    let capacity = self.capacity.max(wish + SEGMENT_DATA_START);
                    self.tail.offer_segment(Ok(prepared(self.segments, capacity)));
                }
                Err(Refusal::Slots(_)) => {
                    assert!(before.slots + 3 > crate::limits::RESERVATIONS_MAX, "slots are used up first");
                    assert_eq!(self.tail.snapshot(), before, "a refusal claims nothing");
                    return None;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    fn append(&mut self, sizes: &[usize]) {
        let values: Vec<Vec<u8>> = sizes.iter().map(|size| self.value(*size)).collect();
        let records: Vec<Record<'_>> = values.iter().map(Record::new).collect();
        let plan = Plan::new(&records).expect("within limits");
        if let Some(done) = self.retry(|tail| tail.append(&plan, &records, 0)) {
            assert_eq!(done.base_offset, self.next);
            self.next += values.len() as u64;
            self.expected.insert(done.base_offset, Some(values));
        }
    }

    fn reserve(&mut self, size: usize) {
        let value = self.value(size);
        let (plan, _) = plan(&value);
        if let Some(claim) =
            self.retry(|tail| tail.reserve(&plan, 0).map(crate::tail::reservation::Reservation::detach))
        {
            assert_eq!(claim.base_offset(), self.next);
            self.next += 1;
            self.held.push((claim, plan, value));
        }
    }

    fn finish(&mut self, which: usize, publish: bool) {
        let (claim, plan, value) = self.held.remove(which);
        let offset = claim.base_offset();
        let mut reservation = self.tail.attach(claim);
        if publish {
            reservation.fill(&plan, &[Record::new(&value)]);
            reservation.publish();
            self.expected.insert(offset, Some(vec![value]));
        } else {
            drop(reservation);
            self.expected.insert(offset, None);
        }
    }

    fn note_blocks(&mut self) {
        for segment in self.tail.active().iter() {
            let noted = self.blocks.entry(segment.sequence).or_default();
            noted.extend(segment.blocks().iter().map(|block| (block.position(), block.capacity())));
        }
    }

    fn write(&mut self) {
        self.note_blocks();
        for segment in self.tail.active().iter() {
            let (from, published) = (segment.device_end(), segment.published());
            if let Some(closed) = segment.closed() {
                assert!(closed.position.is_multiple_of(SECTOR) && closed.position <= segment.capacity);
            }
            if published.position.is_multiple_of(SECTOR) && published.position > from {
                self.images.entry(segment.sequence).or_default().extend(bytes_of(segment, from, published.position));
                segment.set_device_end(published.position);
                self.tail.watermark().advance_durable(published.offset);
                drop(segment.take_blocks_below(published.position));
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append(sizes) => self.append(sizes),
            Step::Reserve(size) => self.reserve(*size),
            Step::Finish(which, publish) if !self.held.is_empty() => {
                self.finish(which.index(self.held.len()), *publish);
            }
            Step::Finish(..) => {}
            Step::Flush => {
                if let Some((_, end)) = self.tail.flush_to_sector() {
                    assert!(end.position.is_multiple_of(SECTOR));
                    assert_eq!(end.offset, self.next);
                }
            }
            Step::Seal => drop(self.tail.seal()),
            Step::Write => self.write(),
            Step::Idle => drop(self.tail.release_idle()),
        }
        let published = self.tail.watermark().mark(Durability::LoseOnKill).offset();
        let least = self.held.iter().map(|(claim, ..)| claim.base_offset()).min().unwrap_or(self.next);
        assert_eq!(published, least, "all before the first unfinished reservation is published");
    }

    fn finish_all(&mut self) {
        while !self.held.is_empty() {
            self.finish(self.held.len() - 1, true);
        }
        self.tail.flush_to_sector();
        self.write();
        assert_eq!(self.tail.snapshot().slots, 0);
    }

    fn check(&self) {
        let mut next = 0;
        let mut time = 0;
        for segment in self.tail.chain().segments().iter() {
            assert_eq!(segment.base_offset, next);
            let found = frames(segment, SEGMENT_DATA_START, &self.images[&segment.sequence]);
            let blocks = &self.blocks[&segment.sequence];
            for frame in &found {
                let size = u64::from(frame.header.size);
                let (start, capacity) = blocks.range(..=frame.position).next_back().expect("a block holds every frame");
                assert!(start.is_multiple_of(SECTOR));
                assert!(frame.position + size <= start + *capacity as u64, "no frame crosses a block's end");
                let own = frame.is_data() && size as usize > BATCH_IN_BLOCK_MAX;
                assert!(*capacity <= BLOCK_MAX || own || frame.header.kind != Kind::Data);
                if own {
                    assert_eq!(frame.position, *start, "a large batch begins its own block");
                }
                assert_eq!(frame.header.base_offset, next);
                assert!(frame.header.append_time >= time);
                time = frame.header.append_time;
                assert!(frame.header.durable().is_some_and(|durable| durable <= next), "evidence is a lower bound");
                match frame.header.kind {
                    Kind::Pad => continue,
                    Kind::Void => assert_eq!(self.expected[&next], None),
                    _ => self.check_values(next, frame),
                }
                next = frame.header.end_offset();
            }
            for entry in segment.index_entries() {
                let at = found.binary_search_by_key(&entry.position(), |frame| frame.position);
                let frame = &found[at.expect("an entry names a frame")];
                assert_eq!(frame.header.base_offset - segment.base_offset, u64::from(entry.relative_offset));
                assert_eq!(entry.is_block_start(), blocks.contains_key(&entry.position()));
            }
            assert_eq!(segment.published().offset, next);
        }
        assert_eq!(next, self.next);
    }

    fn check_values(&self, offset: u64, frame: &Found) {
        let values = self.expected[&offset].as_ref().expect("a batch was appended here");
        let records = crate::format::view::FrameRecords::new(&frame.bytes, &frame.header);
        let found: Vec<Vec<u8>> = records.map(|record| record.value.unwrap_or_default().to_vec()).collect();
        assert!(&found == values, "the batch at {offset}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn frames_parse_back_whatever_was_done(steps in steps(), sectors in 4_u64..600) {
        let mut run = Run {
            tail: tail_at(0, 512 << 20),
            held: Vec::new(),
            expected: Expected::new(),
            next: 0,
            segments: 0,
            capacity: sectors * SECTOR,
            images: BTreeMap::new(),
            blocks: BTreeMap::new(),
            seed: 0,
        };
        for step in &steps {
            run.step(step);
            run.note_blocks();
        }
        run.finish_all();
        run.check();
    }
}
