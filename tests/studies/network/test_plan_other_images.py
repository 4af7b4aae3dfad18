"""Plans of networks whose values of four axes are not all images, as files have them."""

from __future__ import annotations

import pytest

from convprof.networks.steps import steps
from convprof.problems import NetworkProblem
from convprof.problems.graph import INPUT, Builder, Network
from convprof.problems.ops import (
    Activation,
    AdaptiveAverage,
    Add,
    Affine,
    Convolution,
    Pool2d,
    Reshape,
    Transpose,
)
from convprof.strategies.networks.connections import convertible
from convprof.studies.network.options import Options
from convprof.studies.network.plan import Plan


def channels_last():
    net = Builder()
    net.add("turn", Transpose((0, 3, 1, 2)))
    net.add("conv", Convolution.square(4, 3))
    return Network("channels last", (1, 8, 8, 3), tuple(net.nodes))


def channels_last_at_both_ends():
    net = Builder()
    net.add("turn", Transpose((0, 3, 1, 2)))
    net.add("conv", Convolution.square(4, 3))
    net.add("relu", Activation("relu"))
    net.add("back", Transpose((0, 2, 3, 1)))
    return Network("both ends", (1, 8, 8, 3), tuple(net.nodes))


def channel_shuffle():
    net = Builder()
    net.add("conv", Convolution.square(8, 3))
    net.add("groups", Reshape((1, 2, 4, 8, 8)))
    net.add("turn", Transpose((0, 2, 1, 3, 4)))
    net.add("back", Reshape((1, 8, 8, 8)))
    net.add("point", Convolution.square(4, 1))
    return Network("shuffle", (1, 3, 8, 8), tuple(net.nodes))


def pixel_unshuffle():
    net = Builder()
    net.add("apart", Reshape((1, 3, 4, 2, 4, 2)))
    net.add("turn", Transpose((0, 1, 3, 5, 2, 4)))
    net.add("back", Reshape((1, 12, 4, 4)))
    net.add("point", Convolution.square(4, 1))
    return Network("unshuffle", (1, 3, 8, 8), tuple(net.nodes))


def mean_of_all_axes():
    net = Builder()
    conv = net.add("conv", Convolution.square(8, 3))
    net.add("rows", Reshape((1, 1, 512, 1)))
    net.add("mean", AdaptiveAverage(1, 1))
    minus = net.add("minus", Affine(-1.0))
    net.add("centred", Add(), conv, minus)
    return Network("mean", (1, 3, 8, 8), tuple(net.nodes))


def pooling_of_one_axis():
    net = Builder()
    net.add("image", Reshape((1, 6, 1, 8)))
    net.add("pool", Pool2d(which="avg", r=1, s=2, stride=(1, 2)))
    net.add("tokens", Reshape((1, 6, 4)))
    return Network("pool of one axis", (1, 6, 8), tuple(net.nodes))


def one_value_in_both_layouts():
    net = Builder()
    turned = net.add("turn", Transpose((0, 3, 1, 2)))
    left = net.add("left", Convolution.square(4, 3), turned)
    net.add("right", Convolution.square(4, 1), turned)
    net.add("sum", Add(), net.last, left)
    return Network("both layouts", (1, 8, 8, 3), tuple(net.nodes))


EVERY = [
    channels_last,
    channels_last_at_both_ends,
    channel_shuffle,
    pixel_unshuffle,
    mean_of_all_axes,
    pooling_of_one_axis,
    one_value_in_both_layouts,
]


@pytest.mark.parametrize("build", EVERY)
def test_a_plan_has_the_time_of_every_conversion(build, settings):
    plan = Plan(NetworkProblem(build()), Options((), tune="off", fuse=True), settings, None)
    for _ in plan.events():
        pass
    found = plan.result()
    assert found.excluded == []
    names = {name for s in found.standings for name in (s.name, *s.also)}
    assert names == {"optimal", "greedy", "all nchw", "all nhwc", "as written"}
    written = {"as written"}
    assert {s.name for s in found.standings if s.predicted_s is None} <= written
    assert all(s.measurement.max_rel_error < 1e-5 for s in found.standings)


def test_only_what_is_read_in_a_layout_is_converted():
    net = Builder()
    net.add("turn", Transpose((0, 3, 1, 2)), INPUT)
    net.add("again", Transpose((0, 2, 1, 3)))
    net.add("conv", Convolution.square(4, 3))
    network = Network("turns", (1, 8, 8, 3), tuple(net.nodes))
    # "turn" is read as its shape says only: no chain converts it.
    assert convertible(network, steps(network)) == {INPUT, "again", "conv"}
