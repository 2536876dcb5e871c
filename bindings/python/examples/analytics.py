"""Log analytics: half a month of real orders in a topic, queried with DuckDB and with polars where they lie.

    python examples/analytics.py [lines.csv]

Needs duckdb and polars.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars

import thalweg

SOURCE = Path(sys.argv[1] if len(sys.argv) > 1 else "tests/data/online_retail_2010-12.csv")


def lines(source: Path) -> Iterator[tuple[bytes, bytes]]:
    """Each line by its customer, so that what one customer did stays in order."""
    with source.open("rb") as file:
        next(file)
        for line in file:
            yield line.rsplit(b",", 2)[1], line.rstrip()


with tempfile.TemporaryDirectory() as directory, thalweg.open(directory) as db:
    db.create_topic("orders", partitions=4).append_many(lines(SOURCE))

    # DuckDB reads the records out of the engine's memory.
    records = db.consumer(None, ["orders"])
    countries = duckdb.execute(
        """
        SELECT regexp_extract(decode(value), '([^,]+)$', 1) AS country, count(*) AS lines,
               count(DISTINCT key) AS customers
        FROM records GROUP BY country ORDER BY lines DESC LIMIT 5
        """
    ).fetchall()
    for country, count, customers in countries:
        print(f"{country:<20} {count:>6} lines {customers:>5} customers")

    frame = polars.DataFrame(db.consumer(None, ["orders"]))
    busiest = frame.filter(polars.col("key") != b"").group_by("key").len().sort("len", descending=True).row(0)
    print(f"customer {busiest[0].decode()} has the most lines: {busiest[1]}")

    assert frame.height == sum(1 for _ in lines(SOURCE))
    assert countries[0][0] == "United Kingdom"
