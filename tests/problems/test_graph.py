from __future__ import annotations

import pytest

from convprof.errors import ProblemError
from convprof.problems import Conv2d
from convprof.problems.graph import INPUT, Builder, Network, Node
from convprof.problems.ops import Activation, Add, Convolution, Flatten, Linear, Pool2d

RELU = Activation("relu")


def test_shapes_follow_from_the_input():
    net = Builder()
    conv = net.add("conv", Convolution.square(8, 3, stride=2))
    net.add("relu", RELU)
    net.add("sum", Add(), net.last, conv)
    whole = Network("some", (2, 3, 10, 12), tuple(net.nodes))
    assert whole.shapes == {
        INPUT: (2, 3, 10, 12),
        "conv": (2, 8, 5, 6),
        "relu": (2, 8, 5, 6),
        "sum": (2, 8, 5, 6),
    }
    assert whole.output == (2, 8, 5, 6)
    conv, relu, both = whole.nodes
    assert [node.inputs for node in whole.nodes] == [("input",), ("conv",), ("relu", "conv")]
    assert whole.reads(both) == ((2, 8, 5, 6), (2, 8, 5, 6))
    assert whole.problem(relu) is None
    expected = Conv2d(n=2, c=3, h=10, w=12, k=8, r=3, s=3, stride=(2, 2), pad=(1, 1))
    assert whole.problem(conv) == expected


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "a network needs at least one operation"),
        ([Node("a", RELU, ("b",))], "a: reads 'b', which no earlier node computes"),
        ([Node("a", RELU, ("a",))], "a: reads 'a', which no earlier node computes"),
        ([Node("a", RELU, (INPUT,)), Node("a", RELU, (INPUT,))], "a: the name occurs twice"),
        ([Node(INPUT, RELU, (INPUT,))], "input: the name occurs twice"),
        ([Node("a", Add(), (INPUT,))], "a: add: number of inputs 1, must be 2"),
        ([Node("a", RELU, ())], "a: relu: number of inputs 0, must be 1"),
        (
            [Node("p", Pool2d.square("max", 9, stride=1), (INPUT,))],
            "p: max 9x9: cannot read 1x3x8x8; the window does not fit; use a larger image",
        ),
        (
            [Node("f", Flatten(), (INPUT,)), Node("c", Convolution.square(4, 3), ("f",))],
            "c: conv 3x3: cannot read 1x192; it needs an image (n, c, h, w)",
        ),
        ([Node("l", Linear(4), (INPUT,))], "l: linear: cannot read 1x3x8x8; it needs features"),
    ],
)
def test_what_is_no_network(nodes, message):
    with pytest.raises(ProblemError) as caught:
        Network("some", (1, 3, 8, 8), tuple(nodes))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (1, 3, -8, 8), (2**31, 3, 8, 8), (2**20,) * 4])
def test_impossible_inputs(shape):
    with pytest.raises(ProblemError):
        Network("some", shape, (Node("a", RELU, (INPUT,)),))


def test_a_result_too_large_for_any_memory_is_refused():
    deep = Convolution.square(2**30, 1)
    with pytest.raises(ProblemError, match=r"^deep: .* more than 2\*\*48 elements"):
        Network("some", (1, 1, 2**10, 2**10), (Node("deep", deep, (INPUT,)),))


def test_the_minibatch_of_a_graph_is_free():
    nodes = (Node("f", Flatten(), (INPUT,)), Node("l", Linear(4), ("f",)))
    assert Network("some", (7, 3, 2, 2), nodes).output == (7, 4)
