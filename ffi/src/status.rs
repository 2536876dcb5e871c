//! What a call answers.

use std::ffi::{CStr, c_char};

use thalweg::ErrorKind;

/// What a call answers: THALWEG_OK, or why it did nothing. The numbers never change their meaning, and more may come: treat
/// one that you do not know as an error.
pub type thalweg_status = i32;

/// Done.
pub const THALWEG_OK: i32 = 0;
/// An argument or option is outside its range, NULL where that is not allowed, or a handle of another kind.
pub const THALWEG_INVALID_ARGUMENT: i32 = 1;
/// The topic, partition, key or store does not exist.
pub const THALWEG_NOT_FOUND: i32 = 2;
/// The name is taken.
pub const THALWEG_ALREADY_EXISTS: i32 = 3;
/// Another engine, in this or another process, owns the directory; or a consumer of that name is open.
pub const THALWEG_ALREADY_OPEN: i32 = 4;
/// Nothing is there, or there is no room, and the call does not wait; nothing happened. Also: another thread is in a
/// call of the same reader or consumer.
pub const THALWEG_WOULD_BLOCK: i32 = 5;
/// The time given has passed.
pub const THALWEG_TIMED_OUT: i32 = 6;
/// The offset is below the log start offset or above the high watermark.
pub const THALWEG_OUT_OF_RANGE: i32 = 7;
/// Acknowledged bytes are damaged. The error names the offsets.
pub const THALWEG_CORRUPT: i32 = 8;
/// Written by a later version, or asks for something that this version does not know.
pub const THALWEG_UNSUPPORTED: i32 = 9;
/// The operating system refused a read, write or flush.
pub const THALWEG_IO: i32 = 10;
/// No space is left on the device, or the quota is used up. THALWEG_EVENT_SPACE_AVAILABLE tells when another try of an
/// append, a commit or a change of key-values may succeed. No event tells of the rest, as of the creation of a topic.
pub const THALWEG_NO_SPACE: i32 = 11;
/// The operating system does not permit it.
pub const THALWEG_PERMISSION_DENIED: i32 = 12;
/// An earlier write of this partition failed, so it refuses appends until the store is opened again.
pub const THALWEG_PARTITION_FAILED: i32 = 13;
/// The engine, or the handle, is closed.
pub const THALWEG_CLOSED: i32 = 14;
/// A record, batch, name or list is larger than its limit, or than the buffer for it.
pub const THALWEG_TOO_LARGE: i32 = 15;
/// The memory budget, or the system, has no memory for this. A read: release batches that you hold.
pub const THALWEG_NO_MEMORY: i32 = 16;
/// The process was forked; the handle belongs to the parent.
pub const THALWEG_FORKED: i32 = 17;
/// A bug inside the library. The handle can only be closed.
pub const THALWEG_PANIC: i32 = 18;
/// The topic was deleted.
pub const THALWEG_DELETED: i32 = 19;
/// The store was opened to be read only, and the call would change it.
pub const THALWEG_READ_ONLY: i32 = 20;
/// The next offset of the partition is not the one that a conditional append expects.
pub const THALWEG_OFFSET_MISMATCH: i32 = 21;
/// The records of an append were cut off by a truncation since.
pub const THALWEG_TRUNCATED: i32 = 22;

pub(crate) use {
    THALWEG_CLOSED as CLOSED, THALWEG_FORKED as FORKED, THALWEG_INVALID_ARGUMENT as INVALID_ARGUMENT,
    THALWEG_NO_MEMORY as NO_MEMORY, THALWEG_NOT_FOUND as NOT_FOUND, THALWEG_OK as OK, THALWEG_PANIC as PANIC,
    THALWEG_TIMED_OUT as TIMED_OUT, THALWEG_TOO_LARGE as TOO_LARGE, THALWEG_UNSUPPORTED as UNSUPPORTED,
    THALWEG_WOULD_BLOCK as WOULD_BLOCK,
};

/// The status of a kind: its number.
pub(crate) fn of(kind: ErrorKind) -> i32 {
    kind as i32
}

