//! The pool against its promises: guaranteed parts, sums that add up, memory that comes back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::ids::Generation;
use crate::limits::{BLOCK_MAX, BLOCK_MIN, FRAME_MAX, SECTOR};
use crate::sync::Arc;

const KIB: usize = 1 << 10;

/// A pool that guarantees a quarter to either side.
fn pool(total: usize, reserve: usize) -> Arc<Pool> {
    let budget = Budget { total, reserve, appenders_least: total / 4, readers_least: total / 4 };
    Pool::new(budget, Box::new(HeapMemory))
}

#[test]
fn a_budget_guarantees_a_quarter_or_the_largest_batch() {
    let large = Budget::new(1 << 30, 8 << 20);
    assert_eq!((large.appenders_least, large.readers_least), (256 << 20, 256 << 20));
    let least = Budget::new(Budget::least_total(8 << 20), 8 << 20);
    assert!(least.appenders_least >= FRAME_MAX && least.readers_least >= FRAME_MAX);
    let small = Budget::new(1 << 20, 0);
    assert_eq!((small.appenders_least, small.readers_least), (512 << 10, 512 << 10));
}

fn take(pool: &Arc<Pool>, share: Share, size: usize) -> Option<Arc<Block>> {
    Block::take(pool, share, Generation(1), 4096, size).ok()
}

/// Heap memory, and how much of it is out.
struct Counted(AtomicUsize);

struct CountedMemory(std::sync::Arc<Counted>);

impl MemorySource for CountedMemory {
    fn map(&self, size: usize) -> Option<core::ptr::NonNull<u8>> {
        self.0.0.fetch_add(size, Ordering::Relaxed);
        HeapMemory.map(size)
    }

    unsafe fn unmap(&self, at: core::ptr::NonNull<u8>, size: usize) {
        self.0.0.fetch_sub(size, Ordering::Relaxed);
        // SAFETY: the caller's promise; the memory came from the heap.
        unsafe { HeapMemory.unmap(at, size) }
    }
}

/// Heap memory, as long as no more than the limit is out.
struct ScarceMemory(std::sync::Arc<Counted>, usize);

impl MemorySource for ScarceMemory {
    fn map(&self, size: usize) -> Option<core::ptr::NonNull<u8>> {
        if self.0.0.load(Ordering::Relaxed) + size > self.1 {
            return None;
        }
        CountedMemory(std::sync::Arc::clone(&self.0)).map(size)
    }

    unsafe fn unmap(&self, at: core::ptr::NonNull<u8>, size: usize) {
        // SAFETY: the caller's promise.
        unsafe { CountedMemory(std::sync::Arc::clone(&self.0)).unmap(at, size) }
    }
}

/// It was taken for a share that is used up, which somebody would give something back to.
#[test]
fn a_system_without_memory_is_told_from_a_share_that_is_used_up() {
    let out = std::sync::Arc::new(Counted(AtomicUsize::new(0)));
    let pool = Pool::new(Budget::new(1 << 20, 0), Box::new(ScarceMemory(std::sync::Arc::clone(&out), 64 * KIB)));
    let take = |size| Block::take(&pool, Share::Appender, Generation(1), 4096, size);
    let held: Vec<_> = std::iter::from_fn(|| take(16 * KIB).ok()).collect();
    assert_eq!((held.len(), take(16 * KIB).err()), (4, Some(Shortage::System)));
    assert_eq!(pool.usage().appenders, 64 * KIB, "what was refused is not charged");
    assert_eq!(take(768 * KIB).err(), Some(Shortage::Share));
    drop(held);
    assert_eq!(pool.usage().idle, 64 * KIB);
    let large = take(64 * KIB).expect("what idles in small pieces goes back to the system first");
    assert_eq!((pool.usage().idle, out.0.load(Ordering::Relaxed)), (0, 64 * KIB));
    drop(large);
}

