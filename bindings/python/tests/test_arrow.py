"""Arrow: what polars, pyarrow, pandas and DuckDB see of batches and consumers."""

import gc
import threading

import pytest

import thalweg

pa = pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

ROWS = [
    (None if i % 7 == 0 else b"key %d" % i, None if i % 11 == 0 else b"v" * (i % 40) + b"%d" % i) for i in range(500)
]


@pytest.fixture
def filled(db) -> thalweg.Engine:
    db.create_topic("orders of a long name".replace(" ", "-"), durability=thalweg.Durability.LOSE_ON_KILL).append_batch(
        ROWS
    )
    return db


@pytest.fixture
def consumer(filled) -> thalweg.Consumer:
    return filled.consumer("c", [topic.name for topic in filled.topics()])


def rows(table) -> list[tuple]:
    return list(zip(table["key"].to_pylist(), table["value"].to_pylist()))


def test_pyarrow_reads_a_batch_without_a_copy(consumer):
    (batch,) = consumer.batches()
    made = pa.record_batch(batch)
    made.validate(full=True)
    assert rows(made) == ROWS
    assert made.schema.names == ["topic", "partition", "record_offset", "timestamp", "key", "value"]
    assert made["record_offset"].to_pylist() == list(range(500)) and set(made["partition"].to_pylist()) == {0}
    assert set(made["topic"].to_pylist()) == {"orders-of-a-long-name"}
    assert [int(t.timestamp() * 1000) for t in made["timestamp"].to_pylist()[:3]] == batch.timestamps()[:3]
    # The long values are where the batch has them.
    memory = pa.py_buffer(batch.memory)
    lent = [buffer for buffer in made["value"].buffers() if buffer is not None]
    assert memory.address in [buffer.address for buffer in lent]


def test_arrays_outlive_everything(path):
    db = thalweg.open(path)
    db.create_topic("t").append_batch(ROWS)
    (batch,) = db.consumer(None, ["t"]).batches()
    made = pa.record_batch(batch)
    column = made.column("value")
    db.close()
    del batch, db, made
    gc.collect()
    assert column.to_pylist() == [value for _, value in ROWS]
    # Arrays are given back on any thread.
    holder = [column]
    del column
    thread = threading.Thread(target=holder.clear)
    thread.start()
    thread.join()


def test_large_binary_on_request(consumer):
    (batch,) = consumer.batches()
    made = pa.record_batch(thalweg.large_binary(batch))
    made.validate(full=True)
    assert made.schema.field("value").type == pa.large_binary() and rows(made) == ROWS
    schema = pa.schema([("value", pa.large_binary())])
    names = [("topic", pa.large_string()), ("partition", pa.uint32()), ("record_offset", pa.uint64())]
    schema = pa.schema([*names, ("timestamp", pa.timestamp("ms", "UTC")), ("key", pa.large_binary()), *schema])
    assert rows(pa.record_batch(batch, schema=schema)) == ROWS
    consumer.seek_all("earliest")
    table = pa.table(thalweg.large_binary(consumer))
    assert table.schema.field("value").type == pa.large_binary() and rows(table) == ROWS


def test_pyarrow_reads_a_stream(consumer):
    table = pa.table(consumer)
    table.validate(full=True)
    assert rows(table) == ROWS and pa.table(consumer).num_rows == 0
    consumer.commit()
    assert consumer.lag() == 0


def test_polars(consumer):
    frame = pl.DataFrame(consumer)
    assert frame.schema["value"] == pl.Binary and frame["value"].to_list() == [value for _, value in ROWS]
    assert frame["key"].null_count() == sum(key is None for key, _ in ROWS)
    assert frame.select(pl.col("value").bin.size().sum()).item() == sum(len(value or b"") for _, value in ROWS)
    consumer.seek_all("earliest")
    (batch,) = consumer.batches()
    assert pl.DataFrame(batch).equals(frame)


def test_pandas(consumer):
    frame = pd.DataFrame.from_arrow(consumer) if hasattr(pd.DataFrame, "from_arrow") else pa.table(consumer).to_pandas()
    assert [None if pd.isna(value) else value for value in frame["value"]] == [value for _, value in ROWS]
    consumer.seek_all("earliest")
    assert pa.table(thalweg.large_binary(consumer)).to_pandas()["record_offset"].tolist() == list(range(500))


def test_duckdb(consumer):
    query = "SELECT count(*), count(value), sum(octet_length(value)), max(record_offset) FROM "
    values = [value for _, value in ROWS if value is not None]
    expected = [(500, len(values), sum(map(len, values)), 499)]
    assert duckdb.execute(query + "consumer").fetchall() == expected
    consumer.seek_all("earliest")
    (batch,) = consumer.batches()
    assert duckdb.execute(query + "batch").fetchall() == expected
    assert duckdb.execute("SELECT value FROM batch WHERE key = 'key 8'::BLOB").fetchall() == [(b"v" * 8 + b"8",)]
    large = thalweg.large_binary(batch)  # noqa: F841
    assert duckdb.execute(query + "large").fetchall() == expected


def test_a_stream_keeps_its_consumer_and_ends_with_it(filled):
    reader = pa.RecordBatchReader.from_stream(filled.consumer(None, ["orders-of-a-long-name"]))
    gc.collect()
    assert rows(reader.read_all()) == ROWS
    consumer = filled.consumer(None, ["orders-of-a-long-name"])
    reader = pa.RecordBatchReader.from_stream(consumer)
    consumer.close()
    with pytest.raises(OSError, match="closed"):
        reader.read_all()


def test_a_stream_reads_more_than_memory_can_lend(db):
    topic = db.create_topic("t", durability=thalweg.Durability.LOSE_ON_KILL)
    topic.append_many(b"%0100d" % i for i in range(1_500_000))
    table = pa.table(db.consumer(None, ["t"]))
    assert table.num_rows == 1_500_000
    assert table["value"][1_499_999].as_py() == b"%0100d" % 1_499_999
    # Others still have memory to read with, while all of it is held.
    assert db.consumer(None, ["t"]).poll(10)[0].offset == 0


def test_a_failed_read_is_the_error_of_the_stream(db):
    topic = db.create_topic("t")
    topic.append_many([b"x"] * 10)
    consumer = db.consumer(None, ["t"])
    topic.truncate_before(0, 5)
    with pytest.raises(OSError, match="offset"):
        pa.table(consumer)


def test_empty_and_tombstones(db):
    topic = db.create_topic("t")
    topic.append(None, key=b"k")
    topic.append(b"", key=b"")
    (first, second) = [pa.record_batch(batch) for batch in db.consumer(None, ["t"]).batches()]
    assert rows(first) + rows(second) == [(b"k", None), (b"", b"")]
    assert pa.record_batch(topic.key_values()._list(b"")).num_rows == 0
