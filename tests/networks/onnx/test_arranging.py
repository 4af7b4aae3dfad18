"""Operators that rearrange, select or do nothing."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError, ProblemError
from convprof.measure.operands import normal_input
from convprof.problems.ops import (
    ClassToken,
    Concat,
    Embedding,
    Reshape,
    SelectToken,
    Slice,
    Tokens,
    Transpose,
)
from convprof.problems.whole_inputs import WholeNumbers, check


@pytest.mark.parametrize("via", ["reshape", "transpose"])
def test_tokens(ops, node, via):
    if via == "reshape":
        nodes = [node("Reshape", "x s", "a"), node("Transpose", "a", perm=[0, 2, 1])]
    else:
        nodes = [node("Transpose", "x", "a", perm=[0, 2, 3, 1]), node("Reshape", "a s")]
    shape = [0, 0, -1] if via == "reshape" else [0, -1, 3]
    assert ops(nodes, weights={"s": shape}) == [Tokens()]


@pytest.mark.parametrize("count", [1, 2])
def test_class_token_and_the_choice_of_it(ops, node, count):
    nodes = [node("Expand", "c e", "k"), node("Concat", "k x", "j", axis=1)]
    nodes.append(node("Gather", "j first", axis=1))
    weights = {"c": (1, 1, 6), "e": [count, -1, -1], "first": np.array(0)}
    weights["e"] = np.array([count, 1, 6])
    assert ops(nodes, (count, 5, 6), weights) == [ClassToken(), SelectToken(0)]


def test_concat(ops, node):
    nodes = [node("Relu", "x", "a"), node("Concat", "x a", axis=-3)]
    assert ops(nodes)[-1] == Concat(1)


@pytest.mark.parametrize("opset", [9, 17])
def test_slices(ops, node, opset):
    if opset == 9:
        cut = node("Slice", "x", starts=[1, -3], ends=[2**31, -1], axes=[1, 3])
    else:
        cut = node("Slice", "x s e a")
    weights = {"s": [1, -3], "e": [2**62, -1], "a": [1, 3]}
    assert ops([cut], weights=weights, opset=opset) == [Slice(1, 1, 3), Slice(3, 5, 7)]


def test_a_slice_of_unequal_numbers(imported, node):
    weights = {"s": [1], "e": [3], "two": [2, 2]}
    with pytest.raises(InputError, match="equally many"):
        imported([node("Slice", "x s e two")], weights=weights)


def test_a_long_axis_backwards_is_opaque_before_its_elements_are_listed(imported, node):
    ends = {"s": [-1], "e": [-(2**40)], "a": [1], "t": [-1]}
    weights = {name: np.array(numbers) for name, numbers in ends.items()}
    (only,) = imported([node("Slice", "x s e a t")], (1, 2**31 - 1), weights).network.nodes
    assert only.op.text == "Slice (opaque)"


@pytest.mark.parametrize(
    ("opset", "inputs", "attributes", "ends"),
    [
        (17, "x", {}, [2, 4]),
        (18, "x", {"num_outputs": 2}, [2, 4]),
        (17, "x sizes", {}, [1, 4]),
        (11, "x", {"split": [3, 1]}, [3, 4]),
    ],
)
def test_split(ops, node, *, opset, inputs, attributes, ends):
    nodes = [node("Split", inputs, "a b", axis=1, **attributes), node("Concat", "b a", axis=1)]
    made = ops(nodes, (1, 4, 2, 2), {"sizes": [1, 3]}, opset=opset)
    assert made == [Slice(1, 0, ends[0]), Slice(1, ends[0], ends[1]), Concat(1)]


def test_pieces_without_a_reader(ops, node):
    assert ops([node("Split", "x", "a y b", axis=1)]) == [Slice(1, 1, 2)]


@pytest.mark.parametrize("sizes", [[1, 1], [4, -1], [1, 2, 0]])
def test_impossible_pieces(imported, node, sizes):
    outputs = " ".join("yab"[: len(sizes)])
    with pytest.raises(InputError, match="cannot be split"):
        imported([node("Split", "x sizes", outputs, axis=1)], weights={"sizes": sizes})


def test_gathered_neighbours(ops, node):
    assert ops([node("Gather", "x i", axis=1)], weights={"i": [1, 2]}) == [Slice(1, 1, 3)]


def test_an_index_out_of_range(imported, node):
    with pytest.raises(InputError, match="Gather node"):
        imported([node("Gather", "x i", axis=1)], weights={"i": [9]})


def test_embeddings(imported, node):
    nodes = [node("Gather", "table x")]
    network = imported(nodes, (1, 5), {"table": (10, 4)}, dtype=7).network
    assert [each.op for each in network.nodes] == [Embedding(10, 4)]
    assert network.whole == (WholeNumbers("x", 0, 5, 0, 9, are_rows=True),)
    with pytest.raises(InputError, match="rows must be whole numbers"):
        imported(nodes, (1, 5), {"table": (10, 4)})


def test_each_number_of_an_input_has_the_limits_of_the_tables_that_it_is_looked_up_in(
    imported, node
):
    nodes = [
        node("Split", "x", "w t", axis=2),
        node("Gather", "words w", "a"),
        node("Slice", "t begin end axis", "s"),
        node("Gather", "types s", "b"),
        node("Concat", "a b", axis=1),
    ]
    tables = {"words": (10, 4), "types": (3, 4)}
    network = imported(
        nodes, (2, 3, 2), {**tables, "begin": [1], "end": [3], "axis": [1]}, dtype=7
    ).network
    unread, types, words = network.whole
    assert (unread.places, unread.are_rows) == ((1,), False)
    assert (types.places, types.most) == ((3, 5), 2)
    assert (words.places, words.most) == ((0, 2, 4), 9)
    x = normal_input(network, 0)
    check(network.whole, x)
    assert x[:, 0, 1].tolist() == [1, 1]
    x[1, 2, 1] = 3
    with pytest.raises(ProblemError, match="'x' has 3: its numbers are 0 to 2; they number"):
        check(network.whole, x)


def test_a_table_of_other_axes(imported, node):
    imported_ = imported([node("Gather", "table x", axis=0)], (2, 3), {"table": (7, 2, 2)}, dtype=6)
    assert imported_.network.output == (2, 3, 2, 2)
    opaque = imported([node("Gather", "table x", axis=1)], (2, 3), {"table": (7, 9)}, dtype=7)
    assert [each.op.text for each in opaque.network.nodes] == ["Gather (opaque)"]


def test_chained_shapes_are_one(ops, node):
    nodes = [
        node("Unsqueeze", "x zero", "a"),
        node("Reshape", "a s", "b"),
        node("Squeeze", "b zero", "c"),
        node("Transpose", "c", "d", perm=[1, 0]),
        node("Transpose", "d", "e", perm=[1, 0]),
        node("Relu", "e"),
    ]
    made = ops(nodes, (4, 6), {"zero": [0], "s": [1, 3, 8]})
    assert [op.kind for op in made] == ["reshape", "activation"]


def test_axes_as_attributes(ops, node):
    nodes = [node("Unsqueeze", "x", "a", axes=[1]), node("Relu", "a", "b")]
    assert ops([*nodes, node("Squeeze", "b", axes=[1])], (4, 6), opset=11)[0] == Reshape((4, 1, 6))


@pytest.mark.parametrize("axes", [[0, 0], [5], [-9]])
def test_impossible_axes(imported, node, axes):
    with pytest.raises(InputError, match="Unsqueeze node"):
        imported([node("Unsqueeze", "x a")], (4, 6), {"a": axes})


def test_moving_axes_of_one_is_a_reshape(ops, node):
    assert ops([node("Transpose", "x", perm=[1, 0, 2])], (1, 5, 6)) == [Reshape((5, 1, 6))]
    assert ops([node("Transpose", "x", perm=[1, 0, 2])], (2, 5, 6)) == [Transpose((1, 0, 2))]


@pytest.mark.parametrize("perm", [[0, 0, 1], [0, 1], [0, 1, 5]])
def test_impossible_permutations(imported, node, perm):
    with pytest.raises(InputError, match="Transpose node"):
        imported([node("Transpose", "x", perm=perm)], (2, 5, 6))


def test_what_does_nothing_is_noted(imported, node):
    nodes = [
        node("Identity", "x", "a"),
        node("Dropout", "a", "b"),
        node("Cast", "b", "c", to=1),
        node("Dropout", "c", "d"),
        node("Relu", "d"),
    ]
    made = imported(nodes)
    assert len(made.network.nodes) == 1
    assert made.notes == ("left out: 1 Cast, 2 Dropout, 1 Identity",)


def test_casts_of_real_numbers_to_whole_ones_are_opaque(ops, node):
    found = ops([node("Cast", "x", "a", to=7), node("Cast", "a", "b", to=1), node("Relu", "b")])
    assert [op.text for op in found] == ["Cast (opaque)", "relu"]


def test_a_dropout_for_training_is_refused(imported, node):
    with pytest.raises(InputError, match="export the model for inference"):
        imported([node("Dropout", "x r t")], weights={"r": np.float32(0.5), "t": np.array(True)})
