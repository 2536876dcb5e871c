//! Handles: numbers that stand for objects, and never for two.
//!
//! A handle names a kind, a slot of that kind's table, and the slot's generation. Slots are never unmapped and no
//! generation comes twice, so that a handle which is closed, of another kind or made up is told from one that is open
//! by looking, without trust in the caller. Nothing here takes a lock, which a forked child might find taken for good.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use thalweg::ForkGuard;

use crate::failure::{Answer, Failure};
use crate::status::{CLOSED, FORKED, INVALID_ARGUMENT, NO_MEMORY, PANIC};

/// Of a slot's state, below the generation: calls may come in.
const OPEN: u64 = 1 << 31;
/// A call has panicked inside; only closing is allowed.
const POISONED: u64 = 1 << 30;
/// There is a value.
const OCCUPIED: u64 = 1 << 29;
/// Calls that are in, and stale ones that are about to notice.
const REFERENCES: u64 = OCCUPIED - 1;
const GENERATION_SHIFT: u32 = 32;

/// Bits of a handle: kind 8, slot 24, generation 32. The kind makes it an address that no object can have.
const KIND_SHIFT: u32 = 56;
const SLOT_SHIFT: u32 = 32;
const SLOTS_MAX: u32 = 1 << 24;

/// The first chunk of a table has so many slots, each next one twice as many.
const FIRST_CHUNK: u32 = 64;
const CHUNKS: usize = 19;
const _: () = assert!((FIRST_CHUNK as u64 * ((1 << CHUNKS) - 1)) >= SLOTS_MAX as u64, "the chunks hold all slots");

struct Slot<T: 'static> {
    table: &'static Table<T>,
    number: u32,
    state: AtomicU64,
    /// The next free one, by number plus one.
    next: AtomicU32,
    /// The process that opened the handle. Written, as the value is, by whoever has taken the slot and not opened it.
    process: UnsafeCell<MaybeUninit<ForkGuard>>,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// All objects of one kind.
pub(crate) struct Table<T: 'static> {
    kind: u8,
    /// What the kind is called in errors.
    name: &'static str,
    chunks: [AtomicPtr<Slot<T>>; CHUNKS],
    made: AtomicU32,
    /// The first free slot by number plus one, and above it how often it was changed.
    free: AtomicU64,
}

// SAFETY: values are reached through references that count, from any thread, and are dropped by whoever gives the last
// one back.
unsafe impl<T: Send + Sync> Sync for Table<T> {}

impl<T> Table<T> {
    /// The table of a kind: 1 to 127.
    pub(crate) const fn new(kind: u8, name: &'static str) -> Table<T> {
        assert!(kind > 0 && kind < 128, "no object has such an address");
        let chunks = [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS];
        Table { kind, name, chunks, made: AtomicU32::new(0), free: AtomicU64::new(0) }
    }

    /// A handle for a value.
    pub(crate) fn open<H>(&'static self, value: T) -> Answer<*mut H> {
        let slot = self.vacant()?;
        // SAFETY: a vacant slot that was taken belongs to this thread until it is opened.
        unsafe {
            (*slot.process.get()).write(ForkGuard::new());
            (*slot.value.get()).write(value);
        }
        let state = slot.state.fetch_or(OPEN | OCCUPIED, Ordering::Release);
        let generation = state >> GENERATION_SHIFT;
        Ok(((u64::from(self.kind) << KIND_SHIFT) | (u64::from(slot.number) << SLOT_SHIFT) | generation) as *mut H)
    }

    /// The value of a handle, for one call.
    #[inline(always)]
    pub(crate) fn get<H>(&'static self, handle: *mut H) -> Answer<Ref<T>> {
        let (found, state) = self.enter(handle as u64)?;
        if state & POISONED != 0 {
            return Err(poisoned());
        }
        Ok(found)
    }

    #[inline(always)]
    fn enter(&'static self, handle: u64) -> Answer<(Ref<T>, u64)> {
        let (slot, generation) = self.find(handle)?;
        let seen = slot.state.load(Ordering::Relaxed);
        if !is_open(seen, generation) {
            return Err(self.refused(seen, generation));
        }
        let state = slot.state.fetch_add(1, Ordering::Acquire);
        let found = Ref { slot };
        if !is_open(state, generation) {
            return Err(self.refused(state, generation));
        }
        Ok((found.of_this_process()?, state))
    }

