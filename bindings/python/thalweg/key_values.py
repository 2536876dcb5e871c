"""A few small values beside a topic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING

from thalweg import _thalweg

if TYPE_CHECKING:
    from thalweg.topic import Topic


class KeyValues(_thalweg.KeyValues, MutableMapping[bytes, bytes]):
    """The key-values of a topic: a mapping of bytes to bytes, in the order of the keys. Each change is durable when the
    call returns."""

    def __init__(self, topic: Topic) -> None:
        # Keeps its engine open.
        self._topic = topic

    def __getitem__(self, key: bytes) -> bytes:
        return _thalweg.KeyValues.__getitem__(self, key)

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._write([(key, value)])

    def __delitem__(self, key: bytes) -> None:
        # The engine takes away what is not there as well; a mapping tells.
        self[key]
        self._write([(key, None)])

    def __iter__(self) -> Iterator[bytes]:
        return iter([key for key, _ in self.list()])

    def __len__(self) -> int:
        return len(self.list())

    def list(self, prefix: bytes = b"") -> list[tuple[bytes, bytes]]:
        """The keys that begin with a prefix, with their values."""
        with self._list(prefix) as found:
            return [(key or b"", value or b"") for key, value in zip(found.keys(), found.values())]

    def write(self, changes: Mapping[bytes, bytes | None] | Iterable[tuple[bytes, bytes | None]]) -> None:
        """Makes changes, up to 1,024, in their order: all or none, whatever crashes. None takes a value away."""
        self._write(list_of(changes))

    def __repr__(self) -> str:
        return f"<thalweg.KeyValues of topic '{self._topic.name}'>"


def list_of(
    changes: Mapping[bytes, bytes | None] | Iterable[tuple[bytes, bytes | None]],
) -> list[tuple[bytes, bytes | None]]:
    return list(changes.items() if isinstance(changes, Mapping) else changes)
