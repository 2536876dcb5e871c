//! How fast Thalweg is: the harness (`run`, `compare`, `report`), and the rows of `make bench`.
//!
//! `docs/BENCHMARKS.md` has the method. Both have one bare loop, one way to put things on the disk that is measured, and
//! one account of what processes use.

mod args;
mod bare;
mod bench;
mod busy;
mod c_caller;
mod child;
mod compare;
mod document;
mod error;
mod evict;
mod interrupt;
mod latency;
mod limits;
mod machine;
mod measure;
mod measured;
mod memory;
mod meter;
mod pace;
mod payload;
mod peers;
mod plan;
mod producer;
mod report;
mod row;
mod run;
mod rust_caller;
mod scratch;
mod size;
mod spread;
mod store;
mod submitter;
mod sweep;
mod syncs;
mod table;
mod targets;
mod usage;
mod workloads;

use std::process::ExitCode;

use clap::Parser;

pub use bare::{BareFiles, Buffers, Prepared};
pub use bench::{Bench, Pair, Settings};
pub use busy::Busy;
pub use c_caller::CCaller;
pub(crate) use evict::evict;
pub use measure::Times;
pub use memory::{memcpy_crc, sum, walk};
pub use row::{Row, Target};
pub use rust_caller::rust_append;
pub use scratch::scratch;
pub use sweep::{Grid, Shape, Sweep, best_read, best_write};
pub use usage::{device_bytes, thread_time};

/// The harness, as its command line asks.
pub fn main() -> ExitCode {
    use args::Command;
    let done = match args::Cli::parse().command {
        Command::Run(args) => {
            interrupt::catch();
            run::run(&args)
        }
        Command::Compare(args) => {
            interrupt::catch();
            compare::compare(&args)
        }
        Command::Report(args) => report::report(&args),
        Command::Measure { plan } => child::run("measure", &plan),
        Command::Fill { plan } => child::run("fill", &plan),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
