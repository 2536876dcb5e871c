//! Many threads on one tail, with a shard that writes and takes blocks away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::limits::APPEND_INSIDE_LOCK_MAX;
use crate::segment::SEGMENT_DATA_START;
use crate::tail::Refusal;

const THREADS: u64 = 8;
const APPENDS: u64 = 1500;
const MEMORY: usize = 4 << 20;

/// A value that says whose it is, of a size that says nothing.
fn value(thread: u64, number: u64) -> Vec<u8> {
    let mixed = crate::checksum::mix(thread, number);
    let size = match mixed % 10 {
        0 => 4000 + mixed as usize / 64 % 20_000,
        1 if number.is_multiple_of(50) => 140_000,
        _ => 16 + mixed as usize / 64 % 600,
    };
    let mut value = vec![mixed as u8; size];
    value[..8].copy_from_slice(&thread.to_le_bytes());
    value[8..16].copy_from_slice(&number.to_le_bytes());
    value
}

fn append_blocking(tail: &Tail, value: &[u8], news: &AtomicBool) -> u64 {
    let (plan, records) = plan(value);
    loop {
        let result = if plan.frame_size() <= APPEND_INSIDE_LOCK_MAX {
            tail.append(&plan, &records, 0)
        } else {
            tail.reserve(&plan, 0).map(|mut reservation| {
                reservation.fill(&plan, &records);
                reservation.publish()
            })
        };
        if tail.announce() {
            news.store(true, Ordering::Release);
        }
        match result {
            Ok(appended) => return appended.base_offset,
            Err(refusal @ (Refusal::Memory(_) | Refusal::Segment(_) | Refusal::Slots(_))) => {
                let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
                assert!(tail.wait_room(&refusal, Some(deadline)).expect("nothing fails here"), "stuck: {refusal:?}");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// A shard in small: offers segments, writes what is published, shows it, takes blocks away.
fn shard(tail: &Tail, images: &mut BTreeMap<u32, Vec<u8>>, sequence: &mut u32) {
    tail.accept();
    if let Some(wish) = tail.wants_segment() {
        *sequence += 1;
        tail.offer_segment(Ok(prepared(*sequence, wish.size.max(1 << 20) + SEGMENT_DATA_START)));
    }
    for segment in tail.active().iter() {
        let published = segment.published();
        let from = segment.device_end();
        let aligned = published.position.is_multiple_of(crate::limits::SECTOR);
        if !aligned {
            tail.flush_to_sector();
            continue;
        }
        if published.position > from {
            let image = images.entry(segment.sequence).or_default();
            image.extend(bytes_of(segment, from, published.position));
            segment.set_device_end(published.position);
            segment.show(published);
            tail.watermark().advance_durable(published.offset);
            for block in segment.take_blocks_below(published.position) {
                let _cached = block.retire_to_cache(true);
            }
        }
        if segment.is_complete() && segment.closed().map(|closed| closed.position) == Some(segment.device_end()) {
            tail.retire(segment.generation);
        }
    }
}

#[test]
fn every_append_is_there_once_in_the_order_of_its_thread() {
    let tail = tail_at(0, MEMORY);
    let news = AtomicBool::new(true);
    let running = AtomicU64::new(THREADS);
    let mut images = BTreeMap::new();
    let offsets: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let appenders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (tail, news, running) = (&tail, &news, &running);
                scope.spawn(move || {
                    let offsets = (0..APPENDS)
                        .map(|number| {
                            let offset = append_blocking(tail, &value(thread, number), news);
                            if number % 100 == 0 {
                                let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
                                let durable = tail.watermark().wait(Durability::Durable, offset + 1, Some(deadline));
                                assert!(durable.expect("nothing fails here"), "an append becomes durable");
                            }
                            offset
                        })
                        .collect();
                    running.fetch_sub(1, Ordering::Release);
                    offsets
                })
            })
            .collect();
        let mut sequence = 0;
        while running.load(Ordering::Acquire) > 0 {
            if news.swap(false, Ordering::Acquire) {
                shard(&tail, &mut images, &mut sequence);
                if tail.active().iter().any(|segment| segment.device_end() < segment.published().position) {
                    news.store(true, Ordering::Release);
                }
            } else {
                std::thread::sleep(std::time::Duration::from_micros(50));
            }
        }
        let offsets = appenders.into_iter().map(|appender| appender.join().expect("no appender panics")).collect();
        tail.flush_to_sector();
        shard(&tail, &mut images, &mut sequence);
        offsets
    });
    check(&tail, &images, &offsets);
}

fn check(tail: &Tail, images: &BTreeMap<u32, Vec<u8>>, offsets: &[Vec<u64>]) {
    let mut next = 0;
    let mut seen = vec![0_usize; offsets.len()];
    for segment in tail.chain().segments().iter() {
        assert_eq!(segment.base_offset, next);
        for frame in frames(segment, SEGMENT_DATA_START, &images[&segment.sequence]) {
            assert_eq!(frame.header.base_offset, next, "offsets follow each other");
            if frame.is_data() {
                let body = frame.body();
                let thread = u64::from_le_bytes(body[..8].try_into().expect("eight bytes"));
                let number = seen[thread as usize];
                assert_eq!(offsets[thread as usize][number], next);
                assert!(body == value(thread, number as u64), "the record of {thread}, {number}");
                seen[thread as usize] += 1;
                next += 1;
            }
        }
    }
    assert!(seen.iter().all(|seen| *seen == APPENDS as usize));
    assert_eq!(tail.watermark().durable(), next);
}
