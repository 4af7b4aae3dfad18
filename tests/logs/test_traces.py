"""Traces of torch.profiler and profiles of ONNX Runtime."""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from pathlib import Path

import pytest

from convprof.logs.json_events import PIECE

DATA = Path(__file__).parents[1] / "data" / "logs"
IMAGES = [[200704, 1, 3584, 64], [576, 1, 192, 64], [1], [], [], [], [], [], []]


def operator(name, begin, duration, dims=(), concrete=(), *, strides=(), tid=7):
    arguments = {
        "Input Dims": list(dims), "Concrete Inputs": list(concrete), "Input Strides": list(strides),
        "Input type": ["float"],
    }  # fmt: skip
    return {"ph": "X", "cat": "cpu_op", "name": name, "pid": 7, "tid": tid, "ts": begin,
            "dur": duration, "args": arguments}  # fmt: skip


def trace(*events):
    return json.dumps({"schemaVersion": 1, "traceEvents": list(events)})


def convolution(name, begin, duration):
    concrete = ["", "", "", "[1, 1]", "[1, 1]", "[1, 1]", "False", "[0, 0]", "1"]
    dims = [[1, 64, 56, 56], [64, 64, 3, 3], [64], [], [], [], [], [], []]
    return operator(name, begin, duration, dims, concrete, strides=IMAGES)


def test_an_operator_counts_once_with_all_that_it_calls(calls_of):
    calls, reading = calls_of(trace(
        convolution("aten::convolution", 0, 100),
        convolution("aten::_convolution", 10, 80),
        operator("aten::mkldnn_convolution", 20, 60),
        operator("aten::relu", 200, 50),
        operator("aten::clamp_min", 210, 30),
    ))  # fmt: skip
    assert [(c.operation.kind, round(c.seconds * 1e6)) for c in calls] == [
        ("aten::convolution", 100),
        ("aten::clamp_min", 30),
        ("aten::relu", 20),
    ]
    operation = calls[0].operation
    assert operation.problem.descriptor == "mb1ic64ih56oc64oh56kh3ph1"
    assert operation.layout == "nhwc"
    assert operation.implementation == "mkldnn_convolution"
    assert reading.nested == 2


def test_threads_do_not_mix(calls_of):
    calls, _ = calls_of(trace(operator("aten::add", 0, 100), operator("aten::mul", 10, 50, tid=8)))
    assert sorted(round(c.seconds * 1e6) for c in calls) == [50, 100]


def test_an_event_out_of_order_is_not_counted_twice(calls_of):
    calls, reading = calls_of(trace(operator("aten::mul", 50, 50), operator("aten::add", 0, 100)))
    assert ([c.operation.kind for c in calls], reading.unread) == (["aten::mul"], 1)


def test_operators_that_are_problems(calls_of):
    of_keys = [[1, 4, 16, 8], [1, 4, 9, 8], [1, 4, 9, 8]]
    square, heads = [[8, 8], [8, 8]], [[1, 4, 16, 8]] * 3
    conv = [[2, 32, 8, 8], [64, 32, 1, 1]]
    begin = iter(range(0, 1000, 10))
    calls, _ = calls_of(trace(
        operator("aten::mm", next(begin), 1, square),
        operator("aten::addmm", next(begin), 1, [[8], [4, 8], [8, 2]]),
        operator("aten::bmm", next(begin), 1, [[3, 4, 8], [3, 8, 2]]),
        operator("aten::linear", next(begin), 1, [[2, 5, 8], [16, 8], [16]]),
        operator("aten::conv2d", next(begin), 1, conv,
                 ["", "", "", "[2, 2]", "[0, 0]", "[1, 1]", "1"]),
        operator("mkldnn::_convolution_pointwise", next(begin), 1, conv,
                 ["", "", "", "[0, 0]", "[2, 2]", "[1, 1]", "1"]),
        operator("aten::scaled_dot_product_attention", next(begin), 1, heads,
                 ["", "", "", "", "0.", "False", ""]),
        operator("aten::scaled_dot_product_attention", next(begin), 1, heads,
                 ["", "", "", "", "0.", "True", ""]),
        *(operator("aten::scaled_dot_product_attention", next(begin), 1, [*of_keys, added],
                   ["", "", "", "", "0.", "False", ""])
          for added in ([1, 1, 1, 9], [16, 9], [])),
        operator("aten::scaled_dot_product_attention", next(begin), 1, of_keys,
                 ["", "", "", "", "0.", "True", ""]),
        operator("aten::convolution", next(begin), 1, conv,
                 ["", "", "", "[1, 1]", "[0, 0]", "[1, 1]", "True", "[0, 0]", "1"]),
        operator("aten::conv2d", next(begin), 1, conv, ["", "", "", "[1, 1]", "same"]),
    ))  # fmt: skip
    problems = [c.operation.problem and c.operation.problem.descriptor for c in calls]
    assert problems == [
        "8x8:8x8", "4x8:8x2", "3x4x8:3x8x2", "10x8:8x16", "mb2ic32ih8oc64oh4kh1sh2ph0",
        "mb2ic32ih8oc64oh4kh1sh2ph0", "attention:1x4x16x8",
        "attention:1x4x16x8:causal", "attention:1x4x16x8:kv4x9:keys",
        "attention:1x4x16x8:kv4x9:pairs", "attention:1x4x16x8:kv4x9", None, None, None,
    ]  # fmt: skip


