//! Why a command ends with another code than 0.

use std::fmt::Display;
use std::io;

use thalweg::{Error, ErrorKind};

/// The end of a command that did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An argument is wrong. Exit code 2.
    Usage(String),
    /// Something failed. Exit code 1.
    Failed(String),
    /// Damage was found, and has been named already. Exit code 1.
    Damaged,
    /// Nobody reads standard output any more, which is how `thalweg … | head` ends. Exit code 0.
    OutputClosed,
}

impl Failure {
    /// A failed operation of the system on something that has a name.
    pub(crate) fn io(what: impl Display, error: &io::Error) -> Failure {
        Failure::Failed(format!("{what}: {error}"))
    }

    /// The error of a write to standard output.
    pub(crate) fn output(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::io("standard output", error),
        }
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::OutputClosed => 0,
            Failure::Failed(_) | Failure::Damaged => 1,
            Failure::Usage(_) => 2,
        }
    }

    /// What is still to be said on standard error.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Failure::Usage(message) | Failure::Failed(message) => Some(message),
            Failure::Damaged | Failure::OutputClosed => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error.kind() {
            ErrorKind::InvalidArgument => Failure::Usage(error.message().into()),
            _ => Failure::Failed(error.message().into()),
        }
    }
}
