//! Whether calls may come in.

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{AtomicBool, Ordering};

/// Shut once, by close. Asked at every entry.
pub(crate) struct Gate {
    closed: AtomicBool,
    /// Whether the store is only read.
    read_only: bool,
    /// Tells whether this is a forked child, where there are processes.
    forked: Option<Box<dyn Fn() -> bool + Send + Sync>>,
}

impl Gate {
    pub(crate) fn new(forked: Option<Box<dyn Fn() -> bool + Send + Sync>>) -> Gate {
        Gate { closed: AtomicBool::new(false), read_only: false, forked }
    }

    /// A gate that refuses what would change the store, if it is only read.
    pub(crate) fn read_only(self, read_only: bool) -> Gate {
        Gate { read_only, ..self }
    }

    /// As [`check`](Gate::check), for a call that would change the store.
    #[inline]
    pub(crate) fn check_change(&self) -> Result<()> {
        self.check()?;
        if self.read_only {
            let message = "the store was opened to be read only: it takes no appends and no changes of topics";
            return Err(Error::new(ErrorKind::ReadOnly, message));
        }
        Ok(())
    }

    /// Whether this is a forked child of the engine's process.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        self.forked.as_ref().is_some_and(|forked| forked())
    }

    /// Refuses a call in a forked child: nothing that it waits for would ever come there.
    #[inline]
    pub(crate) fn check_process(&self) -> Result<()> {
        if self.is_forked() { Err(forked()) } else { Ok(()) }
    }

    /// Refuses a call after close, and in a forked child.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        self.check_process()?;
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(())
    }

    /// Refuses calls from now on; `false` if it did already.
    pub(crate) fn shut(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }
}

/// The answer in a forked child.
#[cold]
pub(crate) fn forked() -> Error {
    let message = "the engine belongs to the process that this one was forked from; open another store here";
    Error::new(ErrorKind::Forked, message)
}

/// The answer after close.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the engine is closed")
}
