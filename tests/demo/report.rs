//! The table at the end.

use std::time::Duration;

use crate::Args;
use crate::check::Check;
use crate::story::Watched;

/// Everything the table says.
pub(crate) struct Report {
    input: String,
    records: u64,
    bytes: u64,
    memory_budget: u64,
    pub(crate) before: Watched,
    pub(crate) after: Watched,
    /// Records found after the kill.
    pub(crate) recovered: u64,
    /// Opening the store after the kill.
    pub(crate) recovery: Duration,
    pub(crate) lost: u64,
    duplicated: u64,
    changed: u64,
    pub(crate) first_difference: Option<String>,
}

impl Report {
    pub(crate) fn new(args: &Args, records: u64, bytes: u64) -> Report {
        Report {
            input: args.input.display().to_string(),
            records,
            bytes,
            memory_budget: args.memory_budget,
            before: Watched::default(),
            after: Watched::default(),
            recovered: 0,
            recovery: Duration::ZERO,
            lost: 0,
            duplicated: 0,
            changed: 0,
            first_difference: None,
        }
    }

    /// Adds what a comparison found.
    pub(crate) fn take(&mut self, check: Check) {
        self.lost += check.lost;
        self.duplicated += check.duplicated;
        self.changed += check.changed;
        self.first_difference = self.first_difference.take().or(check.first_difference);
    }

    /// Adds what the last comparison found, which had to find all records.
    pub(crate) fn finish(&mut self, check: Check, total: u64) {
        let next = check.next();
        self.take(check);
        if next < total {
            self.lost += total - next;
            self.first_difference
                .get_or_insert_with(|| format!("record {next} of the input and those after it are missing"));
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.changed == 0 && self.first_difference.is_none()
    }

    pub(crate) fn print(&self) {
        let peak = self.before.peak_memory.max(self.after.peak_memory);
        let resumed = self.records.saturating_sub(self.recovered);
        let resumed_bytes = self.bytes.saturating_sub(self.before.bytes);
        let behind = self.before.behind.max(self.after.behind);
        let caught_up = self.records.saturating_sub(self.before.read);
        let rows = [
            ("input", format!("{}, repeated to {}", self.input, mib(self.bytes))),
            ("records", number(self.records)),
            ("bytes", number(self.bytes)),
            ("import until the kill", rate(self.before.acknowledged, self.before.bytes, self.before.seconds)),
            ("import after it", rate(resumed, resumed_bytes, self.after.seconds)),
            ("reader", format!("at half the speed, up to {} records behind", number(behind))),
            (
                "reader caught up",
                format!(
                    "{} records since the kill, the last {:.2} s alone",
                    number(caught_up),
                    self.after.catch_up_seconds
                ),
            ),
            ("acknowledged at SIGKILL", format!("{} records", number(self.before.acknowledged))),
            ("found after it", format!("{} records", number(self.recovered))),
            ("recovery", format!("{:.3} s", self.recovery.as_secs_f64())),
            ("memory budget", mib(self.memory_budget)),
            ("peak resident memory", format!("{} (VmHWM of the importing process)", mib(peak))),
            ("lost", number(self.lost)),
            ("duplicated", number(self.duplicated)),
            ("changed", number(self.changed)),
        ];
        println!();
        for (name, value) in rows {
            println!("{name:<26}{value}");
        }
        println!();
        match &self.first_difference {
            None => println!("What came out is what went in."),
            Some(difference) => println!("The first record that differs, {difference}"),
        }
    }
}

/// `1234567` as `1,234,567`.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn rate(records: u64, bytes: u64, seconds: f64) -> String {
    if seconds == 0.0 {
        return "nothing was left to import".into();
    }
    let (per_second, bytes) = (records as f64 / seconds, bytes as f64 / seconds / 1e6);
    format!("{} records/s, {bytes:.0} MB/s, in {seconds:.2} s", number(per_second as u64))
}
