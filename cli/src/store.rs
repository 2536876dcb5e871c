//! Opening the store that `--dir` names.

use std::io::Write;

use thalweg::{Engine, ErrorKind, Options, Topic};

use crate::args::{Global, Runtime};
use crate::failure::Failure;

/// Whether a directory without a store becomes one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Create,
    Refuse,
}

/// Opens the store.
pub(crate) fn open(global: &Global, missing: Missing) -> Result<Engine, Failure> {
    let runtime = match global.runtime {
        Runtime::Auto => thalweg::Runtime::Auto,
        Runtime::Uring => thalweg::Runtime::Uring,
        Runtime::Posix => thalweg::Runtime::Posix,
    };
    let mut options = Options::default().runtime(runtime).create(missing == Missing::Create);
    options = options.read_only(global.read_only).give_up_journal(global.give_up_journal);
    if let Some(bytes) = global.memory_budget {
        options = options.memory_budget(bytes);
    }
    let engine = Engine::open(&global.dir, options)?;
    for journal in engine.info().recovery.damaged_journals {
        let _ = writeln!(std::io::stderr(), "thalweg: acknowledged records may be lost: {journal}");
    }
    Ok(engine)
}

/// A topic that exists.
pub(crate) fn topic(engine: &Engine, name: &str) -> Result<Topic, Failure> {
    engine.topic(name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::Failed(format!("there is no topic {name:?}; thalweg topic list names them")),
        _ => error.into(),
    })
}

/// Refuses a partition that the topic does not have.
pub(crate) fn check_partition(name: &str, partition: u32, partitions: u32) -> Result<(), Failure> {
    if partition < partitions {
        return Ok(());
    }
    let last = partitions - 1;
    Err(Failure::Failed(format!("topic {name:?} has no partition {partition}; its partitions are 0 to {last}")))
}
