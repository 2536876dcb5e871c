//! The bell beside a shard's thread: an eventfd.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::io::fork::GuardedFd;
use crate::io::os::check;
use crate::shard::Wake;
use crate::sync::{self, Bell};

/// The doorbell of one shard's thread.
pub(crate) type Doorbell = sync::Doorbell<EventBell>;

impl Doorbell {
    /// A doorbell for one machine.
    pub(crate) fn make() -> Result<Arc<Doorbell>> {
        let bell = EventBell::new().map_err(|e| Error::os("cannot make an eventfd", &e))?;
        Ok(Arc::new(Doorbell::new(bell)))
    }
}

impl Wake for Doorbell {
    fn wake(&self) {
        sync::Doorbell::wake(self);
    }
}

/// A counter in the kernel. A ring reads it like any other file; it blocks whoever reads it at zero.
pub(crate) struct EventBell {
    fd: GuardedFd,
}

impl EventBell {
    pub(crate) fn new() -> io::Result<EventBell> {
        let make = || {
            // SAFETY: no memory is handed over.
            let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
            // SAFETY: the call just returned this descriptor, and nobody else has it.
            Ok(unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) })
        };
        Ok(EventBell { fd: GuardedFd::open(make)? })
    }

    /// Sleeps until it rings or the time has passed, and silences it.
    pub(crate) fn sleep(&self, timeout: Option<std::time::Duration>) -> io::Result<()> {
        let mut poll = libc::pollfd { fd: self.fd.raw(), events: libc::POLLIN, revents: 0 };
        let time = timeout.map(|t| libc::timespec {
            tv_sec: libc::time_t::try_from(t.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: t.subsec_nanos().into(),
        });
        let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the structure and the time are live values; no mask of signals is given.
        match check(unsafe { libc::ppoll(&raw mut poll, 1, time, std::ptr::null()) }) {
            Ok(0) => Ok(()),
            Ok(_) => {
                let mut count = 0u64;
                // SAFETY: pointer and length are those of a live number. Only the sleeper reads, and the counter was
                // just seen above zero, so that this does not block.
                unsafe { libc::read(self.fd.raw(), (&raw mut count).cast(), size_of::<u64>()) };
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(e),
        }
    }
}

impl AsRawFd for EventBell {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.raw()
    }
}

impl Bell for EventBell {
    fn ring(&self) {
        if self.fd.forked() {
            return;
        }
        let one = 1u64;
        // SAFETY: pointer and length are those of a live number. It fails only when interrupted before anything
        // happened, and is tried again then.
        while unsafe { libc::write(self.fd.raw(), (&raw const one).cast(), size_of::<u64>()) } < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
}
