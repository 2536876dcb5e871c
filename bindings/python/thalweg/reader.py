"""A place in one partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg import _thalweg
from thalweg.start import Start, start_of

if TYPE_CHECKING:
    from typing import Self

    from thalweg.topic import Topic


class Reader(_thalweg.Reader):
    """Reads one partition, batch by batch. Iterating waits for the next batch, whenever it comes."""

    def __new__(cls, topic: Topic, partition: int, start: Start) -> Self:
        self = super().__new__(cls, topic, partition, *start_of(start))
        # Keeps its engine open.
        self._topic = topic
        self._partition = partition
        return self

    _topic: Topic
    _partition: int

    def seek(self, start: Start) -> None:
        """Goes somewhere else."""
        self._seek(*start_of(start))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<thalweg.Reader of topic '{self._topic.name}', partition {self._partition}>"
