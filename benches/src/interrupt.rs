//! Ctrl-C: what is being measured ends, and what it has written goes.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Result;

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: libc::c_int) {
    ASKED.store(true, Ordering::Relaxed);
}

/// From now on SIGINT and SIGTERM end the measurement that is under way, which is another process, and this one after it
/// has removed what that one has written.
pub(crate) fn catch() {
    let note: extern "C" fn(libc::c_int) = note;
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler does nothing but store to an atomic.
        unsafe { libc::signal(signal, note as libc::sighandler_t) };
    }
}

/// An error if somebody has asked.
pub(crate) fn check() -> Result<()> {
    if ASKED.load(Ordering::Relaxed) { Err("interrupted".into()) } else { Ok(()) }
}
