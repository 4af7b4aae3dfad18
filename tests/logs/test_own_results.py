from __future__ import annotations

import json
from pathlib import Path

import pytest

V1 = Path(__file__).parents[1] / "data" / "v1"


def measurement(kind="gemm", descriptor="4x8:8x2", seconds=1e-3, **fields):
    return {
        "problem": {"kind": kind, "descriptor": descriptor}, "strategy": "packed", "layout": None,
        "dtype": "f64", "threads": 2, "time_s": {"median": seconds}, **fields,
    }  # fmt: skip


def document(*measurements):
    return json.dumps({"kind": "result", "measurements": measurements, "comparisons": []})


def test_a_measurement_is_a_call(calls_of):
    calls, reading = calls_of(document(measurement(), measurement(time_s=None)))
    (call,) = calls
    assert call.seconds == 1e-3
    operation = call.operation
    assert operation.problem.descriptor == "4x8:8x2"
    assert (operation.implementation, operation.types) == ("packed", "f64")
    assert (reading.threads, reading.messages, reading.unread) == (2, 1, 0)


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        ("conv2d-backward-data", "mb1ic3ih8oc4oh8kh3ph1", "conv2d-backward-data"),
        ("gemm-backward-weights", "4x8:8x2", "gemm-backward-weights"),
        ("attention", "attention:1x4x16x8", "attention"),
        ("operation", "relu of 1x8x4x4", None),
        ("gemm", "nonsense", None),
    ],
)
def test_kinds_of_problems(calls_of, kind, text, problem):
    calls, _ = calls_of(document(measurement(kind, text)))
    found = calls[0].operation.problem
    assert (found and found.kind) == problem


def test_a_fused_epilogue_belongs_to_the_problem(calls_of):
    described = {"kind": "gemm", "descriptor": "4x8:8x2", "epilogue": "bias,relu"}
    calls, _ = calls_of(document(measurement(problem=described)))
    assert calls[0].operation.problem.epilogue.text == "bias,relu"


def test_a_whole_network_is_not_counted_besides_its_layers(calls_of):
    calls, reading = calls_of(document(measurement("network", "x of 1x3x8x8"), measurement()))
    assert (len(calls), reading.nested) == (1, 1)


@pytest.mark.parametrize("name", ["run.json", "network.json"])
def test_documents_of_older_versions(calls_of, name):
    text = (V1 / name).read_text()
    timed = [m for m in json.loads(text)["measurements"] if m["time_s"]]
    layers = [m for m in timed if m["problem"]["kind"] != "network"]
    calls, reading = calls_of(text)
    assert len(calls) == len(layers) > 0
    assert reading.unread == 0
