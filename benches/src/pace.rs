//! When each append is due.

use std::time::{Duration, Instant};

/// The times at which one thread's appends are due. Flat-out, each is due at once.
pub(crate) struct Pace {
    start: Instant,
    /// ns between two.
    gap: Option<f64>,
    number: u64,
}

impl Pace {
    /// For thread `index` of `threads`, which together make `rate` records for each second in appends of `batch`: their
    /// turns come one after the other.
    pub(crate) fn new(rate: Option<f64>, batch: u32, index: u32, threads: u32) -> Pace {
        let gap = rate.map(|rate| 1e9 * f64::from(batch) * f64::from(threads) / rate);
        if gap.is_some() {
            sleep_exactly();
        }
        let turn = gap.unwrap_or(0.0) * f64::from(index) / f64::from(threads);
        Pace { start: Instant::now() + Duration::from_nanos(turn as u64), gap, number: 0 }
    }

    /// When the next append is due; `None`: now.
    pub(crate) fn next(&mut self) -> Option<Instant> {
        let due = self.start + Duration::from_nanos((self.gap? * self.number as f64) as u64);
        self.number += 1;
        Some(due)
    }
}

/// Lets this thread's sleeps end when they should: the kernel adds 50 us to them by default.
fn sleep_exactly() {
    // SAFETY: a plain system call about the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64) };
}

/// Sleeps until then, or not at all.
pub(crate) fn sleep_until(then: Instant) {
    let left = then.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        std::thread::sleep(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_does_not_wait_for_what_was_late() {
        let mut pace = Pace::new(Some(1000.0), 10, 1, 2);
        let first = pace.next().expect("it has a rate");
        std::thread::sleep(Duration::from_millis(50));
        // Two threads with 10 records for each append: 1000 records a second are 50 appends of each.
        assert_eq!(pace.next().expect("it has a rate") - first, Duration::from_millis(20));
        assert_eq!(pace.next().expect("it has a rate") - first, Duration::from_millis(40));
        assert!(Pace::new(None, 1, 0, 1).next().is_none());
    }
}
