//! What one measurement found: the one shape that is printed, stored, and plotted.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::latency::LatencySummary;
use crate::meter::Timed;
use crate::plan::Plan;

/// What one measurement found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) plan: Plan,
    /// What sets the case apart from the workload's others.
    pub(crate) name: String,
    /// Which round of a comparison, from 0.
    pub(crate) round: u32,
    /// Records that were acknowledged, or read, while the clock ran.
    pub(crate) records: u64,
    /// Bytes of their values.
    pub(crate) bytes: u64,
    /// Records that were found in the store afterwards, those of the warm-up included.
    pub(crate) found: u64,
    pub(crate) seconds: f64,
    pub(crate) records_per_second: f64,
    pub(crate) bytes_per_second: f64,
    pub(crate) latency: LatencySummary,
    pub(crate) cpu_seconds_per_million_records: f64,
    pub(crate) device_bytes_per_payload_byte: f64,
    pub(crate) peak_memory_bytes: u64,
    /// Writes and flushes that were made durable, by the engine's or the peer's own count; none where it has none.
    pub(crate) durable_writes: Option<u64>,
    /// What only this workload has.
    pub(crate) figures: Vec<Figure>,
    pub(crate) series: Vec<Point>,
}

/// A number with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

impl Figure {
    pub(crate) fn new(name: &str, value: f64, unit: &str) -> Figure {
        Figure { name: name.to_owned(), value, unit: unit.to_owned() }
    }
}

/// How things stood at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// Since the clock was started.
    pub(crate) seconds: f64,
    /// Acknowledged or read since then.
    pub(crate) records: u64,
    /// Resident memory. Bytes.
    pub(crate) memory: u64,
    /// Records that a consumer has still to read.
    pub(crate) backlog: u64,
}

/// What a workload answers.
pub(crate) struct Outcome {
    pub(crate) records: u64,
    pub(crate) found: u64,
    pub(crate) latency: LatencySummary,
    pub(crate) timed: Timed,
    pub(crate) durable_writes: Option<u64>,
    pub(crate) figures: Vec<Figure>,
}

impl Measured {
    pub(crate) fn new(plan: Plan, outcome: Outcome) -> Measured {
        let Outcome { records, found, latency, timed, durable_writes, figures } = outcome;
        let bytes = records * plan.record_size as u64;
        let seconds = timed.seconds;
        Measured {
            name: plan.case.name(plan.workload),
            plan,
            round: 0,
            records,
            bytes,
            found,
            seconds,
            records_per_second: records as f64 / seconds,
            bytes_per_second: bytes as f64 / seconds,
            latency,
            cpu_seconds_per_million_records: timed.usage.cpu.as_secs_f64() * 1e6 / records as f64,
            device_bytes_per_payload_byte: timed.usage.written as f64 / bytes as f64,
            peak_memory_bytes: timed.peak,
            durable_writes,
            figures,
            series: timed.series,
        }
    }
}

/// A measurement that lost or made up a record is none.
pub(crate) fn check(found: u64, expected: u64) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{expected} records were acknowledged, and {found} are there").into())
}
