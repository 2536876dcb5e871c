"""What the tests share: a store in a directory of its own, and a topic in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import thalweg


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def db(path: Path) -> Iterator[thalweg.Engine]:
    with thalweg.open(path, memory_budget=64 << 20, shards=1) as engine:
        yield engine


@pytest.fixture
def topic(db: thalweg.Engine) -> thalweg.Topic:
    return db.create_topic("t")


@pytest.fixture
def fast(db: thalweg.Engine) -> thalweg.Topic:
    """A topic whose appends are acknowledged in memory."""
    return db.create_topic("fast", durability=thalweg.Durability.LOSE_ON_KILL)
