//! The clock of a measurement, and what it sees meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::measured::Point;
use crate::plan::{Length, Plan};
use crate::usage::{Resident, Usage};

/// Counts what is done, shows it, and looks at memory from time to time.
pub(crate) struct Meter {
    done: AtomicU64,
    backlog: AtomicU64,
    length: Length,
    bar: ProgressBar,
}

/// What was seen between the start of the clock and its end.
pub(crate) struct Timed {
    pub(crate) seconds: f64,
    pub(crate) usage: Usage,
    /// Peak resident memory since the processes were started. Bytes.
    pub(crate) peak: u64,
    pub(crate) series: Vec<Point>,
}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

impl Meter {
    /// Nothing is drawn where standard error is no terminal.
    pub(crate) fn new(plan: &Plan) -> Meter {
        let (total, unit) = match plan.length {
            Length::Records(records) => (records, "{pos}/{len} records"),
            Length::Seconds(seconds) => ((seconds * 1000.0) as u64, "{pos}/{len} ms"),
        };
        let bar = ProgressBar::new(total);
        let template = format!("{{prefix}} {{wide_bar}} {unit} {{msg}}");
        bar.set_style(ProgressStyle::with_template(&template).expect("the template is well formed"));
        let who = plan.peer.as_deref().unwrap_or(plan.workload.as_str());
        bar.set_prefix(format!("{who}: {}", plan.case.name(plan.workload)));
        Meter { done: AtomicU64::new(0), backlog: AtomicU64::new(0), length: plan.length, bar }
    }

    /// So many more are acknowledged, or read.
    pub(crate) fn advance(&self, records: u64) {
        self.done.fetch_add(records, Ordering::Relaxed);
    }

    /// So many are still to be read.
    pub(crate) fn set_backlog(&self, records: u64) {
        self.backlog.store(records, Ordering::Relaxed);
    }

    /// Times `work`, which uses these processes.
    pub(crate) fn time<T>(&self, processes: &[u32], work: impl FnOnce() -> T) -> (T, Timed) {
        self.done.store(0, Ordering::Relaxed);
        let over = AtomicBool::new(false);
        let before = Usage::of(processes);
        let start = Instant::now();
        let (answer, seconds, series) = std::thread::scope(|scope| {
            let looker = scope.spawn(|| self.look(processes, start, &over));
            let answer = work();
            let seconds = start.elapsed().as_secs_f64();
            over.store(true, Ordering::Release);
            looker.thread().unpark();
            (answer, seconds, looker.join().expect("looking cannot panic"))
        });
        let usage = Usage::of(processes).since(before);
        self.bar.finish_and_clear();
        (answer, Timed { seconds, usage, peak: Resident::of(processes).peak, series })
    }

    fn look(&self, processes: &[u32], start: Instant, over: &AtomicBool) -> Vec<Point> {
        let mut series = Vec::new();
        loop {
            let last = over.load(Ordering::Acquire);
            let point = self.point(processes, start);
            self.bar.set_position(match self.length {
                Length::Records(_) => point.records,
                Length::Seconds(_) => (point.seconds * 1000.0) as u64,
            });
            self.bar.set_message(format!("{:.0} records/s", point.records as f64 / point.seconds));
            series.push(point);
            if last {
                return series;
            }
            std::thread::park_timeout(LOOK);
        }
    }

    fn point(&self, processes: &[u32], start: Instant) -> Point {
        Point {
            seconds: start.elapsed().as_secs_f64(),
            records: self.done.load(Ordering::Relaxed),
            memory: Resident::of(processes).now,
            backlog: self.backlog.load(Ordering::Relaxed),
        }
    }
}
