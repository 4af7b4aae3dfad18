from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from convprof import cache_folder, choice_store
from convprof.choice_store import Made
from convprof.studies import cache

KEY = {"a": 1}


@pytest.fixture(params=["named", "home"])
def folder(request, tmp_path, monkeypatch):
    """The folder of choices: one for all kinds that a variable names, or one of its own."""
    if request.param == "named":
        monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path))
        return tmp_path
    monkeypatch.delenv("CONVPROF_CACHE_DIR")
    monkeypatch.setattr(cache_folder, "_users_cache", lambda: tmp_path)
    return tmp_path / "convprof" / "choices"


def numbers(stores):
    return {store.kind.name: len(store.entries) for store in stores}


def fill():
    choice_store.save("choices", KEY, {"strategy": "packed"}, Made("15.0.7", 0.25))
    choice_store.save("scheduling", KEY, {"model": "x"}, Made("15.0.7"))
    ceilings = {"sets": [{"measured_at": 7.0}, {"measured_at": 9.0, "load": 1.5}]}
    cache_folder.write(
        cache_folder.folder("ceilings") / "ceilings-0123456789ab.json", json.dumps(ceilings)
    )
    kernels = cache_folder.folder("numba") / "naive_1a2b"
    kernels.mkdir(parents=True)
    (kernels / "naive.run-12.py311.nbi").write_bytes(b"index")
    (kernels / "naive.run-12.py311.1.nbc").write_bytes(b"code")


def test_nothing_is_stored(folder):
    assert numbers(cache.stores()) == {"choices": 0, "ceilings": 0, "kernels": 0}
    assert numbers(cache.clear("all")) == {"choices": 0, "ceilings": 0, "kernels": 0}
    assert not list(folder.glob("*"))


def test_what_is_stored_is_listed_with_its_circumstances(folder, invalid):
    fill()
    choices, ceilings, kernels = cache.stores()
    assert numbers([choices, ceilings, kernels]) == {"choices": 2, "ceilings": 1, "kernels": 2}
    assert folder in choices.folders
    assert {(entry.load, entry.llvm) for entry in choices.entries} == {
        (0.25, "15.0.7"),
        (None, "15.0.7"),
    }
    assert (ceilings.entries[0].stored_s, ceilings.entries[0].load) == (9.0, 1.5)
    assert kernels.size_bytes == 9
    assert invalid(cache.document([choices, ceilings, kernels])) == []


@pytest.mark.parametrize(
    ("which", "left"),
    [
        ("choices", {"choices": 0, "ceilings": 1, "kernels": 2}),
        ("ceilings", {"choices": 2, "ceilings": 0, "kernels": 2}),
        ("kernels", {"choices": 2, "ceilings": 1, "kernels": 0}),
        ("all", {"choices": 0, "ceilings": 0, "kernels": 0}),
    ],
)
def test_a_kind_is_cleared_and_the_others_stay(folder, which, left):
    del folder
    fill()
    cleared = cache.clear(which)
    assert numbers(cleared) == numbers(cache.stores()) == left
    assert sum(store.removed for store in cleared) == 5 - sum(left.values())


def test_files_of_others_are_neither_listed_nor_removed(folder):
    fill()
    foreign = [folder / name for name in ("notes.json", "choices.json", "choices-x.json", "a.nbx")]
    for path in foreign:
        path.write_text("mine")
    cache.clear("all")
    assert all(path.read_text() == "mine" for path in foreign)


def test_what_a_killed_process_left_is_removed(folder):
    fill()
    (folder / f"choices-{'0' * 24}.123-89abcdef").write_text("half")
    assert numbers(cache.stores())["choices"] == 3
    assert numbers(cache.clear("choices"))["choices"] == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"made": 5}', b'{"made": {"at": "x"}}', b'{"sets": [1]}', b'{"sets": []}',
     b'{"sets": [{"measured_at": 1e300}]}', b'{"made": {"llvm": "\\u001b[2J"}}', b" " * (2 << 20)],
    ids=range(10),
)  # fmt: skip
def test_a_file_of_a_stranger_is_listed_by_its_size(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"choices-{'0' * 24}.json"
    path.write_bytes(content)
    (entry,) = cache.stores()[0].entries
    assert (entry.path, entry.size_bytes, entry.llvm) == (path, len(content), None)
    assert 0 < entry.stored_s <= 253_402_300_799


def test_a_folder_that_cannot_be_changed_says_so(folder, monkeypatch):
    del folder
    fill()

    def refuse(_self, *, missing_ok=False):  # noqa: ARG001
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "unlink", refuse)
    choices, *_ = cache.clear("choices")
    assert (choices.removed, len(choices.entries), len(choices.errors)) == (0, 2, 2)
    assert choices.errors[0].endswith("cannot be removed: Permission denied")
