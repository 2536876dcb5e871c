//! Numbers for whoever watches: they order nothing, and nobody waits for them.

use core::sync::atomic::{AtomicU64, Ordering};

/// A number that is read at any time by any thread. Not one of the model checker's atomics: no memory is published
/// through it, and to look into every order of its changes would find nothing.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds, where one thread at a time does: the counter's owner, or whoever holds its lock. A load and a store.
    #[inline]
    pub(crate) fn add_alone(&self, number: u64) {
        self.set(self.get().wrapping_add(number));
    }

    /// Adds, where several threads may at once.
    #[inline]
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// Replaces the number. One thread at a time.
    #[inline]
    pub(crate) fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_added_by_several_threads_is_lost() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| counter.add(3)));
            }
        });
        assert_eq!(counter.get(), 120_000);
        counter.add_alone(1);
        counter.set(counter.get() - 1);
        assert_eq!(counter.get(), 120_000);
    }
}
