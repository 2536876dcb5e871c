//! Planted bugs: switches in the production code that the simulator must notice.
//!
//! A simulator that finds nothing proves nothing, unless it finds what is there. Each [`Bug`] is a mistake that
//! somebody could make in good faith; the code that avoids it asks [`active`] at the place of the decision and, told
//! so, makes it. Without the feature `sim`, `active` is the constant `false` and the branch is gone.
//!
//! The switch is per thread: a simulated world lives on one thread, and others beside it stay sound. This file imports
//! nothing, so that every level may ask it.

/// A mistake that can be planted. The comment says what the code does while it is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// Shard: acknowledge a write when it is issued, not when it completes.
    AckBeforeWrite,
    /// Recovery: believe the index or a recorded position as the end of the log, instead of the frames.
    TrustIndex,
    /// Recovery: go on behind a hole with frames that are valid by themselves.
    AcceptBeyondHole,
    /// Shard, recovery: call a sync again after it failed, and believe the second answer.
    TrustRetriedSync,
    /// Segments: reuse a pooled file with the generation it had before.
    RecycleSameGeneration,
    /// Shard: reuse a journal file before its bytes are durable in their segments and a checkpoint says so.
    FreeJournalEarly,
    /// Shard: acknowledge a later journal write while an earlier one is in flight.
    JournalOutOfOrder,
    /// Recovery: publish recovered bytes that may only be in a volatile cache.
    PublishBeforeFlush,
    /// Shard: advance a partition's watermark past a direct write that has not completed.
    WatermarkOutOfOrder,
    /// Manifest: leave out the directory sync after creating or renaming a file.
    SkipDirSync,
    /// Any write: count a short write as whole.
    IgnoreShortWrite,
    /// Reader: believe a frame from the device without its checksum.
    SkipReadCrc,
    /// Recovery: take damage below the evidence for a torn tail, and cut it off.
    DamageIsTornTail,
    /// Shard: acknowledge appends whose write failed.
    AckFailedWrite,
    /// Manifest: write the second root slot together with the first, without waiting for that one.
    BothRootsAtOnce,
    /// Open: begin to write without first committing "not clean".
    ForgetNotClean,
    /// Recovery: let a successor segment stand whose base lies beyond the tail.
    KeepSuccessorBeyondGap,
    /// Shard: let a reader see records before they are durable.
    ReadBeforeDurable,
    /// Format: leave partition, generation and position out of the checksum's seed.
    UnseededCrc,
    /// Tail: publish a later reservation while an earlier one is still being filled.
    PublishPastReservation,
    /// Recovery: ignore the journals of shards that this open does not have.
    ForgetOtherShards,
    /// Truncation: go on in the file of what was cut off, under its generation.
    KeepGeneration,
    /// Manifest: read the first copy of an edit only.
    FirstCopyOnly,
    /// Manifest: build on a log of which one copy is damaged, without rewriting it.
    LeaveDamagedCopy,
}

#[cfg(any(test, feature = "sim"))]
impl Bug {
    /// Every bug, for tests that plant each in turn.
    pub const ALL: [Bug; 24] = [
        Bug::AckBeforeWrite,
        Bug::TrustIndex,
        Bug::AcceptBeyondHole,
        Bug::TrustRetriedSync,
        Bug::RecycleSameGeneration,
        Bug::FreeJournalEarly,
        Bug::JournalOutOfOrder,
        Bug::PublishBeforeFlush,
        Bug::WatermarkOutOfOrder,
        Bug::SkipDirSync,
        Bug::IgnoreShortWrite,
        Bug::SkipReadCrc,
        Bug::DamageIsTornTail,
        Bug::AckFailedWrite,
        Bug::BothRootsAtOnce,
        Bug::ForgetNotClean,
        Bug::KeepSuccessorBeyondGap,
        Bug::ReadBeforeDurable,
        Bug::UnseededCrc,
        Bug::PublishPastReservation,
        Bug::ForgetOtherShards,
        Bug::KeepGeneration,
        Bug::FirstCopyOnly,
        Bug::LeaveDamagedCopy,
    ];
}

#[cfg(any(test, feature = "sim"))]
mod switch {
    use super::Bug;
    use core::cell::Cell;

    std::thread_local! {
        static ACTIVE: Cell<Option<Bug>> = const { Cell::new(None) };
        static HITS: Cell<u64> = const { Cell::new(0) };
    }

    /// Whether this thread shall make the mistake.
    pub fn active(bug: Bug) -> bool {
        let hit = ACTIVE.get() == Some(bug);
        if hit {
            HITS.set(HITS.get() + 1);
        }
        hit
    }

    /// How often the code asked for the bug that is planted now: zero means that nothing has it.
    pub fn hits() -> u64 {
        HITS.get()
    }

    /// Plants a bug in this thread until the guard is dropped.
    #[must_use = "the bug is planted only while the guard lives"]
    pub fn plant(bug: Option<Bug>) -> Planted {
        HITS.set(0);
        Planted { before: ACTIVE.replace(bug) }
    }

    /// A planted bug; dropping it restores what was before.
    #[derive(Debug)]
    pub struct Planted {
        before: Option<Bug>,
    }

    impl Drop for Planted {
        fn drop(&mut self) {
            ACTIVE.set(self.before);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_bug_is_active_in_its_thread_while_its_guard_lives() {
            assert!(!active(Bug::TrustIndex));
            {
                let _planted = plant(Some(Bug::TrustIndex));
                assert!(active(Bug::TrustIndex) && !active(Bug::SkipDirSync));
                assert_eq!(hits(), 1);
                let elsewhere = std::thread::spawn(|| active(Bug::TrustIndex)).join();
                assert!(!elsewhere.expect("the thread only reads a switch"));
            }
            assert!(!active(Bug::TrustIndex));
        }

        #[test]
        fn every_bug_is_listed_once() {
            let mut all = Bug::ALL.to_vec();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), Bug::ALL.len());
            assert_eq!(*all.last().expect("the list is not empty") as usize + 1, all.len());
        }
    }
}

#[cfg(any(test, feature = "sim"))]
pub use switch::{Planted, active, hits, plant};

/// Whether this thread shall make the mistake: never, in a library that was built for use.
#[cfg(not(any(test, feature = "sim")))]
#[inline(always)]
pub(crate) const fn active(_bug: Bug) -> bool {
    false
}
