"""Appends: one, many, as a batch, with a ticket."""

import itertools
import threading
from datetime import UTC, datetime

import pytest

import thalweg
from thalweg import Appended


def all_of(db: thalweg.Engine, name: str = "t") -> list[thalweg.Record]:
    return [record for batch in db.consumer(None, [name]).batches() for record in batch]


def test_an_append_returns_where_the_record_stands(db, topic):
    assert topic.append(b"a") == (0, 0)
    at = topic.append(b"b")
    assert (at.partition, at.offset, at.count) == (0, 1, 1)
    partition, offset = topic.append(b"c")
    assert (partition, offset) == (0, 2)
    assert [record.value for record in all_of(db)] == [b"a", b"b", b"c"]


@pytest.mark.parametrize("value", [b"", b"x", b"y" * 100_000, None])
@pytest.mark.parametrize("key", [None, b"", b"k"])
def test_values_and_keys_are_bytes_empty_or_none(db, topic, value, key):
    topic.append(value, key=key)
    (record,) = all_of(db)
    assert (record.value, record.key) == (value, key)
    assert (record.value_view is None) == (value is None) and (record.key_view is None) == (key is None)
    if value is not None:
        assert record.value_view == value


def test_whatever_is_like_bytes_is_taken(db, topic):
    topic.append(bytearray(b"a"))
    topic.append(memoryview(b"xbx")[1:2])
    topic.append_many([bytearray(b"c"), memoryview(b"d"), (bytearray(b"k"), bytearray(b"e"))])
    assert sorted(record.value for record in all_of(db)) == [b"a", b"b", b"c", b"d", b"e"]


@pytest.mark.parametrize("wrong", ["text", 5, object(), [b"a"], memoryview(b"abcd")[::2]])
def test_what_is_not_bytes_is_refused_and_nothing_is_appended(db, topic, wrong):
    with pytest.raises((TypeError, BufferError)):
        topic.append(wrong)
    with pytest.raises((TypeError, BufferError)):
        topic.append(b"v", key=wrong)
    with pytest.raises((TypeError, BufferError)):
        topic.append_many([b"fine", wrong])
    assert all_of(db) == []


@pytest.mark.parametrize(
    "headers", [[("a", b"1"), ("b", None), ("a", b"")], {"a": b"1", "ü": None}, (("x", bytearray(b"2")),), [], {}]
)
def test_headers_keep_their_order(db, topic, headers):
    expected = list(headers.items()) if isinstance(headers, dict) else [(name, value) for name, value in headers]
    topic.append(b"v", headers=headers)
    topic.append_many([(None, b"w", headers)])
    for record in all_of(db):
        assert record.headers == expected


@pytest.mark.parametrize("headers", [[b"a"], [("a",)], [(b"a", b"b")], [("a", "b")], 5, [("\ud800", b"")]])
def test_wrong_headers_are_refused(db, topic, headers):
    with pytest.raises((TypeError, UnicodeEncodeError)):
        topic.append(b"v", headers=headers)
    assert all_of(db) == []


def test_timestamps_are_milliseconds_or_datetimes(db, topic):
    moment = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    topic.append(b"a", timestamp=-5)
    topic.append(b"b", timestamp=moment)
    topic.append(b"c")
    first, second, third = all_of(db)
    assert first.timestamp == -5 and second.time == moment
    assert third.timestamp == third.append_time
    with pytest.raises(TypeError):
        topic.append(b"d", timestamp="now")


def test_equal_keys_share_a_partition(db):
    topic = db.create_topic("p", 5)
    items = [(b"k%d" % (i % 17), b"%d" % i) for i in range(1000)]
    topic.append_many(items)
    found = all_of(db, "p")
    for record in found:
        assert record.partition == topic.partition_of(record.key)
        assert record.partition == (thalweg.murmur2(record.key) & 0x7FFF_FFFF) % 5
    for key in {key for key, _ in items}:
        assert [r.value for r in found if r.key == key] == [value for k, value in items if k == key]


def test_append_many_tells_each_batch(topic, db):
    assert topic.append_many([]) == []
    done = topic.append_many([b"x"] * 20_000)
    assert sum(at.count for at in done) == 20_000
    assert [at.offset for at in done] == list(itertools.accumulate([at.count for at in done], initial=0))[:-1]


