"""What goes wrong: one class for each status of the C ABI, all of them under Error, and under the built-in exception
that says the same, where Python has one."""

from __future__ import annotations

from thalweg import _thalweg


class Error(Exception):
    """A call that did not do what it was asked for."""

    status: str
    """The name of the status in the C ABI, such as "NOT_FOUND"."""
    os_error: int
    """The operating system's error number, where it reported this, else 0."""
    topic: str | None
    """The topic that the error concerns, if it is known to concern one."""
    partition: int | None
    """With topic: the partition, if the error concerns one."""
    offsets: range | None
    """With partition: its offsets that are damaged or cannot be read, if the error is of that kind."""

    def __init__(self, message: str, *, status: str = "", os_error: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.os_error = os_error
        self.topic = None
        self.partition = None
        self.offsets = None


class InvalidArgument(Error, ValueError):
    """An argument or option is outside its range, or a handle of another kind."""


class NotFound(Error, FileNotFoundError):
    """The topic, partition or store does not exist."""


class AlreadyExists(Error, FileExistsError):
    """The name is taken."""


class AlreadyOpen(Error):
    """Another engine, in this or another process, owns the directory; or a consumer of that name is open."""


class WouldBlock(Error, BlockingIOError):
    """There is no room, and nothing happened; or another thread is in a call of the same object."""


class TimedOut(Error, TimeoutError):
    """The time given has passed."""


class OutOfRange(Error, IndexError):
    """The offset is below the log start offset or above the high watermark."""


class Corrupt(Error):
    """Acknowledged records are damaged: topic, partition, offsets."""


class Unsupported(Error, NotImplementedError):
    """Written by a later version, or asks for something that this version does not know."""


class IoError(Error, OSError):
    """The operating system refused a read, write or flush."""


class NoSpace(IoError):
    """No space is left on the device, or the quota is used up."""


class PermissionDenied(Error, PermissionError):
    """The operating system does not permit it."""


class PartitionFailed(IoError):
    """An earlier write of this partition failed, so it refuses appends until the store is opened again."""


class Closed(Error, ValueError):
    """The engine, or the object, is closed."""


class TooLarge(Error, ValueError):
    """A record, batch, name or list is larger than its limit."""


class NoMemory(Error, MemoryError):
    """The memory budget, or the system, has no memory for this. A read: release batches that you hold."""


class Forked(Error, RuntimeError):
    """The process was forked; the object belongs to the parent."""


class Panic(Error, SystemError):
    """A bug inside the engine. The object can only be closed."""


class Deleted(Error, LookupError):
    """The topic was deleted."""


class ReadOnly(Error, PermissionError):
    """The store was opened to be read only, and the call would change it."""


class OffsetMismatch(Error):
    """The next offset of the partition is not the one that a conditional append expects."""


class Truncated(Error):
    """The records of an append were cut off by a truncation since."""


_CLASSES: dict[int, type[Error]] = {
    _thalweg.INVALID_ARGUMENT: InvalidArgument,
    _thalweg.NOT_FOUND: NotFound,
    _thalweg.ALREADY_EXISTS: AlreadyExists,
    _thalweg.ALREADY_OPEN: AlreadyOpen,
    _thalweg.WOULD_BLOCK: WouldBlock,
    _thalweg.TIMED_OUT: TimedOut,
    _thalweg.OUT_OF_RANGE: OutOfRange,
    _thalweg.CORRUPT: Corrupt,
    _thalweg.UNSUPPORTED: Unsupported,
    _thalweg.IO: IoError,
    _thalweg.NO_SPACE: NoSpace,
    _thalweg.PERMISSION_DENIED: PermissionDenied,
    _thalweg.PARTITION_FAILED: PartitionFailed,
    _thalweg.CLOSED: Closed,
    _thalweg.TOO_LARGE: TooLarge,
    _thalweg.NO_MEMORY: NoMemory,
    _thalweg.FORKED: Forked,
    _thalweg.PANIC: Panic,
    _thalweg.DELETED: Deleted,
    _thalweg.READ_ONLY: ReadOnly,
    _thalweg.OFFSET_MISMATCH: OffsetMismatch,
    _thalweg.TRUNCATED: Truncated,
}


def from_status(status: int, message: str, os_error: int, topic: str, partition: int, start: int, end: int) -> Error:
    """The exception of what a call has told. The extension calls it."""
    error = _CLASSES.get(status, Error)(message, status=_thalweg.status_name(status), os_error=os_error)
    if os_error and isinstance(error, OSError):
        error.errno = os_error
    if topic:
        error.topic = topic
        error.partition = None if partition == _thalweg.NO_PARTITION else partition
        error.offsets = range(start, end) if end > start else None
    return error
