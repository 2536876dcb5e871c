//! What may stand on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::{size, time};

/// Takes records in, gives them back, and looks into stores.
#[derive(Parser)]
#[command(name = "thalweg", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done; 1 found damage, or failed; 2 wrong usage.")]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct GlobalArgs {
    /// The store: a directory that one process at a time owns
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
    /// Memory for data on its way and in the cache, for example 64MiB [default: 256MiB]
    #[arg(long, value_name = "SIZE", global = true, value_parser = size::parse)]
    memory_budget: Option<u64>,
    /// What moves bytes to and from the device
    #[arg(long, value_enum, global = true, default_value_t = Runtime::Auto)]
    runtime: Runtime,
    /// Change nothing in the store's directory; for commands that only read.
    /// Several may read a store so at once, while nobody has it open otherwise
    #[arg(long, global = true)]
    read_only: bool,
    /// Go on without files of the journal that are missing or cut short, and without the acknowledged records that only
    /// they held. With --read-only nothing is lost for good
    #[arg(long, global = true)]
    give_up_journal: bool,
    /// Report as JSON
    #[arg(long, global = true)]
    json: bool,
}

/// The options of every command.
pub(crate) struct Global {
    pub(crate) dir: PathBuf,
    pub(crate) memory_budget: Option<u64>,
    pub(crate) runtime: Runtime,
    pub(crate) read_only: bool,
    pub(crate) give_up_journal: bool,
    pub(crate) json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Runtime {
    /// io_uring where it is permitted, else plain system calls
    Auto,
    /// io_uring, or an error
    Uring,
    /// Plain system calls on a few threads
    Posix,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Append each line of the files as a record
    Import(Import),
    /// Write the records of a topic to standard output, up to where it ended at the start
    Consume(Consume),
    /// List, describe and delete topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Remove the oldest or the newest records of a topic, for good
    Truncate(Truncate),
    /// List, reset and delete the positions that consumers have committed
    #[command(subcommand)]
    Positions(PositionsCommand),
    /// Read and change the key-values of a topic
    #[command(subcommand)]
    Kv(KvCommand),
    /// Read everything and check every checksum and offset
    Verify,
    /// Show the frames of a partition as they lie on the device
    Dump(Dump),
    /// Show what lies in the store, and what consumers have still to read
    Stats(Stats),
    /// Show the store, the runtime in use, and how writes are made durable
    Info,
}

impl Command {
    /// Whether it changes the store.
    fn changes(&self) -> bool {
        match self {
            Command::Import(_) | Command::Truncate(_) | Command::Topic(TopicCommand::Delete { .. }) => true,
            Command::Consume(consume) => consume.name.is_some(),
            Command::Positions(command) => !matches!(command, PositionsCommand::List { .. }),
            Command::Kv(command) => !matches!(command, KvCommand::Get { .. } | KvCommand::List { .. }),
            _ => false,
        }
    }
}

#[derive(Args)]
#[command(
    after_help = "Only the line feed at the end of a line is taken off: a carriage return stays, and an empty line \
                        is a record. The command ends with 0 only when every record is durable."
)]
pub(crate) struct Import {
    /// Files to read; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The topic; created if it does not exist
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: String,
    /// Partitions of the topic [default: 1 for a new one]; an error if an existing one has another number
    #[arg(long, value_name = "N")]
    pub(crate) partitions: Option<u32>,
    /// What divides the fields of a line: one character, or \t
    #[arg(long, value_name = "C", default_value = ",", value_parser = delimiter, requires = "key_column")]
    pub(crate) delimiter: u8,
    /// The field that is the record's key: its number from 1, or its name in the first line of each file, which is
    /// then not imported. Fields are quoted as in CSV; the value is the whole line, as it is
    #[arg(long, value_name = "N|NAME")]
    pub(crate) key_column: Option<String>,
    /// At the end, tell on standard error what was appended, written and waited for
    #[arg(long)]
    pub(crate) stats: bool,
}

#[derive(Args)]
pub(crate) struct Consume {
    /// The topic
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: String,
    /// Only this partition; otherwise all, one after the other
    #[arg(long, value_name = "P")]
    pub(crate) partition: Option<u32>,
    /// Where to begin: earliest, latest, an offset, or the first record whose timestamp is a time or later: @ and ms
    /// since 1970, or UTC as @2010-12-01T08:26:00Z. With appended@TIME the first that was appended then or later.
    /// With --as, where partitions begin that have no position yet
    #[arg(long, value_name = FROM, default_value = "earliest", value_parser = from)]
    pub(crate) from: From,
    /// Go on where the consumer of this name was, and commit how far this one gets
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Write at most so many records
    #[arg(long, value_name = "N")]
    pub(crate) max: Option<u64>,
    /// raw: values, one per line. json: one object per line
    #[arg(long, value_enum, default_value_t = Format::Raw)]
    pub(crate) format: Format,
    /// At the end, tell on standard error what was read, and from where
    #[arg(long)]
    pub(crate) stats: bool,
}

/// How a place to begin is written.
const FROM: &str = "earliest|latest|OFFSET|@TIME|appended@TIME";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Earliest,
    Latest,
    Offset(u64),
    /// Ms since 1970.
    Time(i64),
    /// Ms since 1970.
    AppendTime(i64),
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Raw,
    Json,
}

