"""Engines and topics: what they tell, and what is kept beside records."""

import json
import threading

import pytest

import thalweg


def test_topics(db):
    topic = db.create_topic("b", 3, durability=thalweg.Durability.LOSE_ON_POWER_CUT)
    db.create_topic("a")
    assert [(t.name, t.partitions, t.durability.name) for t in db.topics()] == [
        ("a", 1, "DURABLE"),
        ("b", 3, "LOSE_ON_POWER_CUT"),
    ]
    topic.add_partitions(5)
    assert topic.info.partitions == 5 and len(topic.partitions) == 5 and topic.name == "b"
    db.delete_topic("b")
    assert [t.name for t in db.topics()] == ["a"]
    with pytest.raises(thalweg.Deleted):
        topic.append(b"x")


def test_options_reach_the_engine(path):
    with thalweg.open(
        path,
        memory_budget=128 << 20,
        shards=2,
        open_files=64,
        runtime=thalweg.Runtime.POSIX,
        lock_timeout=0.5,
        durability=thalweg.Durability.LOSE_ON_KILL,
        segment_size=1 << 20,
    ) as db:
        info = db.info()
        assert (info.memory_budget, info.shards, info.open_files) == (128 << 20, 2, 64)
        assert info.runtime is thalweg.Runtime.POSIX and "posix" in db.info_text()
        assert db.create_topic("t").info.durability is thalweg.Durability.LOSE_ON_KILL


def test_metrics(db, topic):
    topic.append_many([b"x" * 10] * 100)
    assert [(found["topic"], found["appends"]["records"]) for found in db.metrics()["topics"]] == [("t", 100)]
    assert db.metrics().keys() == json.loads(db.metrics_json()).keys()
    assert 'topic="t"' in db.metrics_prometheus()


def test_verify_and_frames(db, topic):
    topic.append_batch([b"a", b"b"], term=9)
    report = db.verify()
    assert report.ok and report.records == 2 and report.ranges == [] and db.damaged() == [] == topic.damaged(0)
    (frame,) = [frame for frame in topic.frames(0) if frame.kind is thalweg.FrameKind.DATA]
    assert (frame.base_offset, frame.count, frame.term, frame.why) == (0, 2, 9, "")


def test_key_values_are_a_mapping(path):
    with thalweg.open(path) as db:
        values = db.create_topic("t").key_values()
        values[b"a"] = b"1"
        values[b"b"] = b""
        values.update({b"c": b"3", b"d": b"4"})
        assert dict(values) == {b"a": b"1", b"b": b"", b"c": b"3", b"d": b"4"} and len(values) == 4
        assert (
            b"a" in values
            and b"z" not in values
            and values.get(b"z") is None
            and list(values) == [b"a", b"b", b"c", b"d"]
        )
        del values[b"a"]
        for call in (lambda: values[b"a"], lambda: values.__delitem__(b"a")):
            with pytest.raises(KeyError):
                call()
        values.write({b"b": None, b"x1": b"5", b"x2": b"6" * 1000})
        assert values.list(b"x") == [(b"x1", b"5"), (b"x2", b"6" * 1000)]
        with pytest.raises(thalweg.TooLarge):
            values.write([(b"fine", b"1"), (b"k" * 2000, b"2")])
        with pytest.raises(ValueError):
            values[b""] = b"1"
    with thalweg.open(path) as db:
        values = db.topic("t").key_values()
        assert sorted(values) == [b"c", b"d", b"x1", b"x2"]
        assert db.repair_key_values().kept == 4 and db.repair_key_values().lost == 0


def test_positions_are_repaired_without_damage(db, topic):
    topic.append(b"a")
    with db.consumer("c", ["t"]) as consumer:
        consumer.poll(10)
        consumer.commit()
    assert db.repair_positions().kept == 1


def test_events_are_waited_for(db, topic):
    topic.append(b"a")
    events = db.events()
    while events.poll() is not None:
        pass
    found = []
    thread = threading.Thread(target=lambda: found.append(events.poll(30)))
    thread.start()
    topic.truncate_before(0, 1)
    thread.join(30)
    (event,) = found
    assert (event.kind, event.topic, event.start) == (thalweg.EventKind.TRUNCATED, "t", 1)
    assert event.message and event.when.year >= 2026 and events.dropped() == 0 and events.poll(0.01) is None


def test_versions():
    assert thalweg.__version__ == thalweg.version() and thalweg.__version__ in thalweg.build_info()


def test_reprs_help(path):
    db = thalweg.open(path)
    topic = db.create_topic("t")
    assert str(path) in repr(db) and "'t'" in repr(topic) and "'c'" in repr(db.consumer("c"))
    assert "without a name" in repr(db.consumer()) and "partition 0" in repr(topic.reader())
    ticket = topic.submit(b"a")
    assert "waiting" in repr(ticket) or "done" in repr(ticket)
    ticket.result()
    assert repr(ticket) == "<thalweg.Ticket done: partition 0, offset 0>"
    db.close()
