//! Opening an engine on the operating system, and closing it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::core::{Core, Ground, Opened, budget, no_store, shards_for};
use super::info::Info;
use super::options::{Options, Runtime};
use crate::error::{Error, ErrorKind, Result};
use crate::events::{EventKind, Fallback};
use crate::gate::Gate;
use crate::ids::DurablePrimitive;
use crate::io::fork::ForkGuard;
use crate::io::lock::{self, StoreLock};
use crate::io::os::{OsDisk, OsEnvironment, open_files_default, open_files_limit};
use crate::io::{Disk, Environment, ReadOnlyDisk};
use crate::manifest::{ManifestStore, MetaDone, MetaOptions, MetaOrder, MetaRequest, MetaResponse, foreign};
use crate::runtime::{Choice, DeviceMemory, Doorbell, Helper, RegisteredMemory, Running, Settings, Thread, start};
use crate::topic::Metadata;

type MetaHelper = Helper<MetaRequest, MetaResponse>;

/// What an engine has of the operating system.
pub(super) struct Host {
    path: PathBuf,
    disk: Arc<OsDisk>,
    runtime: &'static str,
    runtime_reason: String,
    registered: RegisteredMemory,
    shards: u32,
    memory_budget: u64,
    read_only: bool,
    guard: ForkGuard,
    /// Taken by close.
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    running: Running,
    helper: Arc<MetaHelper>,
    lock: StoreLock,
}

struct Orders(Arc<MetaHelper>);

impl Metadata for Orders {
    fn order(&self, order: MetaOrder) -> Result<MetaDone> {
        self.0.call(MetaRequest { ticket: 0, order })?.result
    }
}

/// Opens a store and starts its threads.
pub(super) fn open(path: &Path, options: &Options) -> Result<(Core, Host)> {
    options.check()?;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let shards = shards_for(options.shards, cores);
    // Before the directory is made, which a refusal would leave behind.
    budget(options.memory_budget, shards)?;
    let guard = ForkGuard::new();
    let open_files = options.open_files_within(open_files_limit())?;
    let disk = Arc::new(match options.read_only {
        true => OsDisk::open_to_read(path, options.trust_shared_directory)?,
        false => OsDisk::open(path, options.create, options.trust_shared_directory)?,
    });
    disk.set_open_files(open_files.unwrap_or_else(open_files_default));
    // Before the lock's file is made, too.
    let checked = if options.create && !options.read_only { foreign::check(&*disk) } else { check_begun(&disk) };
    checked.map_err(|e| e.context(path.display()))?;
    let lock = match options.read_only {
        true => StoreLock::acquire_shared(&disk, options.lock_timeout)?,
        false => StoreLock::acquire(&disk, options.lock_timeout)?,
    };
    if !options.read_only {
        disk.facts().check().map_err(|e| e.context(path.display()))?;
    }
    let own: Arc<dyn Disk> = Arc::clone(&disk) as Arc<dyn Disk>;
    let ground_disk = if options.read_only { Arc::new(ReadOnlyDisk::new(own)) } else { own };
    let environment: Arc<dyn Environment> = Arc::new(OsEnvironment);
    let ground = Ground {
        disk: ground_disk,
        environment: Arc::clone(&environment),
        memory: Box::new(DeviceMemory::new()),
        gate: Gate::new(Some(Box::new(move || guard.forked()))).read_only(options.read_only),
        shards,
    };
    let measure = || disk.measure_durable();
    let opened =
        Core::open(ground, options, MetaOptions::default(), &measure, &|primitive| disk.set_durable(primitive));
    let Opened { core, shards: machines, mut meta } = opened.map_err(|e| e.context(path.display()))?;

    let helper = Arc::new(MetaHelper::start(Box::new(move |requests| meta.run(requests)))?);
    core.set_metadata(Box::new(Orders(Arc::clone(&helper))));
    let mut threads = Vec::new();
    for (machine, handle) in machines.into_iter().zip(&core.common().shards) {
        let doorbell = Doorbell::make()?;
        handle.set_waker(Arc::clone(&doorbell) as Arc<dyn crate::shard::Wake>);
        threads.push(Thread::new(machine, doorbell));
    }
    let settings = Settings {
        choice: match options.runtime {
            Runtime::Auto => Choice::Auto,
            Runtime::Uring => Choice::Uring,
            Runtime::Posix => Choice::Posix,
        },
        lock: Some(lock.raw_fd()),
        primitive: core.primitive(),
        pin_cores: options.pin_cores,
    };
    let running = start(settings, threads, &helper, &environment).inspect_err(|_| helper.end())?;
    let host = Host {
        path: path.to_owned(),
        runtime: running.name(),
        runtime_reason: running.reason().to_owned(),
        registered: running.registered().clone(),
        disk,
        shards,
        memory_budget: options.memory_budget,
        read_only: options.read_only,
        guard,
        threads: Mutex::new(Some(Threads { running, helper, lock })),
    };
    host.tell(&core, options);
    Ok((core, host))
}

/// Refuses a directory in which no store has been begun: not even the lock's file is made there.
fn check_begun(disk: &OsDisk) -> Result<()> {
    let names = disk.list("").map_err(|e| Error::os("listing the store's directory", &e))?;
    if names.iter().any(|name| name == lock::NAME) || ManifestStore::exists(disk)? {
        return Ok(());
    }
    foreign::check_not_lost(disk)?;
    Err(no_store())
}

