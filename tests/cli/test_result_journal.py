"""The journal next to ``--json``: what is finished survives a kill; the same command goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest

from convprof import cli
from convprof.cli.measuring import Measuring
from convprof.errors import ConvprofError
from convprof.studies.journal import Journal

PROBLEMS = ["4x4:4x4", "5x5:5x5", "6x6:6x6"]
HOW = ["-s", "naive,packed", "-t", "1", "--budget", "0.001", "--rounds", "6"]
RUN = ["run", *PROBLEMS, *HOW, "--all"]
VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs" / "result-schema.json").read_text())
)


class Killed(BaseException):
    """An exception that no code catches, as SIGKILL."""


@pytest.fixture
def killed(monkeypatch):
    """Run a command that dies at its third problem; what is on the disk stays as it is.

    How many sessions a problem has may depend on the load of the machine.
    """

    def run(words):
        measure = Measuring._one

        def dying(self, problem, number, driver):
            if number == len(PROBLEMS) - 1:
                raise Killed
            measure(self, problem, number, driver)

        with monkeypatch.context() as patch:
            patch.setattr(Measuring, "_one", dying)
            with pytest.raises(Killed):
                cli._status([str(word) for word in words])

    return run


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def read(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    VALIDATOR.validate(document)
    return document


def sizes(document):
    return [m["problem"]["m"] for m in document["measurements"]]


def journal_of(path):
    return path.with_name(f"{path.name}.journal")


def test_after_a_kill_the_same_command_goes_on(killed, capsys, tmp_path, invalid):
    path = tmp_path / "o.json"
    killed([*RUN, "--json", path])
    assert not path.exists()
    lines = journal_of(path).read_text().splitlines()
    assert [json.loads(line).get("problem") for line in lines[1:]] == PROBLEMS[:2]
    assert invalid(json.loads(lines[0])) == []
    kept = json.loads(lines[1])["measurements"]
    capsys.readouterr()
    # what is shown and written may differ, and where the problems' names come from
    batch = tmp_path / "batch"
    batch.write_text("\n".join(PROBLEMS[1:]))
    words = [
        "run",
        PROBLEMS[0],
        "--batch",
        batch,
        *HOW,
        "--all",
        "--json",
        path,
        "--csv",
        tmp_path / "o.csv",
    ]
    status, out, err = run(capsys, *words)
    assert status == 0
    assert f"continuing {journal_of(path)}: 2 of 3 problems are finished there" in err
    assert [line.split(" · ")[0] for line in out.splitlines() if line.startswith("gemm")] == [
        "gemm (4x4) (4x4)",
        "gemm (5x5) (5x5)",
        "gemm (6x6) (6x6)",
    ]
    document = read(path)
    assert sizes(document) == [4, 4, 5, 5, 6, 6]
    assert document["interrupted"] is False
    for before, after in zip(kept, document["measurements"][:2], strict=True):
        assert {**after, "peak_fraction": None, "bound": None} == {
            **before,
            "peak_fraction": None,
            "bound": None,
        }
    assert not journal_of(path).exists()
    assert (tmp_path / "o.csv").read_text().count("\n") == 7


@pytest.mark.parametrize(
    ("words", "views"),
    [
        (
            [
                "compare",
                "layouts",
                "mb1ic3ih6oc4kh3",
                "mb1ic3ih7oc4kh3",
                "mb1ic3ih8oc4kh3",
                "--all",
            ],
            4,
        ),
        (["compare", "peers", "4x4:4x4", "5x5:5x5", "6x6:6x6"], 1),
        (["roofline", "4x4:4x4", "5x5:5x5", "6x6:6x6"], 1),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("kept")
def test_the_tables_of_what_was_kept_are_printed_too(words, views, killed, capsys, tmp_path):
    path = tmp_path / "o.json"
    strategies = "naive,blas" if "peers" in words else "packed,tiled"
    command = [*words, "-s", strategies if "layouts" not in words else "tiled", *HOW[2:]]
    killed([*command, "--json", path])
    capsys.readouterr()
    status, again, err = run(capsys, *command, "--json", path)
    assert status == 0
    assert "2 of 3 problems are finished there" in err
    assert "Traceback" not in again + err
    heading = {"layouts": "NHWC/NCHW", "peers": "library/convprof"}.get(words[1], "roof [GFLOP/s]")
    assert again.count(heading) == views
    if "layouts" in words or "peers" in words:
        assert len(read(path)["comparisons"]) == 3
    if words[1] == "peers":
        assert all(name in again for name in words[2:])


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """Ceilings that cost nothing."""
    from convprof.machine import ceilings_store as store
    from convprof.machine import facts
    from convprof.machine.bandwidth import Bandwidth
    from convprof.machine.caches import MEMORY, levels
    from convprof.machine.ceilings_store import Ceilings
    from convprof.machine.peaks import Peak

    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path))
    names = [*(level.name for level in levels(facts().caches, 1)), MEMORY]
    found = tuple(Bandwidth(name, "load", 1, 4e11 / 4**i, 4096) for i, name in enumerate(names))
    peaks = tuple(Peak(None, 512, dtype, 1, 1e11, None, None, None) for dtype in ("f32", "f64"))
    store.save(facts().identity_key(), [Ceilings(1, 1.7e9, peaks, found)])


def test_a_view_that_cannot_be_restored_is_reported(killed, capsys, tmp_path):
    path = tmp_path / "o.json"
    words = ["ladder", "gemm", "--size", "4,5,6", "-s", "naive,packed", *HOW[2:]]
    killed([*words, "--json", path])
    capsys.readouterr()
    status, out, err = run(capsys, *words, "--json", path)
    assert status == 0
    assert f"{path} has 2 problems more, finished before, than is printed or drawn here" in err
    assert "gemm (6x6) (6x6)" in out
    assert sizes(read(path)) == [4, 4, 5, 5, 6, 6]


def test_a_cut_last_line_is_one_problem_less(killed, capsys, tmp_path):
    path = tmp_path / "o.json"
    killed([*RUN, "--json", path])
    data = journal_of(path).read_bytes()
    journal_of(path).write_bytes(data[:-7])
    capsys.readouterr()
    _, _, err = run(capsys, *RUN, "--json", path)
    assert "1 of 3 problems are finished there" in err
    assert sizes(read(path)) == [4, 4, 5, 5, 6, 6]


OTHERS = {
    "seed": ([*RUN, "--seed", "7"], "it is of another run: seed 0, here 7"),
    "strategies": (["run", *PROBLEMS, "-s", "naive", *HOW[2:]], "it is of another run: strategy"),
    "problems": (["run", *PROBLEMS[:2], *HOW], "it is of another run: problems 3, here 2"),
    "order": (["run", *PROBLEMS[::-1], *HOW], "its problems are not this command's problems"),
    "command": (["compare", "peers", *PROBLEMS, *HOW], "command run, here compare peers"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_command_prints_how_to_recover_the_journal(name, killed, capsys, tmp_path):
    path = tmp_path / "o.json"
    killed([*RUN, "--json", path])
    before = journal_of(path).read_bytes()
    capsys.readouterr()
    words, reason = OTHERS[name]
    status, out, err = run(capsys, *words, "--json", path)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert reason in err
    journal = journal_of(path)
    assert f"Recover what is in it: convprof show {journal} --json NAME; then remove it" in err
    assert journal.read_bytes() == before


@pytest.mark.parametrize("part", ["tool_version", "machine"])
def test_another_machine_or_version_does_not_go_on(part, killed, capsys, tmp_path):
    path = tmp_path / "o.json"
    killed([*RUN, "--json", path])
    header, *rest = journal_of(path).read_text().splitlines(keepends=True)
    fields = json.loads(header)
    fields[part] = "0.0.1" if part == "tool_version" else {**fields[part], "key": "0123456789ab"}
    journal_of(path).write_text("".join([json.dumps(fields) + "\n", *rest]))
    capsys.readouterr()
    status, _, err = run(capsys, *RUN, "--json", path)
    assert status == 2
    assert part in err


def test_a_journal_in_which_nothing_is_finished_is_in_nobodys_way(killed, capsys, tmp_path):
    path = tmp_path / "o.json"
    killed([*RUN, "--json", path])
    header = journal_of(path).read_text().splitlines(keepends=True)[0]
    journal_of(path).write_text(header)
    capsys.readouterr()
    status, _, err = run(capsys, *RUN, "--seed", "7", "--json", path)
    assert status == 0
    assert "continuing" not in err
    assert len(sizes(read(path))) == 6


def test_some_other_file_of_that_name_is_not_touched(capsys, tmp_path):
    path = tmp_path / "o.json"
    journal_of(path).write_text("my diary")
    status, _, err = run(capsys, *RUN, "--json", path)
    assert status == 2
    assert "it is not a run's file" in err
    assert journal_of(path).read_text() == "my diary"


def test_two_processes_on_one_file(capsys, tmp_path):
    pytest.importorskip("fcntl")
    path = tmp_path / "o.json"
    with Journal(str(journal_of(path)), "run"):
        status, _, err = run(capsys, *RUN, "--json", path)
    assert status == 2
    assert "another process is writing it" in err


def test_a_journal_removed_while_its_lock_was_awaited_is_opened_anew(monkeypatch, tmp_path):
    path = tmp_path / "x.journal"
    lock, locked = Journal._lock, []

    def late(self):
        if not locked:
            path.unlink()  # as the process that held the lock does at its end
        locked.append(1)
        lock(self)

    monkeypatch.setattr(Journal, "_lock", late)
    with Journal(str(path), "run") as journal:
        journal.begin({"schema_version": 1, "kind": "run"})
    assert len(locked) == 2
    assert path.read_text().startswith('{"schema_version": 1')


def test_ctrl_c_keeps_the_journal_and_says_so(capsys, session_fails, tmp_path):
    path = tmp_path / "o.json"
    session_fails(3, KeyboardInterrupt())
    status, _, err = run(capsys, *RUN, "--json", path)
    assert status == 130
    assert "2 of 3 problems are finished and kept in" in err
    assert read(path)["interrupted"] is True
    assert sizes(read(path)) == [4, 4, 5, 5]
    status, _, err = run(capsys, *RUN, "--json", path)
    assert (status, "continuing" in err) == (0, True)
    assert sizes(read(path)) == [4, 4, 5, 5, 6, 6]
    assert read(path)["interrupted"] is False


@pytest.mark.parametrize("method", ["begin", "append"])
def test_a_disk_that_does_not_take_the_journal(method, capsys, monkeypatch, tmp_path):
    def full(self, record):  # noqa: ARG001
        raise ConvprofError(f"{self.path}: cannot be written: No space left on device")

    monkeypatch.setattr(Journal, method, full)
    path = tmp_path / "o.json"
    status, out, err = run(capsys, *RUN, "--json", path)
    assert status == 1
    assert err.count("No space left on device. Measuring goes on") == 1
    assert out.count("gemm (") == 3
    assert sizes(read(path)) == [4, 4, 5, 5, 6, 6]
    assert not journal_of(path).exists()


def test_a_document_that_cannot_be_written_leaves_the_journal(capsys, monkeypatch, tmp_path):
    def full(*_):
        raise ConvprofError("o.json: cannot be written: No space left on device")

    path = tmp_path / "o.json"
    monkeypatch.setattr("convprof.render.files.write_atomically", full)
    status, _, err = run(capsys, *RUN, "--json", path)
    assert status == 1
    assert f"3 finished problems are kept in {journal_of(path)}: convprof show" in err
    monkeypatch.undo()
    assert run(capsys, "show", journal_of(path), "--json", tmp_path / "other.json")[0] == 0
    assert sizes(read(tmp_path / "other.json")) == [4, 4, 5, 5, 6, 6]


def test_no_journal_for_one_problem_and_none_next_to_a_device(capsys, tmp_path):
    path = tmp_path / "o.json"
    assert run(capsys, "run", PROBLEMS[0], *HOW, "--json", path)[0] == 0
    if os.path.exists("/dev/null"):  # noqa: PTH110
        assert run(capsys, *RUN, "--json", "/dev/null")[0] == 0
    assert [path] == list(tmp_path.iterdir())


def test_an_error_in_one_problem_does_not_cost_the_others(capsys, session_fails, tmp_path):
    session_fails(2, KeyError("a mistake"))
    path = tmp_path / "o.json"
    status, out, err = run(capsys, *RUN, "--json", path)
    assert status == 1
    assert "Traceback" not in out + err
    failed = "failed: naive,packed 1 thread: KeyError: 'a mistake' (roofline_session.py:"
    assert f"gemm (5x5) (5x5) · f32\n{failed}" in out
    found = [(m["problem"]["m"], m["status"]) for m in read(path)["measurements"]]
    assert found == [(4, "ok"), (4, "ok"), (5, "failed"), (6, "ok"), (6, "ok")]


def test_what_was_measured_is_kept_though_the_ceilings_fail(capsys, monkeypatch, tmp_path):
    def homeless(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("convprof.studies.roofline_session.with_limits", homeless)
    path = tmp_path / "o.json"
    status, out, err = run(capsys, "run", PROBLEMS[0], *HOW, "--json", path)
    assert status == 1
    assert "Traceback" not in err
    assert "failed: naive,packed 1 thread: RuntimeError: Could not determine home" in out
    assert [line.split()[0] for line in out.splitlines()].count("naive") == 1
    found = [(m["strategy"], m["status"]) for m in read(path)["measurements"]]
    assert found == [("naive", "ok"), ("packed", "ok"), ("naive,packed", "failed")]


@pytest.mark.parametrize("error", [TypeError("battery"), ZeroDivisionError(), MemoryError()])
@pytest.mark.parametrize("what", ["findings", "state"])
def test_no_decoration_costs_a_result(error, what, capsys, monkeypatch, tmp_path):
    def broken(_self):
        raise error

    monkeypatch.setattr(f"convprof.machine.noise.NoiseWatch.{what}", broken)
    path = tmp_path / "o.json"
    status, out, err = run(capsys, *RUN, "--json", path)
    assert status == 1
    assert "Traceback" not in err
    assert sizes(json.loads(path.read_text())) == [4, 4, 5, 5, 6, 6]
    assert "1 multiply-add = 2 FLOPs" in out


def test_a_table_that_cannot_be_made_costs_no_file(capsys, monkeypatch, tmp_path):
    def broken(*_):
        raise ValueError("no such column")

    monkeypatch.setattr("convprof.render.run.run_report", broken)
    path = tmp_path / "o.json"
    status, _, err = run(capsys, *RUN, "--json", path)
    assert status == 1
    assert "convprof: the tables: ValueError: no such column" in err
    assert sizes(read(path)) == [4, 4, 5, 5, 6, 6]