    /// Shuts a handle. Its value goes when the last call that is in has left. `None` for NULL.
    pub(crate) fn close<H>(&'static self, handle: *mut H) -> Answer<Option<Ref<T>>> {
        if handle.is_null() {
            return Ok(None);
        }
        let (found, mut state) = self.enter(handle as u64)?;
        let generation = state >> GENERATION_SHIFT;
        while is_open(state, generation) {
            let closed = state & !OPEN;
            match found.slot.state.compare_exchange_weak(state, closed, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(Some(found)),
                Err(now) => state = now,
            }
        }
        Err(self.refused(state, generation))
    }

    #[inline(always)]
    fn find(&self, handle: u64) -> Answer<(&'static Slot<T>, u64)> {
        let number = (handle >> SLOT_SHIFT) as u32 & (SLOTS_MAX - 1);
        let generation = handle & u64::from(u32::MAX);
        if handle >> KIND_SHIFT != u64::from(self.kind) || number >= self.made.load(Ordering::Acquire) {
            return Err(self.foreign(handle));
        }
        let (chunk, at) = place(number);
        let slots = self.chunks[chunk].load(Ordering::Acquire);
        if slots.is_null() {
            return Err(self.foreign(handle));
        }
        // SAFETY: a chunk that is there has all its slots, and stays for good.
        Ok((unsafe { &*slots.add(at) }, generation))
    }

    /// A slot that nobody else has.
    fn vacant(&'static self) -> Answer<&'static Slot<T>> {
        let mut free = self.free.load(Ordering::Acquire);
        while let Some(number) = (free as u32).checked_sub(1) {
            let slot = self.slot(number);
            let next = u64::from(slot.next.load(Ordering::Relaxed));
            let changed = ((free >> 32).wrapping_add(1) << 32) | next;
            match self.free.compare_exchange_weak(free, changed, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(slot),
                Err(now) => free = now,
            }
        }
        let grown = self.made.fetch_update(Ordering::AcqRel, Ordering::Acquire, |made| {
            self.grow(made);
            (made < SLOTS_MAX).then_some(made + 1)
        });
        match grown {
            Ok(number) => Ok(self.slot(number)),
            Err(_) => Err(Failure::new(NO_MEMORY, "16,777,216 handles of one kind are open")),
        }
    }

    /// Has the chunk that a slot is in made.
    fn grow(&'static self, number: u32) {
        let (chunk, at) = place(number);
        if number >= SLOTS_MAX || !self.chunks[chunk].load(Ordering::Acquire).is_null() {
            return;
        }
        let first = number - at as u32;
        let slots = (0..FIRST_CHUNK << chunk).map(|nth| Slot {
            table: self,
            number: first + nth,
            state: AtomicU64::new(self.first_generation() << GENERATION_SHIFT),
            next: AtomicU32::new(0),
            process: UnsafeCell::new(MaybeUninit::uninit()),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        });
        let slots = Box::into_raw(slots.collect::<Box<[Slot<T>]>>());
        let null = std::ptr::null_mut();
        if self.chunks[chunk].compare_exchange(null, slots.cast(), Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: somebody else was faster, so nobody else knows these.
            drop(unsafe { Box::from_raw(slots) });
        }
    }

    /// The generation that every slot begins with, 1 to 2^31: another one in another copy of the library, whose table is
    /// elsewhere, so that neither takes the other's handles for its own. As many are left to each slot, or more.
    fn first_generation(&self) -> u64 {
        // Spreads addresses that are near, so that generations do not grow from one start to the next.
        ((std::ptr::from_ref(self).addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) + 1
    }

    fn slot(&self, number: u32) -> &'static Slot<T> {
        let (chunk, at) = place(number);
        // SAFETY: the slot was made, so its chunk is there, and stays for good.
        unsafe { &*self.chunks[chunk].load(Ordering::Acquire).add(at) }
    }

    #[cold]
    fn foreign(&self, handle: u64) -> Failure {
        let name = self.name;
        match handle {
            0 => Failure::new(INVALID_ARGUMENT, format!("the handle of {name} is NULL")),
            _ => Failure::new(INVALID_ARGUMENT, format!("{handle:#x} is no handle of {name}")),
        }
    }

    #[cold]
    fn refused(&self, state: u64, generation: u64) -> Failure {
        if generation > state >> GENERATION_SHIFT || generation < self.first_generation() {
            return Failure::new(INVALID_ARGUMENT, format!("this was never a handle of {}", self.name));
        }
        Failure::new(CLOSED, format!("the handle of {} is closed", self.name))
    }
}

impl<T> Slot<T> {
    /// Gives a reference back, and with the last one of a closed handle its value.
    #[inline]
    fn leave(&'static self) {
        let state = self.state.fetch_sub(1, Ordering::AcqRel) - 1;
        if state & (OPEN | OCCUPIED | REFERENCES) == OCCUPIED {
            self.vacate(state);
        }
    }

