//! The `thalweg` command: takes records in, gives them back, and looks into stores.

mod args;
mod bytes;
mod consume;
mod dump;
mod failure;
mod import;
mod info;
mod inputs;
mod key;
mod kv;
mod lines;
mod output;
mod positions;
mod progress;
mod repair;
mod size;
mod stats;
mod store;
mod time;
mod topic;
mod truncate;
mod verify;

use std::io::Write;
use std::process::ExitCode;

use args::{Command, PositionsCommand, TopicCommand};
use output::Output;

fn main() -> ExitCode {
    let args = args::parse();
    let mut output = Output::new(args.global.json);
    let result = match &args.command {
        Command::Import(import) => import::run(&args.global, import, &mut output),
        Command::Consume(consume) => consume::run(&args.global, consume, &mut output),
        Command::Topic(TopicCommand::List) => topic::list(&args.global, &mut output),
        Command::Topic(TopicCommand::Describe { topic }) => topic::describe(&args.global, topic, &mut output),
        Command::Topic(TopicCommand::Delete { topic }) => topic::delete(&args.global, topic, &mut output),
        Command::Truncate(truncate) => truncate::run(&args.global, truncate, &mut output),
        Command::Positions(PositionsCommand::List { consumer }) => {
            positions::list(&args.global, consumer.as_deref(), &mut output)
        }
        Command::Positions(PositionsCommand::Reset(reset)) => positions::reset(&args.global, reset, &mut output),
        Command::Positions(PositionsCommand::Delete { consumer, topic }) => {
            positions::delete(&args.global, consumer, topic.as_deref(), &mut output)
        }
        Command::Positions(PositionsCommand::Repair) => positions::repair(&args.global, &mut output),
        Command::Kv(command) => kv::run(&args.global, command, &mut output),
        Command::Verify => verify::run(&args.global, &mut output),
        Command::Dump(dump) => dump::run(&args.global, dump, &mut output),
        Command::Stats(stats) => stats::run(&args.global, stats, &mut output),
        Command::Info => info::run(&args.global, &mut output),
    };
    let failure = match result.and_then(|()| output.finish()) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    if let Some(message) = failure.message() {
        // If standard error is closed too, there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "thalweg: {message}");
    }
    ExitCode::from(failure.code())
}
