"""Lifetimes: views, batches, objects in any order, forks, signals, the end of the interpreter."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import pytest

import thalweg

# Engines that tests leave to be collected are closed with a warning.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def child(program: str, *arguments: object, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs a program in an interpreter of its own."""
    command = [sys.executable, "-X", "dev", "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds)


def a_batch(db: thalweg.Engine) -> thalweg.Batch:
    topic = db.create_topic("t")
    topic.append_batch([(b"key", b"value %d" % i) for i in range(1000)])
    (batch,) = db.consumer(None, ["t"]).batches()
    return batch


def test_views_keep_their_batch(path):
    db = thalweg.open(path)
    batch = a_batch(db)
    view, key, record = batch[7].value_view, batch[7].key_view, batch[8]
    memory = batch.memory
    del batch
    gc.collect()
    db.close()
    del db
    gc.collect()
    assert view == b"value 7" and key == b"key" and record.value == b"value 8" and bytes(view) in bytes(memory)
    assert view.readonly


def test_a_release_with_views_is_safe(db):
    batch = a_batch(db)
    view = batch[0].value_view
    record = batch[1]
    batch.release()
    batch.release()
    assert view == b"value 0", "its memory goes with the last view"
    for call in (
        batch.values,
        lambda: batch[0],
        lambda: record.value,
        lambda: record.value_view,
        lambda: record.headers,
        lambda: batch.memory,
        batch.to_numpy,
        batch.__arrow_c_array__,
        lambda: batch.__enter__(),
        lambda: record.append_time,
    ):
        with pytest.raises(thalweg.Closed):
            call()
    assert "released" in repr(batch) and "released" in repr(record)


def test_memory_goes_back_when_the_last_view_goes(db):
    topic = db.create_topic("t", durability=thalweg.Durability.LOSE_ON_KILL)
    topic.append_many([b"x" * 1000] * 20_000)
    pinned = lambda: db.metrics()["engine"]["memory"]["pins"]["used"]
    before = pinned()
    views = [record.value_view for batch in db.consumer(None, ["t"]).batches() for record in batch]
    assert pinned() > before
    del views
    gc.collect()
    assert pinned() == before


def test_a_batch_is_released_by_its_block(db):
    with a_batch(db) as batch:
        assert len(batch) == 1000
    with pytest.raises(thalweg.Closed):
        batch.values()


ORDERS = list(itertools.permutations(["db", "topic", "consumer", "batch", "record", "view", "ticket", "reader"]))


@pytest.mark.parametrize("order", ORDERS[:: len(ORDERS) // 20])
def test_objects_go_in_any_order(path, order):
    db = thalweg.open(path, memory_budget=64 << 20, shards=1)
    batch = a_batch(db)
    topic = db.topic("t")
    objects = {
        "db": db,
        "topic": topic,
        "consumer": db.consumer("c", ["t"]),
        "batch": batch,
        "record": batch[0],
        "view": batch[0].value_view,
        "ticket": topic.submit(b"more"),
        "reader": topic.reader(),
    }
    del db, batch, topic
    for name in order:
        del objects[name]
        gc.collect()
        if "view" in objects:
            assert objects["view"] == b"value 0"
        if "record" in objects:
            assert objects["record"].value == b"value 0"
    with thalweg.open(path) as db:
        assert db.topic("t").next_offset() == 1001


def test_what_is_used_keeps_its_engine_open(path):
    thalweg.open(path).create_topic("t").append(b"a")
    reader = thalweg.open(path).topic("t").reader()
    assert reader.poll(10).values() == [b"a"]
    del reader
    values = thalweg.open(path).topic("t").key_values()
    values[b"k"] = b"v"
    del values
    consumer = thalweg.open(path).consumer(None, ["t"])
    ticket = thalweg.open(path.parent / "other").create_topic("t").submit(b"b")
    assert consumer.poll(10).values() == [b"a"] and ticket.result(10) == (0, 0)


def test_an_engine_that_nobody_closes_is_closed_and_warned_of(path):
    db = thalweg.open(path)
    db.create_topic("t")
    with pytest.warns(ResourceWarning, match="unclosed <thalweg.Engine"):
        del db
        gc.collect()
    with thalweg.open(path, lock_timeout=0) as db:
        assert db.info().recovered_clean


def test_cycles_are_collected(path):
    db = thalweg.open(path)
    topic = db.create_topic("t")
    topic.cycle = topic
    db.cycle = [db, topic]
    del topic
    with pytest.warns(ResourceWarning):
        del db
        gc.collect()
    with thalweg.open(path, lock_timeout=0):
        pass


def test_nothing_leaks(db):
    """Objects of every kind, made and dropped: what Python holds does not grow, nor do descriptors."""
    topic = db.create_topic("t")
    descriptors = lambda: len(os.listdir("/proc/self/fd"))

    def everything() -> None:
        topic.append(b"v", key=b"k", headers={"h": b"1"}, timestamp=5)
        topic.append_many([(b"k", b"v"), bytearray(b"w")])
        topic.submit(b"x").result()
        with db.consumer("c", ["t"]) as consumer:
            for batch in consumer.batches():
                [(r.value, r.key, r.headers, r.value_view, repr(r)) for r in batch]
                batch.to_numpy() if "numpy" in sys.modules else None
                batch.__arrow_c_array__(), thalweg.large_binary(batch).__arrow_c_array__()
            consumer.__arrow_c_stream__()
            consumer.commit()
        topic.reader().poll(0)
        topic.key_values()[b"k"] = b"v"
        db.events().poll()
        db.metrics(), db.info(), db.topics(), topic.partitions
        for call in (lambda: topic.append("no"), lambda: db.topic("none"), lambda: topic.append(b"x", partition=9)):
            with pytest.raises((TypeError, thalweg.Error)):
                call()

    for _ in range(3):
        everything()
    gc.collect()
    objects, open_files = len(gc.get_objects()), descriptors()
    blocks = sys.getallocatedblocks()
    for _ in range(30):
        everything()
    gc.collect()
    assert descriptors() <= open_files + 1
    assert len(gc.get_objects()) < objects + 100
    assert sys.getallocatedblocks() < blocks + 500


def test_a_forked_child_raises_and_its_parent_goes_on(db):
    batch = a_batch(db)
    topic, consumer, record = db.topic("t"), db.consumer("c", ["t"]), batch[0]
    ticket = topic.submit(b"x")
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        wrong = []
        for call in (
            lambda: topic.append(b"y"),
            lambda: topic.submit(b"y"),
            lambda: consumer.poll(0),
            lambda: consumer.commit(),
            db.info,
            lambda: db.create_topic("u"),
            batch.values,
            lambda: record.value,
            lambda: record.value_view,
            lambda: batch.memory,
            db.close,
            lambda: ticket.result(5) if not ticket.done() else db.info(),
            topic.key_values,
            lambda: topic.reader(),
            lambda: batch.__arrow_c_array__(),
        ):
            try:
                wrong.append(repr(call()))
            except thalweg.Forked:
                pass
            except BaseException as error:
                wrong.append(repr(error))
        repr(batch), repr(record), repr(db), repr(ticket)
        with_own = thalweg.open(db._path + "-child")
        with_own.create_topic("mine").append(b"z")
        with_own.close()
        os.write(writing, ("; ".join(wrong) or "fine").encode())
        del batch, record, ticket, consumer, topic
        gc.collect()
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 10_000).decode() == "fine"
    os.close(reading)
    assert os.waitpid(pid, 0)[1] == 0
    assert topic.append(b"y").offset == 1001 and batch[0].value == b"value 0"
    consumer.poll(10)
    consumer.commit()


BLOCKING = {
    "consumer.poll": "db.consumer(None, ['t']).poll()",
    "for batch in consumer": "[batch for batch in db.consumer(None, ['t'])]",
    "reader.poll": "topic.reader().poll()",
    "topic.read": "topic.read(0, 0)",
    "events": "list(db.events())",
    "asyncio": "asyncio.run(db.consumer(None, ['t']).poll_async())",
}


@pytest.mark.parametrize("what", BLOCKING)
def test_an_interrupt_ends_a_call_that_waits(path, what):
    program = f"""
        import asyncio, os, signal, sys, threading, time, thalweg
        with thalweg.open(sys.argv[1]) as db:
            topic = db.create_topic("t")
            threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            started = time.monotonic()
            try:
                {BLOCKING[what]}
            except KeyboardInterrupt:
                print("interrupted", time.monotonic() - started)
            topic.append(b"and it goes on")
        """
    done = child(program, path)
    assert done.returncode == 0, done.stderr
    word, seconds = done.stdout.split()
    assert word == "interrupted" and float(seconds) < 5


def test_an_interrupt_ends_a_wait_for_room_and_for_a_device(path):
    """Frozen in its stead: nobody makes room while batches are held."""
    program = """
        import os, signal, sys, threading, time, thalweg
        with thalweg.open(sys.argv[1], memory_budget=64 << 20, shards=1) as db:
            topic = db.create_topic("t")
            threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            try:
                while True:
                    topic.append_many([b"x" * 100_000] * 1000)
            except KeyboardInterrupt:
                print("interrupted")
        """
    done = child(program, path)
    assert (done.stdout, done.returncode) == ("interrupted\n", 0), done.stderr


@pytest.mark.parametrize(
    "ending",
    [
        "pass",
        "db.close()",
        "sys.exit(0)",
        "threading.Thread(target=db.consumer(None, ['t']).poll, daemon=True).start(); time.sleep(0.1)",
        "threading.Thread(target=lambda: topic.append_many(iter(bytes, 1)), daemon=True).start(); time.sleep(0.1)",
        "keep = [topic.submit(b'x') for _ in range(1000)]",
        "keep = batch[0].value_view; sys.modules['kept'] = keep",
        "sys.kept = db; db.itself = db",
        "import atexit; atexit.register(lambda: topic.append(b'last'))",
        "keep = topic.submit(b'x'); keep.add_done_callback(lambda ticket: None); sys.modules['kept'] = (db, keep)",
    ],
)
def test_the_interpreter_ends(path, ending):
    program = f"""
        import sys, threading, time, thalweg
        db = thalweg.open(sys.argv[1])
        topic = db.create_topic("t")
        topic.append(b"value")
        (batch,) = db.consumer("c", ["t"]).batches()
        {ending}
        """
    done = child(program, path)
    assert done.returncode == 0 and "Fatal" not in done.stderr and "Traceback" not in done.stderr, done.stderr
    with thalweg.open(path) as db:
        assert db.topic("t").next_offset() >= 1


def test_a_killed_process_loses_nothing_that_was_acknowledged(path):
    program = """
        import os, signal, sys, thalweg
        db = thalweg.open(sys.argv[1])
        topic = db.create_topic("t")
        for i in range(50):
            topic.append(b"%d" % i)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    assert child(program, path).returncode == -signal.SIGKILL
    with thalweg.open(path) as db:
        assert [v for b in db.consumer(None, ["t"]).batches() for v in b.values()] == [b"%d" % i for i in range(50)]
        assert not db.info().recovered_clean


def test_other_threads_run_while_one_waits(db, topic):
    consumer = db.consumer(None, ["t"])
    thread = threading.Thread(target=consumer.poll, args=(5,))
    thread.start()
    started, count = time.monotonic(), 0
    while time.monotonic() - started < 0.2:
        count += 1
    assert count > 1000
    consumer.wakeup()
    thread.join(30)


def test_subinterpreters_are_refused():
    # The module for them has another name in each version.
    program = """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        made = interpreters.create()
        try:
            print((getattr(interpreters, "exec", None) or interpreters.run_string)(made, "import thalweg"))
        except Exception as error:
            print(error)
        """
    done = child(program)
    assert done.returncode == 0 and "ImportError" in done.stdout, done.stdout + done.stderr
