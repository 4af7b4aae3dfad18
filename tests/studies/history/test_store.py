"""The store of saved runs: several writers, a killed one, a full disk, a damaged database."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "compare"))
from saved_runs import document, problem, timed

from convprof.errors import ConvprofError, InputError
from convprof.studies import show
from convprof.studies.compare import results_files
from convprof.studies.history import store, study
from convprof.studies.history.save import save

MADE = json.dumps(document(timed(1e-3))).encode()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path


def test_a_saved_run_is_read_by_its_name_and_by_its_age():
    for number in range(3):
        made = document(timed(1e-3, problem=problem(n=number + 1)))
        save("main" if number < 2 else "other", json.dumps(made).encode())

    def columns(reference):
        return next(iter(show.read(reference).document.measurements)).problem["n"]

    assert [columns(r) for r in ("last", "last~1", "main", "main~1", "other")] == [3, 2, 2, 1, 3]
    with pytest.raises(InputError, match="no such file, and no saved run"):
        show.read("main~2")
    assert results_files.read("last~1").files[0].source == "last~1"


def test_a_file_goes_before_a_saved_run_of_its_name(tmp_path, monkeypatch):
    save("main", MADE)
    monkeypatch.chdir(tmp_path)
    Path("main").write_text(json.dumps(document(timed(2e-3, strategy="blas"))))
    assert next(iter(show.read("main").document.measurements)).strategy == "blas"


@pytest.mark.parametrize("name", ["", "last", "a~1", "../a", "1a", "a b", "a" * 65])
def test_a_name_that_is_refused(name):
    with pytest.raises(InputError, match="save="):
        store.check_name(name)


def test_only_results_are_saved():
    with pytest.raises(InputError, match="only results"):
        save("a", b'{"schema_version": 2, "kind": "study"}')


WRITER = """
import sys
from convprof.studies.history.save import save
data = open(sys.argv[1], "rb").read()
for number in range(int(sys.argv[3])):
    save(sys.argv[2], data)
    print(number, flush=True)
"""


def writer(tmp_path, name, runs):
    path = tmp_path / "made.json"
    path.write_bytes(MADE)
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(runs)], stdout=subprocess.PIPE
    )


def test_two_processes_write_at_once_and_one_is_killed(tmp_path):
    whole, killed = writer(tmp_path, "whole", 20), writer(tmp_path, "killed", 100_000)
    for _ in range(10):
        killed.stdout.readline()
    killed.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    whole.communicate(timeout=60)
    finished = 10 + len(killed.communicate()[0].splitlines())
    names = [run.name for run in store.saved(None, None)]
    assert (whole.returncode, names.count("whole")) == (0, 20)
    # The run after the last printed one may be whole in the store.
    assert names.count("killed") in (finished, finished + 1)


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
exec(sys.stdin.read())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on the size of files")
def test_a_full_disk_is_one_line_and_the_saved_runs_stay(tmp_path):
    path = tmp_path / "made.json"
    path.write_bytes(MADE)
    command = [sys.executable, "-c", LIMITED, str(path), "main", "1000"]
    done = subprocess.run(command, input=WRITER, capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("convprof.errors.ConvprofError: the run was not saved in ")
    assert len(store.saved(None, None)) == len(done.stdout.splitlines()) > 3


READER = """
import resource, signal
from convprof.studies.history import store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
print(len(store.saved(None, None)), len(store.document("last")))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on the size of files")
def test_reading_writes_nothing_and_works_in_a_folder_that_cannot_be_written():
    save("main", MADE)
    store.path().chmod(0o444)
    store.path().parent.chmod(0o555)
    try:  # root may write nevertheless, but not beyond the limit
        command = [sys.executable, "-c", READER]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        store.path().parent.chmod(0o755)
    assert (done.stdout.split(), done.stderr) == (["1", str(len(MADE))], "")


def test_the_store_of_an_older_convprof_is_switched_to_the_journal_once():
    save("main", MADE)
    with contextlib.closing(sqlite3.connect(store.path())) as older:
        older.execute("PRAGMA journal_mode = WAL")
        older.execute("SELECT * FROM runs").fetchone()
        save("while-it-is-open", MADE)  # SQLite cannot switch now
        assert older.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    save("alone", MADE)
    with contextlib.closing(sqlite3.connect(store.path())) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert [run.name for run in store.saved(None, None)] == ["main", "while-it-is-open", "alone"]


def test_a_store_that_another_process_writes_is_no_wrong_file(monkeypatch):
    save("main", MADE)
    monkeypatch.setattr(store, "_WAIT_S", 0.0)
    with contextlib.closing(sqlite3.connect(store.path())) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match=r"history.sqlite: cannot be read: database is locked"):
            study.lines(None, None)
        with pytest.raises(InputError) as caught:
            show.read("result.json")
    expected = f"no such file, and no saved run: {store.path()}: cannot be read: database is locked"
    assert str(caught.value) == f"result.json: cannot be read: {expected}"