def test_an_endless_iterable_is_taken_in_chunks(db, fast):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 1000
            if fast.next_offset() > 100_000:
                raise StopAsyncIteration("enough")

    with pytest.raises(StopAsyncIteration):
        fast.append_many(endless())
    # What was taken for the chunk that was not full is not appended.
    assert 100_000 < fast.next_offset() <= taken


def test_a_batch_is_there_whole_or_not_at_all(db, topic):
    assert topic.append_batch([b"a", (b"k", b"b")]) == Appended((0, 0, 2))
    with pytest.raises(thalweg.TooLarge):
        topic.append_batch([b"c"] * 65_536)
    with pytest.raises(ValueError):
        topic.append_batch([])
    with pytest.raises(TypeError):
        topic.append_batch([b"c", "d"])
    assert [record.value for record in all_of(db)] == [b"a", b"b"]


def test_conditional_appends(db, topic):
    assert topic.append(b"a", expected_offset=0, term=7).offset == 0
    with pytest.raises(thalweg.OffsetMismatch):
        topic.append(b"b", partition=0, expected_offset=0)
    assert topic.append_batch([b"b", b"c"], partition=0, expected_offset=1, term=8).offset == 1
    assert [(r.value, r.term) for r in all_of(db)] == [(b"a", 7), (b"b", 8), (b"c", 8)]


def test_tickets_are_like_futures(topic):
    called = []
    ticket = topic.submit(b"a")
    ticket.add_done_callback(called.append)
    assert ticket.result(10) == (0, 0)
    assert ticket.done() and ticket.exception() is None and called == [ticket]
    ticket.add_done_callback(called.append)
    assert len(called) == 2


def test_a_failed_ticket_tells_why(db, topic):
    ticket = topic.submit(b"a" * 1000)
    db.delete_topic("t")
    try:
        assert ticket.result(10) == (0, 0)
    except thalweg.Deleted as error:
        assert ticket.exception() is error


def test_nobody_has_to_ask_tickets(db, fast):
    for _ in range(200_000):
        fast.submit(b"x")
    assert fast.submit(b"y").result(10).offset == 200_000


def test_limits_are_told_before_anything_is_appended(db, topic):
    for call in (
        lambda: topic.append(b"x" * (16 << 20) + b"y"),
        lambda: topic.append(b"x", key=b"k" * ((1 << 20) + 1)),
    ):
        with pytest.raises(thalweg.TooLarge) as failed:
            call()
        assert isinstance(failed.value, ValueError) and failed.value.status == "TOO_LARGE"
    for wrong in (-1, 2**32, "0", 1.5):
        with pytest.raises((ValueError, TypeError)):
            topic.append(b"x", partition=wrong)
    with pytest.raises(thalweg.NotFound):
        topic.append(b"x", partition=1)
    with pytest.raises(TypeError):
        topic.append(b"x", b"y")
    with pytest.raises(TypeError):
        topic.append(b"x", color=1)
    assert all_of(db) == []


def test_a_time_out_of_nothing_is_told(topic):
    # The first append after an open waits for its segment: there is no room in no time, and nothing is appended.
    with pytest.raises(thalweg.WouldBlock) as failed:
        topic.submit(b"a", timeout=0)
    assert isinstance(failed.value, BlockingIOError)
    assert topic.append(b"a", timeout=60) == (0, 0)
    with pytest.raises(ValueError):
        topic.append(b"a", timeout=-1)


def test_more_than_memory_has_room_for_waits_and_goes_on(db, topic):
    value = b"x" * (1 << 20)
    tickets = [topic.submit(value) for _ in range(200)]
    assert [ticket.result(60).offset for ticket in tickets] == list(range(200))


def test_many_threads_append_and_wait(db, topic):
    done: list[int] = []

    def appender(number: int) -> None:
        for i in range(100):
            done.append(topic.append(b"%d %d" % (number, i)).offset)

    threads = [threading.Thread(target=appender, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == list(range(800))
    assert len({record.value for record in all_of(db)}) == 800


def test_a_ticket_may_be_asked_by_many_threads_at_once(db, topic):
    for _ in range(50):
        ticket = topic.submit(b"x")
        results: list[Appended] = []
        threads = [threading.Thread(target=lambda: results.append(ticket.result(30))) for _ in range(5)]
        for thread in threads:
            thread.start()
        # Takes completions under those who wait.
        fast = [topic.submit(b"y") for _ in range(100)]
        for thread in threads:
            thread.join(30)
        assert results == [ticket.result()] * 5
        fast[-1].result(30)
