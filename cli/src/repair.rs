//! What `positions repair` and `kv repair` tell.

use serde::Serialize;
use thalweg::Repaired;

use crate::failure::Failure;
use crate::output::Output;
use crate::verify::Range;

#[derive(Serialize)]
struct Report {
    kept: u64,
    uncertain: u64,
    lost: Vec<Range>,
}

/// Tells what was kept of `what`, and what not.
pub(crate) fn tell(repaired: &Repaired, what: &str, output: &mut Output) -> Result<(), Failure> {
    let lost = repaired.lost.iter().map(Range::from).collect();
    let report = Report { kept: repaired.kept, uncertain: repaired.uncertain, lost };
    output.report(&report, |_| {
        let mut text: String = repaired.lost.iter().map(|range| format!("lost: {range}\n")).collect();
        text.push_str(&format!("kept {} {what}, of which {} may be out of date\n", report.kept, report.uncertain));
        text
    })
}
