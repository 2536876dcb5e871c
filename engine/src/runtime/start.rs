//! Choosing the runtime and starting its threads.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::doorbell::Doorbell;
use super::driver::DEPTH;
use super::helper::{Helper, STACK};
use super::machine::Machine;
use super::posix::Posix;
use super::scheduling;
use super::uring::{Registered, SetupError, Uring};
use super::worker::Worker;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::DurablePrimitive;
use crate::io::Environment;
use crate::io::fork::ForkGuard;
use crate::io::signal::{self, AllBlocked};

/// Which runtime is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// io_uring where it can be set up, else the other.
    Auto,
    /// io_uring or nothing.
    Uring,
    Posix,
}

/// How threads are started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub choice: Choice,
    /// The descriptor that carries the store's lock; every ring holds it.
    pub lock: Option<RawFd>,
    pub primitive: DurablePrimitive,
    /// Whether each shard stays on a processor of its own.
    pub pin_cores: bool,
}

/// A machine and the doorbell that its senders ring.
pub(crate) struct Thread<M> {
    pub machine: M,
    pub doorbell: Arc<Doorbell>,
}

impl<M> Thread<M> {
    pub(crate) fn new(machine: M, doorbell: Arc<Doorbell>) -> Thread<M> {
        Thread { machine, doorbell }
    }
}

/// The threads of one engine.
pub(crate) struct Running {
    threads: Vec<JoinHandle<bool>>,
    name: &'static str,
    reason: String,
    registered: RegisteredMemory,
    guard: ForkGuard,
}

impl Running {
    /// `uring` or `posix`.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Why that one.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// What the kernel holds ready.
    pub(crate) fn registered(&self) -> &RegisteredMemory {
        &self.registered
    }

    /// Whether this is one of its threads, which cannot wait for itself.
    pub(crate) fn is_own(&self) -> bool {
        let current = std::thread::current().id();
        self.threads.iter().any(|thread| thread.thread().id() == current)
    }

    /// Waits until all machines have closed, which they have been told to. Whether nothing is in flight any more: if
    /// not, the store's lock must not be given up by name.
    pub(crate) fn join(mut self) -> bool {
        if self.guard.forked() {
            return false;
        }
        let mut idle = true;
        for thread in std::mem::take(&mut self.threads) {
            // A thread that panicked after all has left what it had in flight to the kernel.
            idle &= thread.join().unwrap_or(false);
        }
        idle
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.guard.forked() {
            // The threads are the parent's.
            std::mem::forget(std::mem::take(&mut self.threads));
        }
    }
}

/// The memory that is registered with io_uring.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegisteredMemory {
    /// Bytes.
    pub size: u64,
    /// Why a shard has none.
    pub refusal: Option<String>,
}

impl From<&Registered> for RegisteredMemory {
    fn from(registered: &Registered) -> RegisteredMemory {
        RegisteredMemory { size: registered.size(), refusal: registered.refusal() }
    }
}

/// What a thread says before it begins.
struct Report {
    failure: Option<SetupError>,
    /// Where there is no ring: why there are no threads either.
    no_threads: Option<Error>,
    registered: RegisteredMemory,
}

/// What a thread is told once all have reported.
enum Go {
    Uring,
    Posix,
}

/// Starts a thread for each machine. All of them use the same runtime.
pub(crate) fn start<M: Machine>(
    settings: Settings,
    machines: Vec<Thread<M>>,
    helper: &Arc<Helper<M::Request, M::Response>>,
    environment: &Arc<dyn Environment>,
) -> Result<Running> {
    let (reports, reported) = channel();
    let mut threads = Vec::new();
    for (index, thread) in machines.into_iter().enumerate() {
        let (go, told) = channel();
        let (helper, environment, reports) = (Arc::clone(helper), Arc::clone(environment), reports.clone());
        let signals = AllBlocked::new();
        let handle = std::thread::Builder::new()
            .name(format!("thalweg-shard-{index}"))
            .stack_size(STACK)
            .spawn(move || run(index, settings, thread, helper, environment, reports, &told));
        drop(signals);
        match handle {
            Ok(handle) => threads.push((handle, go)),
            Err(e) => return Err(give_up(threads, Error::thread("a shard's thread", &e))),
        }
    }
    drop(reports);
    // To the last: a thread whose report nobody takes would end.
    let reported: Vec<Report> = reported.iter().collect();
    if let Some(error) = reported.iter().find_map(|report| report.no_threads.clone()) {
        return Err(give_up(threads, error));
    }
    let registered = sum(&reported);
    let (go, name, reason) = match decide(settings.choice, reported) {
        Ok(decided) => decided,
        Err(error) => return Err(give_up(threads, error)),
    };
    let registered = if matches!(go, Go::Uring) { registered } else { RegisteredMemory::default() };
    let guard = ForkGuard::new();
    let threads = threads
        .into_iter()
        .map(|(handle, sender): (JoinHandle<bool>, Sender<bool>)| {
            // A thread that has died meanwhile has failed its machine.
            let _ = sender.send(matches!(go, Go::Uring));
            handle
        })
        .collect();
    Ok(Running { threads, name, reason, registered, guard })
}