/// A cache that drops its oldest when asked.
#[derive(Default)]
struct Cache {
    blocks: Mutex<Vec<Arc<Block>>>,
    pressed: AtomicUsize,
}

struct Keeper(std::sync::Arc<Cache>);

impl Relief for Keeper {
    fn evict(&self, size: usize) -> usize {
        let mut dropped = 0;
        while dropped < size {
            let Some(block) = self.0.blocks.lock().expect("no test panics inside").pop() else { break };
            dropped += block.charged();
        }
        dropped
    }

    fn pressure(&self) {
        self.0.pressed.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn sizes_are_rounded_to_classes_and_above_them_to_sectors() {
    let sizes = [1, 4096, 4097, 16 * KIB, 16 * KIB + 1, 65_537, BLOCK_MAX, BLOCK_MAX + 1, FRAME_MAX];
    let rounded = [BLOCK_MIN, 4096, 16 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, BLOCK_MAX, BLOCK_MAX + 4096, FRAME_MAX];
    assert_eq!(sizes.map(Pool::rounded), rounded);
}

#[test]
fn memory_is_aligned_and_reused() {
    let pool = pool(1 << 20, 0);
    let first = take(&pool, Share::Appender, 5000).expect("within the budget");
    // SAFETY: nobody else has the block.
    let address = unsafe { first.bytes(0, 1) }.as_ptr() as usize;
    assert!(address.is_multiple_of(SECTOR as usize));
    assert_eq!(pool.usage().appenders, 16 * KIB);
    drop(first);
    assert_eq!((pool.usage().appenders, pool.usage().idle), (0, 16 * KIB));
    let second = take(&pool, Share::Cache, 16 * KIB).expect("within the budget");
    // SAFETY: nobody else has the block.
    assert_eq!(unsafe { second.bytes(0, 1) }.as_ptr() as usize, address);
    assert_eq!((pool.usage().cache, pool.usage().idle), (16 * KIB, 0));
}

#[test]
#[should_panic(expected = "lies inside")]
fn a_range_beyond_the_memory_is_refused() {
    let pool = pool(1 << 20, 0);
    let block = take(&pool, Share::Appender, 4096).expect("within the budget");
    // SAFETY: nobody else has the block.
    let _bytes = unsafe { block.bytes(4000, 97) };
}

#[test]
fn the_reserve_is_never_lent_and_never_pinned() {
    let pool = pool(256 * KIB, 64 * KIB);
    let held: Vec<_> = std::iter::from_fn(|| take(&pool, Share::Appender, 16 * KIB)).collect();
    let cached: Vec<_> = std::iter::from_fn(|| take(&pool, Share::Cache, 16 * KIB)).collect();
    assert_eq!((held.len() + cached.len()) * 16 * KIB, 192 * KIB);
    let reserve: Vec<_> = std::iter::from_fn(|| take(&pool, Share::Reserve, 16 * KIB)).collect();
    assert_eq!(reserve.len(), 4);
    assert!(Block::pin(&reserve[0]).is_none());
}

#[test]
fn a_pinned_block_leaves_the_cache_and_comes_back() {
    let pool = pool(1 << 20, 0);
    let block = take(&pool, Share::Cache, 64 * KIB).expect("within the budget");
    let pins = [(); 3].map(|()| Block::pin(&block).expect("within the pins' share"));
    let usage = pool.usage();
    assert_eq!((usage.cache, usage.pins), (0, 64 * KIB), "a block is charged once however often it is pinned");
    drop(block);
    assert_eq!(pool.usage().pins, 64 * KIB, "a pin holds its block");
    drop(pins);
    assert_eq!(pool.usage(), Usage { idle: 64 * KIB, ..Usage::default() });
}

#[test]
fn retiring_gives_the_appenders_their_memory_back_even_if_it_is_pinned() {
    let pool = pool(256 * KIB, 0);
    let blocks: Vec<_> = std::iter::from_fn(|| take(&pool, Share::Appender, 16 * KIB)).collect();
    assert_eq!(blocks.len(), 12, "readers keep their quarter");
    let pins: Vec<_> = blocks.iter().map_while(Block::pin).collect();
    assert_eq!(pins.len(), 4, "and cannot pin more than is left");
    assert!(blocks.iter().take(4).all(|block| block.retire_to_cache(true)));
    assert_eq!(pool.usage().appenders, 128 * KIB);
    assert_eq!(pool.usage().pins, 64 * KIB);
    let more: Vec<_> = std::iter::from_fn(|| take(&pool, Share::Appender, 16 * KIB)).collect();
    assert_eq!(more.len(), 4);
}

#[test]
fn what_no_reader_follows_takes_no_more_than_the_readers_part() {
    let pool = pool(256 * KIB, 0);
    let blocks: Vec<_> = std::iter::from_fn(|| take(&pool, Share::Appender, 16 * KIB)).collect();
    let kept = blocks.iter().filter(|block| block.retire_to_cache(false)).count();
    assert_eq!(kept, 4, "of twelve: a quarter of the budget");
    assert_eq!(pool.usage().appenders, 128 * KIB, "the others are the appenders' until they are dropped");
    assert!(blocks[4].retire_to_cache(true), "what is followed may take more");
    let pin = Block::pin(&blocks[5]).expect("within the pins' share");
    assert!(blocks[5].retire_to_cache(false), "a pinned one is there anyway");
    drop((blocks, pin));
    assert_eq!(pool.usage(), Usage { idle: pool.usage().idle, ..Usage::default() });
}

#[test]
fn appenders_evict_what_is_only_cached() {
    let pool = pool(256 * KIB, 0);
    let cache = std::sync::Arc::new(Cache::default());
    pool.set_relief(Box::new(Keeper(std::sync::Arc::clone(&cache))));
    while let Some(block) = take(&pool, Share::Cache, 16 * KIB) {
        cache.blocks.lock().expect("no test panics inside").push(block);
        if pool.usage().cache >= 192 * KIB {
            break;
        }
    }
    let held: Vec<_> = std::iter::from_fn(|| take(&pool, Share::Appender, 16 * KIB)).collect();
    assert_eq!(held.len(), 12);
    assert_eq!(pool.usage().cache, 64 * KIB);
    assert!(pool.pressure());
    assert_eq!(cache.pressed.load(Ordering::Relaxed), 1);
}

#[test]
fn idle_memory_makes_room_for_another_class() {
    let pool = pool(256 * KIB, 0);
    let small: Vec<_> = (0..16).filter_map(|_| take(&pool, Share::Appender, 4096)).collect();
    drop(small);
    assert_eq!(pool.usage().idle, 64 * KIB);
    let large: Vec<_> = std::iter::from_fn(|| take(&pool, Share::Appender, 64 * KIB)).collect();
    let cached = take(&pool, Share::Cache, 64 * KIB).expect("readers have their part");
    let usage = pool.usage();
    assert_eq!(large.len(), 3);
    assert_eq!((usage.held(), usage.idle), (256 * KIB, 0));
    drop(cached);
}

#[test]
fn waiting_for_memory_sees_what_was_released_before_and_after() {
    let pool = pool(64 * KIB, 0);
    let held: Vec<_> = std::iter::from_fn(|| take(&pool, Share::Appender, 4096)).collect();
    let since = pool.released();
    assert!(!pool.wait_for_memory(since, Some(Instant::now() + Duration::from_millis(5))));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.wait_for_memory(since, Some(Instant::now() + Duration::from_secs(20))));
        drop(held);
        assert!(waiter.join().expect("the waiter returns"));
    });
    assert!(pool.wait_for_memory(since, None), "what came before is seen");
    assert_eq!(pool.room().len(), 0);
}

