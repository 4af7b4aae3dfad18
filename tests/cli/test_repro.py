from __future__ import annotations

import json
import subprocess
import sys

import pytest

from convprof.cli import _status

FAST = ["-s", "blas", "-t", "1", "--budget", "0.001", "-q"]


def test_the_program_is_on_stdout_and_the_report_on_stderr(capsys, tmp_path, invalid):
    out = tmp_path / "out.json"
    assert _status(["repro", "8x9:9x7", *FAST, "--json", str(out)]) == 0
    printed, reported = capsys.readouterr()
    assert printed.startswith("# gemm 8x9:9x7, blas, f32\n# measured by convprof ")
    assert "Run: python repro.py" in reported
    assert "blas" in reported
    document = json.loads(out.read_text())
    assert invalid(document) == []
    assert [m["strategy"] for m in document["measurements"]] == ["blas"]
    done = subprocess.run([sys.executable, "-"], input=printed, capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert done.stdout.startswith("numpy.matmul: ")


def test_a_file(capsys, tmp_path):
    path = tmp_path / "my repro.py"
    assert _status(["repro", "8x9:9x7", *FAST, "-o", str(path)]) == 0
    assert f"Run: python '{path}'" in capsys.readouterr().out
    assert path.read_text().startswith("# gemm 8x9:9x7")


def test_a_model(capsys, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "m.onnx"
    words = ["repro", "8x9:9x7", *FAST[2:], "-s", "onnxruntime", "--format", "onnx"]
    assert _status([*words, "-o", str(path)]) == 0
    assert "onnxruntime_perf_test -I -x 1" in capsys.readouterr().out
    assert "measured by convprof" in onnx.load(path).doc_string
    assert _status(words) == 2
    assert "--output -: a model is not text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["8x8:8x8", "9x9:9x9"], "a reproducer has one problem, not 2"),
        (["8x8:8x8", "-s", "blas,torch"], "--strategy blas,torch: give one value"),
        (["8x8:8x8", "-s", "blas", "-t", "1,2"], "--threads 1,2: give one value"),
        (["8x8:8x8", "-s", "packed"], "--strategy packed: as python, gemm is reproduced for"),
        (["8x8:8x8", "-s", "nobody"], "--strategy nobody: as python, gemm is reproduced for torch"),
        (
            ["mb1ic3ih6oc4kh3", "-s", "blas"],
            "--strategy blas: as python, conv2d is reproduced for torch or onnxruntime",
        ),
        (
            ["attention:1x2x9x8", "--format", "benchdnn"],
            "--format benchdnn: attention is reproduced as python",
        ),
        (["8x8:8x8", "-s", "blas", "--dtype", "bf16"], "--dtype bf16: reproducers compute"),
        (["8x8:8x8", "-s", "blas", "-o", "/no/folder/x"], "--output /no/folder/x"),
        (["8x8:8x8", "-s", "blas", "--json", "-"], "name a file"),
        (["8x8:8x8", "-s", "blas", "--format", "perl"], "--format"),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, message):
    assert _status(["repro", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
