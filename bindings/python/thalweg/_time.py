"""Times as the engine has them: milliseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def milliseconds(time: datetime | int) -> int:
    """Of a datetime; one without a time zone is local time, as everywhere in Python."""
    if isinstance(time, int):
        return time
    if not isinstance(time, datetime):
        raise TypeError(f"a time is a datetime, or milliseconds since 1970, not {time!r}")
    return (time.astimezone(UTC) - _EPOCH) // _MILLISECOND


def moment(time: int) -> datetime:
    """In UTC."""
    return _EPOCH + time * _MILLISECOND