def test_attention_whose_heads_share_keys_and_its_flags(calls_of):
    shared = [[1, 8, 3, 4], [1, 2, 9, 4], [1, 2, 9, 4]]
    third = [[1, 8, 3, 4], [1, 3, 9, 4], [1, 3, 9, 4]]
    empty = [[1, 8, 3, 4], [1, 8, 0, 4], [1, 8, 0, 4]]
    name, flash = (
        f"aten::{name}"
        for name in (
            "scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu"
        )
    )  # fmt: skip
    no, gqa = ["", "", "", "", "0.", "False"], ["", "True"]
    begin = iter(range(0, 1000, 10))
    calls, _ = calls_of(trace(
        operator(name, next(begin), 1, shared, [*no, *gqa]),
        operator(name, next(begin), 1, [*shared, [9]], [*no, *gqa]),
        operator(flash, next(begin), 1, [[1, 8, 9, 4]] * 3, ["", "", "", "0.", "True", "", ""]),
        operator(name, next(begin), 1, third, [*no, *gqa]),
        operator(name, next(begin), 1, empty, [*no, *gqa]),
    ))  # fmt: skip
    problems = [c.operation.problem and c.operation.problem.descriptor for c in calls]
    assert problems == [
        "attention:1x8x3x4:kv2x9", "attention:1x8x3x4:kv2x9:keys", "attention:1x8x9x4:causal",
        None, None,
    ]  # fmt: skip


def outermost_us(events):
    """Return the time of the operators that no other operator of their thread contains."""
    total, end = 0.0, Counter()
    for event in sorted(events, key=lambda e: (e["ts"], -e["dur"])):
        if event["ts"] >= end[event["tid"]]:
            total += event["dur"]
            end[event["tid"]] = event["ts"] + event["dur"]
    return total


def test_calls_of_a_real_trace_add_up(log):
    calls, reading = log("torch-2.13.json.gz")
    with gzip.open(DATA / "torch-2.13.json.gz") as file:
        events = [e for e in json.load(file)["traceEvents"] if e.get("cat") == "cpu_op"]
    total = math.fsum(call.seconds for call in calls)
    assert math.isclose(total, outermost_us(events) * 1e-6, rel_tol=1e-6)
    assert reading.unread == 0
    assert reading.nested + len(calls) == len(events)
    problems = Counter(c.operation.problem.descriptor for c in calls if c.operation.problem)
    assert problems == {
        "mb2ic3ih32oc16oh16kh3sh2ph1": 3,
        "mb2ic16ih16oc32oh16kh3ph1": 3,
        "g32mb2ic32ih16oc32oh16kh3ph1": 3,
        "2x32:32x10": 3,
    }


