//! A counter in the kernel that threads sleep on and event loops watch.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
#[cfg(test)]
use std::time::{Duration, Instant};

/// An eventfd: readable from a [`notify`](EventFd::notify) until the next [`drain`](EventFd::drain). Non-blocking and
/// close-on-exec.
pub(crate) struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    pub(crate) fn new() -> io::Result<EventFd> {
        // SAFETY: no pointers are passed; the result is checked.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just created and nothing else owns it.
        Ok(EventFd { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Makes the descriptor readable. Cannot fail in a way that loses the wake-up: a full counter is readable.
    pub(crate) fn notify(&self) {
        let one = 1u64;
        loop {
            // SAFETY: the pointer and the size describe `one`, which lives through the call.
            let n = unsafe { libc::write(self.fd.as_raw_fd(), (&raw const one).cast(), 8) };
            if n >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return;
            }
        }
    }

    /// Makes the descriptor unreadable; whether it was readable.
    pub(crate) fn drain(&self) -> bool {
        let mut count = 0u64;
        loop {
            // SAFETY: the pointer and the size describe `count`, which lives through the call.
            let n = unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut count).cast(), 8) };
            if n == 8 {
                return true;
            }
            if n >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return false;
            }
        }
    }

    /// Sleeps until the descriptor is readable or the time has passed (`None`: without end); whether it is readable.
    #[cfg(test)]
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        loop {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            // Rounded up, so that the last fraction of a millisecond is slept and not spun through.
            let ms = left.map_or(-1, |d| i32::try_from(d.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
            let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: the pointer and the count describe one pollfd, which lives through the call.
            let n = unsafe { libc::poll(&raw mut poll, 1, ms) };
            if n > 0 {
                return Ok(true);
            }
            if n < 0 {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            } else if left.is_some_and(|d| d.is_zero()) {
                return Ok(false);
            }
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_between_notify_and_drain() {
        let event = EventFd::new().expect("eventfd");
        assert!(!event.wait(Some(Duration::ZERO)).expect("poll"));
        event.notify();
        event.notify();
        assert!(event.wait(None).expect("poll"));
        assert!(event.drain());
        assert!(!event.drain());
        assert!(!event.wait(Some(Duration::from_millis(3))).expect("poll"));
    }
}
