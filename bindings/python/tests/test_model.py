"""A store beside a naive model of it: whatever is done to both, both answer the same."""

import shutil
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("hypothesis")
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import thalweg

small = st.binary(max_size=40)
keys = st.none() | st.sampled_from([b"", b"a", b"b", b"c"])
header_lists = st.lists(st.tuples(st.text("aé€", max_size=3), st.none() | small), max_size=3)
times = st.integers(-(2**40), 2**40)
items = st.one_of(
    small,
    st.tuples(keys, st.none() | small),
    st.tuples(keys, st.none() | small, header_lists),
    st.tuples(keys, st.none() | small, header_lists, times),
)


def parts(item) -> tuple:
    """Key, value and headers of an item."""
    if isinstance(item, bytes):
        return (None, item, [])
    return (item[0], item[1], [tuple(header) for header in item[2]] if len(item) > 2 else [])


class Store(RuleBasedStateMachine):
    @initialize(partitions=st.integers(1, 3), durability=st.sampled_from(thalweg.Durability))
    def make(self, partitions: int, durability: thalweg.Durability) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="thalweg-model-"))
        self.db = thalweg.open(self.path / "store", memory_budget=64 << 20, shards=1)
        self.topic = self.db.create_topic("t", partitions, durability=durability)
        # By partition, its records by offset; where it begins; what is committed.
        self.logs: list[dict[int, tuple]] = [{} for _ in range(partitions)]
        self.starts = [0] * partitions
        self.ends = [0] * partitions
        self.committed = [0] * partitions
        self.values: dict[bytes, bytes] = {}
        self.consumer = self.db.consumer("c", ["t"], out_of_range="earliest")

    def teardown(self) -> None:
        if hasattr(self, "db"):
            self.consumer.close()
            self.db.close()
            shutil.rmtree(self.path)

    def note(self, at: thalweg.Appended, records: list) -> None:
        assert at.offset == self.ends[at.partition] and at.count == len(records)
        for i, item in enumerate(records):
            self.logs[at.partition][at.offset + i] = parts(item)
        self.ends[at.partition] += len(records)

    @rule(value=small, key=keys, headers=header_lists)
    def append(self, value, key, headers) -> None:
        at = self.topic.append(value, key=key, headers=headers)
        assert key is None or at.partition == self.topic.partition_of(key)
        self.note(at, [(key, value, headers)])

    @rule(values=st.lists(small, min_size=1, max_size=5))
    def submit(self, values) -> None:
        tickets = [self.topic.submit(value, partition=0) for value in values]
        for value, ticket in zip(values, tickets):
            self.note(ticket.result(), [value])

    @rule(batch=st.lists(items, min_size=1, max_size=8))
    def append_batch(self, batch) -> None:
        self.note(self.topic.append_batch(iter(batch)), batch)

    @rule(many=st.lists(items, max_size=12))
    def append_many(self, many) -> None:
        done = self.topic.append_many(many)
        assert sum(at.count for at in done) == len(many)
        # Each key's records are together, in order; those without one are too.
        left = list(many)
        for at in done:
            fits = lambda item: parts(item)[0] is not None and self.topic.partition_of(parts(item)[0]) == at.partition
            keyless = [item for item in left if parts(item)[0] is None]
            keyed = [item for item in left if fits(item)]
            chosen = keyed if len(keyed) == at.count else keyless
            assert len(chosen) == at.count
            self.note(at, chosen)
            left = [item for item in left if item not in chosen]

    @rule(data=st.data())
    def append_expecting(self, data) -> None:
        partition = data.draw(st.integers(0, len(self.logs) - 1))
        expected = self.ends[partition] + data.draw(st.integers(-1, 1))
        if expected == self.ends[partition]:
            self.note(self.topic.append(b"x", partition=partition, expected_offset=expected), [b"x"])
        else:
            with pytest.raises((thalweg.OffsetMismatch, ValueError)):
                self.topic.append(b"x", partition=partition, expected_offset=expected)

    @rule(data=st.data())
    def truncate_before(self, data) -> None:
        partition = data.draw(st.integers(0, len(self.logs) - 1))
        offset = data.draw(st.integers(0, self.ends[partition]))
        self.topic.truncate_before(partition, offset)
        self.starts[partition] = max(offset, self.starts[partition])
        self.logs[partition] = {o: r for o, r in self.logs[partition].items() if o >= self.starts[partition]}

    @rule()
    def commit(self) -> None:
        for _ in self.consumer.batches():
            pass
        self.consumer.commit()
        self.committed = list(self.ends)

    @rule(key=st.sampled_from([b"x", b"y", b"z"]), value=small)
    def put(self, key, value) -> None:
        self.topic.key_values()[key] = value
        self.values[key] = value

    @precondition(lambda self: self.values)
    @rule()
    def remove(self) -> None:
        key = next(iter(self.values))
        del self.topic.key_values()[key]
        del self.values[key]

    @rule(clean=st.booleans())
    def open_again(self, clean) -> None:
        if clean:
            self.consumer.close()
        self.db.close()
        self.db = thalweg.open(self.path / "store", memory_budget=64 << 20, shards=1, create=False)
        self.topic = self.db.topic("t")
        self.consumer = self.db.consumer("c", ["t"], out_of_range="earliest")
        found = {p.partition: p.offset for p in self.db.positions("c")}
        assert [found.get(partition, 0) for partition in range(len(self.logs))] == self.committed

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "db"):
            return
        found: list[dict[int, tuple]] = [{} for _ in self.logs]
        for batch in self.db.consumer(None, ["t"]).batches():
            for record in batch:
                found[record.partition][record.offset] = (record.key, record.value, record.headers)
            assert batch.values() == [record.value for record in batch]
        assert found == self.logs
        assert [self.topic.next_offset(partition) for partition in range(len(self.logs))] == self.ends
        assert dict(self.topic.key_values()) == self.values


Store.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None, print_blob=True)
test_the_store_does_what_the_model_does = Store.TestCase
