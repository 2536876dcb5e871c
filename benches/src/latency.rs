//! How long each of many things took.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A histogram of durations, exact to three digits.
#[derive(Clone)]
pub(crate) struct Latency {
    histogram: Histogram<u64>,
}

/// What is kept of a histogram. Microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LatencySummary {
    /// From when to when.
    pub(crate) what: String,
    /// Whether each was timed from when it was due, not from when its turn came.
    pub(crate) corrected_for_coordinated_omission: bool,
    pub(crate) count: u64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p99_9_us: f64,
    pub(crate) p99_99_us: f64,
    pub(crate) max_us: f64,
    /// Percentiles and their values, for a plot.
    pub(crate) curve: Vec<(f64, f64)>,
}

impl Latency {
    pub(crate) fn new() -> Latency {
        let mut histogram = Histogram::new(3).expect("three digits are allowed");
        histogram.auto(true);
        Latency { histogram }
    }

    pub(crate) fn record(&mut self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX >> 1);
        self.histogram.record(ns.max(1)).expect("the histogram grows by itself");
    }

    pub(crate) fn add(&mut self, other: &Latency) {
        self.histogram.add(&other.histogram).expect("the histogram grows by itself");
    }

    /// The time that so many percent did not exceed. Microseconds.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        self.histogram.value_at_percentile(percent) as f64 / 1e3
    }

    pub(crate) fn summary(&self, what: impl Into<String>, corrected: bool) -> LatencySummary {
        let percents = [0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.999, 100.0];
        LatencySummary {
            what: what.into(),
            corrected_for_coordinated_omission: corrected,
            count: self.histogram.len(),
            mean_us: self.histogram.mean() / 1e3,
            p50_us: self.percentile(50.0),
            p99_us: self.percentile(99.0),
            p99_9_us: self.percentile(99.9),
            p99_99_us: self.percentile(99.99),
            max_us: self.histogram.max() as f64 / 1e3,
            curve: percents.map(|percent| (percent, self.percentile(percent))).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let (mut odd, mut even) = (Latency::new(), Latency::new());
        for micros in 1..=10_000 {
            if micros % 2 == 0 { &mut even } else { &mut odd }.record(Duration::from_micros(micros));
        }
        odd.add(&even);
        let summary = odd.summary("a test", true);
        assert_eq!(summary.count, 10_000);
        for (found, expected) in [
            (summary.mean_us, 5000.5),
            (summary.p50_us, 5000.0),
            (summary.p99_us, 9900.0),
            (summary.p99_9_us, 9990.0),
            (summary.p99_99_us, 9999.0),
            (summary.max_us, 10_000.0),
        ] {
            assert!((found / expected - 1.0).abs() < 2e-3, "{found} for {expected}");
        }
        assert!(summary.curve.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
    }
}
