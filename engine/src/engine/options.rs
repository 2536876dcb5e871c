//! What an engine is opened with.

use core::fmt;
use core::time::Duration;

use crate::durability::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    MEMORY_BUDGET_MAX, MEMORY_BUDGET_MIN, OPEN_FILES_MAX, OPEN_FILES_MIN, SEGMENT_MAX, SEGMENT_MIN, SHARDS_MAX,
};

/// What moves bytes between memory and files. The guarantees are the same with each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Runtime {
    /// `Uring` where the kernel and the container permit it, else `Posix`. [`Info::runtime`](crate::Info) tells which.
    #[default]
    Auto,
    /// io_uring. Opening fails with [`ErrorKind::Unsupported`] or [`ErrorKind::PermissionDenied`] where it is
    /// forbidden.
    Uring,
    /// `preadv2` and `pwritev2` on a bounded pool of threads.
    Posix,
}

impl Runtime {
    /// The name that commands and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Runtime::Auto => "auto",
            Runtime::Uring => "uring",
            Runtime::Posix => "posix",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an engine is opened. A plain builder; [`Engine::open`](crate::Engine::open) checks it and names the option, the
/// value and the allowed range of what it refuses.
///
/// ```
/// use thalweg::{Durability, Options, Runtime};
/// let options = Options::default()
///     .shards(2)
///     .memory_budget(64 << 20)
///     .runtime(Runtime::Auto)
///     .durability(Durability::Durable);
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    pub(crate) shards: Option<u32>,
    pub(crate) memory_budget: u64,
    pub(crate) segment_size: u64,
    pub(crate) runtime: Runtime,
    pub(crate) durability: Durability,
    pub(crate) pin_cores: bool,
    pub(crate) create: bool,
    pub(crate) lock_timeout: Duration,
    pub(crate) trust_shared_directory: bool,
    pub(crate) open_files: Option<u32>,
    pub(crate) read_only: bool,
    pub(crate) give_up_journal: bool,
}

impl Options {
    /// The memory budget when none is asked for. Bytes.
    pub const MEMORY_BUDGET_DEFAULT: u64 = 256 << 20;
    /// The segment size when none is asked for. Bytes.
    pub const SEGMENT_SIZE_DEFAULT: u64 = 256 << 20;
}

impl Default for Options {
    fn default() -> Options {
        Options {
            shards: None,
            memory_budget: Options::MEMORY_BUDGET_DEFAULT,
            segment_size: Options::SEGMENT_SIZE_DEFAULT,
            runtime: Runtime::Auto,
            durability: Durability::Durable,
            pin_cores: false,
            create: true,
            lock_timeout: crate::io::lock::PATIENCE,
            trust_shared_directory: false,
            open_files: None,
            read_only: false,
            give_up_journal: false,
        }
    }
}

impl Options {
    /// Threads that write and read the device, 1 to 64, each owning a share of the partitions. By default one for
    /// every four cores, at least 1 and at most 8. May differ at every open.
    pub fn shards(mut self, shards: u32) -> Options {
        self.shards = Some(shards);
        self
    }

    /// All memory that grows with load, in bytes: what is appended and not yet written, what is cached, and what
    /// readers hold. 64 MiB to 1 TiB; 256 MiB by default. It takes 42 MiB and 2 MiB for each shard, which is more than
    /// 64 MiB from 11 shards on.
    pub fn memory_budget(mut self, bytes: u64) -> Options {
        self.memory_budget = bytes;
        self
    }

    /// The largest segment file, in bytes: 64 KiB to 8 GiB, rounded down to 4 KiB; 256 MiB by default. Partitions with little traffic use
    /// smaller ones; a batch that does not fit gets a larger one of its own.
    pub fn segment_size(mut self, bytes: u64) -> Options {
        self.segment_size = bytes;
        self
    }

    /// What moves the bytes; [`Runtime::Auto`] by default.
    pub fn runtime(mut self, runtime: Runtime) -> Options {
        self.runtime = runtime;
        self
    }

    /// The durability of topics that are created without one; [`Durability::Durable`] by default.
    pub fn durability(mut self, durability: Durability) -> Options {
        self.durability = durability;
        self
    }

    /// Whether each shard's thread stays on one core; off by default.
    pub fn pin_cores(mut self, pin: bool) -> Options {
        self.pin_cores = pin;
        self
    }

    /// Whether a directory that holds no store becomes one; on by default. Off, opening one that holds none fails
    /// with [`ErrorKind::NotFound`]. One that holds other files never does ([`ErrorKind::InvalidArgument`]).
    pub fn create(mut self, create: bool) -> Options {
        self.create = create;
        self
    }

    /// How long opening waits for another owner to let go of the directory; 2 s by default, at most one hour. The
    /// last writes of a process that was killed may take that long to be over.
    pub fn lock_timeout(mut self, timeout: Duration) -> Options {
        self.lock_timeout = timeout;
        self
    }

