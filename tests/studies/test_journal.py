from __future__ import annotations

import json
import os
import stat

import pytest

from convprof.errors import ConvprofError, InputError
from convprof.studies import journal as journal_module
from convprof.studies.journal import Journal

HEADER = {"schema_version": 1, "kind": "sweep", "name": "größe"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "points.jsonl"


def begun(path, count=0):
    with Journal(str(path), "sweep") as journal:
        journal.begin(HEADER)
        for index in range(count):
            journal.append({"index": index})


def content(path):
    with Journal(str(path), "sweep") as journal:
        return journal.header, list(journal.records())


def test_a_new_file_has_no_header(path):
    assert content(path) == (None, [])
    begun(path)
    assert content(path) == (HEADER, [])


def test_records_are_appended_and_read_back_while_it_is_open(path):
    begun(path, 2)
    with Journal(str(path), "sweep") as journal:
        assert journal.header == HEADER
        journal.append({"index": 2})
        assert [record["index"] for record in journal.records()] == [0, 1, 2]
        journal.append({"index": 3})
        assert [record["index"] for record in journal.records()] == [0, 1, 2, 3]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [HEADER, *({"index": k} for k in range(4))] == [json.loads(line) for line in lines]


def test_the_start_of_a_line_that_a_kill_left_is_dropped_and_written_anew(path):
    begun(path, 2)
    whole = path.read_bytes()
    for length in range(len(whole) - 11, len(whole)):  # the last line is {"index": 1}
        path.write_bytes(whole[:length])
        with Journal(str(path), "sweep") as journal:
            assert [record["index"] for record in journal.records()] == [0]
            journal.append({"index": 1})
        assert whole == path.read_bytes()


def test_a_kill_within_the_header_leaves_a_file_to_begin(path):
    path.write_text('{"schema_version": 1, "ki', encoding="utf-8")
    assert content(path) == (None, [])


FOREIGN = {
    "a text": b"precious\n",
    "a text without an end": b"precious",
    "another document": b'{"kind": "sweep"}\n',
    "another kind": b'{"schema_version": 1, "kind": "ladder"}\n',
    "no kind": b'{"schema_version": 1}\n',
    "bytes": bytes(range(256)),
    "a damaged header": b'{"schema_version": 1, "kind": oops}\n',
    "a header that is no object": b'{"schema_version": 1}, 2]\n',
    "a damaged record": b'{"schema_version": 1, "kind": "sweep"}\n{"index"}\n{}\n',
    "a record that is no object": b'{"schema_version": 1, "kind": "sweep"}\n[1]\n',
    "a deep record": b'{"schema_version": 1, "kind": "sweep"}\n' + b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_or_damaged_file_is_refused_and_stays_as_it_is(name, path):
    path.write_bytes(FOREIGN[name])
    with pytest.raises(InputError, match=r"json=.*(not a sweep|is damaged).* Name another file"):
        Journal(str(path), "sweep")
    assert FOREIGN[name] == path.read_bytes()


def test_an_oversize_file_and_an_oversize_line_are_refused(path, monkeypatch):
    begun(path, 9)
    monkeypatch.setattr(journal_module, "MOST_LINE_BYTES", 20)
    with pytest.raises(InputError, match="a line over 20 bytes"):
        Journal(str(path), "sweep")
    monkeypatch.setattr(journal_module, "MOST_BYTES", 100)
    with pytest.raises(InputError, match="more than 100"):
        Journal(str(path), "sweep")


def test_a_folder_a_missing_folder_and_a_pipe_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        Journal(str(tmp_path), "sweep")
    with pytest.raises(InputError, match="cannot be written"):
        Journal(str(tmp_path / "no" / "x"), "sweep")
    if hasattr(os, "mkfifo"):
        pipe = str(tmp_path / "pipe")
        os.mkfifo(pipe)
        with pytest.raises(InputError, match="not a regular file"):
            Journal(pipe, "sweep")
        assert stat.S_ISFIFO(os.stat(pipe).st_mode)  # noqa: PTH116


def test_two_at_once_are_refused(path):
    pytest.importorskip("fcntl")
    with (
        Journal(str(path), "sweep"),
        pytest.raises(InputError, match="another process is writing it"),
    ):
        Journal(str(path), "sweep")


def test_a_full_disk_is_an_error_and_leaves_whole_lines(path, monkeypatch):
    begun(path, 1)
    with Journal(str(path), "sweep") as journal:

        def full(_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(journal_module.os, "fsync", full)
        with pytest.raises(ConvprofError, match="No space left"):
            journal.append({"index": 1})
        assert [record["index"] for record in journal.records()] == [0]
    monkeypatch.undo()
    assert [record["index"] for record in content(path)[1]] == [0]
