//! Engines.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thalweg::{Durability, Engine, Options, Runtime};

use crate::arguments::{self, Prefixed, check};
use crate::call::{call, close};
use crate::error::thalweg_error;
use crate::failure::{Answer, Failure};
use crate::handle::Table;
use crate::indexes::Indexes;
use crate::status::{INVALID_ARGUMENT, thalweg_status};
use crate::text::null;

/// A store, opened. Close it with thalweg_engine_close.
pub struct thalweg_engine {
    _opaque: (),
}

/// What moves bytes between memory and files: io_uring where the kernel permits it, else plain system calls.
pub const THALWEG_RUNTIME_AUTO: u32 = 0;
/// io_uring, or the open fails.
pub const THALWEG_RUNTIME_URING: u32 = 1;
/// Plain system calls on a bounded pool of threads.
pub const THALWEG_RUNTIME_POSIX: u32 = 2;

/// What an acknowledged append survives: as the topic says, or the engine for topics, which say THALWEG_DURABLE unless told
/// otherwise.
pub const THALWEG_DURABILITY_DEFAULT: u32 = 0;
/// In memory: the kill of the process may take it back.
pub const THALWEG_LOSE_ON_KILL: u32 = 1;
/// The device has taken the write: the loss of power may take it back.
pub const THALWEG_LOSE_ON_POWER_CUT: u32 = 2;
/// On the medium: nothing takes it back.
pub const THALWEG_DURABLE: u32 = 3;

/// Engine option: a directory that holds no store does not become one.
pub const THALWEG_ENGINE_NO_CREATE: u32 = 1;
/// Engine option: the store is only read.
pub const THALWEG_ENGINE_READ_ONLY: u32 = 2;
/// Engine option: each shard's thread stays on one core.
pub const THALWEG_ENGINE_PIN_CORES: u32 = 4;
/// Engine option: a directory that its group or everyone may write is used all the same.
pub const THALWEG_ENGINE_TRUST_SHARED_DIRECTORY: u32 = 8;
const KNOWN_FLAGS: u32 = THALWEG_ENGINE_NO_CREATE
    | THALWEG_ENGINE_READ_ONLY
    | THALWEG_ENGINE_PIN_CORES
    | THALWEG_ENGINE_TRUST_SHARED_DIRECTORY;

/// How an engine is opened. Make it ready with thalweg_engine_options_init; what stays 0 is as by default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_engine_options {
    /// sizeof(thalweg_engine_options).
    pub size: u32,
    /// THALWEG_ENGINE_NO_CREATE and its like, together.
    pub flags: u32,
    /// THALWEG_RUNTIME_AUTO and its like.
    pub runtime: u32,
    /// THALWEG_DURABLE and its like: of topics that are created without one.
    pub durability: u32,
    /// All memory that grows with load, in bytes: 64 MiB to 1 TiB; 256 MiB by default.
    pub memory_budget: u64,
    /// The largest segment file, in bytes: 64 KiB to 8 GiB; 256 MiB by default.
    pub segment_size: u64,
    /// Threads that write and read the device, 1 to 64; by default one for every four cores, at most 8.
    pub shards: u32,
    /// Segment files that stay open at most, 16 to 1,048,576; by default a quarter of what the process may open, at most
    /// 4,096.
    pub open_files: u32,
    /// How long opening waits for another owner to let go of the directory, in ms: at most one hour, 2 s by default.
    /// Negative: not at all.
    pub lock_timeout_ms: i64,
}

// SAFETY: integers without padding.
unsafe impl Prefixed for thalweg_engine_options {
    const NAME: &'static str = "thalweg_engine_options";
}

/// An engine, and what its other handles share with it.
pub(crate) struct EngineObject {
    pub(crate) engine: Engine,
    pub(crate) indexes: Arc<Indexes>,
}

pub(crate) static ENGINES: Table<EngineObject> = Table::new(1, "an engine");

/// The durability of a number; `None` for the default.
pub(crate) fn durability(number: u32) -> Answer<Option<Durability>> {
    match number {
        THALWEG_DURABILITY_DEFAULT => Ok(None),
        THALWEG_LOSE_ON_KILL => Ok(Some(Durability::LoseOnKill)),
        THALWEG_LOSE_ON_POWER_CUT => Ok(Some(Durability::LoseOnPowerCut)),
        THALWEG_DURABLE => Ok(Some(Durability::Durable)),
        _ => Err(Failure::new(INVALID_ARGUMENT, format!("option durability is {number}; allowed are 0 to 3"))),
    }
}

/// Refuses what is in a field that has no meaning yet.
pub(crate) fn check_reserved(reserved: u32, name: &str) -> Answer {
    if reserved == 0 {
        return Ok(());
    }
    Err(Failure::new(INVALID_ARGUMENT, format!("reserved of {name} is {reserved}; only 0 is allowed")))
}

