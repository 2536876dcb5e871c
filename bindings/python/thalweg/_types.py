"""What is given to appends."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from typing_extensions import Buffer
else:
    Buffer = object

Value: TypeAlias = Buffer | None
"""Bytes, or what is like them. None: there is no value, which with a key is a tombstone."""
Headers: TypeAlias = Mapping[str, Buffer | None] | Sequence[tuple[str, Buffer | None]] | None
Time: TypeAlias = int | datetime | None
"""A datetime, or milliseconds since 1970."""
Item: TypeAlias = Buffer | tuple[Value, Value] | tuple[Value, Value, Headers] | tuple[Value, Value, Headers, Time]
"""A value, (key, value), (key, value, headers), or (key, value, headers, timestamp)."""