#[test]
fn the_books_are_right_after_many_threads() {
    let pool = pool(4 << 20, 0);
    let shared = take(&pool, Share::Appender, 64 * KIB).expect("within the budget");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (pool, shared) = (&pool, &shared);
            scope.spawn(move || {
                for round in 0..2000_usize {
                    let own = take(pool, Share::Appender, 4096 << (round % 5)).expect("within the budget");
                    let pin = Block::pin(shared);
                    if thread == 0 && round == 1000 {
                        shared.retire_to_cache(true);
                    }
                    let again = pin.clone();
                    own.retire_to_cache(true);
                    drop((own, pin, again));
                }
            });
        }
    });
    let usage = pool.usage();
    assert_eq!((usage.appenders, usage.cache, usage.pins), (0, 64 * KIB, 0));
}

#[derive(Clone, Debug)]
enum Step {
    Take(Share, usize),
    Pin(prop::sample::Index),
    Unpin(prop::sample::Index),
    Retire(prop::sample::Index),
    Drop(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let share = prop_oneof![4 => Just(Share::Appender), 4 => Just(Share::Cache), 1 => Just(Share::Reserve)];
    let index = any::<prop::sample::Index>;
    prop_oneof![
        5 => (share, 1..300 * KIB).prop_map(|(share, size)| Step::Take(share, size)),
        3 => index().prop_map(Step::Pin),
        2 => index().prop_map(Step::Unpin),
        2 => index().prop_map(Step::Retire),
        2 => index().prop_map(Step::Drop),
    ]
}

proptest! {
    #[test]
    fn guaranteed_parts_are_always_within_reach(steps in prop::collection::vec(step(), 1..200)) {
        let (total, reserve) = (2 << 20, 256 * KIB);
        let budget = Budget { total, reserve, appenders_least: total / 4, readers_least: total / 4 };
        let mapped = std::sync::Arc::new(Counted(AtomicUsize::new(0)));
        let pool = Pool::new(budget, Box::new(CountedMemory(std::sync::Arc::clone(&mapped))));
        let (mut blocks, mut pins): (Vec<Arc<Block>>, Vec<Pin>) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Take(share, size) => blocks.extend(take(&pool, share, size)),
                Step::Pin(which) if !blocks.is_empty() => pins.extend(Block::pin(which.get(&blocks))),
                Step::Unpin(which) if !pins.is_empty() => drop(pins.swap_remove(which.index(pins.len()))),
                Step::Retire(which) if !blocks.is_empty() => {
                    let block = which.get(&blocks);
                    if block.share() == Share::Appender {
                        block.retire_to_cache(true);
                    }
                }
                Step::Drop(which) if !blocks.is_empty() => drop(blocks.swap_remove(which.index(blocks.len()))),
                _ => {}
            }
            let usage = pool.usage();
            prop_assert!(usage.appenders + usage.cache + usage.pins <= total - reserve, "{usage:?}");
            prop_assert!(usage.reserve <= reserve);
            prop_assert!(mapped.0.load(Ordering::Relaxed) <= total, "the system gave more than the budget: {usage:?}");
            prop_assert!(usage.appenders <= total - reserve - budget.readers_least);
            // The guaranteed parts can be had whole, whatever the other side holds.
            let appenders = budget.appenders_least.saturating_sub(usage.appenders) / SECTOR as usize;
            let readers = budget.readers_least.saturating_sub(usage.cache + usage.pins) / SECTOR as usize;
            let all = (0..appenders).map(|_| (Share::Appender, 4096)).chain((0..readers).map(|_| (Share::Cache, 4096)));
            let probe: Vec<_> = all.map(|(share, size)| take(&pool, share, size)).collect();
            prop_assert!(probe.iter().all(Option::is_some), "{usage:?}");
        }
        drop((blocks, pins));
        let usage = pool.usage();
        prop_assert_eq!(usage, Usage { idle: usage.idle, ..Usage::default() });
        prop_assert_eq!(mapped.0.load(Ordering::Relaxed), usage.idle);
        drop(pool);
        prop_assert_eq!(mapped.0.load(Ordering::Relaxed), 0);
    }
}