    #[cold]
    fn vacate(&'static self, state: u64) {
        let generation = (state >> GENERATION_SHIFT) + 1;
        let next = generation << GENERATION_SHIFT;
        // Whoever comes in meanwhile, too late, leaves after it and does this.
        if self.state.compare_exchange(state, next, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return;
        }
        // SAFETY: the exchange was won once for this generation, whose value nobody can reach any more.
        unsafe { (*self.value.get()).assume_init_drop() };
        // A slot whose generations are used up is never opened again.
        if generation >= u64::from(u32::MAX) {
            return;
        }
        let free = &self.table.free;
        let mut first = free.load(Ordering::Acquire);
        loop {
            self.next.store(first as u32, Ordering::Relaxed);
            let changed = ((first >> 32).wrapping_add(1) << 32) | u64::from(self.number + 1);
            match free.compare_exchange_weak(first, changed, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }
}

/// The chunk of a slot, and its place there.
#[inline]
fn place(number: u32) -> (usize, usize) {
    let nth = number / FIRST_CHUNK + 1;
    let chunk = nth.ilog2();
    (chunk as usize, (number - FIRST_CHUNK * ((1 << chunk) - 1)) as usize)
}

#[inline]
fn is_open(state: u64, generation: u64) -> bool {
    state >> GENERATION_SHIFT == generation && state & OPEN != 0
}

#[cold]
fn poisoned() -> Failure {
    Failure::new(PANIC, "an earlier call has panicked inside; the handle can only be closed")
}

#[cold]
fn forked() -> Failure {
    Failure::new(FORKED, "the handle belongs to the process that this one was forked from; open another store here")
}

/// The value of a handle during a call.
pub(crate) struct Ref<T: 'static> {
    slot: &'static Slot<T>,
}

impl<T> Ref<T> {
    #[inline(always)]
    fn of_this_process(self) -> Answer<Ref<T>> {
        // SAFETY: the slot is open and referenced, so its guard was written and stays.
        if unsafe { (*self.slot.process.get()).assume_init_ref() }.forked() {
            self.slot.state.fetch_sub(1, Ordering::AcqRel);
            // Not as others leave: a value of the parent must not be dropped here.
            std::mem::forget(self);
            return Err(forked());
        }
        Ok(self)
    }

    /// No more calls, but for closing.
    #[cold]
    pub(crate) fn poison(&self) {
        self.slot.state.fetch_or(POISONED, Ordering::AcqRel);
    }
}

impl<T> Deref for Ref<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the slot is occupied while it is referenced.
        unsafe { (*self.slot.value.get()).assume_init_ref() }
    }
}

impl<T> Drop for Ref<T> {
    #[inline]
    fn drop(&mut self) {
        self.slot.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    enum Opaque {}

    #[test]
    fn slots_are_where_they_are_looked_for() {
        let mut seen = (0, 0);
        for number in 1..100_000 {
            let (chunk, at) = place(number);
            assert!((chunk, at) == (seen.0, seen.1 + 1) || (chunk, at) == (seen.0 + 1, 0), "{number}");
            assert!(at < (FIRST_CHUNK as usize) << chunk);
            seen = (chunk, at);
        }
        assert!(place(SLOTS_MAX - 1).0 < CHUNKS);
    }

    #[test]
    fn a_handle_is_open_until_it_is_closed_and_never_again() {
        static TABLE: Table<String> = Table::new(1, "a test");
        let first: *mut Opaque = TABLE.open("first".into()).expect("room");
        assert_eq!(*TABLE.get(first).expect("open"), "first");
        let held = TABLE.get(first).expect("open");
        drop(TABLE.close(first).expect("open"));
        assert_eq!(*held, "first", "who is in stays in");
        assert_eq!(TABLE.get(first).err().map(|f| f.status()), Some(CLOSED));
        assert_eq!(TABLE.close(first).err().map(|f| f.status()), Some(CLOSED));
        drop(held);
        for _ in 0..1000 {
            let next: *mut Opaque = TABLE.open("next".into()).expect("room");
            assert_ne!(next, first);
            assert_eq!(TABLE.get(first).err().map(|f| f.status()), Some(CLOSED));
            drop(TABLE.close(next).expect("open"));
        }
    }

    #[test]
    fn what_is_no_handle_is_told() {
        static TABLE: Table<u8> = Table::new(2, "a test");
        static OTHER: Table<u8> = Table::new(3, "another");
        let handle: *mut Opaque = TABLE.open(7).expect("room");
        assert_eq!(OTHER.get(handle).err().map(|f| f.status()), Some(INVALID_ARGUMENT));
        let status = |bits: u64| TABLE.get(bits as *mut Opaque).err().map(|f| f.status());
        for bits in [0, 1, u64::MAX, handle as u64 + (1 << SLOT_SHIFT), handle as u64 | 1 << 63, handle as u64 + 1] {
            assert_eq!(status(bits), Some(INVALID_ARGUMENT), "{bits:#x}");
        }
        assert!(TABLE.close(std::ptr::null_mut::<Opaque>()).expect("allowed").is_none());
        assert_eq!(*TABLE.get(handle).expect("open"), 7);
    }

    /// Two copies of the library in one process, a shared and a static one, have a table each of the same kind.
    #[test]
    fn tables_of_the_same_kind_refuse_each_others_handles() {
        static ONE: Table<u8> = Table::new(7, "a test");
        static TWO: Table<u8> = Table::new(7, "a test");
        let of = |table: &'static Table<u8>| -> Vec<*mut Opaque> {
            (0..200).map(|value| table.open(value).expect("room")).collect()
        };
        for (one, two) in of(&ONE).into_iter().zip(of(&TWO)) {
            assert_eq!(TWO.get(one).err().map(|f| f.status()), Some(INVALID_ARGUMENT));
            assert_eq!(ONE.close(two).err().map(|f| f.status()), Some(INVALID_ARGUMENT));
            assert!(ONE.close(one).is_ok_and(|closed| closed.is_some()));
            assert!(TWO.close(two).is_ok_and(|closed| closed.is_some()));
        }
    }

