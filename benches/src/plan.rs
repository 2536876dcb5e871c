//! A plan: all that one measurement is told.

use std::fmt::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::size;

/// What is done. Each has its file in `workloads`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workload {
    /// Bulk appends, one and a hundred records per call, by one and several threads
    Append,
    /// Callers that wait until their record is durable, and callers with many appends in flight
    Durable,
    /// Small durable appends spread over 1 to 10,000 partitions
    Partitions,
    /// From the append to the consumer that waits for it, idle and with busy cores
    Tail,
    /// A cold backlog, read alone and while a producer runs
    Catchup,
    /// Memory while a consumer falls behind
    SlowConsumer,
    /// The time to open a store, after a clean close and after SIGKILL
    Reopen,
    /// The same appends from Rust and from C
    Ffi,
}

impl Workload {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Workload::Append => "append",
            Workload::Durable => "durable",
            Workload::Partitions => "partitions",
            Workload::Tail => "tail",
            Workload::Catchup => "catchup",
            Workload::SlowConsumer => "slow-consumer",
            Workload::Reopen => "reopen",
            Workload::Ffi => "ffi",
        }
    }
}

/// When an append counts as acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Durability {
    /// On the medium
    #[default]
    Durable,
    /// Taken by the device
    LoseOnPowerCut,
    /// In the process's memory
    LoseOnKill,
}

impl Durability {
    pub(crate) fn engine(self) -> thalweg::Durability {
        match self {
            Durability::Durable => thalweg::Durability::Durable,
            Durability::LoseOnPowerCut => thalweg::Durability::LoseOnPowerCut,
            Durability::LoseOnKill => thalweg::Durability::LoseOnKill,
        }
    }
}

/// What moves the engine's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Runtime {
    /// io_uring where it is permitted, else plain system calls
    #[default]
    Auto,
    /// io_uring, or an error
    Uring,
    /// Plain system calls on a few threads
    Posix,
}

impl Runtime {
    fn engine(self) -> thalweg::Runtime {
        match self {
            Runtime::Auto => thalweg::Runtime::Auto,
            Runtime::Uring => thalweg::Runtime::Uring,
            Runtime::Posix => thalweg::Runtime::Posix,
        }
    }
}

/// The language that calls the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Caller {
    #[default]
    Rust,
    C,
}

/// One way to do a workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Case {
    /// Threads that append.
    pub(crate) threads: u32,
    pub(crate) partitions: u32,
    /// Records of one append.
    pub(crate) batch: u32,
    /// Appends that a thread has under way. 1: it waits for each. 0: as many as the memory takes.
    pub(crate) in_flight: u32,
    /// Threads that read.
    pub(crate) consumers: u32,
    /// Whether other threads want every core.
    pub(crate) busy: bool,
    /// Whether a producer runs beside the reader.
    pub(crate) producing: bool,
    /// Whether the store was left by SIGKILL.
    pub(crate) killed: bool,
    pub(crate) caller: Caller,
    /// Records for each second that the workload asks for by itself.
    pub(crate) rate: Option<f64>,
    /// What is in the store before. Bytes of values; 0: nothing.
    pub(crate) data: u64,
}

impl Default for Case {
    fn default() -> Case {
        Case {
            threads: 1,
            partitions: 1,
            batch: 1,
            in_flight: 1,
            consumers: 0,
            busy: false,
            producing: false,
            killed: false,
            caller: Caller::Rust,
            rate: None,
            data: 0,
        }
    }
}

fn many(count: u32, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

impl Case {
    /// What sets this case apart from the workload's others.
    pub(crate) fn name(&self, workload: Workload) -> String {
        let mut name = match workload {
            Workload::Append => format!(
                "{}, {}, {} per call",
                many(self.threads, "thread"),
                many(self.partitions, "partition"),
                self.batch
            ),
            Workload::Durable if self.in_flight == 1 => many(self.threads, "waiting caller"),
            Workload::Durable => format!("1 caller, {} in flight", self.in_flight),
            Workload::Partitions => many(self.partitions, "partition"),
            Workload::Tail => many(self.consumers, "consumer"),
            Workload::Catchup if self.producing => "beside a producer".to_owned(),
            Workload::Catchup => "alone".to_owned(),
            Workload::SlowConsumer => "a consumer at half the speed".to_owned(),
            Workload::Reopen if self.killed => "after SIGKILL".to_owned(),
            Workload::Reopen => "after a clean close".to_owned(),
            Workload::Ffi => format!("{:?}, {} per call", self.caller, self.batch),
        };
        if self.data > 0 {
            let _ = write!(name, ", {}", size::exact(self.data));
        }
        if self.busy {
            name += ", busy cores";
        }
        name
    }
}

/// How long a measurement goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Length {
    /// Until so many records are acknowledged.
    Records(u64),
    /// So long.
    Seconds(f64),
}

/// All that one measurement is told. It is carried out by a process of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) workload: Workload,
    pub(crate) case: Case,
    /// Bytes of one value.
    pub(crate) record_size: usize,
    pub(crate) durability: Durability,
    pub(crate) length: Length,
    /// Records for each second that the user asks for. `None`: what the case says; and if it says nothing, flat-out.
    pub(crate) rate: Option<f64>,
    pub(crate) memory_budget: u64,
    pub(crate) runtime: Runtime,
    /// An empty directory.
    pub(crate) dir: PathBuf,
    /// Who does it; `None`: the engine, with all that it can.
    pub(crate) peer: Option<String>,
}

impl Plan {
    /// Records for each second; `None`: flat-out.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate.or(self.case.rate)
    }

    /// Records of what is in the store before.
    pub(crate) fn backlog(&self) -> u64 {
        (self.case.data / self.record_size as u64).max(1)
    }

    pub(crate) fn options(&self) -> thalweg::Options {
        thalweg::Options::default().memory_budget(self.memory_budget).runtime(self.runtime.engine())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_told_apart_by_their_names() {
        let case = Case { threads: 2, batch: 100, ..Case::default() };
        assert_eq!(case.name(Workload::Append), "2 threads, 1 partition, 100 per call");
        let case = Case { in_flight: 256, ..Case::default() };
        assert_eq!(case.name(Workload::Durable), "1 caller, 256 in flight");
        let case = Case { killed: true, data: 64 << 20, ..Case::default() };
        assert_eq!(case.name(Workload::Reopen), "after SIGKILL, 64 MiB");
        let case = Case { consumers: 1, busy: true, ..Case::default() };
        assert_eq!(case.name(Workload::Tail), "1 consumer, busy cores");
    }
}
