"""Every form of a reproducer is run, or read by what it is for."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from convprof.dtypes import types
from convprof.errors import RefusedError
from convprof.measure.operands import draw
from convprof.measure.settings import Settings
from convprof.problems import attention_from_flags, gemm_from_flags, parse
from convprof.problems.batch import read_batch
from convprof.results import Measurement, Time
from convprof.strategies import registry
from convprof.studies.repro import benchdnn, numpy_script, onnx_file, onnx_script, torch_script
from convprof.studies.repro.call import ReproCall
from convprof.studies.repro.study import FORMATS, Repro
from convprof.studies.run import Choice

CONV = parse("mb1ic4ih9oc8kh3sh2ph1")
UNEVEN = replace(CONV, pad=(0, 0, 1, 1))
GROUPED = parse("g2mb1ic4ih9oc8kh3ph1")
GEMM = gemm_from_flags("4x6x5")
BATCHED = parse("3x4x5:3x5x6")
ATTENTION = attention_from_flags("1x2x8x4")
MASKED = [
    attention_from_flags(f"1x4x5x8:{text}")
    for text in ("causal", "kv2x9:causal", "kv4x9:keys", "pairs")
]


def call(problem, *, layout="nchw", dtype="f32", strategy="torch", threads=1):
    time = Time(1e-4, 0.0, 0.9e-4, 1.1e-4, 1e-4, 9, 2)
    measured = Measurement(
        {"kind": problem.kind, "descriptor": problem.descriptor, "name": None}, strategy, layout,
        dtype, threads, "hot", "ok", time_s=time, flop_per_s=1e9, peak_fraction=0.5,
    )  # fmt: skip
    return ReproCall(problem, layout, 7, measured, {"numpy": "2.0\nevil()", "torch": None})


def run(text, result=""):
    """Run a program; return what it printed, and after ``result`` is printed, that array."""
    done = subprocess.run(
        [sys.executable, "-c", f"{text}\n{result}"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout


def shown(expression):
    return f"import json; print(json.dumps(np.asarray({expression}).ravel().tolist()))"


def values(printed):
    import json

    return np.array(json.loads(printed.splitlines()[-1]))


def expected(each, dtype="f32"):
    return draw(each.problem, types(dtype), each.seed).reference.ravel()


def test_facts_are_comments_on_lines_of_their_own():
    text = numpy_script.product(call(GEMM, strategy="blas"))
    head = text.partition("\n\n")[0].splitlines()
    assert all(line.startswith("# ") for line in head)
    assert "100 µs a call on 1 thread, ±10.0 µs (95 %), 1.00 GFLOP/s, 50 % of the peak" in head[1]
    assert "evil" in head[3]
    assert "convprof" not in text.replace(head[1], "")


def run_all(programs, result):
    """Run programs in one process; compare every result with the reference."""
    code = "".join(f"exec({text + result!r}, {{}})\nprint()\n" for text, _ in programs)
    parts = run(code).split("\n\n")[:-1]
    for (_, each), printed in zip(programs, parts, strict=True):
        results = [line for line in printed.splitlines() if line.startswith("[")]
        assert len(results) == len(re.findall(r": [0-9.]+ us a call in the median", printed)) > 0
        for line in results:
            assert np.allclose(values(line), expected(each, each.dtype), atol=1e-5)


def test_programs_of_numpy():
    calls = [call(GEMM, strategy="blas"), call(BATCHED, dtype="f64", strategy="blas")]
    run_all([(numpy_script.product(each), each) for each in calls], shown("c"))


def test_programs_of_onnx_runtime():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    calls = [call(problem, strategy="onnxruntime") for problem in (UNEVEN, GEMM)]
    run_all([(onnx_script.onnxruntime(each), each) for each in calls], shown("y"))


def test_programs_of_pytorch():
    pytest.importorskip("torch", reason="needs PyTorch")
    programs = [
        (torch_script.convolution, call(UNEVEN, layout="nhwc")),
        (torch_script.convolution, call(GROUPED, dtype="f64")),
        (torch_script.product, call(GEMM)),
        (torch_script.product, call(BATCHED)),
        (torch_script.attention, call(ATTENTION)),
        *((torch_script.attention, call(each)) for each in MASKED),
    ]
    each_call = f"for y in [call() for call in calls.values()]: {shown('y')}"
    run_all([(writer(each), each) for writer, each in programs], each_call)


@pytest.mark.parametrize("problem", [UNEVEN, GROUPED, GEMM])
def test_a_model(problem):
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    each = call(problem, strategy="onnxruntime")
    data = onnx_file.model(each)
    assert "100 µs a call on 1 thread" in onnx.load_model_from_string(data).doc_string
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    x = draw(problem, types("f32"), each.seed).all("nchw")[0]
    (y,) = session.run(None, {"x": x})
    assert np.allclose(y.ravel(), expected(each), atol=1e-5)


@pytest.mark.parametrize("problem", [CONV, UNEVEN, GROUPED, GEMM, BATCHED])
def test_a_shape_file_is_read_as_the_same_problem(tmp_path, problem):
    text = benchdnn.batch(call(problem, layout="nhwc", threads=2))
    path = tmp_path / "shapes"
    path.write_text(text)
    found = read_batch(str(path))
    assert [each.problem for each in found.entries] == [problem]
    assert "OMP_NUM_THREADS=2 benchdnn --" in text
    if problem.kind == "conv2d":
        assert "--stag=acdb" in text


@pytest.mark.parametrize(
    ("problem", "strategy", "form", "message"),
    [
        (CONV, "tiled", "python", "as python, conv2d is reproduced for torch or onnxruntime"),
        (
            CONV,
            "onnxruntime",
            "benchdnn",
            "as benchdnn, conv2d is reproduced for torch or openvino",
        ),
        (ATTENTION, "torch", "onnx", "attention is reproduced as python"),
    ],
)
def test_what_cannot_be_reproduced(machine_of, problem, strategy, form, message):
    with pytest.raises(RefusedError, match=message):
        Repro(problem, Choice((strategy,)), Settings(), machine_of(1e11), form=form)


def test_types_and_epilogues_that_cannot_be_reproduced(machine_of):
    choice = Choice(("torch",), dtype="bf16")
    with pytest.raises(RefusedError, match="reproducers compute f32 or f64"):
        Repro(GEMM, choice, Settings(), machine_of(1e11), form="python")


def test_every_strategy_that_is_reproduced_exists():
    from convprof.studies.repro.study import _WRITERS

    for form, name, kind in _WRITERS:
        assert form in FORMATS
        assert registry.find(kind, name).role.is_peer