/// Refuses flags that this version does not know.
pub(crate) fn check_flags(flags: u32, known: u32, name: &str) -> Answer {
    if flags & !known == 0 {
        return Ok(());
    }
    Err(Failure::new(INVALID_ARGUMENT, format!("option flags of {name} is {flags:#x}; known are {known:#x}")))
}

impl thalweg_engine_options {
    fn options(&self) -> Answer<Options> {
        check_flags(self.flags, KNOWN_FLAGS, Self::NAME)?;
        let has = |flag| self.flags & flag != 0;
        let runtime = match self.runtime {
            THALWEG_RUNTIME_AUTO => Runtime::Auto,
            THALWEG_RUNTIME_URING => Runtime::Uring,
            THALWEG_RUNTIME_POSIX => Runtime::Posix,
            other => {
                return Err(Failure::new(INVALID_ARGUMENT, format!("option runtime is {other}; allowed are 0 to 2")));
            }
        };
        let mut options = Options::default()
            .create(!has(THALWEG_ENGINE_NO_CREATE))
            .read_only(has(THALWEG_ENGINE_READ_ONLY))
            .pin_cores(has(THALWEG_ENGINE_PIN_CORES))
            .trust_shared_directory(has(THALWEG_ENGINE_TRUST_SHARED_DIRECTORY))
            .runtime(runtime);
        if let Some(durability) = durability(self.durability)? {
            options = options.durability(durability);
        }
        if self.memory_budget != 0 {
            options = options.memory_budget(self.memory_budget);
        }
        if self.segment_size != 0 {
            options = options.segment_size(self.segment_size);
        }
        if self.shards != 0 {
            options = options.shards(self.shards);
        }
        if self.open_files != 0 {
            options = options.open_files(self.open_files);
        }
        if self.lock_timeout_ms != 0 {
            let ms = u64::try_from(self.lock_timeout_ms).unwrap_or(0);
            options = options.lock_timeout(Duration::from_millis(ms));
        }
        Ok(options)
    }

    fn budget(&self) -> u64 {
        if self.memory_budget == 0 { Options::MEMORY_BUDGET_DEFAULT } else { self.memory_budget }
    }
}

/// Makes options ready: all as by default. size is sizeof(thalweg_engine_options). NULL is allowed.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_engine_options_init(options: *mut thalweg_engine_options, size: usize) {
    // SAFETY: the caller's struct is as large as it says.
    unsafe { arguments::init(options, size) };
}

/// Opens the store in a directory, or makes one there. Recovers what a process that was killed, or a machine that lost
/// power, has left.
///
/// path: of the directory, ends with a zero byte. options: NULL for the defaults. engine: gets the handle, which is yours
/// to close with thalweg_engine_close. Several engines may be open in one process, each on a directory of its own.
///
/// Blocks: recovery reads the device. Any thread. Errors: INVALID_ARGUMENT for an option outside its range; UNSUPPORTED
/// for options of a later version, a store of a later version, or a runtime that this system lacks; ALREADY_OPEN with the
/// holder's process number where it is known; NOT_FOUND if there is no store and none is to be made; PERMISSION_DENIED;
/// CORRUPT if the manifest cannot be read; NO_SPACE; IO. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_engine_open(
    path: *const c_char,
    options: *const thalweg_engine_options,
    engine: *mut *mut thalweg_engine,
    error: *mut thalweg_error,
) -> thalweg_status {
    let run = || {
        if path.is_null() {
            return Err(null("path"));
        }
        check(engine, "engine")?;
        // SAFETY: the caller's string and struct are what they say.
        let (path, options) = unsafe { (CStr::from_ptr(path), arguments::options(options)?) };
        let path = Path::new(OsStr::from_bytes(path.to_bytes()));
        let opened = Engine::open(path, options.options()?)?;
        let indexes = Arc::new(Indexes::new(options.budget()));
        let handle = ENGINES.open(EngineObject { engine: opened, indexes })?;
        // SAFETY: not NULL, and the caller's.
        unsafe { engine.write(handle) };
        Ok(())
    };
    // SAFETY: the caller's error is what it says.
    unsafe { call(error, run) }
}

/// Makes everything that was appended durable, ends the engine's threads, marks the store as cleanly closed, and closes
/// the handle, whatever the answer but INVALID_ARGUMENT, CLOSED and FORKED. Other handles of the engine stay handles: calls
/// on them answer CLOSED, those that are waiting too, and each is still to be closed, in any order. Batches stay readable;
/// completions of what was under way arrive. NULL is allowed.
///
/// Blocks: waits for the device. Any thread, also while others are in calls. Errors: CLOSED if it is closed already;
/// PARTITION_FAILED, IO, NO_SPACE if something could not be written: nothing acknowledged is lost by that, and the next
/// open recovers. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_engine_close(
    engine: *mut thalweg_engine,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe { close(&ENGINES, engine, error, |object| Ok(object.engine.close()?)) }
}
