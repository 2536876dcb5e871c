"""Reads: consumers, readers, batches, records."""

import sys
import threading
import time
from datetime import UTC, datetime

import pytest

import thalweg


def values(batches) -> list[bytes | None]:
    return [value for batch in batches for value in batch.values()]


def test_a_consumer_goes_on_where_it_has_committed(path):
    with thalweg.open(path) as db:
        topic = db.create_topic("t", 3)
        topic.append_many([(b"k%d" % i, b"%d" % i) for i in range(100)])
        with db.consumer("c", ["t"]) as consumer:
            first = values([consumer.poll(10)])
            consumer.commit()
            assert consumer.name == "c"
    with thalweg.open(path, create=False) as db:
        with db.consumer("c", ["t"]) as consumer:
            assert sorted(first + values(consumer.batches())) == sorted(b"%d" % i for i in range(100))
            assert consumer.lag() == 0
        assert sum(position.lag for position in db.positions("c")) == 100 - len(first)
        db.reset_position("c", db.topic("t"), "latest")
        assert values(db.consumer("c", ["t"]).batches()) == []
        db.delete_positions("c")
        assert db.positions() == []


def test_topics_of_a_consumer_are_named_or_given(db, topic):
    topic.append(b"a")
    for topics in ("t", topic, ["t"], (topic,)):
        assert values(db.consumer(None, topics).batches()) == [b"a"]
    with pytest.raises(thalweg.NotFound):
        db.consumer("c", ["none"])
    with pytest.raises(TypeError):
        db.consumer("c", [5])
    with pytest.raises(thalweg.InvalidArgument):
        db.consumer().poll(0)
    # Those that failed left the name free.
    assert values(db.consumer("c", topic).batches()) == [b"a"]


def test_a_record_tells_everything(db, topic):
    topic.append(b"value", key=b"key", headers={"h": b"1"}, timestamp=1234)
    (batch,) = db.consumer(None, ["t"]).batches()
    (record,) = batch
    assert (record.topic, record.partition, record.offset, record.timestamp) == ("t", 0, 0, 1234)
    assert (record.key, record.value, record.headers, record.term) == (b"key", b"value", [("h", b"1")], None)
    assert record.time == datetime(1970, 1, 1, 0, 0, 1, 234000, tzinfo=UTC)
    assert abs(record.append_time / 1000 - time.time()) < 60
    assert "b'key'" in repr(record) and "offset 0" in repr(record) and "1 records" in repr(batch)


def test_a_batch_is_a_sequence(db, topic):
    topic.append_batch([(b"k%d" % i, b"%d" % i) for i in range(10)])
    (batch,) = db.consumer(None, ["t"]).batches()
    assert len(batch) == 10 and batch[3].value == b"3" and batch[-1].value == b"9"
    assert [record.value for record in batch] == batch.values() == [b"%d" % i for i in range(10)]
    assert batch.keys() == [b"k%d" % i for i in range(10)] and batch.offsets() == list(range(10))
    assert batch.timestamps() == [record.timestamp for record in batch]
    assert (batch.topic, batch.partition, batch.next_offset) == ("t", 0, 10)
    with pytest.raises(IndexError):
        batch[10]


def test_iterating_waits_for_what_comes(db, topic):
    found: list[bytes | None] = []
    consumer = db.consumer(None, ["t"])

    def consume() -> None:
        for batch in consumer:
            found.extend(batch.values())

    thread = threading.Thread(target=consume)
    thread.start()
    for i in range(20):
        topic.append(b"%d" % i)
    while len(found) < 20:
        time.sleep(0.001)
    consumer.wakeup()
    thread.join(30)
    assert not thread.is_alive() and found == [b"%d" % i for i in range(20)]


def test_a_poll_returns_none_when_the_time_is_over(db, topic):
    consumer = db.consumer(None, ["t"])
    start = time.monotonic()
    assert consumer.poll(0.2) is None and time.monotonic() - start >= 0.2
    assert consumer.poll(0) is None and consumer.poll_nowait() is None
    reader = topic.reader()
    start = time.monotonic()
    assert reader.poll(0.15) is None and time.monotonic() - start >= 0.15
    assert topic.read(0, 0, timeout=0) is None


def test_a_wakeup_ends_the_next_poll_too(db, topic):
    consumer = db.consumer(None, ["t"])
    consumer.wakeup()
    assert consumer.poll(60) is None


@pytest.mark.parametrize("what", ["consumer", "engine"])
def test_a_close_ends_a_poll_that_waits(path, what):
    db = thalweg.open(path)
    topic = db.create_topic("t")
    consumer = db.consumer("c", ["t"])
    reader = topic.reader()
    ended: list[str] = []

    def wait(call) -> None:
        try:
            call()
        except thalweg.Closed as error:
            ended.append(error.status)

    threads = [threading.Thread(target=wait, args=(consumer.poll,)), threading.Thread(target=wait, args=(reader.poll,))]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    if what == "consumer":
        consumer.close()
        reader.close()
    else:
        db.close()
    for thread in threads:
        thread.join(30)
    assert ended == ["CLOSED"] * 2
    db.close()


def test_two_threads_do_not_poll_one_consumer(db, topic):
    consumer = db.consumer(None, ["t"])
    thread = threading.Thread(target=consumer.poll, args=(2,))
    thread.start()
    time.sleep(0.2)
    for call in (consumer.poll, consumer.poll_nowait, consumer.lag, consumer.positions):
        with pytest.raises(thalweg.WouldBlock, match="another thread"):
            call()
    consumer.wakeup()
    thread.join(30)


