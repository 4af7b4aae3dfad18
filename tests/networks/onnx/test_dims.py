"""Dimensions that a file leaves open."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError


@pytest.fixture
def relu(node):
    return [node("Relu", "x")]


def test_open_dimensions_are_set(imported, relu):
    made = imported(relu, ("N", 3, "side", "side"), dims={"N": 4, "side": 32})
    assert made.network.input == (4, 3, 32, 32)


@pytest.mark.parametrize(
    ("shape", "dims", "said"),
    [
        (("N", 3, 8, 8), {}, r"input 'x' is Nx3x8x8: set N, e\.g\. dims={'N': 1}$"),
        (("N", 3, "s", "s"), {"N": 1}, r"set s, e\.g\. dims={'s': 224}$"),
        (
            (None, 3, None, 8),
            {},
            r"batchx3xheightx8: set batch and height, e\.g\. dims={'batch': 1, 'height': 224}$",
        ),
        ((None,) * 4, {}, "dims={'batch': 1, 'channels': 3, 'height': 224, 'width': 224}$"),
        (("?", 3, "?", "?"), {}, "is batchx3xheightxwidth: set batch and height and width"),
        (("None", 3, "height", "None"), {"batch": 1}, "set height and width, "),
        (("?", 3, 8, 8), {"?": 1}, r"dims={'\?': 1}: .*; open dimensions: batch$"),
        ((None, 5, None), {}, r"batchx5xdim2: set batch and dim2"),
        (("N", 3, 8, 8), {"n": 1}, r"dims={'n': 1}: input 'x' is Nx3x8x8; open dimensions: N$"),
        ((1, 3, 8, 8), {"N": 1}, r"dims={'N': 1}: .*; the file leaves none open$"),
        (("\x1b[2J", 3, 8, 8), {}, r"set '\\x1b\[2J', e\.g\."),
        (("N", 3, 8, 8), {"N": 2**31}, r"dim N=2147483648: must be at most"),
        (
            (0, 3, 8, 8),
            {},
            r"input 'x', axis 0: 0 is not a size; export it with a size of at least 1",
        ),
        ((1, 3, 8, -5), {"width": 1}, r"input 'x', axis 3: -5 is not a size"),
        ((), {}, "between 1 and 8 dimensions"),
        ((1,) * 9, {}, "between 1 and 8 dimensions"),
    ],
)
def test_errors(imported, relu, shape, dims, said):
    with pytest.raises(InputError, match=said):
        imported(relu, shape, dims=dims)


def test_a_fixed_batch_is_refused_at_the_reshape(imported, node):
    nodes = [node("Flatten", "x", "a"), node("Reshape", "a s", "b", name="fixed")]
    nodes.append(node("Gemm", "b w"))
    weights = {"s": np.array([1, 48]), "w": (48, 5)}
    with pytest.raises(InputError, match=r"Reshape node 'fixed': .*as many elements as \(1, 48\)"):
        imported(nodes, ("batch", 3, 4, 4), weights, dims={"batch": 2})


def test_sizes_of_minus_one_are_open(imported, relu):
    assert imported(relu, (-1, 3, 8, -1), dims={"batch": 2, "width": 5}).network.input == (
        2,
        3,
        8,
        5,
    )


def test_an_unnamed_dimension_next_to_one_with_the_usual_name(imported, relu):
    made = imported(relu, (None, "batch"), dims={"batch_": 2, "batch": 3})
    assert made.network.input == (2, 3)


def test_halves_are_taken_for_real_numbers(imported, relu):
    made = imported(relu, dtype=10)
    assert made.network.output == (1, 3, 8, 8)
    assert made.notes[0] == "its numbers are FLOAT16 in the file, and f32 here"


@pytest.mark.parametrize("before", [[], ["Cast"], ["Sub", "Div"], ["Shape", "Mul"]], ids=" ".join)
def test_channels_last_is_named_so(imported, node, before):
    """The graph transposes the input, maybe after it is shifted and scaled."""
    nodes, last = [], "x"
    for kind in before:
        attributes = {"to": 1} if kind == "Cast" else {}
        inputs = last if kind in ("Cast", "Shape") else f"{last} two"
        nodes.append(node(kind, inputs, f"{kind}_y", **attributes))
        last = last if kind == "Shape" else f"{kind}_y"
    nodes += [node("Transpose", last, "t", perm=[0, 3, 1, 2]), node("Conv", "t w", pads=[1] * 4)]
    weights = {"w": (4, 3, 3, 3), "two": np.float32(2)}
    dims = {"batch": 2, "height": 48, "width": 64}
    network = imported(nodes, (None, None, None, 3), weights, dims=dims).network
    assert (network.input, network.output) == ((2, 48, 64, 3), (2, 4, 48, 64))
    with pytest.raises(InputError, match=r"batchxheightxwidthx3: set width, .*'width': 224"):
        imported(nodes, (None, None, None, 3), weights, dims={"batch": 2, "height": 48})


@pytest.mark.parametrize("perm", [[0, 2, 3, 1], [0, 1, 3, 2]])
def test_other_transpositions_say_nothing_of_the_input(imported, node, perm):
    nodes = [node("Transpose", "x", "t", perm=perm), node("Relu", "t")]
    dims = {"height": 48, "width": 64}
    assert imported(nodes, (1, 3, None, None), dims=dims).network.input == (1, 3, 48, 64)
