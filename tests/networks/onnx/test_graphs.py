"""Graphs that are no network here, or would cost too much to look at. One clear line each."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

from convprof.networks.onnx import load  # noqa: E402
from convprof.networks.onnx import source as onnx_source  # noqa: E402


def refusal(path):
    with pytest.raises(InputError) as error:
        load(path, {})
    text = str(error.value)
    assert text.isprintable()
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def test_unknown_operators_and_domains(save, node):
    assert refusal(save([node("LSTM", "x", name="l")])).startswith("LSTM node 'l': not supported; ")
    other = node("FusedConv", "x", name="f", domain="com.microsoft")
    assert "operators of the domain 'com.microsoft' are not supported" in refusal(save([other]))


def test_nested_graphs(save, node):
    inner = onnx.helper.make_graph([node("Relu", "x")], "inner", [], [])
    path = save([node("If", "x", then_branch=inner, else_branch=inner)])
    assert "nested graphs (If, Loop, Scan) are not supported" in refusal(path)


def test_many_nodes(save, node, monkeypatch):
    monkeypatch.setattr(onnx_source, "MOST_NODES", 2)
    nodes = [node("Relu", "x", "a"), node("Relu", "a", "b"), node("Relu", "b")]
    assert "the graph has 3 nodes; at most 2" in refusal(save(nodes))


def test_inputs_and_outputs(save, node):
    two = [node("Add", "x z")]
    assert "has 2 inputs ('x', 'z')" in refusal(save(two, inputs=("x", "z")))
    assert len(load(save([node("Relu", "x")], inputs=("x", "unused")), {}).network.nodes) == 1
    pair = [node("Relu", "x"), node("Tanh", "x", "z")]
    assert "has 2 outputs ('y', 'z')" in refusal(save(pair, outputs=("y", "z")))
    assert "no node computes the output 'q'" in refusal(save([node("Relu", "x")], outputs=("q",)))
    assert "the output is the input" in refusal(save([node("Identity", "x")]))
    constant = [node("Add", "c c")]
    assert "has 0 inputs" in refusal(save(constant, weights={"c": (4,)}))


def test_unused_branches_are_dropped(imported, node):
    nodes = [node("LSTM", "x", "dead"), node("Relu", "x", "y")]
    assert len(imported(nodes).network.nodes) == 1


def test_graphs_that_cannot_be_computed_in_order(save, node):
    cycle = [node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b")]
    assert "reads 'b', which no earlier node computes" in refusal(save(cycle))
    twice = [node("Relu", "x"), node("Tanh", "x")]
    assert "the value 'y' is computed twice" in refusal(save(twice))


def test_versions(save, node):
    relu = [node("Relu", "x")]
    assert "operator set 6: this onnx package reads 7 to" in refusal(save(relu, opset=6))
    assert "operator set 9999" in refusal(save(relu, opset=9999))
    without = save(relu, change=lambda model: model.ClearField("opset_import"))
    assert "which version of the operators" in refusal(without)


@pytest.mark.parametrize(
    "line",
    ["Add e f", "Mul e f", "Where b e f", "Min e f", "Expand one big", "ConstantOfShape big"],
)
def test_constants_cannot_grow(save, node, line):
    kind, *inputs = line.split()
    nodes = [node(kind, " ".join(inputs), "s"), node("Reshape", "x s")]
    weights = {"e": np.ones((4096, 1), int), "f": np.ones((1, 4096), int), "b": np.array(True)}
    weights["one"] = [1]
    weights["big"] = [2**31, 2**31]
    assert f"{kind} node number 1: it does not compute" in refusal(save(nodes, weights=weights))


@pytest.mark.parametrize("line", ["Div one zero", "Gather one nine", "Concat one pair", "Sqrt"])
def test_impossible_arithmetic(save, node, line):
    kind, *inputs = line.split()
    attributes = {"axis": 1} if kind == "Concat" else {}
    nodes = [node(kind, " ".join(inputs), "s", **attributes), node("Reshape", "x s")]
    weights = {"one": [1], "zero": [0], "nine": [9], "pair": [[1, 2]]}
    assert refusal(save(nodes, weights=weights)).startswith(f"{kind} node number 1: it")


def test_shapes_computed_in_the_file(imported, node):
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n axis", "n1"),
        node("Slice", "s one three", "mid"),
        node("ReduceProd", "mid", "m", keepdims=1),
        node("Concat", "n1 m rest", "t", axis=0),
        node("Reshape", "x t"),
    ]
    weights = {"zero": np.array(0), "axis": [0], "one": [1], "three": [3], "rest": [-1]}
    assert imported(nodes, (2, 3, 4, 5), weights).network.output == (2, 12, 5)


def test_a_disagreement_about_shapes_is_told(save, node, monkeypatch):
    from convprof.networks.ops import Activation

    monkeypatch.setattr(Activation, "output", lambda _, *shapes: (*shapes[0], 1))
    text = refusal(save([node("Relu", "x", name="r")]))
    assert "Relu node 'r': its result is (1, 3, 8, 8, 1) here, and (1, 3, 8, 8) to onnx" in text