def test_calls_of_a_real_profile_add_up(log):
    calls, reading = log("onnxruntime.json.gz")
    with gzip.open(DATA / "onnxruntime.json.gz") as file:
        nodes = [event for event in json.load(file) if event["cat"] == "Node"]
    executed = [call for call in calls if call.event == "execution"]
    assert len(executed) == len(nodes)
    assert math.isclose(math.fsum(c.seconds for c in executed), sum(n["dur"] for n in nodes) * 1e-6)
    assert reading.unread == 0
    kinds = {call.operation.kind: call.operation for call in executed}
    assert kinds["MatMul"].problem.descriptor == "2x16:16x10"
    assert kinds["ReorderOutput"].is_conversion
    convolutions = {op.problem.descriptor for op, *_ in executed if op.kind == "Conv"}
    assert convolutions == {"mb2ic3ih32oc16oh16kh3sh2ph1", "g16mb2ic16ih16oc16oh16kh3ph1"}


@pytest.mark.parametrize(
    ("x", "weights", "y", "descriptor"),
    [
        ([1, 3, 224, 224], [64, 3, 7, 7], [1, 64, 112, 112], "mb1ic3ih224oc64oh112kh7sh2ph3"),
        ([1, 8, 9, 9], [8, 1, 3, 3], [1, 8, 7, 7], "g8mb1ic8ih9oc8oh7kh3ph0"),
        ([1, 8, 9, 9], [8, 8, 3, 3], [1, 8, 6, 6], None),  # some other padding
        ([1, 8, 9, 9], [8, 3, 3, 3], [1, 8, 9, 9], None),
        ([1, 8, 9, 9], [8, 0, 3, 3], [1, 8, 9, 9], None),
        ([1, 8, 9], [8, 8, 3], [1, 8, 9], None),
    ],
)
def test_strides_and_pads_of_a_profile_follow_from_shapes(calls_of, x, weights, y, descriptor):
    arguments = {
        "op_name": "Conv", "input_type_shape": [{"float": x}, {"float": weights}],
        "output_type_shape": [{"float": y}],
    }  # fmt: skip
    event = {"cat": "Node", "dur": 5, "name": "c_kernel_time", "args": arguments}
    calls, _ = calls_of(json.dumps([event]))
    problem = calls[0].operation.problem
    assert (problem and problem.descriptor) == descriptor


@pytest.mark.parametrize(
    ("kind", "inputs", "y", "descriptor"),
    [
        ("Gemm", [[4, 8], [2, 8], [2]], [4, 2], "4x8:8x2"),
        ("Gemm", [[8, 4], [2, 8]], [4, 2], None),
        ("MatMul", [[3, 4, 8], [3, 8, 2]], [3, 4, 2], "3x4x8:3x8x2"),
        ("FusedMatMul", [[3, 4, 8], [3, 2, 8]], [3, 4, 2], "3x4x8:3x8x2"),
        ("MatMul", [[3, 4, 8]], [3, 4, 2], "12x8:8x2"),
        ("MatMul", [[8]], [], None),
        ("Add", [[4, 4], [4, 4]], [4, 4], None),
    ],
)
def test_products_of_a_profile(calls_of, kind, inputs, y, descriptor):
    arguments = {
        "op_name": kind, "input_type_shape": [{"float": shape} for shape in inputs],
        "output_type_shape": [{"float": y}],
    }  # fmt: skip
    event = {"cat": "Node", "dur": 5, "name": "c_kernel_time", "args": arguments}
    calls, _ = calls_of(json.dumps([event]))
    problem = calls[0].operation.problem
    assert (problem and problem.descriptor) == descriptor


def test_a_trace_that_is_cut_is_read_up_to_there(calls_of):
    whole = trace(*(operator("aten::relu", 10 * i, 5) for i in range(100)))
    calls, reading = calls_of(whole[: len(whole) // 2])
    assert 40 < len(calls) < 60
    assert reading.unread == 1


def test_an_event_may_begin_in_one_piece_and_end_in_another(calls_of):
    events = [operator(f"aten::op{i:05}é", 10 * i, 5) for i in range(3000)]
    text = trace(*events)
    assert len(text) > 2 * PIECE
    calls, reading = calls_of(text)
    assert (len(calls), reading.unread) == (3000, 0)


def test_a_long_head_before_the_events_is_skipped(calls_of):
    head = {"deviceProperties": ["x" * 1000] * 1000}
    text = json.dumps({**head, "traceEvents": [operator("aten::relu", 0, 5)]})
    assert len(calls_of(text)[0]) == 1