    /// Whether a directory that its group or everyone may write is used all the same; off by default, because whoever
    /// may write it can put files under the engine's hands.
    pub fn trust_shared_directory(mut self, trust: bool) -> Options {
        self.trust_shared_directory = trust;
        self
    }

    /// How many segment files stay open at most, beside those that are read or written at the moment: 16 to 1,048,576,
    /// and no more than the process may open (`ulimit -n`). By default a quarter of that limit, at most 4,096. The least
    /// recently used are closed, and opened again when they are needed.
    pub fn open_files(mut self, most: u32) -> Options {
        self.open_files = Some(most);
        self
    }

    /// Whether the store is only read; off by default. Then nothing in its directory is changed, which may lie on a
    /// read-only file system or belong to somebody else; appends and changes of topics fail with
    /// [`ErrorKind::ReadOnly`]. Several processes may have a store open so at once, and no other may have it open for
    /// writing meanwhile. What a crash left is recovered in memory, at every such open anew: beside the memory budget
    /// that takes what the journal held, at most 64 MiB for each shard that wrote it. The directory needs its `LOCK`.
    pub fn read_only(mut self, read_only: bool) -> Options {
        self.read_only = read_only;
        self
    }

    /// Whether an open goes on without files of the journal that are missing or cut short; off by default. What was
    /// acknowledged and had not reached its segment may have been in them, at most 64 MiB for each shard: such an open
    /// loses it, and [`RecoveryReport::damaged_journals`](crate::RecoveryReport) names the files. Without this such
    /// a store does not open, which is better while the files may still be found. With
    /// [`read_only`](Options::read_only) nothing is decided.
    pub fn give_up_journal(mut self, give_up: bool) -> Options {
        self.give_up_journal = give_up;
        self
    }

    /// Refuses what is out of range.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(files) = self.open_files {
            within("open_files", u64::from(files), u64::from(OPEN_FILES_MIN), u64::from(OPEN_FILES_MAX))?;
        }
        if let Some(shards) = self.shards {
            within("shards", u64::from(shards), 1, u64::from(SHARDS_MAX))?;
        }
        within("memory_budget", self.memory_budget, MEMORY_BUDGET_MIN, MEMORY_BUDGET_MAX)?;
        within("segment_size", self.segment_size, SEGMENT_MIN, SEGMENT_MAX)?;
        let ms = u64::try_from(self.lock_timeout.as_millis()).unwrap_or(u64::MAX);
        within("lock_timeout (ms)", ms, 0, 3_600_000)
    }
}

impl Options {
    /// The most segment files to keep open, where the process may have `limit` descriptors.
    pub(crate) fn open_files_within(&self, limit: u64) -> Result<Option<u32>> {
        let Some(files) = self.open_files.filter(|files| u64::from(*files) > limit) else { return Ok(self.open_files) };
        let message = format!(
            "option open_files is {files}; allowed are {OPEN_FILES_MIN} to {limit}, the process's limit on open files \
             (ulimit -n)"
        );
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }
}

fn within(option: &str, value: u64, least: u64, most: u64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let message = format!("option {option} is {value}; allowed are {least} to {most}");
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: &Options) -> String {
        let error = options.check().expect_err("out of range");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        error.message().to_owned()
    }

    #[test]
    fn every_option_at_its_limits() {
        let base = Options::default;
        assert!(base().check().is_ok());
        assert_eq!(refused(&base().shards(0)), "option shards is 0; allowed are 1 to 64");
        assert!(base().shards(1).check().is_ok() && base().shards(64).check().is_ok());
        assert_eq!(refused(&base().shards(65)), "option shards is 65; allowed are 1 to 64");

        let below = refused(&base().memory_budget((64 << 20) - 1));
        assert_eq!(below, "option memory_budget is 67108863; allowed are 67108864 to 1099511627776");
        assert!(base().memory_budget(64 << 20).check().is_ok() && base().memory_budget(1 << 40).check().is_ok());
        refused(&base().memory_budget((1 << 40) + 1));

        assert!(refused(&base().segment_size((64 << 10) - 1)).contains("segment_size"));
        assert!(base().segment_size(64 << 10).check().is_ok() && base().segment_size(8 << 30).check().is_ok());
        refused(&base().segment_size((8 << 30) + 1));

        assert_eq!(refused(&base().open_files(15)), "option open_files is 15; allowed are 16 to 1048576");
        assert!(base().open_files(16).check().is_ok() && base().open_files(1 << 20).check().is_ok());
        assert!(refused(&base().open_files((1 << 20) + 1)).contains("open_files"));
        assert_eq!(base().open_files(64).open_files_within(64), Ok(Some(64)));
        let above = base().open_files(65).open_files_within(64).expect_err("above the limit");
        assert!(above.message().starts_with("option open_files is 65; allowed are 16 to 64"), "{above}");

        assert!(base().lock_timeout(Duration::ZERO).check().is_ok());
        assert!(refused(&base().lock_timeout(Duration::MAX)).contains("lock_timeout"));
    }
}
