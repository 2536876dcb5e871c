//! Every target of speed as a row: ours beside its baseline, measured in the same iteration.
//!
//! `make bench`, or `make bench ARGS="bulk durable --rounds 30"` for some rows and more rounds.

mod abi;
mod append;
mod durable;
mod memory;
mod read;
mod reopen;
mod store;
mod threads;

use thalweg_bench::{Bench, Settings};

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if let Some(child) = arguments.next_if(|argument| argument == "child-memory" || argument == "child-reopen") {
        let arguments: Vec<String> = arguments.collect();
        return if child == "child-memory" { memory::child(&arguments) } else { reopen::child(&arguments) };
    }
    let settings = Settings::parse(arguments).unwrap_or_else(|message| {
        eprintln!("{message}");
        std::process::exit(2);
    });
    let mut bench = Bench::new(settings);
    append::small(&mut bench);
    abi::appends(&mut bench);
    abi::walks(&mut bench);
    append::bulk(&mut bench);
    durable::waiting_callers(&mut bench);
    durable::busy(&mut bench);
    durable::spread(&mut bench);
    read::tail(&mut bench);
    read::cold(&mut bench);
    threads::threads(&mut bench);
    memory::memory(&mut bench);
    reopen::reopen(&mut bench);
    let missed = bench.finish();
    println!("\n{missed} targets missed");
}
