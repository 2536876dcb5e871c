//! A row of the table: a target, what was measured, and whether it is met.

use std::fmt;

/// What a ratio has to be.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// Ours takes at most so many times what the baseline takes: ours / baseline.
    AtMost(f64),
    /// Ours does at least so many times what the baseline does: baseline / ours.
    AtLeast(f64),
    /// Ours takes at most so much more than the baseline: ours - baseline, in the row's unit.
    AtMostMore(f64),
    /// Printed to read the others by.
    None,
}

impl Target {
    /// The ratio that the target speaks of. Both figures are times for the same work.
    pub fn ratio(self, ours: f64, baseline: f64) -> f64 {
        match self {
            Target::AtLeast(_) => baseline / ours,
            Target::AtMostMore(_) => ours - baseline,
            Target::AtMost(_) | Target::None => ours / baseline,
        }
    }

    fn verdict(self, ratio: f64) -> &'static str {
        match self {
            Target::AtMost(limit) | Target::AtMostMore(limit) if ratio <= limit => "met",
            Target::AtLeast(limit) if ratio >= limit => "met",
            Target::None => "",
            _ => "MISSED",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::AtMost(limit) => write!(f, "<= {limit}"),
            Target::AtMostMore(limit) => write!(f, "<= +{limit}"),
            Target::AtLeast(limit) => write!(f, ">= {limit}"),
            Target::None => f.write_str("-"),
        }
    }
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is measured.
    pub name: String,
    /// What it is measured against.
    pub baseline: String,
    /// What the figures count.
    pub unit: &'static str,
    /// What the ratio has to be.
    pub target: Target,
    /// Ours and the baseline's, once for each round.
    pub samples: Vec<(f64, f64)>,
    /// Payload of one record. Bytes.
    pub payload: f64,
    /// What one record takes in segment files. Bytes; 0 where nothing is stored.
    pub file: f64,
    /// What was written to the device for one record, the journal included. Bytes.
    pub device: f64,
}

/// The middle, and the two quarters around it.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values.get((values.len().saturating_sub(1)) * quarter / 4).copied().unwrap_or(f64::NAN))
}

impl Row {
    /// The table's first lines.
    pub fn head() -> String {
        let columns =
            "| row | ours | baseline | unit | ratio | quartiles | target | | payload B | file B | device B | against |";
        format!("{columns}\n|---|---|---|---|---|---|---|---|---|---|---|---|")
    }

    /// `met`, `MISSED`, or nothing.
    pub(crate) fn verdict(&self) -> &'static str {
        self.target.verdict(self.ratio()[1])
    }

    /// The median, between the two quartiles.
    pub(crate) fn ratio(&self) -> [f64; 3] {
        quartiles(self.samples.iter().map(|(ours, baseline)| self.target.ratio(*ours, *baseline)).collect())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { name, baseline, unit, target, payload, file, device, .. } = self;
        let [low, ratio, high] = self.ratio();
        let ours = quartiles(self.samples.iter().map(|sample| sample.0).collect())[1];
        let base = quartiles(self.samples.iter().map(|sample| sample.1).collect())[1];
        write!(f, "| {name} | {ours:.4} | {base:.4} | {unit} | {ratio:.2} | {low:.2}..{high:.2} | {target} | ")?;
        write!(f, "{} | {payload:.0} | {file:.1} | {device:.1} | {baseline} |", target.verdict(ratio))
    }
}
