"""Stores that are open."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from thalweg import _thalweg
from thalweg.consumer import Consumer, OutOfRangePolicy
from thalweg.events import Events
from thalweg.info import DamagedRange, Durability, Info, NamedPosition, Repaired, Runtime, TopicInfo, VerifyReport
from thalweg.start import Start, start_of
from thalweg.topic import Topic

if TYPE_CHECKING:
    from typing import Self


class Engine(_thalweg.Engine):
    """A store that is open: `thalweg.open` makes one. Leaving its `with` block closes it. Other objects of it are to be
    used before; batches stay readable."""

    _path: str

    def __new__(
        cls,
        path: str | os.PathLike[str],
        *,
        create: bool = True,
        read_only: bool = False,
        memory_budget: int = 0,
        segment_size: int = 0,
        durability: Durability | None = None,
        runtime: Runtime = Runtime.AUTO,
        shards: int = 0,
        open_files: int = 0,
        lock_timeout: float | None = None,
        pin_cores: bool = False,
        trust_shared_directory: bool = False,
        give_up_journal: bool = False,
    ) -> Self:
        flags = (
            (0 if create else _thalweg.ENGINE_NO_CREATE)
            | (_thalweg.ENGINE_READ_ONLY if read_only else 0)
            | (_thalweg.ENGINE_PIN_CORES if pin_cores else 0)
            | (_thalweg.ENGINE_TRUST_SHARED_DIRECTORY if trust_shared_directory else 0)
            | (_thalweg.ENGINE_GIVE_UP_JOURNAL if give_up_journal else 0)
        )
        # For the C ABI 0 is the default, and what is negative does not wait.
        lock = 0 if lock_timeout is None else round(lock_timeout * 1000) or -1
        self = super().__new__(
            cls, path, flags, runtime, durability or 0, memory_budget, segment_size, shards, open_files, lock
        )
        self._path = os.fspath(path)
        return self

    def create_topic(self, name: str, partitions: int = 1, *, durability: Durability | None = None) -> Topic:
        """Creates a topic. Durable when it returns."""
        self._create_topic(name, partitions, durability or 0)
        return Topic(self, name)

    def topic(self, name: str) -> Topic:
        """The topic of a name."""
        return Topic(self, name)

    def topics(self) -> list[TopicInfo]:
        """All topics, by name."""
        return [TopicInfo(**found) for found in self._topics()]

    def consumer(
        self,
        name: str | None = None,
        topics: str | Topic | Iterable[str | Topic] = (),
        *,
        start: Start = "earliest",
        out_of_range: OutOfRangePolicy = "error",
    ) -> Consumer:
        """A consumer of topics. Under its name positions are committed, and found again.

        start: where partitions begin of which the name has no position. out_of_range: where it goes on when its
        position is not there any more."""
        return Consumer(self, name, topics, start=start, out_of_range=out_of_range)

    def info(self) -> Info:
        """How the engine works."""
        return Info(**self._info())

    def metrics(self) -> dict[str, Any]:
        """All that the engine counts of itself."""
        found: dict[str, Any] = json.loads(self.metrics_json())
        return found

    def events(self) -> Events:
        """What happens in the engine."""
        return Events(self)

    def damaged(self) -> list[DamagedRange]:
        """Acknowledged offsets that recovery found missing or damaged when the store was opened."""
        return [DamagedRange(**found) for found in self._damaged()]

    def verify(self) -> VerifyReport:
        """Reads everything that is on the device, and checks every checksum and every offset."""
        return VerifyReport(**self._verify())

    def positions(self, consumer: str | None = None) -> list[NamedPosition]:
        """The committed positions of a consumer, or of all."""
        return [NamedPosition(**found) for found in self._positions(consumer)]

    def reset_position(self, consumer: str, topic: Topic, start: Start, *, partition: int | None = None) -> None:
        """Puts a consumer at a start in one partition of a topic or in all: all or none, durable when it returns."""
        self._reset_position(consumer, topic, partition, *start_of(start))

    def repair_positions(self) -> Repaired:
        """Goes on with those positions that can be read, where damage keeps all of them from being read."""
        return Repaired(**self._repair_positions())

    def repair_key_values(self) -> Repaired:
        """Goes on with those key-values that can be read, where damage keeps all of them from being read."""
        return Repaired(**self._repair_key_values())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<thalweg.Engine '{self._path}'>"


open = Engine
"""Opens the store in a directory, or makes one there."""
