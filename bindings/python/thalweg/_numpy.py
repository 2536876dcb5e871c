"""Batches as arrays of numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from thalweg import _thalweg

if TYPE_CHECKING:
    import numpy
    import numpy.typing


class Columns(NamedTuple):
    """What a batch has, without a copy. Both keep it."""

    entries: numpy.typing.NDArray[Any]
    """A row for each record: offset, timestamp, key_position, key_size, value_position, value_size, headers_position,
    header_count, flags."""
    memory: memoryview
    """What the positions count in."""


# As thalweg_entry in thalweg.h.
_ENTRY = [
    ("offset", "<u8"),
    ("timestamp", "<i8"),
    ("key_position", "<u4"),
    ("key_size", "<u4"),
    ("value_position", "<u4"),
    ("value_size", "<u4"),
    ("headers_position", "<u4"),
    ("header_count", "<u2"),
    ("flags", "<u2"),
]


def columns(batch: _thalweg.Batch) -> Columns:
    """The extension calls it for Batch.to_numpy."""
    import numpy

    return Columns(numpy.frombuffer(batch._entries, dtype=_ENTRY), batch.memory)
