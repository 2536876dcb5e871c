"""Descriptors of the engine in event loops: no thread, and nothing that stays behind when nobody waits."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import Generator, Iterator
from typing import Any

from thalweg import _thalweg

_Loop = asyncio.AbstractEventLoop
_Future = asyncio.Future[None]

# How many wait in a loop for a queue, and the descriptor that the loop watches for them.
_watches: dict[tuple[_Loop, _thalweg.Queue], tuple[int, int]] = {}


@contextlib.contextmanager
def _watching(queue: _thalweg.Queue, loop: _Loop) -> Iterator[None]:
    """Has the loop take the completions of a queue. The descriptor is a copy: it stays one if the queue is closed."""
    key = (loop, queue)
    waiting, descriptor = _watches.get(key, (0, -1))
    if waiting == 0:
        descriptor = os.dup(queue.fileno())
        loop.add_reader(descriptor, queue.take)
    _watches[key] = (waiting + 1, descriptor)
    try:
        yield
    finally:
        waiting, descriptor = _watches.pop(key)
        if waiting > 1:
            _watches[key] = (waiting - 1, descriptor)
        else:
            if not loop.is_closed():
                loop.remove_reader(descriptor)
            os.close(descriptor)


def _finish(future: _Future) -> None:
    if not future.done():
        future.set_result(None)


def _wake(loop: _Loop, future: _Future, _ticket: _thalweg.Ticket) -> None:
    """On the thread that has taken the completion, whichever it is."""
    if asyncio._get_running_loop() is loop:
        _finish(future)
    elif not loop.is_closed():
        loop.call_soon_threadsafe(_finish, future)


def settled(ticket: _thalweg.Ticket) -> Generator[Any, None, _thalweg.Appended]:
    """What `await ticket` goes through. The extension calls it."""
    if not ticket.done():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        ticket.add_done_callback(functools.partial(_wake, loop, future))
        with _watching(ticket._queue, loop):
            yield from future
    return ticket.result(0)


async def room(ticket: _thalweg.Ticket) -> None:
    """Waits until a submit that was refused may be tried again."""
    with contextlib.suppress(BlockingIOError):
        await ticket


async def readable(*descriptors: int) -> None:
    """Waits until one of them is readable."""
    loop = asyncio.get_running_loop()
    future: _Future = loop.create_future()
    # Copies, so that each wait is one of its own, and a close under it harms nobody.
    copies = [os.dup(descriptor) for descriptor in descriptors]
    try:
        for copy in copies:
            loop.add_reader(copy, _finish, future)
        await future
    finally:
        for copy in copies:
            if not loop.is_closed():
                loop.remove_reader(copy)
            os.close(copy)
