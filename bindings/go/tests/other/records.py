"""Records as lines, from Python: what records.c does from C."""

import sys

import thalweg


def parse(word: str) -> bytes | None:
    return bytes.fromhex(word[1:]) if word[0] == "x" else None


def show(content: bytes | None) -> str:
    return "-" if content is None else "x" + content.hex()


with thalweg.open(sys.argv[2]) as db:
    topic = db.topic("t") if db.topics() else db.create_topic("t")
    if sys.argv[1] == "write":
        for line in sys.stdin:
            key, value, timestamp, *headers = line.split()
            pairs = [(parse(name).decode(), parse(content)) for name, content in (word.split("=") for word in headers)]
            topic.append(parse(value), key=parse(key), timestamp=int(timestamp), headers=pairs)
    else:
        reader = topic.reader(0, "earliest")
        while batch := reader.poll(0):
            for record in batch:
                headers = [f"{show(name.encode())}={show(content)}" for name, content in record.headers]
                print(show(record.key), show(record.value), record.timestamp, *headers)