/// By number: the name and the sentence of each status.
const TEXTS: [(&CStr, &CStr); 23] = [
    (c"OK", c"done"),
    (c"INVALID_ARGUMENT", c"an argument is outside its range"),
    (c"NOT_FOUND", c"it does not exist"),
    (c"ALREADY_EXISTS", c"the name is taken"),
    (c"ALREADY_OPEN", c"it is open already"),
    (c"WOULD_BLOCK", c"there is nothing now, or no room, or another call of the same reader or consumer is under way"),
    (c"TIMED_OUT", c"the time has passed"),
    (c"OUT_OF_RANGE", c"the offset is out of range"),
    (c"CORRUPT", c"acknowledged records are damaged"),
    (c"UNSUPPORTED", c"this version does not know it"),
    (c"IO", c"the operating system refused a read, write or flush"),
    (c"NO_SPACE", c"no space is left on the device"),
    (c"PERMISSION_DENIED", c"the operating system does not permit it"),
    (c"PARTITION_FAILED", c"an earlier write of the partition failed"),
    (c"CLOSED", c"it is closed"),
    (c"TOO_LARGE", c"it is larger than the limit"),
    (c"NO_MEMORY", c"there is no memory for it"),
    (c"FORKED", c"it belongs to the process that this one was forked from"),
    (c"PANIC", c"a bug inside the library"),
    (c"DELETED", c"the topic was deleted"),
    (c"READ_ONLY", c"the store was opened to be read only"),
    (c"OFFSET_MISMATCH", c"the next offset is another than expected"),
    (c"TRUNCATED", c"the records were cut off"),
];

fn texts(status: i32) -> (&'static CStr, &'static CStr) {
    let known = usize::try_from(status).ok().and_then(|status| TEXTS.get(status));
    known.copied().unwrap_or((c"UNKNOWN", c"a status that this version does not know"))
}

/// A few words on what a status means.
pub(crate) fn text(status: i32) -> &'static str {
    texts(status).1.to_str().unwrap_or_default()
}

/// The name of a status without its prefix, such as "NOT_FOUND"; "UNKNOWN" for one that this version does not know.
/// Static, ends with a zero byte.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn thalweg_status_name(status: thalweg_status) -> *const c_char {
    texts(status).0.as_ptr()
}

/// A few words on what a status means. Static, ends with a zero byte.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn thalweg_status_text(status: thalweg_status) -> *const c_char {
    texts(status).1.as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_the_engine_are_the_codes() {
        let pairs = [
            (ErrorKind::InvalidArgument, THALWEG_INVALID_ARGUMENT),
            (ErrorKind::NotFound, THALWEG_NOT_FOUND),
            (ErrorKind::AlreadyExists, THALWEG_ALREADY_EXISTS),
            (ErrorKind::AlreadyOpen, THALWEG_ALREADY_OPEN),
            (ErrorKind::WouldBlock, THALWEG_WOULD_BLOCK),
            (ErrorKind::TimedOut, THALWEG_TIMED_OUT),
            (ErrorKind::OutOfRange, THALWEG_OUT_OF_RANGE),
            (ErrorKind::Corrupt, THALWEG_CORRUPT),
            (ErrorKind::Unsupported, THALWEG_UNSUPPORTED),
            (ErrorKind::Io, THALWEG_IO),
            (ErrorKind::NoSpace, THALWEG_NO_SPACE),
            (ErrorKind::PermissionDenied, THALWEG_PERMISSION_DENIED),
            (ErrorKind::PartitionFailed, THALWEG_PARTITION_FAILED),
            (ErrorKind::Closed, THALWEG_CLOSED),
            (ErrorKind::TooLarge, THALWEG_TOO_LARGE),
            (ErrorKind::NoMemory, THALWEG_NO_MEMORY),
            (ErrorKind::Forked, THALWEG_FORKED),
            (ErrorKind::Panic, THALWEG_PANIC),
            (ErrorKind::Deleted, THALWEG_DELETED),
            (ErrorKind::ReadOnly, THALWEG_READ_ONLY),
            (ErrorKind::OffsetMismatch, THALWEG_OFFSET_MISMATCH),
            (ErrorKind::Truncated, THALWEG_TRUNCATED),
        ];
        for (at, (kind, code)) in pairs.into_iter().enumerate() {
            assert_eq!(of(kind), code);
            assert_eq!(code, at as i32 + 1);
            assert_eq!(texts(code).0.to_string_lossy().replace('_', ""), format!("{kind:?}").to_uppercase());
        }
        assert_eq!(texts(-1).0, c"UNKNOWN");
        assert_eq!(texts(23).0, c"UNKNOWN");
    }
}
