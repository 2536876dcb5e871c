"""Where reading starts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from thalweg import _thalweg
from thalweg._time import milliseconds


@dataclass(frozen=True)
class AppendTime:
    """Start at the first record that was appended at a time or later."""

    time: datetime | int


Start = Literal["earliest", "latest", "committed"] | int | datetime | AppendTime
"""The oldest record that is kept; what comes from now on; the position committed under the consumer's name; an offset;
the first record with that timestamp or a later one; the same by the time of append."""

_NAMES = {
    "earliest": _thalweg.START_EARLIEST,
    "latest": _thalweg.START_LATEST,
    "committed": _thalweg.START_COMMITTED,
}


def start_of(start: Start) -> tuple[int, int]:
    """The start and its value, as the C ABI has them."""
    match start:
        case str() if start in _NAMES:
            return _NAMES[start], 0
        case bool():
            pass
        case int():
            return _thalweg.START_OFFSET, start
        case datetime():
            return _thalweg.START_TIME, milliseconds(start) & 0xFFFF_FFFF_FFFF_FFFF
        case AppendTime():
            return _thalweg.START_APPEND_TIME, milliseconds(start.time) & 0xFFFF_FFFF_FFFF_FFFF
    raise ValueError(
        f'a start is "earliest", "latest", "committed", an offset, a datetime or an AppendTime, not {start!r}'
    )
