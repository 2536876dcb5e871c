"""Everything at once: threads that append, read, wait, collect garbage and close, as often as the interpreter lets them
take turns. Who is closed under somebody is told so, and nobody else is told anything."""

import asyncio
import contextlib
import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import thalweg

SECONDS = float(os.environ.get("THALWEG_STRESS_SECONDS", 5))
# What calls may answer here without anything being wrong.
FINE = (thalweg.WouldBlock, thalweg.TimedOut, thalweg.OutOfRange, thalweg.NoMemory)


class World:
    """A store, and what threads do with it."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.db = thalweg.open(path, memory_budget=64 << 20, shards=1)
        self.topic = self.db.create_topic("t", 3, durability=chance.choice(list(thalweg.Durability)))
        self.consumer = self.db.consumer("c", ["t"])
        self.held: list[object] = []
        self.wrong: list[str] = []
        self.stopped = threading.Event()

    def run(self, what: Callable[[random.Random], object], seed: int) -> None:
        chance = random.Random(seed)
        while not self.stopped.is_set():
            try:
                what(chance)
            except thalweg.Closed:
                return
            except FINE:
                pass
            except BaseException as error:
                self.wrong.append(f"{what.__name__}: {error!r}")
                return

    def append(self, chance: random.Random) -> None:
        value, key = b"x" * chance.randrange(2000), b"%d" % chance.randrange(9)
        self.topic.append(value, key=key, timeout=chance.choice([None, 0.001, 1]))

    def append_many(self, chance: random.Random) -> None:
        self.topic.append_many([(b"k%d" % i, b"v" * chance.randrange(500)) for i in range(chance.randrange(300))])

    def submit(self, chance: random.Random) -> None:
        tickets = [self.topic.submit(b"y") for _ in range(100)]

        def more(ticket: thalweg.Ticket) -> None:
            with contextlib.suppress(thalweg.Error):
                self.topic.submit(b"nested")
                ticket.done()

        tickets[0].add_done_callback(more)
        chance.choice(tickets).result(5)

    def poll(self, chance: random.Random) -> None:
        batch = self.consumer.poll(0.01)
        if batch is None:
            return
        self.held.append((batch[0].value_view, batch, batch.values(), batch.__arrow_c_array__()))
        if len(self.held) > 20:
            self.held.clear()
        if chance.random() < 0.1:
            batch.release()
        if chance.random() < 0.1:
            self.consumer.commit()

    def watch(self, chance: random.Random) -> None:
        time.sleep(0.002)
        self.consumer.wakeup()
        gc.collect(0)
        self.db.metrics()

    def await_all(self, chance: random.Random) -> None:
        async def program() -> None:
            await asyncio.gather(*(self.topic.append_async(b"a%d" % i) for i in range(30)))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.topic.append_async(b"z"), 0.0005)

        asyncio.run(program())

    def read(self, chance: random.Random) -> None:
        self.topic.reader(chance.randrange(3)).poll(0.001)


@contextlib.contextmanager
def many_turns() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_everything_at_once(tmp_path):
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    end = time.monotonic() + SECONDS
    number = 0
    with many_turns():
        while time.monotonic() < end or number < 3:
            number += 1
            world = World(tmp_path / str(number), chance)
            calls = [world.append, world.append_many, world.submit, world.submit, world.poll, world.poll, world.watch]
            calls += [world.await_all, world.await_all, world.read]
            threads = [threading.Thread(target=world.run, args=(call, chance.random()), daemon=True) for call in calls]
            for thread in threads:
                thread.start()
            time.sleep(chance.random())
            if chance.random() < 0.3:
                world.stopped.set()
            if chance.random() < 0.5:
                world.consumer.close()
            world.db.close()
            world.stopped.set()
            for thread in threads:
                thread.join(60)
            assert not any(thread.is_alive() for thread in threads), f"a thread hangs; seed {seed}"
            assert world.wrong == [], f"seed {seed}"