#[derive(Subcommand)]
pub(crate) enum TopicCommand {
    /// List the topics
    List,
    /// Show a topic's partitions: offsets, sizes, damage
    Describe {
        /// The topic
        topic: String,
    },
    /// Delete a topic and all its records
    Delete {
        /// The topic
        topic: String,
    },
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("end").required(true).args(["before", "after"]))]
pub(crate) struct Truncate {
    /// The topic
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: String,
    /// The partition; may be left out where there is only one
    #[arg(long, value_name = "P")]
    pub(crate) partition: Option<u32>,
    /// Remove the records below this offset; beyond the end it becomes the next offset
    #[arg(long, value_name = "OFFSET")]
    pub(crate) before: Option<u64>,
    /// Remove the records at this offset and beyond; it becomes the next offset
    #[arg(long, value_name = "OFFSET")]
    pub(crate) after: Option<u64>,
}

#[derive(Subcommand)]
pub(crate) enum PositionsCommand {
    /// List positions, with what is still to be read
    List {
        /// Only this consumer's
        consumer: Option<String>,
    },
    /// Put a consumer somewhere else
    Reset(PositionsReset),
    /// Go on with what can be read of damaged positions, of all consumers, and say what is lost
    Repair,
    /// Delete a consumer's positions
    Delete {
        /// The consumer
        consumer: String,
        /// Only those in this topic
        #[arg(long, value_name = "TOPIC")]
        topic: Option<String>,
    },
}

#[derive(Args)]
pub(crate) struct PositionsReset {
    /// The consumer
    pub(crate) consumer: String,
    /// The topic
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: String,
    /// Only this partition; otherwise all
    #[arg(long, value_name = "P")]
    pub(crate) partition: Option<u32>,
    /// Where to: as with consume --from
    #[arg(long, value_name = FROM, value_parser = from)]
    pub(crate) to: From,
}

#[derive(Subcommand)]
pub(crate) enum KvCommand {
    /// Write the value of a key to standard output, byte for byte; on a terminal a line feed follows
    Get {
        /// The topic
        topic: String,
        /// The key
        key: OsString,
    },
    /// Give a key a value
    Put {
        /// The topic
        topic: String,
        /// The key
        key: OsString,
        /// The value; - is standard input
        value: OsString,
    },
    /// Take a key's value away
    Delete {
        /// The topic
        topic: String,
        /// The key
        key: OsString,
    },
    /// Go on with what can be read of damaged key-values, of all topics, and say what is lost
    Repair,
    /// List keys and values
    List {
        /// The topic
        topic: String,
        /// Only keys that begin so
        #[arg(long, value_name = "TEXT", default_value = "")]
        prefix: OsString,
    },
}

#[derive(Args)]
pub(crate) struct Stats {
    /// Write what the engine counts in the text format that Prometheus scrapes
    #[arg(long)]
    pub(crate) prometheus: bool,
}

#[derive(Args)]
pub(crate) struct Dump {
    /// The topic
    pub(crate) topic: String,
    /// The partition
    #[arg(long, value_name = "P")]
    pub(crate) partition: u32,
}

/// The command line, checked as far as it can be without a store.
pub(crate) struct Parsed {
    pub(crate) global: Global,
    pub(crate) command: Command,
}

/// Reads the command line. On wrong usage, writes what is wrong to standard error and exits with 2.
pub(crate) fn parse() -> Parsed {
    let cli = Cli::parse();
    // An option that every command takes cannot be a required one in clap.
    let Some(dir) = cli.global.dir else {
        let missing = "the store is missing: name its directory with --dir DIR";
        Cli::command().error(ErrorKind::MissingRequiredArgument, missing).exit()
    };
    let GlobalArgs { memory_budget, runtime, read_only, give_up_journal, json, .. } = cli.global;
    if read_only && cli.command.changes() {
        let conflict = "--read-only belongs to commands that only read the store, and this one changes it";
        Cli::command().error(ErrorKind::ArgumentConflict, conflict).exit()
    }
    let global = Global { dir, memory_budget, runtime, read_only, give_up_journal, json };
    Parsed { global, command: cli.command }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [b'\n' | b'\r' | b'"'] => Err("line ends and quotation marks cannot divide fields".into()),
        [one] => Ok(*one),
        _ => Err("must be one ASCII character, or \\t".into()),
    }
}

fn from(text: &str) -> Result<From, String> {
    match text.split_once('@') {
        Some(("", text)) => time::parse(text).map(From::Time),
        Some(("appended", text)) => time::parse(text).map(From::AppendTime),
        _ if text == "earliest" => Ok(From::Earliest),
        _ if text == "latest" => Ok(From::Latest),
        _ => text.parse().map(From::Offset).map_err(|_| format!("must be one of {FROM}").replace('|', ", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn places_to_begin() {
        assert_eq!(from("earliest"), Ok(From::Earliest));
        assert_eq!(from("17"), Ok(From::Offset(17)));
        assert_eq!(from("@1970-01-02"), Ok(From::Time(86_400_000)));
        assert_eq!(from("appended@5"), Ok(From::AppendTime(5)));
        for wrong in ["", "first", "-1", "@", "appended@", "appended5", "created@5", "latest@5"] {
            assert!(from(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn delimiters() {
        assert_eq!(delimiter(";"), Ok(b';'));
        assert_eq!(delimiter("\\t"), Ok(b'\t'));
        for wrong in ["", ";;", "ä", "\"", "\n"] {
            assert!(delimiter(wrong).is_err(), "{wrong:?}");
        }
    }
}
