//! Why a call did nothing, on its way to the caller.

use std::borrow::Cow;
use std::fmt::Display;
use std::num::NonZeroI32;

use thalweg::ErrorKind;

use crate::status::{self, NO_MEMORY, PANIC};

/// What the inside of a call answers.
pub(crate) type Answer<T = ()> = Result<T, Failure>;

/// A status, and what is to be told beside it. As small as it can be: every call may answer one, and few do.
#[derive(Debug)]
pub(crate) struct Failure {
    status: NonZeroI32,
    detail: Option<Box<Detail>>,
}

#[derive(Debug)]
enum Detail {
    Text(Cow<'static, str>),
    Engine(thalweg::Error),
}

/// Where a status is no failure, it is a bug that somebody says it is.
fn failed(status: i32) -> NonZeroI32 {
    const BUG: NonZeroI32 = NonZeroI32::new(PANIC).expect("a failure is not 0");
    NonZeroI32::new(status).unwrap_or(BUG)
}

impl Failure {
    #[cold]
    pub(crate) fn new(status: i32, text: impl Into<Cow<'static, str>>) -> Failure {
        Failure { status: failed(status), detail: Some(Box::new(Detail::Text(text.into()))) }
    }

    /// One that is met often, and tells no more than its status does.
    pub(crate) fn bare(status: i32) -> Failure {
        Failure { status: failed(status), detail: None }
    }

    pub(crate) fn status(&self) -> i32 {
        self.status.get()
    }

    pub(crate) fn text(&self) -> &str {
        match self.detail.as_deref() {
            Some(Detail::Text(text)) => text,
            Some(Detail::Engine(error)) => error.message(),
            None => status::text(self.status()),
        }
    }

    /// The engine's error, if it is one.
    pub(crate) fn engine(&self) -> Option<&thalweg::Error> {
        match self.detail.as_deref() {
            Some(Detail::Engine(error)) => Some(error),
            _ => None,
        }
    }

    /// The same with `context` before its sentence.
    #[cold]
    pub(crate) fn context(self, context: impl Display) -> Failure {
        match self.detail.map(|detail| *detail) {
            Some(Detail::Text(text)) => Failure::new(self.status.get(), format!("{context}: {text}")),
            Some(Detail::Engine(error)) => Failure::of(self.status.get(), error.context(context)),
            None => Failure::new(self.status.get(), format!("{context}: {}", status::text(self.status.get()))),
        }
    }

    fn of(status: i32, error: thalweg::Error) -> Failure {
        Failure { status: failed(status), detail: Some(Box::new(Detail::Engine(error))) }
    }

    /// Of a read: there is data, but no memory to lend it from. Nothing to wait for, unlike where there is no data yet.
    #[cold]
    pub(crate) fn of_read(error: thalweg::Error) -> Failure {
        match error.kind() {
            ErrorKind::WouldBlock => Failure::of(NO_MEMORY, error),
            _ => error.into(),
        }
    }
}

impl From<thalweg::Error> for Failure {
    #[cold]
    fn from(error: thalweg::Error) -> Failure {
        Failure::of(status::of(error.kind()), error)
    }
}
