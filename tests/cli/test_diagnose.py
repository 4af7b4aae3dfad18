from __future__ import annotations

import json
from pathlib import Path

import pytest

from convprof.cli import _status
from convprof.machine import bandwidth, peaks
from convprof.machine.peaks import Peak

DATA = Path(__file__).parents[1] / "data" / "logs"


@pytest.fixture(autouse=True)
def _no_measuring(monkeypatch):
    """Ceilings cost nothing here."""

    def peak(dtype, threads, bits, *, fused):
        return Peak("x", bits, dtype, threads, 1e11 * threads, None, None, None, fused)

    monkeypatch.setattr(peaks, "measure", peak)
    monkeypatch.setattr(bandwidth, "measure", lambda *_, **__: iter(()))


def test_every_form_of_log_at_once(capsys, tmp_path, invalid):
    logs = [str(path) for path in sorted(DATA.iterdir())]
    out = tmp_path / "out.json"
    assert _status(["diagnose", *logs, "-q", "--json", str(out), "-t", "1"]) == 0
    document = json.loads(out.read_text())
    assert invalid(document) == []
    libraries = {row["library"] for row in document["rows"]}
    assert libraries == {"oneDNN", "MKL", "PyTorch", "ONNX Runtime"}
    printed = capsys.readouterr().out
    assert "lost against this machine's ceilings" in printed
    assert printed.splitlines()[-1].startswith("next: convprof compare peers")


def test_rows_on_stdout_alone(capsys):
    assert _status(["diagnose", str(DATA / "mkl-2024.log"), "-q", "--csv", "-"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("problem,library,operation")
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n", "no operation was recognised"),
        ("onednn_verbose,v1,info,oneDNN v3.6.0\n", "Run the program with ONEDNN_VERBOSE=profile"),
        ("", "no operation was recognised"),
        ('{"traceEvents": []}', "no operation was recognised"),
        (b"\x1f\x8b\x08broken", "no operation was recognised"),
    ],
)
def test_a_file_that_is_no_log(capsys, tmp_path, text, message):
    path = tmp_path / "log"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert _status(["diagnose", str(path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.log"], "nothing.log: there is no such file"),
        ([str(DATA)], "is a folder"),
        ([str(DATA / "mkl-2024.log"), "-t", "1,2"], "--threads 1,2"),
        ([str(DATA / "mkl-2024.log"), "--top", "0"], "--top"),
        ([], "LOG..."),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, message):
    assert _status(["diagnose", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
