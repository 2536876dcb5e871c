//! `thalweg info`: the store, the runtime in use, how writes are made durable.

use serde::Serialize;

use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::size;
use crate::store::{self, Missing};

#[derive(Serialize)]
struct Report {
    path: String,
    store_id: String,
    runtime: &'static str,
    runtime_reason: String,
    registered_memory: u64,
    registered_reason: String,
    shards: u32,
    durable_primitive: &'static str,
    durable_reason: String,
    alignment: u64,
    direct_io: bool,
    direct_io_reason: String,
    memory_budget: u64,
    open_files: u32,
    read_only: bool,
    /// What the store can still grow by; null where the file system does not say.
    free_space: Option<u64>,
    clean: bool,
    recovery_seconds: f64,
    damaged: Vec<String>,
    unavailable: Vec<String>,
    damaged_journals: Vec<String>,
    damaged_copies: Vec<String>,
}

pub(crate) fn run(global: &Global, output: &mut Output) -> Result<(), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    let info = engine.info();
    let report = Report {
        path: info.path.display().to_string(),
        store_id: format!("{:016x}", info.store_id),
        runtime: info.runtime,
        runtime_reason: info.runtime_reason,
        registered_memory: info.registered_memory,
        registered_reason: info.registered_reason,
        shards: info.shards,
        durable_primitive: info.durable_primitive,
        durable_reason: info.durable_reason,
        alignment: info.alignment,
        direct_io: info.direct_io,
        direct_io_reason: info.direct_io_reason,
        memory_budget: info.memory_budget,
        open_files: info.open_files,
        read_only: info.read_only,
        free_space: info.free_space,
        clean: info.recovery.clean,
        recovery_seconds: info.recovery.duration.as_secs_f64(),
        damaged: info.recovery.damaged.iter().map(ToString::to_string).collect(),
        unavailable: info.recovery.unavailable,
        damaged_journals: info.recovery.damaged_journals,
        damaged_copies: info.recovery.damaged_copies,
    };
    output.report(&report, Report::text)
}

impl Report {
    fn text(&self) -> String {
        let closed = if self.clean { "cleanly" } else { "by a crash" };
        let mut rows = vec![
            ("store", format!("{} ({})", self.path, self.store_id)),
            ("runtime", format!("{}: {}", self.runtime, self.runtime_reason)),
            ("registered", format!("{}: {}", size::show(self.registered_memory), self.registered_reason)),
            ("shards", self.shards.to_string()),
            ("durable writes", format!("{}: {}", self.durable_primitive, self.durable_reason)),
            ("direct I/O", format!("{}: {}", if self.direct_io { "yes" } else { "no" }, self.direct_io_reason)),
            ("alignment", format!("{} B", self.alignment)),
            ("memory budget", size::show(self.memory_budget)),
            ("free space", self.free_space.map_or_else(|| "not known".into(), size::show)),
            ("open files", format!("{} segment files at most", self.open_files)),
            ("last closed", format!("{closed}; recovery took {:.3} s", self.recovery_seconds)),
        ];
        for (name, found) in [
            ("damaged", &self.damaged),
            ("unavailable", &self.unavailable),
            ("journal", &self.damaged_journals),
            ("copy", &self.damaged_copies),
        ] {
            rows.extend(found.iter().map(|what| (name, what.clone())));
        }
        rows.iter().map(|(name, value)| format!("{name:<16}{value}\n")).collect()
    }
}
