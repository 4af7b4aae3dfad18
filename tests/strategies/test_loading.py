"""What a process does once is counted once."""

from __future__ import annotations

import sys

import pytest

from convprof.errors import RefusedError
from convprof.strategies import loading
from convprof.strategies.peers import package

NAMES = ("a_library_of_a_test", "a_broken_library")


@pytest.fixture
def _libraries(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(package, "_loaded", {})
    for name, text in zip(NAMES, ("", "raise ImportError('no libfoo')"), strict=True):
        (tmp_path / f"{name}.py").write_text(text)
    yield
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("_libraries")
def test_an_import_counts_once_also_if_it_fails():
    works, broken = NAMES
    before_s = loading.seconds()
    package.load(works)
    once_s = loading.seconds()
    assert once_s > before_s
    package.load(works)
    assert loading.seconds() == once_s
    with pytest.raises(RefusedError, match="no libfoo"):
        package.load(broken)
    assert loading.seconds() > once_s
