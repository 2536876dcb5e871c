"""What the engine tells of itself, as plain values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from thalweg import _thalweg
from thalweg._time import moment


class Durability(enum.IntEnum):
    """What an acknowledged append survives."""

    LOSE_ON_KILL = _thalweg.LOSE_ON_KILL
    """In memory: the kill of the process may take it back."""
    LOSE_ON_POWER_CUT = _thalweg.LOSE_ON_POWER_CUT
    """The device has taken the write: the loss of power may take it back."""
    DURABLE = _thalweg.DURABLE
    """On the medium: nothing takes it back."""


class Runtime(enum.IntEnum):
    """What moves bytes between memory and files."""

    AUTO = _thalweg.RUNTIME_AUTO
    URING = _thalweg.RUNTIME_URING
    POSIX = _thalweg.RUNTIME_POSIX


@dataclass(frozen=True, kw_only=True)
class TopicInfo:
    """A topic as it was when asked."""

    name: str
    id: int
    partitions: int
    durability: Durability

    def __post_init__(self) -> None:
        object.__setattr__(self, "durability", Durability(self.durability))


@dataclass(frozen=True, kw_only=True)
class PartitionInfo:
    """A partition as it was when asked."""

    partition: int
    log_start: int
    """The offset of the oldest record that is kept."""
    high_watermark: int
    """The offset after the last record that readers see."""
    stored_size: int
    segments: int
    damaged: int
    failed: bool
    why: str


@dataclass(frozen=True, kw_only=True)
class DamagedRange:
    """Offsets of a partition whose acknowledged records are damaged or cannot be read."""

    topic: str
    partition: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """What was left of damaged positions or key-values."""

    kept: int
    uncertain: int
    lost: int | None
    """None if nobody knows how many."""

    def __post_init__(self) -> None:
        if self.lost == 2**64 - 1:
            object.__setattr__(self, "lost", None)


@dataclass(frozen=True, kw_only=True)
class Info:
    """How an engine works."""

    runtime: Runtime
    store_id: int
    memory_budget: int
    registered_memory: int
    alignment: int
    free_space: int | None
    """None if the file system does not say."""
    shards: int
    open_files: int
    direct_io: bool
    read_only: bool
    recovered_clean: bool
    recovered_damaged: int
    recovery_ns: int
    recovered_partitions: int
    recovered_tails: int
    recovered_unavailable: int
    recovered_damaged_journals: int
    recovered_damaged_copies: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "runtime", Runtime(self.runtime))
        if self.free_space == 2**64 - 1:
            object.__setattr__(self, "free_space", None)


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """What a verification found."""

    topics: int
    partitions: int
    segments: int
    batches: int
    records: int
    bytes: int
    damaged: int
    unavailable: int
    damaged_copies: int
    ranges: list[DamagedRange]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranges", [DamagedRange(**found) for found in self.ranges])  # type: ignore[arg-type]

    @property
    def ok(self) -> bool:
        """Nothing is damaged, and everything could be read."""
        return not (self.damaged or self.unavailable or self.damaged_copies)


class FrameKind(enum.IntEnum):
    """What stands in a segment."""

    OTHER = _thalweg.FRAME_OTHER
    DATA = _thalweg.FRAME_DATA
    PAD = _thalweg.FRAME_PAD
    VOID = _thalweg.FRAME_VOID
    DAMAGE = _thalweg.FRAME_DAMAGE


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame as it stands in its segment."""

    generation: int
    position: int
    size: int
    base_offset: int
    count: int
    append_time: int
    term: int | None
    durable: int | None
    segment: int
    kind: FrameKind
    flags: int
    why: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", FrameKind(self.kind))
        if not self.flags & _thalweg.FRAME_HAS_TERM:
            object.__setattr__(self, "term", None)
        if self.durable == _thalweg.NO_OFFSET:
            object.__setattr__(self, "durable", None)


@dataclass(frozen=True, kw_only=True)
class NamedPosition:
    """A committed position."""

    consumer: str
    topic: str
    partition: int
    offset: int
    high_watermark: int
    lag: int
    metadata_size: int


@dataclass(frozen=True, kw_only=True)
class ConsumerPosition:
    """Where a consumer is in a partition."""

    topic: str
    partition: int
    offset: int
    committed: int | None
    lag: int

    def __post_init__(self) -> None:
        if self.committed == _thalweg.NO_OFFSET:
            object.__setattr__(self, "committed", None)


class EventKind(enum.IntEnum):
    """What happened."""

    OTHER = _thalweg.EVENT_OTHER
    RECOVERED = _thalweg.EVENT_RECOVERED
    OPENED = _thalweg.EVENT_OPENED
    FALLBACK = _thalweg.EVENT_FALLBACK
    DAMAGE = _thalweg.EVENT_DAMAGE
    IO_ERROR = _thalweg.EVENT_IO_ERROR
    PARTITION_FAILED = _thalweg.EVENT_PARTITION_FAILED
    NO_SPACE = _thalweg.EVENT_NO_SPACE
    TRUNCATED = _thalweg.EVENT_TRUNCATED
    CLOSED = _thalweg.EVENT_CLOSED
    DAMAGED_COPY = _thalweg.EVENT_DAMAGED_COPY
    SPACE_AVAILABLE = _thalweg.EVENT_SPACE_AVAILABLE

    @classmethod
    def _missing_(cls, value: object) -> EventKind:
        return cls.OTHER


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in an engine. What does not belong to the kind is 0 or empty."""

    kind: EventKind
    time: int
    start: int
    end: int
    partition: int
    clean: bool
    status: str
    os_error: int
    topic: str
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", EventKind(self.kind))
        object.__setattr__(self, "status", _thalweg.status_name(self.status))  # type: ignore[arg-type]

    @property
    def when(self) -> datetime:
        """The time, in UTC."""
        return moment(self.time)