def test_a_folder_that_cannot_be_read_is_one_line(monkeypatch):
    def refused(_path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refused)
    with pytest.raises(InputError, match=r"history.sqlite: cannot be read: Permission denied"):
        study.lines(None, None)


def test_before_the_first_run_is_whole_no_run_is_saved_yet():
    store.path().parent.mkdir()
    store.path().write_bytes(b"")  # the first process was ended before its transaction
    with pytest.raises(InputError, match="no run is saved yet"):
        study.lines(None, None)
    with pytest.raises(
        InputError, match=r"result.json: cannot be read: no such file, and no saved"
    ):
        show.read("result.json")
    save("main", MADE)
    assert len(store.saved(None, None)) == 1


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "convprof").write_text("")
    with pytest.raises(ConvprofError, match="the run was not saved in"):
        save("main", MADE)


def test_a_file_that_is_no_database_is_one_line():
    store.path().parent.mkdir()
    store.path().write_text("no database" * 100)
    with pytest.raises(InputError, match="not a store of saved runs"):
        study.lines(None, None)
    with pytest.raises(ConvprofError, match="the run was not saved"):
        save("main", MADE)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE points SET seconds = -1", "below 0"),
        ("UPDATE points SET strategy = 'a' || char(27)", "not printable"),
        ("UPDATE points SET threads = 'many'", "integer"),
        ("UPDATE points SET strategy = CAST(x'ff' AS TEXT)", "cannot be read: Could not decode"),
        ("DROP TABLE points", "not a store of saved runs"),
        ("PRAGMA user_version = 99", "a newer convprof"),
    ],
)
def test_a_store_of_a_stranger_is_refused_in_one_line(statement, message):
    save("main", MADE)
    connection = sqlite3.connect(store.path())
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match=message):
        study.lines(None, None)


@pytest.mark.parametrize("blob", [b"x", "text", b""])
def test_a_damaged_document_is_refused_in_one_line(blob):
    save("main", MADE)
    connection = sqlite3.connect(store.path())
    connection.execute("UPDATE runs SET document = ?", [blob])
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match=r"last: (not a result|cannot be read)"):
        show.read("last")


def test_a_line_for_each_machine_and_number_of_threads(invalid, monkeypatch):
    now = [1.7e9]
    monkeypatch.setattr(time, "time", lambda: now[0])
    for number in range(24):
        now[0] += 86_400
        slow = 1.1 if number >= 12 else 1.0
        rows = (timed(slow * 1e-3, number, threads=t, strategy=s) for t in (1, 2) for s in "ab")
        save("main", json.dumps(document(*rows)).encode())
    save("other", json.dumps(document(timed(1e-3), key="ba9876543210")).encode())
    lines = study.lines("64x*", None)
    assert [(line.latest.point.threads, len(line.runs)) for line in lines] == [
        (1, 24),
        (2, 24),
        (1, 1),
    ]
    assert [change.at.run for line in lines for change in line.changes] == [13, 13]
    assert {run.point.strategy for run in study.lines(None, "b")[0].runs} == {"b"}
    answer = study.answer(lines)
    assert answer.sentences[1].startswith("The newest: 64x64:64x64 f32, 1 thread, lost 9 % at run")
    assert invalid(json.loads(json.dumps(study.document(lines, answer)))) == []
    with pytest.raises(InputError, match="no measurement of 1x1 is saved"):
        study.lines("1x1", None)


@pytest.mark.parametrize(
    ("runs", "others", "sentences"),
    [
        (7, 0, ("7 saved runs: too few to find a change; it needs 8 of one problem.",)),
        (8, 0, ("8 saved runs: no line is slower after its last change.",)),
        (
            8,
            1,
            (
                "8 saved runs: no line is slower after its last change.",
                "1 of 2 lines has under 8 runs, too few to find a change.",
            ),
        ),
    ],
)
def test_the_answer_says_where_the_runs_are_too_few(runs, others, sentences):
    for number in range(runs):
        rows = [timed(1e-3, threads=t) for t in (1, 2)[: 1 + (number < others)]]
        save("main", json.dumps(document(*rows)).encode())
    assert study.answer(study.lines(None, None)).sentences == sentences


def test_times_in_doubt_are_left_out():
    save("main", json.dumps(document(timed(1e-3, doubt="disturbed"), timed(2e-3))).encode())
    assert [run.point.seconds > 1.5e-3 for run in store.saved(None, None)] == [True]