impl Host {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn registered_reason(&self) -> String {
        match (&self.registered.refusal, self.runtime) {
            (Some(refusal), _) => refusal.clone(),
            (None, "uring") => "the journal's staging memory is registered with io_uring".into(),
            (None, runtime) => format!("the runtime {runtime} has no use for it"),
        }
    }

    /// What moves the bytes.
    pub(super) fn runtime(&self) -> &'static str {
        self.runtime
    }

    /// What is to be told of an open.
    fn tell(&self, core: &Core, options: &Options) {
        let events = core.events();
        let fell_back = |what, reason| events.raise(EventKind::Fallback { what, reason });
        if options.runtime == Runtime::Auto && self.runtime == "posix" {
            fell_back(Fallback::Posix, self.runtime_reason.clone());
        }
        if !self.disk.facts().direct_io {
            fell_back(Fallback::BufferedIo, self.disk.facts().reason.clone());
        }
        if self.disk.durable() != core.primitive() {
            fell_back(Fallback::WriteThenSync, self.durable_reason(core));
        }
        if let Some(refusal) = self.registered.refusal.clone() {
            fell_back(Fallback::UnregisteredMemory, refusal);
        }
        let path = self.path.clone();
        events.raise(EventKind::Opened { path, runtime: self.runtime, read_only: self.read_only });
    }

    pub(super) fn info(&self, core: &Core) -> Info {
        let facts = self.disk.facts();
        Info {
            path: self.path.clone(),
            store_id: core.store(),
            runtime: self.runtime,
            runtime_reason: self.runtime_reason.clone(),
            registered_memory: self.registered.size,
            registered_reason: self.registered_reason(),
            shards: self.shards,
            durable_primitive: match self.disk.durable() {
                DurablePrimitive::DurableWrite => "durable write",
                DurablePrimitive::WriteThenSync => "write then sync",
            },
            durable_reason: self.durable_reason(core),
            alignment: facts.alignment,
            direct_io: facts.direct_io,
            direct_io_reason: facts.reason.clone(),
            memory_budget: self.memory_budget,
            open_files: self.disk.open_files(),
            read_only: self.read_only,
            free_space: self.disk.free_space().ok(),
            recovery: core.recovery().clone(),
        }
    }

    fn durable_reason(&self, core: &Core) -> String {
        if self.disk.durable() != core.primitive() {
            return "the kernel or file system refuses RWF_DSYNC since the store was created".into();
        }
        match core.primitive_reason() {
            Some(reason) => format!("{reason}; measured when the store was created"),
            None => "chosen when the store was created, which did not note why".into(),
        }
    }

    /// Ends everything. The store is marked clean if all of it is whole on the device.
    pub(super) fn close(&self, core: &Arc<Core>) -> Result<()> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(threads) = threads else { return Ok(()) };
        if self.guard.forked() {
            // Threads, lock and store are the parent's.
            std::mem::forget(threads);
            let message = "the engine belongs to the process that this one was forked from";
            return Err(Error::new(ErrorKind::Forked, message));
        }
        core.begin_close();
        let read_only = self.read_only;
        if threads.running.is_own() {
            let (core, disk) = (Arc::clone(core), Arc::clone(&self.disk));
            close_behind(threads, move |threads| finish(&core, &disk, threads, read_only));
            let message = "a thread of the engine cannot wait for its own end; the close goes on behind it";
            return Err(Error::new(ErrorKind::WouldBlock, message));
        }
        finish(core, &self.disk, threads, read_only)
    }
}

/// Has a thread of its own do what this one cannot wait for.
fn close_behind(threads: Threads, finish: impl FnOnce(Threads) -> Result<()> + Send + 'static) {
    let threads = Arc::new(Mutex::new(Some(threads)));
    let take = |threads: &Mutex<Option<Threads>>| threads.lock().unwrap_or_else(PoisonError::into_inner).take();
    let spawned = std::thread::Builder::new().name("thalweg-close".into()).spawn({
        let threads = Arc::clone(&threads);
        // The event tells how it ended.
        move || take(&threads).map(finish)
    });
    if spawned.is_err() {
        // The shards end all the same; the lock stays, as nobody can tell when.
        std::mem::forget(take(&threads));
    }
}

/// Waits for the threads, marks the store as clean if it is, and gives files and lock up.
fn finish(core: &Core, disk: &OsDisk, threads: Threads, read_only: bool) -> Result<()> {
    let Threads { running, helper, lock } = threads;
    let idle = running.join();
    core.finish_close();
    let closed = helper.call(MetaRequest { ticket: 0, order: MetaOrder::CloseClean }).and_then(|done| done.result);
    helper.end();
    // Handles that live on keep their segments, but none of them open.
    disk.close();
    if idle {
        lock.release();
    } else {
        // What is in flight holds the lock, through its ring, for as long as it takes.
        drop(lock);
    }
    let clean = matches!(closed, Ok(MetaDone::Closed { clean: true }));
    core.events().raise(EventKind::Closed { clean: clean || read_only });
    if read_only {
        return Ok(());
    }
    match closed.map_err(|error| error.context("closing the store"))? {
        MetaDone::Closed { clean: false } => {
            let message = "the store is closed, but not clean, because a partition has failed; nothing that was \
                           acknowledged is lost, and the next open recovers it";
            Err(Error::new(ErrorKind::PartitionFailed, message))
        }
        _ => Ok(()),
    }
}
