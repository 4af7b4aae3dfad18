from __future__ import annotations

import pytest

from convprof.networks.steps import steps
from convprof.problems import LayoutConversion, Operation
from convprof.problems.graph import INPUT, Builder, Network
from convprof.problems.ops import (
    Activation,
    AdaptiveAverage,
    Add,
    Concat,
    Convolution,
    Flatten,
    Linear,
    SelectToken,
    Slice,
    Tokens,
)
from convprof.strategies.networks.choice import LayerChoice
from convprof.strategies.networks.connections import Tensor, View, connect, view_start


def made(net, layouts, shape=(1, 4, 6, 6), given="nhwc"):
    found = Network("small", shape, tuple(net.nodes))
    return connect(found, steps(found), [LayerChoice("auto", layout) for layout in layouts], given)


def test_no_conversion_where_layouts_agree():
    net = Builder()
    net.add("a", Convolution.square(4, 3))
    net.add("r", Activation("relu"))
    found = made(net, ["nhwc", "nhwc"])
    assert [link.name for link in found.links] == ["a", "r"]
    assert found.result == Tensor("r", "nhwc")
    assert found.conversions == []


def test_a_conversion_where_they_differ_and_one_back_at_the_end():
    net = Builder()
    net.add("a", Convolution.square(4, 3))
    net.add("r", Activation("relu"))
    found = made(net, ["nhwc", "nchw"])
    assert [link.name for link in found.links] == ["a", "a to nchw", "r", "r to nhwc"]
    assert found.links[1].problem == LayoutConversion(n=1, c=4, h=6, w=6)
    assert (found.links[1].layout, found.links[3].layout) == ("nhwc", "nchw")


def test_a_result_is_converted_once_for_all_its_readers():
    net = Builder()
    net.add("a", Convolution.square(4, 3))
    net.add("b", Convolution.square(4, 3), "a")
    net.add("c", Convolution.square(4, 3), "a")
    net.add("sum", Add(), "b", "c")
    found = made(net, ["nhwc", "nchw", "nchw", "nchw"])
    assert [link.name for link in found.conversions] == ["a to nchw", "sum to nhwc"]


def test_flatten_of_one_pixel_is_a_view_in_both_layouts():
    net = Builder()
    net.add("pool", AdaptiveAverage(1, 1))
    net.add("flat", Flatten())
    net.add("fc", Linear(3))
    for layout in ("nchw", "nhwc"):
        found = made(net, [layout] * 3, given=layout)
        assert [link.name for link in found.links] == ["pool", "fc"]
        assert found.views == {Tensor("flat", "nchw"): View(Tensor("pool", layout), 0)}


def operation(op, *inputs, laid_out=False):
    return Operation(op=op, inputs=inputs, laid_out=laid_out)


@pytest.mark.parametrize(
    ("problem", "nchw", "nhwc"),
    [
        (operation(Flatten(), (2, 3, 4, 5), laid_out=True), 0, None),
        (operation(Flatten(), (2, 1, 4, 5), laid_out=True), 0, 0),
        (operation(Tokens(), (2, 3, 4, 5), laid_out=True), None, 0),
        (operation(SelectToken(2), (1, 5, 7)), 14, 14),
        (operation(SelectToken(0), (2, 5, 7)), None, None),
        (operation(Slice(1, 2, 3), (1, 4, 2, 2), laid_out=True), 8, None),
        (operation(Slice(0, 1, 2), (3, 4, 2, 2), laid_out=True), 16, 16),
        (operation(Concat(1), (1, 4), (1, 4)), None, None),
    ],
)
def test_where_a_view_begins(problem, nchw, nhwc):
    assert (view_start(problem, "nchw", ""), view_start(problem, "nhwc", "")) == (nchw, nhwc)


def test_the_input_can_be_in_the_other_layout():
    net = Builder()
    net.add("a", Convolution.square(4, 3))
    found = made(net, ["nhwc"], given="nchw")
    assert [link.name for link in found.links] == [f"{INPUT} to nhwc", "a", "a to nchw"]