    #[test]
    fn a_poisoned_handle_can_only_be_closed() {
        static TABLE: Table<u8> = Table::new(4, "a test");
        let handle: *mut Opaque = TABLE.open(7).expect("room");
        TABLE.get(handle).expect("open").poison();
        assert_eq!(TABLE.get(handle).err().map(|f| f.status()), Some(PANIC));
        drop(TABLE.close(handle).expect("closing is allowed"));
        let next: *mut Opaque = TABLE.open(8).expect("room");
        assert_eq!(*TABLE.get(next).expect("the slot is as new"), 8);
    }

    /// Each answer left a reference behind, and after 2^29 of them the count ran into the flags.
    #[test]
    fn a_forked_child_is_refused_any_number_of_times() {
        static TABLE: Table<u8> = Table::new(6, "a test");
        let handle: *mut Opaque = TABLE.open(7).expect("room");
        let Ok((slot, _)) = TABLE.find(handle as u64) else { panic!("there") };
        let before = slot.state.load(Ordering::Relaxed);
        // SAFETY: the child only counts and ends; it neither allocates nor panics before that.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let refused = (0..3).all(|_| TABLE.get(handle).is_err_and(|failure| failure.status() == FORKED));
            let closed = TABLE.close(handle).is_err_and(|failure| failure.status() == FORKED);
            let same = slot.state.load(Ordering::Relaxed) == before;
            // SAFETY: nothing of the parent's is run at this end.
            unsafe { libc::_exit(if refused && closed && same { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: `status` is a live value.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "the references of the child come back");
        drop(TABLE.close(handle).expect("open here"));
    }

    #[test]
    fn values_are_dropped_once_whoever_races() {
        static TABLE: Table<Arc<()>> = Table::new(5, "a test");
        let counted = Arc::new(());
        let handles: Arc<[AtomicU64; 4]> = Arc::default();
        let threads = (0..8).map(|thread| {
            let (counted, handles) = (Arc::clone(&counted), Arc::clone(&handles));
            std::thread::spawn(move || {
                for round in 0..20_000usize {
                    let place = &handles[(round + thread) % 4];
                    let handle = place.load(Ordering::Relaxed) as *mut Opaque;
                    match (round + thread) % 3 {
                        0 => {
                            let new: *mut Opaque = TABLE.open(Arc::clone(&counted)).expect("room");
                            let old = place.swap(new as u64, Ordering::Relaxed);
                            drop(TABLE.close(old as *mut Opaque));
                        }
                        1 => drop(TABLE.close(handle)),
                        _ => {
                            if let Ok(found) = TABLE.get(handle) {
                                assert!(Arc::strong_count(&found) > 1);
                            }
                        }
                    }
                }
            })
        });
        threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().expect("no thread panics"));
        handles.iter().for_each(|place| drop(TABLE.close(place.load(Ordering::Relaxed) as *mut Opaque)));
        assert_eq!(Arc::strong_count(&counted), 1);
        assert!(TABLE.made.load(Ordering::Relaxed) < 100, "slots are used again");
    }
}
