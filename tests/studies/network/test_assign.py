from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.networks.steps import steps
from convprof.problems.graph import INPUT, Builder, Network
from convprof.problems.ops import Activation, Add, Convolution
from convprof.strategies.networks.choice import LayerChoice
from convprof.studies.network import assign
from convprof.studies.network.assign import Costs

LAYOUTS = ("nchw", "nhwc")


def residual(blocks):
    net = Builder()
    net.add("stem", Convolution.square(4, 3))
    for block in range(blocks):
        begin = net.last
        net.add(f"a{block}", Convolution.square(4, 3))
        deep = net.add(f"b{block}", Convolution.square(4, 3))
        net.add(f"sum{block}", Add(), deep, begin)
    return Network("small", (1, 4, 6, 6), tuple(net.nodes))


def costs_of(found, seconds, moved):
    table = {
        step.name: {
            LayerChoice("x", "nchw"): seconds[2 * i],
            LayerChoice("x", "nhwc"): seconds[2 * i + 1],
        }
        for i, step in enumerate(found)
    }
    return Costs(table, lambda _, layout: moved[layout])


NET = residual(2)
STEPS = steps(NET)
TIMES = st.lists(st.integers(1, 20), min_size=2 * len(STEPS), max_size=2 * len(STEPS))


@given(TIMES, st.integers(0, 15), st.integers(0, 15), st.sampled_from(LAYOUTS))
def test_no_assignment_at_all_is_cheaper(seconds, there, back, layout):
    costs = costs_of(STEPS, seconds, {"nchw": there, "nhwc": back})
    found = assign.optimal(NET, STEPS, costs, layout)
    every = [
        assign.predicted(NET, STEPS, [LayerChoice("x", each) for each in chosen], costs, layout)
        for chosen in itertools.product(LAYOUTS, repeat=len(STEPS))
    ]
    assert found.seconds == min(every)
    assert found.seconds == assign.predicted(NET, STEPS, found.choices, costs, layout)


def test_greedy_takes_what_is_fastest_alone_and_pays_for_it():
    net = Builder()
    for index in range(4):
        net.add(f"c{index}", Convolution.square(4, 3))
    found = Network("small", (1, 4, 6, 6), tuple(net.nodes))
    made = steps(found)
    costs = costs_of(made, [9, 10, 10, 9, 9, 10, 10, 9], {"nchw": 5, "nhwc": 5})
    greedy = assign.greedy(found, made, costs, "nhwc")
    assert [choice.layout for choice in greedy.choices] == ["nchw", "nhwc", "nchw", "nhwc"]
    assert greedy.seconds == 4 * 9 + 4 * 5  # in, and after each layer but the last
    assert assign.optimal(found, made, costs, "nhwc").seconds == 38  # 10 + 9 + 10 + 9


def test_of_several_strategies_in_a_layout_only_the_fastest_counts():
    net = Builder()
    net.add("c", Convolution.square(4, 3))
    found = Network("small", (1, 4, 6, 6), tuple(net.nodes))
    choices = {
        LayerChoice("slow", "nhwc"): 3.0,
        LayerChoice("fast", "nhwc"): 2.0,
        LayerChoice("only", "nchw"): 1.5,
    }
    costs = Costs({"c": choices}, lambda *_: 1.0)
    route = assign.optimal(found, steps(found), costs, "nhwc")
    assert (route.choices, route.seconds) == ((LayerChoice("fast", "nhwc"),), 2.0)
    assert assign.uniform(found, steps(found), costs, "nhwc", "nchw").seconds == 3.5


def test_a_layer_without_a_choice_in_a_layout_takes_the_other():
    net = Builder()
    net.add("r", Activation("relu"), INPUT)
    found = Network("small", (1, 4, 6, 6), tuple(net.nodes))
    costs = Costs({"r": {LayerChoice("x", "nhwc"): 1.0}}, lambda *_: 2.0)
    assert assign.uniform(found, steps(found), costs, "nchw", "nchw").seconds == 5.0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_differences_nothing_is_converted(layout):
    costs = costs_of(STEPS, [7] * (2 * len(STEPS)), {"nchw": 1, "nhwc": 1})
    assert assign.optimal(NET, STEPS, costs, layout).seconds == 7 * len(STEPS)
