//! `make demo`: takes real records in while a slower reader follows, kills the importing process in the middle, and
//! shows that nothing acknowledged is lost and nothing is there twice.
//!
//! The program plays two parts. The one that is started watches: it starts the other as a process of its own, notes
//! each acknowledgement that comes through a pipe, kills it, opens the store that it leaves behind, and compares all
//! of it with the input. The other imports and reads.

mod check;
mod importer;
mod input;
mod report;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// What the demo is run with.
#[derive(Parser)]
#[command(name = "thalweg-demo")]
struct Args {
    /// The file to import, line by line, again and again
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// How much to import
    #[arg(long, default_value = "1GiB", value_parser = size)]
    size: u64,
    /// Where the store is made and removed; by default the system's directory for temporary files
    #[arg(long, value_name = "DIR")]
    within: Option<PathBuf>,
    /// The memory budget of the engine
    #[arg(long, default_value = "64MiB", value_parser = size)]
    memory_budget: u64,
    #[command(subcommand)]
    part: Option<Part>,
}

/// The other part that the program plays.
#[derive(clap::Subcommand)]
enum Part {
    /// Import and read; the watching process starts this
    #[command(hide = true)]
    Import(Import),
}

/// What the importing process is told by the watching one.
#[derive(clap::Args)]
struct Import {
    /// The store
    #[arg(long)]
    store: PathBuf,
    /// The first record to append
    #[arg(long)]
    first: u64,
    /// Append no record from here on
    #[arg(long)]
    stop: u64,
    /// The first record that the reader has not had
    #[arg(long)]
    read: u64,
    /// Its offset
    #[arg(long)]
    read_offset: u64,
    /// Wait for the end when all is appended, and let the reader keep its distance
    #[arg(long)]
    until_killed: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.part {
        Some(Part::Import(import)) => importer::run(&args, import).map(|()| true),
        None => story::run(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("thalweg-demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads sizes such as `1GiB`.
fn size(text: &str) -> Result<u64, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| text.strip_suffix(unit).map(|number| (number, *shift)))
        .unwrap_or((text, 0));
    let number: u64 = number.trim().parse().map_err(|_| "must be a number with KiB, MiB or GiB".to_string())?;
    number.checked_mul(1 << shift).ok_or_else(|| "is too large".into())
}
