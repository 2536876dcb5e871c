//! A Python program's side of a comparison, where Python has the package.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::plan::{Durability, Length, Plan, Runtime};

/// What the program is told.
#[derive(Serialize)]
struct Order<'a> {
    dir: &'a std::path::Path,
    record_size: usize,
    batch: u32,
    /// Records of what is timed as a whole.
    run: u64,
    records: Option<u64>,
    seconds: Option<f64>,
    rate: Option<f64>,
    durability: Durability,
    runtime: Runtime,
    memory_budget: u64,
}

/// What it did.
#[derive(Deserialize)]
pub(crate) struct Done {
    pub(crate) seconds: f64,
    /// Seconds on a processor.
    pub(crate) cpu: f64,
    /// Bytes.
    pub(crate) written: u64,
    /// Resident memory. Bytes.
    pub(crate) peak: u64,
    pub(crate) records: u64,
    /// Those of the warm-up included.
    pub(crate) all: u64,
    /// Seconds of each run.
    pub(crate) runs: Vec<f64>,
}

/// `$THALWEG_PYTHON`, or `python3`.
fn interpreter() -> OsString {
    std::env::var_os("THALWEG_PYTHON").unwrap_or_else(|| "python3".into())
}

/// Whether it has the package.
pub(crate) fn has_python() -> bool {
    let mut probe = Command::new(interpreter());
    probe.args(["-c", "import thalweg"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// Appends as the plan says, in runs of so many records.
pub(crate) fn python_append(plan: &Plan, run: u64) -> Result<Done> {
    let (records, seconds) = match plan.length {
        Length::Records(records) => (Some(records), None),
        Length::Seconds(seconds) => (None, Some(seconds)),
    };
    let order = Order {
        dir: &plan.dir,
        record_size: plan.record_size,
        batch: plan.case.batch,
        run,
        records,
        seconds,
        rate: plan.rate(),
        durability: plan.durability,
        runtime: plan.runtime,
        memory_budget: plan.memory_budget,
    };
    let program = include_str!("../python/caller.py");
    let mut python = Command::new(interpreter());
    python.args(["-c", program]).arg(serde_json::to_string(&order)?).stderr(Stdio::inherit());
    let output = python.output()?;
    if !output.status.success() {
        return Err(format!("Python ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
