from __future__ import annotations

import json

import pytest

from convprof import choice_store, cli
from convprof.choice_store import Made
from convprof.studies import cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    choice_store.save("choices", {"a": 1}, {"strategy": "packed"}, Made("15.0.7", 0.0))
    return tmp_path


def run(capsys, *words):
    status = cli._status(["cache", *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_list(capsys, folder):
    status, out, err = run(capsys)
    assert (status, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows[1][:3] == ["kind", "files", "size"]
    assert [row[:2] for row in rows[3:6]] == [["choices", "1"], ["ceilings", "0"], ["kernels", "0"]]
    assert str(folder) in out
    (path,) = folder.iterdir()
    assert out.splitlines()[-1] == f"1 file, {path.stat().st_size} B in all"
    assert len(list(folder.iterdir())) == 1


def test_clearing(capsys, folder):
    status, out, _ = run(capsys, "--clear", "all")
    assert status == 0
    assert out.splitlines()[-1] == "removed 1 file"
    assert list(folder.iterdir()) == []


def test_the_document(capsys, invalid):
    status, out, _ = run(capsys, "--json", "-")
    document = json.loads(out)
    assert (status, invalid(document)) == (0, [])
    (entry,) = document["stores"][0]["entries"]
    assert (entry["load_cpus"], entry["llvm"]) == (0.0, "15.0.7")


def test_a_folder_that_does_not_exist(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path / "none"))
    assert run(capsys)[0] == run(capsys, "--clear", "all")[0] == 0
    assert not (tmp_path / "none").exists()


def test_a_file_that_stays_is_an_error(capsys, monkeypatch):
    left = cache.Store(cache.KINDS[0], [], [], errors=["x: cannot be removed: Permission denied"])
    monkeypatch.setattr(cache, "clear", lambda _: [left])
    status, out, err = run(capsys, "--clear", "choices")
    assert status == 1
    assert out.splitlines()[-1] == "removed 0 of 1 file"
    assert err == "x: cannot be removed: Permission denied\n"


def test_an_unknown_kind(capsys):
    status, _, err = run(capsys, "--clear", "everything")
    assert status == 2
    assert "'everything' is not one of" in err
