from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from convprof.cli import _status

DATA = Path(__file__).parents[1] / "data" / "logs"

pytestmark = pytest.mark.usefixtures("_free_ceilings")


def test_every_form_of_log_at_once(capsys, tmp_path, invalid):
    logs = [str(path) for path in sorted(DATA.iterdir())]
    out = tmp_path / "out.json"
    assert _status(["diagnose", *logs, "-q", "--json", str(out), "-t", "1"]) == 0
    document = json.loads(out.read_text())
    assert invalid(document) == []
    libraries = {row["library"] for row in document["rows"]}
    assert libraries == {"oneDNN", "MKL", "PyTorch", "ONNX Runtime", "OpenVINO"}
    printed = capsys.readouterr().out
    assert "lost against this machine's ceilings" in printed
    assert printed.splitlines()[-1].startswith("next: convprof compare peers")


def test_the_model_that_ran(capsys, tmp_path):
    pytest.importorskip("onnx")
    model = str(DATA.parent / "resnet18.onnx")
    counters = str(DATA / "resnet18-openvino.csv")
    assert _status(["diagnose", counters, "-q", "--model", model]) == 0
    assert "mb1ic64ih56oc64oh56kh3ph1" in capsys.readouterr().out
    assert _status(["diagnose", str(DATA / "mkl-2024.log"), "--model", model]) == 0
    assert "no operation of the log has a name of this model" in capsys.readouterr().err
    assert _status(["diagnose", counters, "-q", "--model", counters]) == 2
    assert "this is not an ONNX model" in capsys.readouterr().err
    assert _status(["diagnose", counters, "-q", "--model", str(tmp_path / "no.onnx")]) == 2
    assert "no.onnx: cannot read it" in capsys.readouterr().err


def test_a_timeline(capsys, tmp_path):
    path = tmp_path / "timeline.json"
    log = str(DATA / "resnet18-ort.json.gz")
    assert _status(["diagnose", log, "-q", "--trace", str(path)]) == 0
    events = json.loads(path.read_text())["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "X", "C"}
    assert _status(["diagnose", log, "-q", "--trace", "-"]) == 0
    assert json.loads(capsys.readouterr().out.partition("next:")[2].partition("\n")[2])


def test_rows_on_stdout_alone(capsys):
    assert _status(["diagnose", str(DATA / "mkl-2024.log"), "-q", "--csv", "-"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("problem,library,operation")
    assert len(lines) == 5


@pytest.mark.parametrize("name", ["mkl-2024.log", "resnet18-nchw.log.gz", "resnet18-ort.json.gz"])
def test_stdin_is_read_as_a_file_is(capsys, monkeypatch, name):
    printed = []
    with (DATA / name).open("rb") as file:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=file))
        for path in (str(DATA / name), "-"):
            assert _status(["diagnose", path, "-q", "--csv", "-"]) == 0
            printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != ""


def test_json_of_the_program_before_the_lines_of_a_library(capsys, tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b'{"batch": 1}\n' + (DATA / "mkl-2024.log").read_bytes())
    assert _status(["diagnose", str(path), "-q"]) == 0
    assert "MKL 2024.0" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_log_that_powershell_wrote(capsys, tmp_path, encoding):
    text = (DATA / "onednn-3.12.log").read_text()
    path = tmp_path / "log"
    path.write_bytes(f"\ufeff{text}".encode(encoding) + b"\xd8")
    printed = []
    for name in (DATA / "onednn-3.12.log", path):
        assert _status(["diagnose", str(name), "-q", "--csv", "-"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_a_closed_stdin(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert _status(["diagnose", "-"]) == 2
    assert "stdin is closed; name a file" in capsys.readouterr().err


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


def test_faster_ways_are_measured(capsys, tmp_path, invalid):
    log = tmp_path / "log"
    log.write_text(
        "MKL_VERBOSE SGEMM(N,N,16,16,16,0x1,0x2,16,0x3,16,0x4,0x5,16) 9.5ms CNR:OFF NThr:1\n"
    )
    out = tmp_path / "out.json"
    arguments = ["diagnose", str(log), "-q", "--measure", "--budget", "0.001", "--json", str(out)]
    assert _status(arguments) == 0
    document = json.loads(out.read_text())
    assert invalid(document) == []
    (row,) = document["rows"]
    assert row["saved_s"] == document["saved_s"] > 0
    assert row["faster"]["best"]["median_s"] < 9.5e-3
    printed = capsys.readouterr().out
    assert "The 1 measured operation could take" in printed
    assert "could take [" in printed


def test_counters_without_shapes_name_the_way_to_them(capsys):
    counters = str(DATA / "resnet18-openvino.csv")
    assert _status(["diagnose", counters, "-q", "--measure"]) == 0
    out = capsys.readouterr().out
    assert "OpenVINO's counters have no shapes" in out
    assert out.splitlines()[-1] == f"next: convprof diagnose {counters} --model MODEL.onnx"
    assert "not measured: no operation of the log is a problem of convprof" in " ".join(out.split())
    assert "could take" not in out
