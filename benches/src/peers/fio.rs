//! fio, where it is installed: the device's limit by a program that is not ours.

use std::mem::MaybeUninit;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{Entry, Way};
use crate::error::Result;
use crate::latency::LatencySummary;
use crate::measured::Outcome;
use crate::meter::Timed;
use crate::plan::{Length, Plan, Workload};
use crate::usage::Usage;

pub(super) const ENTRY: Entry = Entry {
    name: "fio",
    durability: "io_uring, direct, sync=dsync, over files that were written before; 1 MiB at depth 8 in bulk",
    same: true,
    reads: true,
    hop: None,
    version,
    way: Way::Run(run),
};

/// In bulk. Bytes.
const BLOCK: u64 = 1 << 20;
const PERCENTILES: [f64; 13] = [10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.999, 100.0];

fn version() -> Result<String> {
    let output = Command::new("fio").arg("--version").output().map_err(|error| format!("fio: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().trim_start_matches("fio-").to_owned())
}

/// What fio is told.
struct Job {
    block: u64,
    depth: u32,
    /// Of each thread's file. Bytes.
    size: u64,
    rw: &'static str,
}

impl Job {
    fn new(plan: &Plan) -> Job {
        let append = (plan.record_size as u64 * u64::from(plan.case.batch)).next_multiple_of(4096);
        let backlog = (plan.backlog() * plan.record_size as u64).next_multiple_of(BLOCK);
        match (plan.workload, plan.case.in_flight) {
            (Workload::Catchup, _) => Job { block: BLOCK, depth: 8, size: backlog, rw: "read" },
            (_, 0) => Job { block: BLOCK, depth: 8, size: 256 << 20, rw: "write" },
            _ => Job {
                block: append,
                depth: 1,
                size: (4 << 20_u64).max(append * 16).next_multiple_of(append),
                rw: "write",
            },
        }
    }

    fn command(&self, plan: &Plan) -> Command {
        let percentiles = PERCENTILES.map(|percent| percent.to_string()).join(":");
        let mut command = Command::new("fio");
        command.args(["--name=limit", "--thread", "--group_reporting", "--ioengine=io_uring", "--direct=1"]);
        command.args(["--overwrite=1", "--sync=dsync", "--output-format=json"]);
        command.arg(format!("--directory={}", plan.dir.display()));
        command.arg(format!("--percentile_list={percentiles}")).arg(format!("--rw={}", self.rw));
        command.arg(format!("--numjobs={}", plan.case.threads)).arg(format!("--iodepth={}", self.depth));
        command.arg(format!("--bs={}", self.block)).arg(format!("--size={}", self.size));
        command.stdin(Stdio::null());
        command
    }
}

fn run(plan: &Plan) -> Result<Outcome> {
    let job = Job::new(plan);
    let laid_out = job.command(plan).arg("--create_only=1").output()?;
    if !laid_out.status.success() {
        return Err(format!("fio: {}", String::from_utf8_lossy(&laid_out.stderr)).into());
    }
    let mut command = job.command(plan);
    let single = job.depth == 1;
    match plan.length {
        _ if job.rw == "read" => {}
        Length::Seconds(seconds) => {
            command.arg("--time_based").arg(format!("--runtime={}ms", (seconds * 1e3) as u64));
        }
        Length::Records(records) if single => {
            let each = records.div_ceil(u64::from(plan.case.threads) * u64::from(plan.case.batch));
            command.arg(format!("--io_size={}", each * job.block));
        }
        Length::Records(records) => {
            command.arg(format!("--io_size={}", (records * plan.record_size as u64).next_multiple_of(BLOCK)));
        }
    }
    if let Some(rate) = plan.rate() {
        command.arg(format!("--rate_iops={}", (rate / f64::from(plan.case.threads)).ceil()));
    }
    let (text, used) = finish(command)?;
    let report: Value = serde_json::from_str(&text).map_err(|error| format!("fio's report: {error}"))?;
    let done = &report["jobs"][0][job.rw];
    let number = |of: &Value, name: &str| of[name].as_f64().ok_or_else(|| format!("fio reports no {name}"));
    let bytes = number(done, "io_bytes")?;
    let transfers = bytes / job.block as f64;
    let records = match single {
        true => transfers * f64::from(plan.case.batch),
        false => (bytes / plan.record_size as f64).floor(),
    };
    let timed = Timed {
        seconds: number(done, "runtime")? / 1e3,
        usage: Usage { cpu: used.cpu, written: if job.rw == "write" { bytes as u64 } else { 0 } },
        peak: used.peak,
        series: Vec::new(),
    };
    let latency = latency(&done["clat_ns"])?;
    let records = records as u64;
    Ok(Outcome { records, found: records, latency, timed, durable_writes: Some(transfers as u64), figures: Vec::new() })
}

/// What fio has used, its threads included.
struct Used {
    cpu: Duration,
    /// Bytes.
    peak: u64,
}

/// What all children that have ended have used.
fn children() -> Used {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the structure lives through the call.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()) };
    // SAFETY: all zeros are valid for it, and the call has filled it.
    let usage = unsafe { usage.assume_init() };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    Used { cpu: time(usage.ru_utime) + time(usage.ru_stime), peak: (usage.ru_maxrss as u64) << 10 }
}

/// Runs it to its end; what it printed, and what it used.
fn finish(mut command: Command) -> Result<(String, Used)> {
    let before = children();
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("fio: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let Used { cpu, peak } = children();
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), Used { cpu: cpu - before.cpu, peak }))
}

/// From fio's own histogram.
fn latency(clat: &Value) -> Result<LatencySummary> {
    let at = |percent: f64| -> Result<f64> {
        let ns = clat["percentile"][format!("{percent:.6}")].as_f64();
        Ok(ns.ok_or_else(|| format!("fio reports no percentile {percent}"))? / 1e3)
    };
    let us = |name: &str| clat[name].as_f64().unwrap_or(0.0) / 1e3;
    let curve = PERCENTILES.iter().map(|percent| Ok((*percent, at(*percent)?))).collect::<Result<Vec<_>>>()?;
    Ok(LatencySummary {
        what: "from the submission of a transfer to its completion".to_owned(),
        corrected_for_coordinated_omission: false,
        count: clat["N"].as_u64().unwrap_or(0),
        mean_us: us("mean"),
        p50_us: at(50.0)?,
        p99_us: at(99.0)?,
        p99_9_us: at(99.9)?,
        p99_99_us: at(99.99)?,
        max_us: us("max"),
        curve,
    })
}
