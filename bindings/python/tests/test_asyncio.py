"""asyncio: appends, consumers and events, driven by descriptors of the engine."""

import asyncio
import contextlib
import os
import threading

import pytest

import thalweg


def test_an_append_is_awaited(db, topic):
    async def program() -> None:
        assert await topic.append_async(b"a", key=b"k", headers={"h": b"1"}, timestamp=5) == (0, 0)
        ticket = topic.submit(b"b")
        assert await ticket == (0, 1) == await ticket
        assert (await topic.append_batch_async([b"c", b"d"])).count == 2
        assert sum(at.count for at in await topic.append_many_async(b"%d" % i for i in range(20_000))) == 20_000
        with pytest.raises(thalweg.NotFound):
            await topic.append_async(b"x", partition=7)
        with pytest.raises(TypeError):
            await topic.append_async("text")

    asyncio.run(program())
    assert topic.next_offset() == 20_004


def test_appends_of_many_tasks_are_under_way_at_once(db, topic):
    async def program() -> list[thalweg.Appended]:
        return await asyncio.gather(*(topic.append_async(b"%d" % i) for i in range(2000)))

    assert sorted(at.offset for at in asyncio.run(program())) == list(range(2000))


def test_a_consumer_is_iterated(db, topic):
    async def program() -> None:
        found: list[bytes | None] = []
        consumer = db.consumer("c", ["t"])

        async def consume() -> None:
            async for batch in consumer:
                found.extend(batch.values())
                if len(found) == 50:
                    return

        task = asyncio.create_task(consume())
        for i in range(50):
            await topic.append_async(b"%d" % i)
            await asyncio.sleep(0)
        await asyncio.wait_for(task, 30)
        assert found == [b"%d" % i for i in range(50)]
        waiting = asyncio.create_task(consumer.poll_async())
        await asyncio.sleep(0.05)
        consumer.wakeup()
        assert await asyncio.wait_for(waiting, 30) is None

    asyncio.run(program())


@pytest.mark.parametrize("what", ["consumer", "engine"])
def test_a_close_ends_who_waits(path, what):
    async def program() -> None:
        db = thalweg.open(path)
        db.create_topic("t")
        consumer = db.consumer("c", ["t"])
        waiting = asyncio.create_task(consumer.poll_async())
        await asyncio.sleep(0.05)
        consumer.close() if what == "consumer" else db.close()
        with pytest.raises(thalweg.Closed):
            await asyncio.wait_for(waiting, 30)
        db.close()

    asyncio.run(program())


def test_who_is_cancelled_leaves_nothing_behind(db, topic):
    async def program() -> None:
        consumer = db.consumer(None, [db.create_topic("empty")])
        topic.append(b"first")
        for _ in range(20):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(consumer.poll_async(), 0.005)
            task = asyncio.create_task(topic.append_async(b"x"))
            await asyncio.sleep(0)
            task.cancel()
            # It may be over already.
            with contextlib.suppress(asyncio.CancelledError):
                await task

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(program())
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    topic.append(b"last")


def test_completions_may_be_taken_by_another_thread(db, topic):
    done = threading.Event()

    def appender() -> None:
        while not done.is_set():
            topic.append(b"t")

    thread = threading.Thread(target=appender)
    thread.start()

    async def program() -> None:
        for _ in range(300):
            await asyncio.wait_for(topic.append_async(b"a"), 30)

    asyncio.run(program())
    done.set()
    thread.join(30)


def test_two_loops_at_once(db, topic):
    async def program() -> None:
        await asyncio.gather(*(topic.append_async(b"x") for _ in range(500)))

    threads = [threading.Thread(target=asyncio.run, args=(program(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert topic.next_offset() == 1000


def test_an_engine_that_closes_settles_what_is_awaited(path):
    complaints = []

    async def program() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        db = thalweg.open(path)
        topic = db.create_topic("t")
        task = asyncio.create_task(topic.append_async(b"x" * 100_000))
        await asyncio.sleep(0)
        db.close()
        done = await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 30)
        assert done[0] == (0, 0) or isinstance(done[0], thalweg.Closed)

    asyncio.run(program())
    assert complaints == []


def test_events_are_iterated(path):
    async def program() -> list[str]:
        db = thalweg.open(path)
        events = db.events()
        asyncio.get_running_loop().call_later(0.1, db.close)
        return [event.kind.name async for event in events]

    assert asyncio.run(program()) == ["RECOVERED", "OPENED", "CLOSED"]


def test_a_million_records_go_through_with_little_memory(path):
    """A hundred million bytes through sixty-four: who finds no room waits for it."""
    count = 1_000_000

    async def program() -> None:
        with thalweg.open(path, memory_budget=64 << 20, shards=1, segment_size=16 << 20) as db:
            topic = db.create_topic("t", 2)

            async def produce(first: int) -> None:
                batch: list[thalweg.Ticket] = []
                for i in range(first, count, 2):
                    batch.append(await topic.submit_async(b"%0100d" % i, key=b"%d" % i))
                    if len(batch) == 10_000:
                        await batch[-1]
                        await batch[0]
                        batch.clear()

            async def consume() -> None:
                seen, total = 0, 0
                consumer = db.consumer("c", ["t"])
                async for batch in consumer:
                    for value in batch.values():
                        total += int(value)
                    seen += len(batch)
                    if seen == count:
                        break
                assert total == count * (count - 1) // 2
                consumer.commit()
                assert consumer.lag() == 0

            await asyncio.wait_for(asyncio.gather(produce(0), produce(1), consume()), 300)

    asyncio.run(program())
