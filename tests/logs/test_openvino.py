from __future__ import annotations

import json
import math

import pytest

from convprof.logs.model_nodes import ModelNode, ModelNodes
from convprof.logs.openvino import LIBRARY

HEAD = "layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)\n"
CONV = "/c/Conv/WithoutBiases;Status.EXECUTED;Convolution;brgconv_avx512_bf16;4.029;4.000\n"
RELU = "/Relu;Status.NOT_RUN;Relu;undef;0.000;0.000\n"


def test_a_table(calls_of):
    calls, reading = calls_of(HEAD + CONV + RELU + "Total;;;;4.029;4.000\n")
    (call,) = calls
    assert math.isclose(call.seconds, 4.029e-3)
    operation = call.operation
    assert (operation.library, operation.kind) == (LIBRARY, "Convolution")
    assert (operation.types, operation.implementation) == ("bf16", "brgconv_avx512")
    assert (operation.text, operation.problem) == ("/c/Conv/WithoutBiases", None)
    assert (reading.nested, reading.unread, reading.lines) == (1, 0, 4)


def test_a_sorted_table_with_commas_and_shares(calls_of):
    text = (
        HEAD.replace(";", ",").rstrip() + ',"proportion (%)\n"\n' + CONV.replace(";", ",")
    ).replace("4.000\n", "4.000,17.01%\n")
    calls, reading = calls_of(text)
    assert [call.seconds for call in calls] == [pytest.approx(4.029e-3)]
    assert reading.unread == 0


def test_tables_of_several_inferences_follow_one_another(calls_of):
    calls, _ = calls_of((HEAD + CONV) * 3)
    assert len(calls) == 3


def test_a_table_with_other_columns(calls_of):
    calls, _ = calls_of(
        "layerName;execStatus;realTime (ms);layerType;execType\na;OPTIMIZED_OUT;0;x;y\n"
        "b;EXECUTED;2.5;Subgraph;jit_I8\n"
    )
    assert [(call.seconds, call.operation.types) for call in calls] == [(2.5e-3, "s8")]


@pytest.mark.parametrize("time", ["", "nan", "-1", "1e99", "x"])
def test_a_line_without_a_time_is_counted(calls_of, time):
    _, reading = calls_of(HEAD + CONV + CONV.replace("4.029", time))
    assert reading.unread == 1


@pytest.mark.parametrize("line", ["a;EXEC\rUTED;x;y;1;1\n", "/c/Conv;Status.EXECUTED;Conv", "x\n"])
def test_a_line_that_is_damaged_is_counted(calls_of, line):
    calls, reading = calls_of(HEAD + CONV + line)
    assert (len(calls), reading.unread) == (1, 1)


def node(name, milliseconds, status="Status.EXECUTED"):
    return {
        "name": name, "node_type": "Convolution", "status": status, "real_time": milliseconds,
        "cpu_time": "1", "exec_type": "brgconv_f32",
    }  # fmt: skip


def test_a_report_in_json_of_several_inferences(calls_of):
    inference = {"nodes": [node("a", "1.5"), node("b", "0", "NOT_RUN")], "total_real_time": "1.5"}
    report = {"report_type": "detailed", "detailed_performance": [inference, inference]}
    calls, reading = calls_of(json.dumps(report))
    assert [(call.operation.text, call.seconds) for call in calls] == [("a", 1.5e-3)] * 2
    assert reading.nested == 2


def test_a_report_that_is_cut(calls_of):
    inference = {"nodes": [node("a", "1.5"), node("b", "2.5")]}
    text = json.dumps({"report_type": "average", "avg_performance": inference})
    calls, reading = calls_of(text[:-80])
    assert len(calls) == 1
    assert reading.unread == 1


def test_shapes_come_from_the_model(calls_of):
    model = ModelNodes()
    model.add("/c/Conv", ModelNode(True, (1, 3, 8, 8), (4, 3, 3, 3), pads=(1, 1, 1, 1)))
    calls, _ = calls_of(HEAD + CONV, model=model)
    assert calls[0].operation.text == "mb1ic3ih8oc4oh8kh3ph1"
