//! Why a call did nothing, on its way to the caller.

use std::borrow::Cow;

use thalweg::ErrorKind;

use crate::status::{self, NO_MEMORY};

/// What the inside of a call answers.
pub(crate) type Answer<T = ()> = Result<T, Failure>;

/// A status, and what is to be told beside it.
#[derive(Debug)]
pub(crate) struct Failure {
    status: i32,
    detail: Detail,
}

#[derive(Debug)]
enum Detail {
    Text(Cow<'static, str>),
    Engine(thalweg::Error),
}

impl Failure {
    #[cold]
    pub(crate) fn new(status: i32, text: impl Into<Cow<'static, str>>) -> Failure {
        Failure { status, detail: Detail::Text(text.into()) }
    }

    pub(crate) fn status(&self) -> i32 {
        self.status
    }

    pub(crate) fn text(&self) -> &str {
        match &self.detail {
            Detail::Text(text) => text,
            Detail::Engine(error) => error.message(),
        }
    }

    /// The engine's error, if it is one.
    pub(crate) fn engine(&self) -> Option<&thalweg::Error> {
        match &self.detail {
            Detail::Text(_) => None,
            Detail::Engine(error) => Some(error),
        }
    }

    /// Of a read: there is data, but no memory to lend it from. Nothing to wait for, unlike where there is no data yet.
    pub(crate) fn of_read(error: thalweg::Error) -> Failure {
        match error.kind() {
            ErrorKind::WouldBlock => Failure { status: NO_MEMORY, detail: Detail::Engine(error) },
            _ => error.into(),
        }
    }
}

impl From<thalweg::Error> for Failure {
    #[cold]
    fn from(error: thalweg::Error) -> Failure {
        Failure { status: status::of(error.kind()), detail: Detail::Engine(error) }
    }
}
