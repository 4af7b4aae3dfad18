from __future__ import annotations

import errno
import os
import sys
import tempfile
import warnings
from pathlib import Path

import pytest

from convprof import cache_folder
from convprof.cache_folder import complain, folder, read, write


def test_the_named_folder_is_one_for_all(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path))
    assert folder("choices") == folder("ceilings") == tmp_path


@pytest.mark.parametrize(
    ("platform", "variable", "below"),
    [("linux", "XDG_CACHE_HOME", ""), ("win32", "LOCALAPPDATA", ""), ("darwin", "HOME", "Library/Caches")],  # noqa: E501
)  # fmt: skip
def test_the_users_cache_folder(monkeypatch, tmp_path, platform, variable, below):
    monkeypatch.delenv("CONVPROF_CACHE_DIR", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert folder("ceilings") == tmp_path / below / "convprof" / "ceilings"


def test_a_relative_cache_folder_is_ignored(monkeypatch, tmp_path):
    """As the XDG base directory specification demands: it would be another one in each folder."""
    monkeypatch.delenv("CONVPROF_CACHE_DIR", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert folder("ceilings") == tmp_path / ".cache" / "convprof" / "ceilings"


@pytest.fixture
def homeless(monkeypatch):
    """A user without HOME whose number has no entry in passwd."""

    def refuse():
        raise RuntimeError("Could not determine home directory.")

    for name in ("CONVPROF_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", refuse)
    cache_folder.temporary.cache_clear()
    yield
    cache_folder.temporary.cache_clear()


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("platform", ["linux", "win32", "darwin"])
def test_without_a_home_things_are_kept_for_this_process_alone(monkeypatch, tmp_path, platform):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    removals = []
    monkeypatch.setattr(cache_folder.atexit, "register", lambda *a, **k: removals.append((a, k)))
    path = folder("choices") / "a.json"
    assert folder("ceilings").parent == folder("choices").parent
    write(path, "text")
    assert read(path, 100) == b"text"
    if os.name == "posix":
        assert path.parents[1].stat().st_mode & 0o077 == 0
    ((remove, made), options) = (removals[0][0], removals[0][1])
    remove(made, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("homeless")
def test_without_a_home_and_without_a_temporary_folder_nothing_is_kept(monkeypatch):
    def refuse(**_):
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    path = folder("choices") / "a.json"
    write(path, "text")
    assert read(path, 100) is None


def test_a_large_file_is_read_up_to_one_byte_too_many(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert (read(path, 5), read(path, 4), read(path, 2)) == (b"12345", b"12345", b"123")


def test_what_is_no_file_is_not_there(tmp_path):
    assert read(tmp_path, 5) is None
    assert read(tmp_path / "nothing", 5) is None
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert read(tmp_path / "pipe", 5) is None  # and no call waits for it


def test_a_file_that_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"12345")

    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    assert read(path, 5) is None


def test_a_full_disk_leaves_the_old_file_and_no_half_of_the_new(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write(path, "old")

    def fill(self, text, encoding):
        with self.open("w", encoding=encoding) as file:
            file.write(text[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fill)
    write(path, "new text")
    assert read(path, 10) == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["\ud800", "x"])
def test_what_cannot_be_written_is_not_kept(tmp_path, text):
    path = tmp_path / ("a.json" if text != "x" else "a\0.json")
    write(path, text)
    assert list(tmp_path.iterdir()) == []


def test_a_complaint_is_no_exception_where_warnings_are_and_comes_once(monkeypatch, caplog):
    monkeypatch.setattr(cache_folder, "_complained", set())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(3):
            complain("choices", f"file {number} is damaged")
        complain("ceilings", "this one too")
    assert [record.getMessage() for record in caplog.records] == [
        "convprof: file 0 is damaged",
        "convprof: this one too",
    ]
