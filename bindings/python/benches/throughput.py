"""The same work from Python: throughput.py WORKLOAD DIRECTORY RECORDS. Prints records per second, by the
clock and by the time that its own thread had a processor."""

import sys
import time

import thalweg

VALUE = b"x" * 100


def one(topic: thalweg.Topic, count: int) -> int:
    submit = topic.submit
    for _ in range(count):
        ticket = submit(VALUE)
    ticket.result()
    return count


def lists(topic: thalweg.Topic, count: int) -> int:
    return sum(at.count for at in topic.append_many([VALUE] * count))


def endless(topic: thalweg.Topic, count: int) -> int:
    return sum(at.count for at in topic.append_many(VALUE for _ in range(count)))


def values(db: thalweg.Engine) -> int:
    seen = 0
    for batch in db.consumer(None, ["t"]).batches():
        for value in batch.values():
            seen += 1
    return seen


def records(db: thalweg.Engine) -> int:
    seen = 0
    for batch in db.consumer(None, ["t"]).batches():
        for record in batch:
            record.value
            seen += 1
    return seen


def arrow(db: thalweg.Engine) -> int:
    import pyarrow

    return sum(batch.num_rows for batch in pyarrow.RecordBatchReader.from_stream(db.consumer(None, ["t"])))


APPENDS = {"one": one, "lists": lists, "endless": endless}
READS = {"values": values, "records": records, "arrow": arrow}

if __name__ == "__main__":
    workload, directory, records_wanted = sys.argv[1:]
    with thalweg.open(directory, shards=1, durability=thalweg.Durability.LOSE_ON_KILL) as db:
        topic = db.create_topic("t")
        # The first append waits for a file, and the first read for the device.
        topic.append(VALUE)
        start, used = time.perf_counter(), time.thread_time()
        if workload in APPENDS:
            done = APPENDS[workload](topic, int(records_wanted))
        else:
            topic.append_many([VALUE] * int(records_wanted))
            READS[workload](db)
            start, used = time.perf_counter(), time.thread_time()
            done = READS[workload](db)
        clock, processor = time.perf_counter() - start, time.thread_time() - used
        print(round(done / clock), round(done / processor))
