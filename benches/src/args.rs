//! What may stand on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::plan::{Durability, Length, Runtime, Workload};
use crate::{scratch, size};

/// Measures Thalweg: alone, beside the device and other stores, and against its targets.
#[derive(Parser)]
#[command(name = "thalweg-bench", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done; 1 a measurement failed; 2 wrong usage. docs/BENCHMARKS.md has the method.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Measure the engine, workload by workload
    Run(Run),
    /// Measure the engine and others in turns, at the same durability, and print ratios
    Compare(Compare),
    /// Make a page with plots of what was measured, or list the targets
    Report(Report),
    /// The process of one measurement
    #[command(hide = true)]
    Measure { plan: String },
    /// The process that fills a store and leaves it
    #[command(hide = true)]
    Fill { plan: String },
}

/// What run and compare have in common.
#[derive(Args)]
pub(crate) struct Settings {
    /// Bytes of a value, for example 100,1KiB; each is measured by itself
    #[arg(long, value_name = "SIZES", value_delimiter = ',', value_parser = record_size, default_value = "100,1KiB,16KiB")]
    pub(crate) record_size: Vec<u64>,
    /// How long each measurement appends; a tenth more before it, to warm up [default: 2]
    #[arg(long, value_name = "N", value_parser = seconds, conflicts_with = "records")]
    seconds: Option<f64>,
    /// How many records each measurement appends or reads instead; a tenth more before it, and whole batches
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    records: Option<u64>,
    /// Records for each second, of all threads together. Latency then counts from when an append was due. Without it
    /// appends go flat-out, except in tail, which has 5,000
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// Values in a store that is read or opened again, unless --records says how many
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = data)]
    data: u64,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) case: Option<String>,
    /// Memory for data on its way and in the cache, of the engine and of the peers that can be told
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size::parse)]
    pub(crate) memory_budget: u64,
    /// What moves the engine's bytes
    #[arg(long, value_enum, default_value_t)]
    pub(crate) runtime: Runtime,
    /// Where to put what is measured: on the disk that is meant [default: cargo's target directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep what was measured in this file; report makes a page of it
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn length(&self) -> Length {
        self.records.map_or(Length::Seconds(self.seconds.unwrap_or(2.0)), Length::Records)
    }

    /// What is in a store of such records that is read or opened again. Bytes.
    pub(crate) fn data(&self, record_size: u64) -> u64 {
        self.records.map_or(self.data, |records| records * record_size)
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(scratch::target_dir)
    }
}

#[derive(Args)]
pub(crate) struct Run {
    /// What to do
    #[arg(required = true, value_enum, value_name = "WORKLOAD")]
    pub(crate) workloads: Vec<Workload>,
    /// When appends are acknowledged
    #[arg(long, value_enum, default_value_t)]
    pub(crate) durability: Durability,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Args)]
pub(crate) struct Compare {
    /// Whom to compare with; all that this build and this machine have, unless named. --list names them
    #[arg(value_name = "PEER")]
    pub(crate) peers: Vec<String>,
    /// Name the peers, what they promise, and why some are missing
    #[arg(long)]
    pub(crate) list: bool,
    /// How often each is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// What to compare
    #[arg(long, value_enum, value_name = "WORKLOADS", value_delimiter = ',', default_value = "durable,append,catchup",
          value_parser = comparable)]
    pub(crate) workload: Vec<Workload>,
    /// Count the syncs of each for one acknowledgement, by strace, instead of measuring
    #[arg(long)]
    pub(crate) syncs: bool,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Args)]
pub(crate) struct Report {
    /// What run and compare have kept by --json
    #[arg(value_name = "FILE", required_unless_present = "targets")]
    pub(crate) files: Vec<PathBuf>,
    /// All targets of speed: what was measured, what is asked for, and whether it is met; from where make bench keeps
    /// them, or from a file like that
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "FILE")]
    pub(crate) targets: Option<Option<PathBuf>>,
    /// Print comparisons as tables of ratios, in Markdown
    #[arg(long, requires = "files")]
    pub(crate) ratios: bool,
    /// Where to put the page [default: report.html, if there is a FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

fn record_size(text: &str) -> Result<u64, String> {
    match size::parse(text)? {
        bytes @ 8..=16_777_216 => Ok(bytes),
        _ => Err("must be 8 B to 16 MiB".to_owned()),
    }
}

fn data(text: &str) -> Result<u64, String> {
    match size::parse(text)? {
        bytes if bytes >= 1 << 20 => Ok(bytes),
        _ => Err("must be 1 MiB at least".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number from 0.1 to 86400".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (1.0..=1e9).contains(&rate) => Ok(rate),
        _ => Err("must be a number from 1 to 1e9".to_owned()),
    }
}

fn comparable(text: &str) -> Result<Workload, String> {
    let all = [Workload::Durable, Workload::Append, Workload::Catchup];
    let names = all.map(Workload::as_str).join(", ");
    all.into_iter().find(|workload| workload.as_str() == text).ok_or(format!("peers do only: {names}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (arguments, told) in [
            ("run", "required arguments were not provided"),
            ("run nothing", "possible values: append, durable"),
            ("run append --record-size 4", "must be 8 B to 16 MiB"),
            ("run append --seconds 0", "must be a number from 0.1"),
            ("run append --seconds 1 --records 1", "cannot be used with"),
            ("run append --rate -1", "unexpected argument"),
            ("run append --rate 0", "must be a number from 1"),
            ("run append --data 1KiB", "must be 1 MiB at least"),
            ("run append --runtime glommio", "possible values: auto, uring, posix"),
            ("compare --rounds 0", "0 is not in 1..=1000"),
            ("report", "required arguments were not provided"),
            ("compare --workload tail", "peers do only: durable, append, catchup"),
        ] {
            let Err(error) = Cli::try_parse_from(format!("thalweg-bench {arguments}").split(' ')) else {
                panic!("{arguments} is accepted")
            };
            assert!(error.to_string().contains(told), "{arguments}: {error}");
        }
    }
}
