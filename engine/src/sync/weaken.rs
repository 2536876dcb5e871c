//! The switch with which loom tests take one guard away, to prove that the model would notice.
//!
//! In every ordinary build the functions are constants and cost nothing.

use super::Ordering;

/// A guard that a loom test can remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(loom), expect(dead_code, reason = "the names are read by loom's builds only"))]
pub(crate) enum Guard {
    /// The append lock's unlock is a release store.
    UnlockReleases,
    /// The append lock excludes: a locked word is waited for.
    LockExcludes,
    /// An unlock wakes a thread that may be asleep.
    UnlockWakes,
    /// The published prefix is stored with release.
    PrefixReleases,
    /// The published prefix stops at the first reservation that is not finished.
    PrefixInOrder,
    /// Memory goes back to its pool only when the last holder has let go of the block.
    MemoryHeld,
    /// The index's length is stored with release.
    IndexReleases,
    /// The index's length is stored after the entry.
    IndexEntryFirst,
    /// A waiter looks again after it has registered.
    WaiterRechecks,
    /// A waker fences between its value and its look at the waiters.
    WakerFences,
    /// A waiter fences between its registration and its second look.
    WaiterFences,
    /// Whoever is told of news accepts before looking at them.
    AcceptFirst,
    /// Both sides of the announcement acquire and release.
    AnnounceOrders,
    /// A shard that lies down and whoever rings acquire and release the note on the doorbell.
    DoorbellOrders,
    /// A shard looks at its inputs after its note on the doorbell is up.
    SleeperLooksAgain,
}

/// Whether a guard stands. Always, but in a loom test that took it away.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn held(_guard: Guard) -> bool {
    true
}

/// `strong`, but in a loom test that took the guard away: relaxed.
#[inline(always)]
pub(crate) fn order(guard: Guard, strong: Ordering) -> Ordering {
    if held(guard) { strong } else { Ordering::Relaxed }
}

#[cfg(loom)]
std::thread_local! {
    static REMOVED: core::cell::Cell<Option<Guard>> = const { core::cell::Cell::new(None) };
}

/// Whether a guard stands. Always, but in a loom test that took it away.
#[cfg(loom)]
pub(crate) fn held(guard: Guard) -> bool {
    REMOVED.get() != Some(guard)
}

/// Runs `test` without one guard. loom runs all threads of a model on the calling thread, so the switch is its own.
#[cfg(all(test, loom))]
pub(crate) fn weakened(guard: Guard, test: impl FnOnce()) {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            REMOVED.set(None);
        }
    }
    REMOVED.set(Some(guard));
    let _restore = Restore;
    test();
}
