"""The README's ten lines: appends an order, and consumes it."""

import tempfile

import thalweg

with tempfile.TemporaryDirectory() as directory, thalweg.open(directory) as db:
    orders = db.create_topic("orders", partitions=4)
    orders.append(b"two lamps", key=b"ann")  # durable when it returns
    with db.consumer("billing", ["orders"]) as billing:
        for batch in billing.batches():
            for record in batch:
                print(record.partition, record.offset, record.key, record.value)
            billing.commit()  # after any crash, billing goes on here
