//! The one error of the library, and the list of its kinds.

use core::fmt;

/// What went wrong. Each kind keeps its number; the list only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument or option is outside its range.
    InvalidArgument = 1,
    /// The topic, partition or store does not exist.
    NotFound = 2,
    /// The name is taken.
    AlreadyExists = 3,
    /// Another engine, in this or another process, owns the directory.
    AlreadyOpen = 4,
    /// The call would have to wait, and was asked not to.
    WouldBlock = 5,
    /// The time given has passed.
    TimedOut = 6,
    /// The offset is below the log start offset or above the high watermark.
    OutOfRange = 7,
    /// Acknowledged bytes are damaged. [`Error::damaged`] names the range.
    Corrupt = 8,
    /// Written by a version, or asks for a feature, that this build does not know.
    Unsupported = 9,
    /// The operating system refused a read, write or flush.
    Io = 10,
    /// No space is left on the device, or the quota is used up.
    NoSpace = 11,
    /// The operating system does not permit it.
    PermissionDenied = 12,
    /// An earlier write of this partition failed, so it refuses appends until the store is opened again.
    PartitionFailed = 13,
    /// The engine, or the handle, is closed.
    Closed = 14,
    /// A record or batch is larger than the limit.
    TooLarge = 15,
    /// The memory budget, or the system, has no memory for this.
    NoMemory = 16,
    /// The process was forked; the engine belongs to the parent.
    Forked = 17,
    /// A bug inside the library.
    Panic = 18,
    /// The topic was deleted.
    Deleted = 19,
    /// The store was opened to be read only, and the call would change it.
    ReadOnly = 20,
    /// The next offset of the partition is not the one that a conditional append expects.
    OffsetMismatch = 21,
    /// The records of an append were cut off by a truncation since.
    Truncated = 22,
}

/// Offsets of a partition whose acknowledged data is damaged or cannot be read: `start..end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRange {
    /// The topic's name.
    pub topic: String,
    /// The partition's index.
    pub partition: u32,
    /// First damaged offset.
    pub start: u64,
    /// First offset after the damage.
    pub end: u64,
}

impl fmt::Display for DamagedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} offsets {}..{}", Place(&self.topic, self.partition), self.start, self.end)
    }
}

/// A partition of a topic, in a sentence. The engine's own topics, whose names nobody else knows, are called what they hold.
pub(crate) struct Place<'a>(pub &'a str, pub u32);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place(topic, partition) = *self;
        match topic.strip_prefix('$').and_then(|own| own.split('.').next()) {
            Some("positions") => f.write_str("the log of named positions"),
            Some("values") => f.write_str("the log of key-values"),
            _ => write!(f, "topic {topic:?} partition {partition}"),
        }
    }
}

/// Why a call failed: a [`kind`](Error::kind) to act on, and a sentence to read.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    message: String,
    topic: Option<String>,
    partition: Option<u32>,
    damaged: Option<DamagedRange>,
    os: Option<i32>,
}

impl Inner {
    fn new(kind: ErrorKind, message: String) -> Inner {
        Inner { kind, message, topic: None, partition: None, damaged: None, os: None }
    }
}

