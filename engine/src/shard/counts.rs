//! What a shard has done since it was opened: raised by its own thread alone, read by any.

use crate::io::OpKind;
use crate::sync::Counter;

/// Upper bounds of the buckets of a [`Latency`]: powers of two from 8 µs to 17 s. ns.
const BUCKET_FIRST_LOG: u32 = 13;
const BOUNDS: usize = 22;

/// How long operations took. Buckets instead of every value: whoever reads them may at any time, without a lock.
#[derive(Default)]
pub(crate) struct Latency {
    /// One more than there are bounds: the last has no upper one.
    buckets: [Counter; BOUNDS + 1],
    sum: Counter,
}

/// A [`Latency`] as it was at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LatencyTotals {
    /// Operations by bucket, each counted once.
    pub buckets: [u64; BOUNDS + 1],
    /// ns.
    pub sum: u64,
}

impl Latency {
    /// The upper bound of a bucket; `None` for the last. ns.
    pub(crate) fn bound(bucket: usize) -> Option<u64> {
        (bucket < BOUNDS).then(|| 1 << (BUCKET_FIRST_LOG as usize + bucket))
    }

    pub(super) fn record(&self, ns: u64) {
        // The number of bits of what is left above the first bound; a bound itself belongs to its bucket.
        let log = u64::BITS - ns.saturating_sub(1).leading_zeros();
        let bucket = (log.saturating_sub(BUCKET_FIRST_LOG) as usize).min(BOUNDS);
        self.buckets[bucket].add_alone(1);
        self.sum.add_alone(ns);
    }

    pub(crate) fn totals(&self) -> LatencyTotals {
        LatencyTotals { buckets: self.buckets.each_ref().map(Counter::get), sum: self.sum.get() }
    }
}

/// The counters of one shard.
#[derive(Default)]
pub(crate) struct ShardCounts {
    /// Durable writes and flushes, from when the shard decided on them to when it had the answer.
    pub(crate) durable_writes: Latency,
    /// Operations that are not answered, now and at the most.
    pub(crate) queue: Counter,
    pub(crate) queue_most: Counter,
    /// Bytes written to the journal.
    pub(crate) journal: Counter,
    /// Bytes written to segments that were not in the journal before.
    pub(crate) direct: Counter,
    /// Bytes written to segments that were.
    pub(crate) destaged: Counter,
    pub(crate) reads: Counter,
    pub(crate) read_bytes: Counter,
    /// Operations that failed.
    pub(crate) errors: Counter,
}

/// What is counted of an operation when it is over.
#[derive(Clone, Copy)]
pub(super) struct Counted {
    pub(super) kind: OpKind,
    pub(super) size: u64,
    /// When the shard decided on it. ns.
    pub(super) since: u64,
    pub(super) to: WriteTo,
}

/// Where the bytes of a write go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteTo {
    /// A segment; so many of them are in the journal already.
    Segment {
        destaged: u64,
    },
    Journal,
}

impl Counted {
    pub(super) fn is_durable(&self) -> bool {
        matches!(self.kind, OpKind::Write { durable: true } | OpKind::Sync)
    }
}

impl ShardCounts {
    pub(super) fn queued(&self, operations: usize) {
        let operations = operations as u64;
        self.queue.set(operations);
        if operations > self.queue_most.get() {
            self.queue_most.set(operations);
        }
    }

    /// An operation is over, whole: however many transfers it took, it is counted once. `missing` is what a read at the
    /// end of a file did not get.
    pub(super) fn done(&self, operation: Counted, missing: u64) {
        match (operation.kind, operation.to) {
            (OpKind::Read, _) => {
                self.reads.add_alone(1);
                self.read_bytes.add_alone(operation.size - missing);
            }
            (OpKind::Write { .. }, WriteTo::Journal) => self.journal.add_alone(operation.size),
            (OpKind::Write { .. }, WriteTo::Segment { destaged }) => {
                self.destaged.add_alone(destaged);
                self.direct.add_alone(operation.size - destaged);
            }
            (OpKind::Sync, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_the_bucket_of_its_bound() {
        let latency = Latency::default();
        for (ns, bucket) in [
            (0, 0),
            (1, 0),
            (8192, 0),
            (8193, 1),
            (16_384, 1),
            (16_385, 2),
            (1 << 34, BOUNDS - 1),
            ((1 << 34) + 1, BOUNDS),
            (u64::MAX >> 1, BOUNDS),
        ] {
            let before = latency.totals().buckets[bucket];
            latency.record(ns);
            assert_eq!(latency.totals().buckets[bucket], before + 1, "{ns} ns");
            assert!(Latency::bound(bucket).is_none_or(|bound| ns <= bound), "{ns} ns");
        }
        assert_eq!(latency.totals().buckets.iter().sum::<u64>(), 9);
        assert_eq!(Latency::bound(0), Some(8192));
        assert_eq!(Latency::bound(BOUNDS), None);
    }

    #[test]
    fn the_queue_keeps_its_longest() {
        let counts = ShardCounts::default();
        [1, 5, 2].into_iter().for_each(|operations| counts.queued(operations));
        assert_eq!((counts.queue.get(), counts.queue_most.get()), (2, 5));
    }
}
