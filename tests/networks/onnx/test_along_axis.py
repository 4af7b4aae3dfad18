"""CumSum, ArgMax, ArgMin, and rows that are chosen by their results."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the onnx package")


def kinds(network):
    return [node.op.kind for node in network.nodes if not node.op.is_view]


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("settings", [{}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}])
def test_running_sums(same_as_runtime, node, axis, settings):
    nodes = [node("CumSum", "x axis", **settings)]
    network = same_as_runtime(nodes, (2, 3, 4), {"axis": np.int64(axis)})
    assert kinds(network) == ["running sum"]
    assert network.flops == 24


@pytest.mark.parametrize("kind", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize(
    "settings", [{"axis": 1}, {"axis": -1, "keepdims": 0}, {"axis": 2, "select_last_index": 1}]
)
def test_places_of_extremes(same_as_runtime, node, kind, settings):
    nodes = [node("Round", "x", "r"), node(kind, "r", "p", **settings), node("Cast", "p", to=1)]
    assert kinds(same_as_runtime(nodes, (2, 5, 7)))[-1] == "place"


def row_of_each(node, positions="items p"):
    """Return nodes that take one row of each item, as exports of CLIP do."""
    return [
        node("ReduceMean", "x", "m", axes=[2], keepdims=0),
        node("ArgMax", "m", "p", axis=1),
        node("Concat", positions, "at", axis=1),
        node("GatherND", "x at"),
    ]


def test_a_row_of_each_item(same_as_runtime, node):
    network = same_as_runtime(row_of_each(node), (3, 4, 6), {"items": np.arange(3)[:, None]})
    assert kinds(network)[-1] == "chosen row"
    assert "opaque" not in kinds(network)


def test_rows_of_other_items_stay_opaque(imported, node):
    items = np.array([[0], [2], [1]])
    network = imported(row_of_each(node), (3, 4, 6), {"items": items}).network
    assert kinds(network)[-1] == "opaque"


@pytest.mark.parametrize("positions", ["p", "items p p"])
def test_other_elements_by_computed_positions_stay_opaque(imported, node, positions):
    items = {"items": np.arange(3)[:, None]}
    network = imported(row_of_each(node, positions), (3, 4, 6), items).network
    assert kinds(network)[-1] == "opaque"


def test_numbers_of_chosen_rows_are_limited_to_them(imported, node):
    nodes = [
        node("Gather", "table x", "e"),
        node("Slice", "x zero one one", "p"),
        node("Concat", "items p", "at", axis=1),
        node("GatherND", "e at"),
    ]
    constants = {"zero": [0], "one": [1], "items": np.arange(2)[:, None], "table": (10, 4)}
    network = imported(nodes, (2, 5), constants, dtype=7).network
    assert kinds(network)[-1] == "chosen row"
    first, others = network.whole
    assert (first.places, first.least, first.most) == ((0,), 0, 4)
    assert (others.places, others.most) == ((1, 2, 3, 4), 9)


def test_the_numbers_of_a_huge_image_are_not_counted(imported, node):
    network = imported([node("Relu", "x")], (1, 3, 2**22, 2**22)).network
    assert network.whole == ()
