from __future__ import annotations

import json
import os
import sys

import pytest

from convprof.cli import _status, start_environment
from convprof.studies.diagnose.program_time import ProgramTime

MKL = "MKL_VERBOSE SGEMM(N,N,16,16,16,0x1,0x2,16,0x3,16,0x4,0x5,16) 9.5ms CNR:OFF NThr:1"

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="programs run as POSIX has them"),
    pytest.mark.usefixtures("_free_ceilings"),
]


def test_the_program_keeps_stdout_and_exit_code_and_the_report_is_on_stderr(
    capfd, tmp_path, invalid
):
    out, kept = tmp_path / "out.json", tmp_path / "kept.log"
    script = f"printf 'a: {MKL}\\nb\\n'; echo err >&2; exit 7"
    arguments = ["trace", "-q", "--json", str(out), "--keep", str(kept), "--", "sh", "-c", script]
    assert _status(arguments) == 7
    printed, reported = capfd.readouterr()
    assert printed == "a: b\n"
    lines = reported.splitlines()
    assert lines[0] == "err"
    assert "exit code 7; logged operations: 9.50 ms" in lines[1]
    assert "unknown (--overhead measures it)" in lines[1]
    assert "lost against this machine's ceilings" in reported
    document = json.loads(out.read_text())
    assert invalid(document) == []
    assert document["program"]["exit_code"] == 7
    assert document["log"]["files"] == [str(kept)]
    assert kept.read_text() == f"{MKL}\n"
    assert _status(["diagnose", str(kept), "-q", "--csv", "-"]) == 0
    assert "16x16:16x16" in capfd.readouterr().out


def test_nothing_recorded_by_the_profiler_does_not_recommend_the_profiler(capfd):
    assert _status(["trace", "-q", "--torch", "--", "sh", "-c", "true"]) == 1
    error = capfd.readouterr().err
    assert "no operator was recorded: no Python process of the program imported torch" in error
    assert "With --torch" not in error


def test_a_timeline(capfd, tmp_path):
    path = tmp_path / "timeline.json"
    assert _status(["trace", "-q", "--trace", str(path), "--", "sh", "-c", f"echo '{MKL}'"]) == 0
    assert capfd.readouterr().out == ""
    (first, _) = [e for e in json.loads(path.read_text())["traceEvents"] if e["ph"] == "X"]
    assert (first["name"], first["dur"]) == ("16x16:16x16", pytest.approx(9500))


def test_lines_in_the_file_of_mkl_are_read(capfd):
    script = f"echo '{MKL}' > $MKL_VERBOSE_OUTPUT_FILE"
    assert _status(["trace", "-q", "--", "sh", "-c", script]) == 0
    printed, reported = capfd.readouterr()
    assert printed == ""
    assert "16x16:16x16" in reported


def test_the_overhead_is_measured(capfd):
    assert _status(["trace", "-q", "--overhead", "--", "sh", "-c", f"echo '{MKL}'; echo x"]) == 0
    printed, reported = capfd.readouterr()
    assert printed == "x\n"
    assert "one run each" in reported


def test_the_overhead_of_unequal_runs_is_unknown(capfd):
    script = f"echo '{MKL}'; test $MKL_VERBOSE"
    assert _status(["trace", "-q", "--overhead", "--", "sh", "-c", script]) == 0
    assert "overhead of the logs: unknown" in capfd.readouterr().err


def test_overhead_is_a_share_of_the_time_without_logs():
    assert ProgramTime(0, 3.0, 2.0).overhead == 0.5
    assert ProgramTime(0, 3.0).overhead is None


def test_a_program_without_a_log_says_what_can_be_logged(capfd):
    assert _status(["trace", "--", "sh", "-c", "echo x"]) == 1
    printed, reported = capfd.readouterr()
    assert printed == "x\n"
    assert "no operation was logged" in reported
    assert _status(["trace", "--", "sh", "-c", "exit 9"]) == 9


def test_a_signal_to_convprof_reaches_the_program(capfd):
    script = (
        f"trap 'echo caught; exit 5' TERM; echo '{MKL}'; kill -TERM $PPID; "
        "for _ in $(seq 1000); do sleep 0.01; done"  # without a signal it ends all the same
    )
    assert _status(["trace", "-q", "--", "sh", "-c", script]) == 5
    assert capfd.readouterr().out == "caught\n"


def test_the_program_gets_the_variables_that_the_user_set(capfd, monkeypatch):
    monkeypatch.setattr(start_environment, "_saved", {"PATH": os.environ["PATH"], "MINE": "1"})
    monkeypatch.setenv("OPENBLAS_THREAD_TIMEOUT", "22")
    script = "echo $MINE $OPENBLAS_THREAD_TIMEOUT $ONEDNN_VERBOSE"
    assert _status(["trace", "-q", "--", "sh", "-c", script]) == 1
    assert capfd.readouterr().out == "1 2\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--", "no-such-program"], "no-such-program: there is no such program"),
        (["--json", "-", "--", "true"], "--json -: stdout belongs to the program"),
        (["--keep", "/no/such/folder/x", "--", "true"], "--keep /no/such/folder/x"),
        (["-t", "1,2", "--", "true"], "--threads 1,2: give one number"),
        ([], "COMMAND..."),
    ],
)
def test_bad_input_is_one_line(capfd, arguments, message):
    assert _status(["trace", *arguments]) == 2
    error = capfd.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_options_behind_the_command_belong_to_the_command(capfd):
    assert _status(["trace", "-q", "echo", "--top", "x", "-q"]) == 1
    assert capfd.readouterr().out == "--top x -q\n"


def test_operators_of_pytorch(capfd):
    pytest.importorskip("torch", reason="needs PyTorch")
    code = (
        "import torch\n"
        "model = torch.nn.Conv2d(3, 16, 3, padding=1)\n"
        "with torch.no_grad():\n"
        "    model(torch.ones(1, 3, 32, 32))\n"
        "print('done')\n"
    )
    assert _status(["trace", "-q", "--torch", "--", sys.executable, "-c", code]) == 0
    printed, reported = capfd.readouterr()
    assert printed == "done\n"
    assert "mb1ic3ih32oc16oh32kh3ph1" in reported


@pytest.mark.parametrize(("layout", "saves"), [("contiguous", True), ("channels_last", False)])
def test_a_program_in_nchw_is_told_what_channels_last_saves(capfd, tmp_path, layout, saves):
    pytest.importorskip("torch", reason="needs PyTorch")
    out = tmp_path / "out.json"
    code = (
        "import torch\n"
        f"order = torch.{layout}_format if '{layout}' == 'contiguous' else torch.{layout}\n"
        "layers = [torch.nn.Conv2d(64, 64, 3, padding=1) for _ in range(4)]\n"
        "model = torch.nn.Sequential(*layers).to(memory_format=order)\n"
        "x = torch.ones(1, 64, 56, 56).to(memory_format=order)\n"
        "with torch.no_grad():\n"
        "    for _ in range(3): model(x)\n"
    )
    arguments = ["trace", "-q", "-t", "2", "--json", str(out), "--", sys.executable, "-c", code]
    assert _status(arguments) == 0
    document = json.loads(out.read_text())
    gains = [f for f in document["findings"] if "channels_last saves up to" in f["way_out"]]
    assert bool(gains) == saves
    assert capfd.readouterr().out == ""
