//! How often something took how long.

use std::time::Duration;

use miniserde::Serialize;

/// How often something took how long, in buckets of powers of two.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Histogram {
    /// Buckets by their bounds; the last has no upper one.
    pub buckets: Vec<Bucket>,
    /// All together.
    pub count: u64,
    /// The sum of all times. Seconds.
    pub sum_seconds: f64,
}

/// What took longer than the bucket before says, and no longer than this one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Bucket {
    /// The upper bound; `None`: there is none. Seconds.
    pub seconds: Option<f64>,
    /// How often; not counting the buckets before.
    pub count: u64,
}

impl Histogram {
    /// A histogram of counts by upper bound (ns), and of the sum of all times (ns).
    pub(crate) fn new(counts: impl Iterator<Item = (Option<u64>, u64)>, sum: u64) -> Histogram {
        let buckets: Vec<Bucket> =
            counts.map(|(bound, count)| Bucket { seconds: bound.map(|ns| ns as f64 / 1e9), count }).collect();
        let count = buckets.iter().map(|bucket| bucket.count).sum();
        Histogram { buckets, count, sum_seconds: sum as f64 / 1e9 }
    }

    /// The time that a part of all did not exceed, 0 to 1: the upper bound of its bucket, so at most twice what it was.
    /// `None` if there was nothing, or if it lies beyond the last bound.
    ///
    /// ```
    /// # fn main() -> thalweg::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a directory");
    /// use thalweg::{Engine, Options, Record, TopicOptions};
    /// let engine = Engine::open(dir.path(), Options::default())?;
    /// let orders = engine.create_topic("orders", TopicOptions::default())?;
    /// orders.append(&Record::new("two lamps"))?;
    /// let metrics = engine.metrics();
    /// let slow = metrics.shards.iter().filter_map(|shard| shard.durable_writes.quantile(0.99)).max();
    /// println!("the slowest 1 % of durable writes took more than {slow:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let rank = ((self.count as f64 * part.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut passed = 0;
        for bucket in &self.buckets {
            passed += bucket.count;
            if passed >= rank {
                return bucket.seconds.map(Duration::from_secs_f64);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_upper_bounds() {
        let empty = Histogram::new([(Some(1_000), 0), (None, 0)].into_iter(), 0);
        assert_eq!(empty.quantile(0.5), None);
        let some = Histogram::new([(Some(1_000), 90), (Some(2_000), 9), (None, 1)].into_iter(), 5_000_000_000);
        assert_eq!((some.count, some.sum_seconds), (100, 5.0));
        assert_eq!(some.quantile(0.0), Some(Duration::from_nanos(1_000)));
        assert_eq!(some.quantile(0.9), Some(Duration::from_nanos(1_000)));
        assert_eq!(some.quantile(0.91), Some(Duration::from_nanos(2_000)));
        assert_eq!(some.quantile(0.99), Some(Duration::from_nanos(2_000)));
        assert_eq!(some.quantile(1.0), None, "beyond the last bound");
    }
}
