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


def test_everything_has_a_document():
    for name in thalweg.__all__:
        thing = getattr(thalweg, name)
        if not getattr(thing, "__module__", "").startswith("thalweg"):
            continue
        assert thing.__doc__, name
        for member, found in vars(thing).items() if isinstance(thing, type) else ():
            if not member.startswith("_") and (callable(found) or isinstance(found, property)):
                assert found.__doc__, f"{name}.{member}"