/// The result of a call of this library.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// An error of a kind, with a sentence that says what, where, and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { inner: Box::new(Inner::new(kind, message.into())) }
    }

    /// An error that the operating system reported while the library did `what`.
    pub fn os(what: impl fmt::Display, error: &std::io::Error) -> Error {
        let os = error.raw_os_error();
        let kind = match os {
            Some(libc::ENOSPC | libc::EDQUOT) => ErrorKind::NoSpace,
            Some(libc::EACCES | libc::EPERM | libc::EROFS) => ErrorKind::PermissionDenied,
            Some(libc::ENOENT) => ErrorKind::NotFound,
            Some(libc::EEXIST) => ErrorKind::AlreadyExists,
            Some(libc::ENOMEM) => ErrorKind::NoMemory,
            _ => ErrorKind::Io,
        };
        let hint = match os {
            Some(libc::EMFILE) => "; raise the process's limit on open files (ulimit -n)",
            Some(libc::ENFILE) => "; the system's limit on open files is reached",
            Some(libc::ENOSPC) => "; free some on the device, truncate topics or delete them",
            Some(libc::EDQUOT) => "; raise the quota, truncate topics or delete them",
            _ => "",
        };
        Error { inner: Box::new(Inner { os, ..Inner::new(kind, format!("{what}: {error}{hint}")) }) }
    }

    /// The error of starting a thread.
    pub(crate) fn thread(which: impl fmt::Display, error: &std::io::Error) -> Error {
        let hint = match error.raw_os_error() {
            Some(libc::EAGAIN) => " (the limit on processes and threads may be reached: ulimit -u)",
            _ => "",
        };
        Error::os(format_args!("cannot start {which}{hint}"), error)
    }

    /// The error of opening or reading a file that has to be there. A file that is missing, or that something else
    /// stands in the place of, has lost what it held; a device that refuses to give it has not.
    pub(crate) fn file(what: impl fmt::Display, error: &std::io::Error) -> Error {
        use std::io::ErrorKind as Kind;
        let mut made = Error::os(what, error);
        let lost = matches!(
            error.kind(),
            Kind::NotFound
                | Kind::NotADirectory
                | Kind::IsADirectory
                | Kind::StaleNetworkFileHandle
                | Kind::InvalidData
        );
        if lost || error.raw_os_error() == Some(libc::ELOOP) {
            made.inner.kind = ErrorKind::Corrupt;
        }
        made
    }

    /// The same error, of a read, with the offsets that it could not give.
    pub(crate) fn of_range(mut self, range: DamagedRange) -> Error {
        let verb = if self.inner.kind == ErrorKind::Corrupt { "are damaged" } else { "cannot be read" };
        self.inner.message = format!("{range} {verb}: {}", self.inner.message);
        self.inner.damaged = Some(range);
        self
    }

    /// The same error, which concerns a topic or one partition of it. What it is known to concern already stays.
    pub(crate) fn of(mut self, topic: &str, partition: Option<u32>) -> Error {
        // Nobody else knows the names of the engine's own.
        if self.topic().is_none() && !topic.starts_with('$') {
            self.inner.topic = Some(topic.to_owned());
            self.inner.partition = partition;
        }
        self
    }

    /// The same error with `hint`, what to do about it, behind its sentence.
    pub(crate) fn hint(mut self, hint: &str) -> Error {
        self.inner.message = format!("{}; {hint}", self.inner.message);
        self
    }

    /// The same error with what the operating system said of its cause.
    pub(crate) fn caused_by(mut self, cause: &Error) -> Error {
        self.inner.os = cause.inner.os;
        self
    }

    /// Damage in acknowledged data.
    pub fn corrupt(range: DamagedRange, why: impl fmt::Display) -> Error {
        let message = format!("{range} are damaged: {why}");
        Error { inner: Box::new(Inner { damaged: Some(range), ..Inner::new(ErrorKind::Corrupt, message) }) }
    }

    /// The kind, to decide on.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The sentence, to show.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The offsets that a read could not give, where they are known: damaged ones if the kind is
    /// [`ErrorKind::Corrupt`], otherwise ones that the operating system refused to read. What lies outside of them is
    /// not touched by this error.
    pub fn damaged(&self) -> Option<&DamagedRange> {
        self.inner.damaged.as_ref()
    }

    /// The topic that the error concerns, where it concerns one.
    pub fn topic(&self) -> Option<&str> {
        self.inner.topic.as_deref().or_else(|| self.damaged().map(|range| range.topic.as_str()))
    }

    /// With [`topic`](Error::topic): the partition, where the error concerns one.
    pub fn partition(&self) -> Option<u32> {
        match &self.inner.topic {
            Some(_) => self.inner.partition,
            None => self.damaged().map(|range| range.partition),
        }
    }

    /// The operating system's error number, where it reported this.
    pub fn os_code(&self) -> Option<i32> {
        self.inner.os
    }

    /// The same error with `context` before its sentence.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Error {
        self.inner.message = format!("{context}: {}", self.inner.message);
        self
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.inner.kind, self.inner.message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl std::error::Error for Error {}