/// Ends the threads that were started: a sender that is dropped tells its thread so.
fn give_up(threads: Vec<(JoinHandle<bool>, Sender<bool>)>, error: Error) -> Error {
    for (handle, sender) in threads {
        drop(sender);
        // A panic of the thread is no more than what is told already.
        let _ = handle.join();
    }
    error
}

fn sum(reports: &[Report]) -> RegisteredMemory {
    RegisteredMemory {
        size: reports.iter().map(|report| report.registered.size).sum(),
        refusal: reports.iter().find_map(|report| report.registered.refusal.clone()),
    }
}

/// Chooses for all threads, by what they report.
fn decide(choice: Choice, reports: Vec<Report>) -> Result<(Go, &'static str, String)> {
    let failure = reports.into_iter().find_map(|report| report.failure);
    Ok(match (choice, failure) {
        (Choice::Posix, _) => (Go::Posix, "posix", "asked for".into()),
        (Choice::Uring, None) => (Go::Uring, "uring", "asked for".into()),
        (Choice::Auto, None) => (Go::Uring, "uring", "io_uring is permitted and works".into()),
        (Choice::Auto, Some(failure)) => (Go::Posix, "posix", failure.to_string()),
        (Choice::Uring, Some(failure)) => {
            let kind = match failure.error().raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => ErrorKind::PermissionDenied,
                Some(libc::ENOMEM) => ErrorKind::NoMemory,
                _ => ErrorKind::Unsupported,
            };
            return Err(Error::new(kind, format!("the runtime `uring` was asked for, but {failure}")));
        }
    })
}

/// A shard's thread: makes its ring, reports, and works with what was decided. Whether it has left nothing in flight.
fn run<M: Machine>(
    index: usize,
    settings: Settings,
    thread: Thread<M>,
    helper: Arc<Helper<M::Request, M::Response>>,
    environment: Arc<dyn Environment>,
    reports: Sender<Report>,
    told: &Receiver<bool>,
) -> bool {
    signal::thread_takes_no_signals();
    scheduling::short_slice();
    if settings.pin_cores {
        scheduling::pin(index);
    }
    let Thread { machine, doorbell } = thread;
    let made = (settings.choice != Choice::Posix)
        .then(|| {
            let memory = machine.lasting_memory();
            Uring::new(Arc::clone(&doorbell), DEPTH, settings.lock, settings.primitive, memory)
        })
        .transpose();
    let (ring, failure) = match made {
        Ok(ring) => (ring, None),
        Err(failure) => (None, Some(failure)),
    };
    let registered = ring.as_ref().map_or_else(RegisteredMemory::default, |ring| ring.registered().into());
    // Whatever is needed is there before the open is over.
    let (posix, no_threads) = match (settings.choice != Choice::Uring && ring.is_none()).then(|| posix(&doorbell)) {
        Some(Ok(posix)) => (Some(posix), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    if reports.send(Report { failure, no_threads, registered }).is_err() {
        return true;
    }
    // The reports end when the last thread has let go of its end.
    drop(reports);
    match (told.recv(), ring) {
        (Ok(true), Some(ring)) => Worker::new(machine, ring, doorbell, helper, environment).run(),
        (Ok(false), ring) => {
            drop(ring);
            // Where only another thread's ring was refused, this is late.
            match posix.map_or_else(|| self::posix(&doorbell), Ok) {
                Ok(posix) => Worker::new(machine, posix, doorbell, helper, environment).run(),
                Err(error) => {
                    let mut machine = machine;
                    machine.fail(&error);
                    true
                }
            }
        }
        // The start was given up.
        _ => true,
    }
}

fn posix(doorbell: &Arc<Doorbell>) -> Result<Posix> {
    Posix::new(Arc::clone(doorbell)).map_err(|e| Error::thread("the threads that write and read", &e))
}
