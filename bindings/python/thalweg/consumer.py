"""Consumers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from thalweg import _asyncio, _thalweg
from thalweg._thalweg import Batch
from thalweg._time import milliseconds
from thalweg.info import ConsumerPosition
from thalweg.start import Start, start_of

if TYPE_CHECKING:
    from typing import Self

    from thalweg.engine import Engine
    from thalweg.topic import Topic

OutOfRangePolicy = Literal["error", "earliest", "latest"] | datetime

_OUT_OF_RANGE = {
    "error": _thalweg.OUT_OF_RANGE_ERROR,
    "earliest": _thalweg.OUT_OF_RANGE_EARLIEST,
    "latest": _thalweg.OUT_OF_RANGE_LATEST,
}


def _policy_of(policy: OutOfRangePolicy) -> tuple[int, int]:
    if isinstance(policy, datetime):
        return _thalweg.OUT_OF_RANGE_TIME, milliseconds(policy)
    if policy not in _OUT_OF_RANGE:
        raise ValueError(f'out_of_range is "error", "earliest", "latest" or a datetime, not {policy!r}')
    return _OUT_OF_RANGE[policy], 0


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


class Consumer(_thalweg.Consumer):
    """Reads many topics and partitions as one, and remembers under a name where it was.

    `for batch in consumer` waits for the next batch, whenever it comes, until wakeup(); `async for` does so in asyncio.
    For tools of Arrow it is a stream of the records that are there."""

    _engine: Engine

    def __new__(
        cls,
        engine: Engine,
        name: str | None = None,
        topics: str | Topic | Iterable[str | Topic] = (),
        *,
        start: Start = "earliest",
        out_of_range: OutOfRangePolicy = "error",
    ) -> Self:
        at, value = start_of(start)
        self = super().__new__(cls, engine, name, at, _signed(value), *_policy_of(out_of_range))
        self._engine = engine
        for topic in [topics] if isinstance(topics, (str, _thalweg.Topic)) else topics:
            self.subscribe(topic)
        return self

    def _topic(self, topic: str | Topic) -> Topic:
        return self._engine.topic(topic) if isinstance(topic, str) else topic

    def subscribe(self, topic: str | Topic) -> None:
        """Reads all partitions of a topic: from the committed positions, or where there is none from the start."""
        self._subscribe(self._topic(topic))

    def unsubscribe(self, topic: str | Topic) -> None:
        """Stops reading a topic."""
        self._unsubscribe(self._topic(topic))

    def assign(self, topic: str | Topic, partition: int, start: Start = "committed") -> None:
        """Reads one partition, or goes somewhere else in one that is read already."""
        self._assign(self._topic(topic), partition, *start_of(start))

    def seek(self, topic: str | Topic, partition: int, start: Start) -> None:
        """Goes somewhere else in a partition that is read."""
        self._seek(self._topic(topic), partition, *start_of(start))

    def seek_all(self, start: Start) -> None:
        """Goes somewhere else in all partitions that are read."""
        self._seek_all(*start_of(start))

    def batches(self, timeout: float | None = 0) -> Iterator[Batch]:
        """Batches, until none comes in time: with 0 those that are there."""
        while (batch := self.poll(timeout)) is not None:
            yield batch

    def positions(self) -> list[ConsumerPosition]:
        """Where it is in each partition."""
        return [ConsumerPosition(**found) for found in self._positions()]

    def commit_position(self, topic: str | Topic, partition: int, offset: int, metadata: bytes | None = None) -> None:
        """Commits a position of the caller, durably: the offset to go on at, one after the last that was handled."""
        self.commit_positions([(topic, partition, offset, metadata)])

    def commit_positions(self, positions: Iterable[tuple[str | Topic, int, int, bytes | None]]) -> None:
        """Commits positions (topic, partition, offset, metadata): all or none."""
        self._commit_positions([(self._topic(topic), *rest) for topic, *rest in positions])

    async def poll_async(self, max_bytes: int = 1 << 20) -> Batch | None:
        """The next batch, whenever it comes; None after wakeup()."""
        while (batch := self.poll_nowait(max_bytes)) is None:
            await _asyncio.readable(self.fileno(), self._bell())
            if self._rung():
                return self.poll_nowait(max_bytes)
        return batch

    async def __aiter__(self) -> AsyncIterator[Batch]:
        while (batch := await self.poll_async()) is not None:
            yield batch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<thalweg.Consumer {repr(self.name) if self.name else 'without a name'}>"
