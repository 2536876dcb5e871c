"""What the documents show is what happens."""

import doctest
import re
from pathlib import Path

import pytest

import thalweg

PACKAGE = Path(__file__).parent.parent


def test_the_module():
    assert doctest.testmod(thalweg).attempted > 1
    assert doctest.testmod(thalweg).failed == 0


@pytest.mark.parametrize("name", ["README.md"])
def test_documents(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = doctest.testfile(str(PACKAGE / name), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert done.failed == 0 and done.attempted > 10


def test_the_front_page(tmp_path, monkeypatch, capsys):
    (program,) = re.findall(r"^```python\n(.*?)^```$", (PACKAGE.parent.parent / "README.md").read_text(), re.M | re.S)
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    assert capsys.readouterr().out == "2 0 b'ann' b'two lamps'\n"


# What another call takes the place of, and why.
NOT_WRAPPED = {
    "values in pieces: bytes.join": ["submit_parts", "append_parts"],
    "copies are the default": ["read_copy", "batch_copy"],
    "a ticket that is waited for": ["topic_append", "append_batch", "append_split", "topic_failure"],
    "key_values_write": ["key_values_put", "key_values_delete"],
    "read by the extension itself": [
        "batch_get_view",
        "batch_header",
        "queue_under_way",
        "_init",
        "version_number",
    ],
    "a descriptor of its own": ["consumer_wakeup"],
}


HEADER = (PACKAGE.parent.parent / "include" / "thalweg.h").read_text()


@pytest.mark.parametrize(
    ("prefix", "kind"),
    [("EVENT", thalweg.EventKind), ("FRAME", thalweg.FrameKind), ("RUNTIME", thalweg.Runtime)],
)
def test_every_number_of_the_abi_has_its_name(prefix, kind):
    found = dict(re.findall(rf"^#define THALWEG_{prefix}_(\w+) (\d+)$", HEADER, re.M))
    found.pop("HAS_TERM", None)
    assert {name: int(number) for name, number in found.items()} == {each.name: each.value for each in kind}


def test_every_call_of_the_abi_is_there():
    calls = set(re.findall(r"^[a-z].*?\b(thalweg_\w+)\(", HEADER, re.M))
    used = set(re.findall(r"\bthalweg_\w+", " ".join(file.read_text() for file in (PACKAGE / "c").glob("*.c"))))
    named = [name for names in NOT_WRAPPED.values() for name in names]
    missing = {call for call in calls - used if not call.endswith(tuple(named))}
    assert missing == set() and len(calls) > 90
    assert all(any(call.endswith(name) for call in calls - used) for name in named)


def test_everything_has_a_document():
    for name in thalweg.__all__:
        thing = getattr(thalweg, name)
        if not getattr(thing, "__module__", "").startswith("thalweg"):
            continue
        assert thing.__doc__, name
        for member, found in vars(thing).items() if isinstance(thing, type) else ():
            if not member.startswith("_") and (callable(found) or isinstance(found, property)):
                assert found.__doc__, f"{name}.{member}"
