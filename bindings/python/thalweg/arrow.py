"""Batches and consumers for tools of Arrow that do not know views of bytes."""

from __future__ import annotations

from thalweg import _thalweg


class LargeBatch:
    """A batch whose keys and values Arrow gets as large_binary: copied, one behind the other."""

    def __init__(self, batch: _thalweg.Batch) -> None:
        self._batch = batch

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        return self._batch._large_array()


class LargeStream:
    """The records that are there for a consumer, with keys and values as large_binary."""

    def __init__(self, consumer: _thalweg.Consumer) -> None:
        self._consumer = consumer

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._consumer._large_stream()


def large_binary(source: _thalweg.Batch | _thalweg.Consumer) -> LargeBatch | LargeStream:
    """A batch or a consumer whose keys and values Arrow gets as large_binary, not as views of the engine's memory."""
    return LargeBatch(source) if isinstance(source, _thalweg.Batch) else LargeStream(source)
