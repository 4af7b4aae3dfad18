"""Graphs that are no network here, or would cost too much to look at. One clear line each."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

from refusals import refusal  # noqa: E402

from convprof.networks.onnx import load  # noqa: E402
from convprof.networks.onnx import source as onnx_source  # noqa: E402


def test_unknown_operators_and_domains(save, node):
    other = node("NonZero", "x", name="z")
    assert refusal(save([other])).startswith("NonZero node 'z': not supported; supported are ")
    other = node("NhwcMaxPool", "x", name="f", domain="com.microsoft")
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
    assert len(load(save([node("Relu", "x")], inputs=("x", "unused")), {}).network.nodes) == 1
    assert "no node computes the output 'q'" in refusal(save([node("Relu", "x")], outputs=("q",)))
    assert "the output is the input" in refusal(save([node("Identity", "x")]))
    constant = [node("Add", "c c")]
    assert "the outputs depend on no input" in refusal(save(constant, weights={"c": (4,)}))


def test_the_first_of_several_results_may_have_no_name(imported):
    split = onnx.helper.make_node("Split", ["x"], ["", "y"], axis=1)
    assert imported([split], (1, 4, 8, 8), opset=13).network.output == (1, 2, 8, 8)


def test_a_constant_without_a_name_is_refused(save, node):
    value = onnx.numpy_helper.from_array(np.ones(3, np.float32))
    constant = onnx.helper.make_node("Constant", [], ["", "c"], value=value)
    assert "Constant node number 1: it has no output" in refusal(
        save([constant, node("Add", "x c")])
    )


def foreign_nodes(node):
    """Return nodes that no network here can have, by what is foreign."""
    inner = onnx.helper.make_graph([node("Relu", "x", "i")], "inner", [], [])
    return {
        "nested graph": node("If", "x", "dead", then_branch=inner, else_branch=inner),
        "domain": node("Magic", "x", "dead", domain="com.acme"),
        "type": node("Optional", "", "dead", type=onnx.helper.make_tensor_type_proto(1, [1])),
        "operator": node("NonZero", "x", "dead"),
        "many numbers": node("Magic", "x", "dead", numbers=[1] * 5000),
        "no result": node("Magic", "x", ""),
    }


@pytest.mark.parametrize(
    "what", ["nested graph", "domain", "type", "operator", "many numbers", "no result"]
)
def test_unused_branches_are_dropped_whatever_they_hold(imported, node, what):
    nodes = [foreign_nodes(node)[what], node("Relu", "x", "y")]
    assert [each.op.kind for each in imported(nodes).network.nodes] == ["activation"]


def test_unused_weights_may_be_foreign(imported, node):
    def foreign(model):
        model.graph.initializer.add(name="text", data_type=onnx.TensorProto.STRING, dims=[-3])
        sparse = model.graph.sparse_initializer.add()
        sparse.values.name = "unused"

    assert len(imported([node("Relu", "x")], change=foreign).network.nodes) == 1


def test_names_in_unused_branches_are_checked(save, node):
    twice = [node("Magic", "x", "y", domain="com.acme"), node("Relu", "x")]
    assert "the value 'y' is computed twice" in refusal(save(twice))


def test_sparse_weights_that_are_used_are_refused(save, node):
    def sparse(model):
        model.graph.sparse_initializer.add().values.name = "w"

    path = save([node("Add", "x w")], change=sparse)
    assert "tensor 'w': sparse weights are not supported" in refusal(path)


def test_graphs_that_cannot_be_computed_in_order(save, node):
    cycle = [node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b")]
    assert "reads 'b', which no earlier node computes" in refusal(save(cycle))
    twice = [node("Relu", "x"), node("Tanh", "x")]
    assert "the value 'y' is computed twice" in refusal(save(twice))


def test_versions(save, node):
    relu = [node("Relu", "x")]
    assert "operator set 5: this onnx package reads 6 to" in refusal(save(relu, opset=5))
    assert "operator set 9999" in refusal(save(relu, opset=9999))
    without = save(relu, change=lambda model: model.ClearField("opset_import"))
    assert "does not say which version of the operators" in refusal(without)


def opsets(*entries):
    """Return what gives a model these entries: pairs of a domain and a version."""

    def change(model):
        model.ClearField("opset_import")
        model.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in entries)

    return change


@pytest.mark.parametrize("entries", [
    [("", 17), ("", 17)], [("", 17), ("ai.onnx", 17)], [("ai.onnx", 17)],
    [("com.acme", 1), ("", 17), ("ai.onnx", 17), ("", 17)],
])  # fmt: skip
def test_equal_versions_are_one(imported, node, entries):
    nodes = [node("Relu", "x", "a"), node("Tanh", "a", domain="ai.onnx")]
    assert len(imported(nodes, change=opsets(*entries)).network.nodes) == 2


def test_unequal_versions_are_refused_with_the_reason(save, node):
    path = save([node("Relu", "x")], change=opsets(("", 17), ("ai.onnx", 12)))
    assert "more than one version of the standard operators: 12 and 17;" in refusal(path)


@pytest.mark.parametrize(
    "line",
    ["Add e f", "Mul e f", "Where b e f", "Min e f", "Expand one big", "Tile one big"],
)
def test_constants_cannot_grow(save, node, line):
    kind, *inputs = line.split()
    nodes = [node(kind, " ".join(inputs), "s"), node("Reshape", "x s")]
    weights = {"e": np.ones((4096, 1), int), "f": np.ones((1, 4096), int), "b": np.array(True)}
    weights["one"] = [1]
    weights["big"] = [2**31, 2**31]
    assert "node number" in refusal(save(nodes, weights=weights))


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


def test_a_disagreement_about_shapes_is_reported(save, node, monkeypatch):
    from convprof.problems.ops import Activation

    monkeypatch.setattr(Activation, "output", lambda _, *shapes: (*shapes[0], 1))
    text = refusal(save([node("Relu", "x", name="r")]))
    assert "Relu node 'r': its result is (1, 3, 8, 8, 1) here, and (1, 3, 8, 8) to onnx" in text
