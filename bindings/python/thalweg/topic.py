"""Topics."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from thalweg import _asyncio, _thalweg
from thalweg._thalweg import Appended, Ticket
from thalweg.info import DamagedRange, Durability, Frame, PartitionInfo, TopicInfo
from thalweg.key_values import KeyValues
from thalweg.reader import Reader
from thalweg.start import Start

if TYPE_CHECKING:
    from typing import Self

    from thalweg._types import Headers, Item, Time, Value

# What is appended as one batch by append_many: enough that what each batch costs does not count.
_CHUNK_RECORDS = 8192
_CHUNK_SIZE = 1 << 20
# Batches that append_many_async has under way.
_TICKETS_MAX = 64


class Topic(_thalweg.Topic):
    """A topic to append to and to read from. It stays when this object goes."""

    @property
    def info(self) -> TopicInfo:
        """What it looks like now."""
        return TopicInfo(**self._describe())

    @property
    def partitions(self) -> list[PartitionInfo]:
        """Its partitions, as they are now."""
        return [PartitionInfo(**found) for found in self._partitions()]

    def damaged(self, partition: int) -> list[DamagedRange]:
        """The damaged offsets that recovery found in a partition."""
        return [DamagedRange(**found) for found in self._damaged(partition)]

    def frames(self, partition: int, start: int = 0, end: int = 2**64 - 1) -> list[Frame]:
        """The frames of a partition as they stand on the device, from the one that holds an offset up to another."""
        return [Frame(**found) for found in self._frames(partition, start, end)]

    def key_values(self) -> KeyValues:
        """The key-values that are kept beside the topic."""
        return KeyValues(self)

    def reader(self, partition: int = 0, start: Start = "earliest") -> Reader:
        """Reads one partition."""
        return Reader(self, partition, start)

    def append_batch(
        self,
        items: Iterable[Item],
        *,
        partition: int | None = None,
        durability: Durability | None = None,
        expected_offset: int | None = None,
        term: int | None = None,
        timeout: float | None = None,
    ) -> Appended:
        """Appends records as one batch, which is there whole or not at all, in the partition of the first record's key.
        Returns where it stands, as soon as it is durable."""
        chunk = self._whole(items, partition, durability, expected_offset, term)
        return _submitted(chunk, timeout)[0].result(timeout)

    def submit_batch(
        self,
        items: Iterable[Item],
        *,
        partition: int | None = None,
        durability: Durability | None = None,
        expected_offset: int | None = None,
        term: int | None = None,
        timeout: float | None = None,
    ) -> Ticket:
        """As append_batch, but returns a ticket, as soon as there is room for it in memory."""
        return _submitted(self._whole(items, partition, durability, expected_offset, term), timeout)[0]

    def append_many(
        self,
        items: Iterable[Item],
        *,
        partition: int | None = None,
        durability: Durability | None = None,
        timeout: float | None = None,
    ) -> list[Appended]:
        """Appends records, however many, in batches by the partitions of their keys. Returns where the batches stand,
        as soon as all are durable. An iterable that does not end is appended as long as it goes on.

        Not all or nothing: where it fails, some batches may be there. `timeout` is for each wait."""
        done: list[Appended] = []
        tickets: deque[Ticket] = deque()
        for chunk in self._chunks(items, partition, durability):
            tickets += _submitted(chunk, timeout)
            # Of an endless iterable nothing piles up.
            while tickets and tickets[0].done():
                done.append(tickets.popleft().result())
        return done + [ticket.result(timeout) for ticket in tickets]

    async def append_async(
        self,
        value: Value,
        /,
        *,
        key: Value = None,
        headers: Headers = None,
        timestamp: Time = None,
        partition: int | None = None,
        durability: Durability | None = None,
        expected_offset: int | None = None,
        term: int | None = None,
    ) -> Appended:
        """Appends a record, and waits in asyncio until it is durable. Who is cancelled does not know whether it is."""
        ticket = await self.submit_async(
            value,
            key=key,
            headers=headers,
            timestamp=timestamp,
            partition=partition,
            durability=durability,
            expected_offset=expected_offset,
            term=term,
        )
        return await ticket

    async def submit_async(self, value: Value, /, **options: Any) -> Ticket:
        """Appends a record, with the arguments of append_async. Waits in asyncio until there is room for it in memory,
        and returns its ticket."""
        while (ticket := self._try_submit(value, **options))._refused:
            await _asyncio.room(ticket)
        return ticket

    async def append_batch_async(
        self,
        items: Iterable[Item],
        *,
        partition: int | None = None,
        durability: Durability | None = None,
        expected_offset: int | None = None,
        term: int | None = None,
    ) -> Appended:
        """As append_batch, in asyncio."""
        chunk = self._whole(items, partition, durability, expected_offset, term)
        return await [ticket async for ticket in _submitted_async(chunk)][0]

    async def append_many_async(
        self,
        items: Iterable[Item],
        *,
        partition: int | None = None,
        durability: Durability | None = None,
    ) -> list[Appended]:
        """As append_many, in asyncio. The iterable is taken from between other tasks, a chunk at a time."""
        done: list[Appended] = []
        tickets: deque[Ticket] = deque()
        for chunk in self._chunks(items, partition, durability):
            async for ticket in _submitted_async(chunk):
                tickets.append(ticket)
                if len(tickets) == _TICKETS_MAX:
                    done.append(await tickets.popleft())
        return done + [await ticket for ticket in tickets]

    def _whole(
        self,
        items: Iterable[Item],
        partition: int | None,
        durability: int | None,
        expected_offset: int | None,
        term: int | None,
    ) -> _thalweg.Chunk:
        # One more than a batch may have is refused by the engine, with the limit in its words.
        chunk = _thalweg.Chunk(
            self,
            iter(items),
            _thalweg.BATCH_RECORDS_MAX + 1,
            2**62,
            False,
            partition,
            durability,
            expected_offset,
            term,
        )
        if len(chunk) == 0:
            raise ValueError("a batch has at least one record")
        return chunk

    def _chunks(self, items: Iterable[Item], partition: int | None, durability: int | None) -> Iterator[_thalweg.Chunk]:
        iterator = iter(items)
        while len(chunk := _thalweg.Chunk(self, iterator, _CHUNK_RECORDS, _CHUNK_SIZE, True, partition, durability)):
            yield chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<thalweg.Topic '{self.name}'>"


def _submitted(chunk: _thalweg.Chunk, timeout: float | None) -> list[Ticket]:
    """Submits all batches of a chunk, and waits where there is no room."""
    tickets = []
    while (ticket := chunk.try_submit()) is not None:
        if ticket._refused:
            ticket._room(timeout)
        else:
            tickets.append(ticket)
    return tickets


async def _submitted_async(chunk: _thalweg.Chunk) -> AsyncIterator[Ticket]:
    while (ticket := chunk.try_submit()) is not None:
        if ticket._refused:
            await _asyncio.room(ticket)
        else:
            yield ticket
