"""Thalweg: topics of partitioned, durable logs, inside your program.

>>> import tempfile, thalweg
>>> with thalweg.open(tempfile.mkdtemp()) as db:
...     orders = db.create_topic("orders", partitions=4)
...     at = orders.append(b"two lamps", key=b"ann")
...     with db.consumer("billing", ["orders"]) as billing:
...         for batch in billing.batches():
...             for record in batch:
...                 print(record.offset, record.key, record.value)
...         billing.commit()
0 b'ann' b'two lamps'
"""

from thalweg._thalweg import (
    PARTITION_ROUND_ROBIN as ROUND_ROBIN,
)
from thalweg._thalweg import (
    Appended,
    Batch,
    Record,
    Ticket,
    build_info,
    murmur2,
    version,
)
from thalweg.arrow import large_binary
from thalweg.consumer import Consumer, OutOfRangePolicy
from thalweg.engine import Engine, open
from thalweg.errors import (
    AlreadyExists,
    AlreadyOpen,
    Closed,
    Corrupt,
    Deleted,
    Error,
    Forked,
    InvalidArgument,
    IoError,
    NoMemory,
    NoSpace,
    NotFound,
    OffsetMismatch,
    OutOfRange,
    Panic,
    PartitionFailed,
    PermissionDenied,
    ReadOnly,
    TimedOut,
    TooLarge,
    Truncated,
    Unsupported,
    WouldBlock,
)
from thalweg.events import Events
from thalweg.info import (
    ConsumerPosition,
    DamagedRange,
    Durability,
    Event,
    EventKind,
    Frame,
    FrameKind,
    Info,
    NamedPosition,
    PartitionInfo,
    Repaired,
    Runtime,
    TopicInfo,
    VerifyReport,
)
from thalweg.key_values import KeyValues
from thalweg.reader import Reader
from thalweg.start import AppendTime, Start
from thalweg.topic import Topic

__version__ = version()
__all__ = [
    "AlreadyExists",
    "AlreadyOpen",
    "AppendTime",
    "Appended",
    "Batch",
    "Closed",
    "Consumer",
    "ConsumerPosition",
    "Corrupt",
    "DamagedRange",
    "Deleted",
    "Durability",
    "Engine",
    "Error",
    "Event",
    "EventKind",
    "Events",
    "Forked",
    "Frame",
    "FrameKind",
    "Info",
    "InvalidArgument",
    "IoError",
    "KeyValues",
    "NamedPosition",
    "NoMemory",
    "NoSpace",
    "NotFound",
    "OffsetMismatch",
    "OutOfRange",
    "OutOfRangePolicy",
    "Panic",
    "PartitionFailed",
    "PartitionInfo",
    "PermissionDenied",
    "ROUND_ROBIN",
    "ReadOnly",
    "Reader",
    "Record",
    "Repaired",
    "Runtime",
    "Start",
    "Ticket",
    "TimedOut",
    "TooLarge",
    "Topic",
    "TopicInfo",
    "Truncated",
    "Unsupported",
    "VerifyReport",
    "WouldBlock",
    "build_info",
    "large_binary",
    "murmur2",
    "open",
    "version",
]