def test_a_refused_poll_is_an_error_whatever_others_do_meanwhile(db, topic):
    """The refusal was made up of two looks, between which the other thread could leave: a result came with an error."""
    consumer, reader, wrong = db.consumer(None, ["t"]), topic.reader(), []

    def poll() -> None:
        for _ in range(300):
            for call in (consumer.poll, reader.poll):
                try:
                    call(0.0005)
                except thalweg.WouldBlock:
                    pass
                except BaseException as error:
                    wrong.append(repr(error))

    def spin() -> None:
        while not stopped.is_set():
            pass

    stopped = threading.Event()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=poll) for _ in range(4)]
    # Whoever is in the middle of something is interrupted by these.
    spinners = [threading.Thread(target=spin) for _ in range(2)]
    for thread in threads + spinners:
        thread.start()
    for thread in threads:
        thread.join(60)
    stopped.set()
    for thread in spinners:
        thread.join(60)
    sys.setswitchinterval(interval)
    assert wrong == []


def test_starts(db, topic):
    for i in range(10):
        topic.append(b"%d" % i, timestamp=1000 * i)
    at = lambda start: (values(db.consumer(None, ["t"], start=start).batches()) or [None])[0]
    assert at("earliest") == b"0" and at("latest") is None
    assert at(datetime.fromtimestamp(4.5, UTC)) == b"5"
    assert at(thalweg.AppendTime(0)) == b"0"
    assert topic.reader(0, 7).poll(0).values()[0] == b"7"
    assert topic.reader(0, datetime.fromtimestamp(8, UTC)).poll(0)[0].offset == 8
    reader = topic.reader(0, "latest")
    assert reader.offset == 10
    reader.seek(3)
    assert reader.poll(0)[0].offset == 3
    for wrong in ("first", 1.5, None, True):
        with pytest.raises(ValueError):
            topic.reader(0, wrong)
    with pytest.raises(thalweg.OutOfRange):
        topic.reader(0, 11)


def test_a_consumer_goes_where_it_is_told(db, topic):
    topic.append_batch([b"%d" % i for i in range(10)])
    other = db.create_topic("other", 2)
    other.append(b"x", partition=1)
    consumer = db.consumer("c")
    consumer.assign("t", 0, 5)
    assert values(consumer.batches()) == [b"5", b"6", b"7", b"8", b"9"]
    consumer.seek(topic, 0, 8)
    consumer.subscribe(other)
    assert sorted(values(consumer.batches())) == [b"8", b"9", b"x"]
    consumer.unsubscribe("other")
    consumer.seek_all("earliest")
    assert len(values(consumer.batches())) == 10
    consumer.commit_position("t", 0, 4, b"because")
    assert db.position_metadata("c", "t", 0) == b"because"
    assert [(p.offset, p.committed) for p in consumer.positions()] == [(10, 4)]
    assert [(p.offset, p.metadata_size) for p in db.positions("c")] == [(4, 7)]


def test_out_of_range_is_told_or_left(db, topic):
    topic.append_many([b"%d" % i for i in range(10)])
    consumers = {policy: db.consumer(None, ["t"], out_of_range=policy) for policy in ("error", "earliest", "latest")}
    topic.truncate_before(0, 5)
    with pytest.raises(thalweg.OutOfRange) as failed:
        consumers["error"].poll(0)
    assert isinstance(failed.value, IndexError)
    assert (failed.value.topic, failed.value.partition, failed.value.offsets) == ("t", 0, None)
    assert values(consumers["earliest"].batches()) == [b"5", b"6", b"7", b"8", b"9"]
    assert values(consumers["latest"].batches()) == []
    with pytest.raises(ValueError):
        db.consumer(None, out_of_range="never")


def test_truncation(db, topic):
    for i in range(10):
        topic.append(b"%d" % i)
    topic.truncate_after(0, 8)
    topic.truncate_before(0, 2)
    assert values(topic.reader() for _ in ()) == [] and values(db.consumer(None, ["t"]).batches()) == [
        b"2",
        b"3",
        b"4",
        b"5",
        b"6",
        b"7",
    ]
    (partition,) = topic.partitions
    assert (partition.log_start, partition.high_watermark, topic.next_offset()) == (2, 8, 8)


def test_reading_from_an_offset(db, topic):
    topic.append_batch([b"%d" % i for i in range(10)])
    assert topic.read(0, 4).values() == [b"4", b"5", b"6", b"7", b"8", b"9"]
    with pytest.raises(thalweg.OutOfRange):
        topic.read(0, 11, timeout=0)
    with pytest.raises(thalweg.NotFound):
        topic.read(1, 0, timeout=0)


def test_numpy(db, topic):
    numpy = pytest.importorskip("numpy")
    topic.append_batch([(b"k%d" % i, b"v" * i) for i in range(100)])
    (batch,) = db.consumer(None, ["t"]).batches()
    entries, memory = batch.to_numpy()
    assert entries["offset"].tolist() == list(range(100)) and entries["value_size"].tolist() == list(range(100))
    row = entries[42]
    assert memory[row["value_position"] : row["value_position"] + row["value_size"]] == b"v" * 42
    assert not entries.flags.writeable and memory.readonly
    bytes_of_all = numpy.frombuffer(memory, dtype="u1")
    del batch, entries
    assert bytes_of_all.size > 0
