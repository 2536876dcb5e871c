"""Errors: one hierarchy, and the built-in ones that say the same."""

import builtins
import pickle
import re
from pathlib import Path

import pytest

import thalweg
from thalweg import _thalweg, errors


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("InvalidArgument", ValueError),
        ("NotFound", FileNotFoundError),
        ("AlreadyExists", FileExistsError),
        ("WouldBlock", BlockingIOError),
        ("TimedOut", TimeoutError),
        ("OutOfRange", IndexError),
        ("IoError", OSError),
        ("NoSpace", OSError),
        ("PermissionDenied", PermissionError),
        ("PartitionFailed", OSError),
        ("Closed", ValueError),
        ("TooLarge", ValueError),
        ("NoMemory", MemoryError),
        ("Forked", RuntimeError),
        ("Panic", SystemError),
        ("Deleted", LookupError),
        ("ReadOnly", PermissionError),
        ("Unsupported", NotImplementedError),
    ],
)
def test_errors_are_built_in_ones_too(name, builtin):
    kind = getattr(thalweg, name)
    assert issubclass(kind, thalweg.Error) and issubclass(kind, builtin)
    error = kind("a sentence", status="X", os_error=28)
    assert str(error) == "a sentence" and error.status == "X" and error.args == ("a sentence",)


def test_every_status_has_a_class():
    for status in range(1, 1000):
        name = _thalweg.status_name(status)
        error = errors.from_status(status, "m", 28, "topic", 3, 10, 20)
        assert error.status == name and error.offsets == range(10, 20) and error.partition == 3
        if name == "UNKNOWN":
            assert type(error) is thalweg.Error and status > 20
            return
        assert type(error) is not thalweg.Error, name
        if isinstance(error, OSError):
            assert error.errno == 28


def test_errors_go_through_pickle():
    for kind in (thalweg.Error, thalweg.Corrupt, thalweg.IoError, thalweg.NotFound, thalweg.TimedOut):
        error = kind("a sentence", status="X", os_error=5)
        error.offsets = range(3, 4)
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is kind and str(again) == "a sentence" and (again.status, again.os_error) == ("X", 5)
        assert again.offsets == range(3, 4)


def test_real_errors(path, db):
    with pytest.raises(FileExistsError):
        db.create_topic("a")
        db.create_topic("a")
    with pytest.raises(FileNotFoundError):
        db.topic("missing")
    with pytest.raises(ValueError, match="name"):
        db.create_topic("not allowed")
    with pytest.raises(thalweg.AlreadyOpen, match=re.escape(str(path))):
        thalweg.open(path, lock_timeout=0)
    with pytest.raises(FileNotFoundError):
        thalweg.open(path.parent / "nothing", create=False)
    with pytest.raises(thalweg.AlreadyOpen):
        first = db.consumer("c", ["a"])
        db.consumer("c", ["a"])
    first.close()
    with pytest.raises(ValueError):
        thalweg.open(path.parent / "small", memory_budget=1)
    with pytest.raises(ValueError):
        thalweg.open("a\0b")
    with pytest.raises(TypeError):
        thalweg.open(5)


def test_damage_is_told_with_its_offsets(path):
    with thalweg.open(path) as db:
        topic = db.create_topic("t")
        for i in range(100):
            topic.append(b"%03d" % i * 500)
    # Beside it there may be one that waits for its first record.
    (segment,) = [found for found in Path(path).rglob("*.segment") if b"050" * 500 in found.read_bytes()]
    content = bytearray(segment.read_bytes())
    content[content.index(b"050" * 500) + 700] ^= 1
    segment.write_bytes(content)
    with thalweg.open(path) as db:
        report = db.verify()
        assert not report.ok and [(r.topic, r.start, r.end) for r in report.ranges] == [("t", 50, 51)]
        reader = db.topic("t").reader()
        read = []
        with pytest.raises(thalweg.Corrupt) as failed:
            while (batch := reader.poll(0)) is not None:
                read += batch.offsets()
        assert read == list(range(50))
        assert (failed.value.topic, failed.value.partition, failed.value.offsets) == ("t", 0, range(50, 51))
        reader.seek(failed.value.offsets.stop)
        assert reader.poll(0)[0].offset == 51


def test_a_closed_engine_answers_closed(path):
    db = thalweg.open(path)
    topic = db.create_topic("t")
    topic.append(b"a")
    consumer, reader, values, events = db.consumer("c", ["t"]), topic.reader(), topic.key_values(), db.events()
    batch = reader.poll(10)
    db.close()
    db.close()
    for call in (
        lambda: topic.append(b"b"),
        lambda: topic.submit(b"b"),
        lambda: topic.append_many([b"b"]),
        lambda: db.create_topic("u"),
        db.info,
        db.metrics,
        db.verify,
        lambda: consumer.poll(0),
        consumer.commit,
        lambda: reader.poll(0),
        lambda: values[b"a"],
        lambda: topic.info,
    ):
        with pytest.raises(thalweg.Closed):
            call()
    assert batch.values() == [b"a"]
    kinds = [event.kind for event in events]
    assert kinds[-1] is thalweg.EventKind.CLOSED and kinds[0] is thalweg.EventKind.RECOVERED


def test_a_store_may_be_read_only(path):
    with thalweg.open(path) as db:
        db.create_topic("t").append(b"a")
    with thalweg.open(path, read_only=True) as db:
        assert db.info().read_only
        assert [b.values() for b in db.consumer(None, ["t"]).batches()] == [[b"a"]]
        for call in (lambda: db.topic("t").append(b"b"), lambda: db.create_topic("u"), lambda: db.delete_topic("t")):
            with pytest.raises(PermissionError) as failed:
                call()
            assert isinstance(failed.value, thalweg.ReadOnly)


def test_names_do_not_hide_built_in_ones_by_accident():
    hidden = {name for name in thalweg.__all__ if hasattr(builtins, name)}
    assert hidden == {"open"}
