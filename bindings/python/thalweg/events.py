"""What happens in an engine, as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from thalweg import _asyncio, _thalweg
from thalweg.info import Event, EventKind


class Events(_thalweg.Events):
    """The events of an engine. All objects of an engine take from one queue. Iterating ends behind the last event."""

    def poll(self, timeout: float | None = 0) -> Event | None:
        """The oldest event, or None if none came in time."""
        found = self._poll(timeout)
        return Event(**found) if found is not None else None

    def __iter__(self) -> Iterator[Event]:
        while (event := self.poll(None)) is not None:
            yield event
            if event.kind is EventKind.CLOSED:
                return

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            event = self.poll()
            if event is None:
                await _asyncio.readable(self.fileno())
                continue
            yield event
            if event.kind is EventKind.CLOSED:
                return
