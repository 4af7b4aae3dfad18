"""Ids of tokens in types that do not have all whole numbers."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.dtypes import tolerance, types
from convprof.networks.parameters import draw
from convprof.problems import Gemm, NetworkProblem
from convprof.problems.exact_results import exact_results, inexact_places, with_conversions
from convprof.problems.graph import INPUT, Builder, Network
from convprof.problems.ops import (
    Affine,
    ChosenRow,
    Compare,
    Embedding,
    Linear,
    Multiply,
    Place,
    Reshape,
)
from convprof.problems.tensors import relative_error
from convprof.problems.whole_inputs import WholeNumbers
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.networks.choice import layer_choices
from convprof.strategies.networks.recipe import Recipe
from convprof.strategies.networks.strategy import Chained

ROWS = 3000
WHOLE = (WholeNumbers("ids", 0, 6, 0, ROWS - 1, are_rows=True),)
IDS = np.array([[257, 2999, 1, 0, 2049, 514]], np.float32)


def masked(whole=WHOLE):
    """Return rows of a table times a mask that ids of at least 1 have, and a layer."""
    net = Builder()
    net.add("rows", Embedding(ROWS, 8), INPUT)
    net.add("counts", Compare("at least", 1.0), INPUT)
    net.add("low", Affine(factor=3.4e38, term=-3.4e38))
    net.add("high", Affine(factor=1 / 3.4e38, term=1.0))
    net.add("mask", Reshape((1, 6, 1)))
    net.add("masked", Multiply(), "rows", "mask")
    net.add("layer", Linear(4))
    return Network("masked", (1, 6), tuple(net.nodes), whole=whole)


def test_what_needs_no_learned_weights_stays_exact():
    assert exact_results(masked()) == {INPUT, "counts", "low", "high", "mask"}
    inner = with_conversions(masked())
    assert inner.by_name["masked"].inputs == ("rows", "mask converted")
    assert inner.by_name["rows"].inputs == (INPUT,)
    assert with_conversions(masked(whole=())) == masked(whole=())


def last_of_largest_id():
    """Return the row of each text whose id is the largest, as in exports of CLIP, and a layer."""
    net = Builder()
    rows = net.add("rows", Embedding(ROWS, 8), INPUT)
    place = net.add("end", Place(1), INPUT)
    net.add("chosen", ChosenRow(), rows, place)
    net.add("layer", Linear(4))
    return Network("chosen", (1, 6), tuple(net.nodes), whole=WHOLE)


@pytest.mark.parametrize("dtype", ["f32", "bf16", "f16"])
@pytest.mark.parametrize("build", [masked, last_of_largest_id])
def test_the_rows_of_large_ids_are_read_in_every_type(build, dtype):
    network, setting = build(), Setting("nchw", dtype, tune="off")
    if registry.find("gemm", "prepacked").why_not(Gemm(m=1, n=1, k=1), setting):
        pytest.skip("this CPU does not convert f16")
    assert inexact_places(network, types(dtype)) is None
    recipe = Recipe(network, fuse=True)
    choices = layer_choices(recipe, (), setting, "nchw")
    chain = Chained("chain", recipe, choices).prepare(NetworkProblem(network), setting)
    weights = draw(network, 0)
    chain.bind(IDS, weights)
    chain.run()
    error = relative_error(chain.output(), network.reference(IDS, weights))
    assert error < tolerance(types(dtype), 8, roundings=4)


def test_computed_rows_are_refused_in_short_floats():
    net = Builder()
    net.add("layer", Linear(6), INPUT)
    net.add("rows", Embedding(ROWS, 8))
    network = Network("computed", (1, 6), tuple(net.nodes), whole=WHOLE)
    assert inexact_places(network, types("bf16")) == network.by_name["rows"]
    assert inexact_places(network, types("f32")) is None
    assert inexact_places(masked(), types("bf16")) is None


@pytest.mark.parametrize(("classes", "refused"), [(256, False), (257, True)])
def test_places_that_bf16_has_not_are_refused_in_every_network(classes, refused):
    net = Builder()
    net.add("scores", Linear(classes), INPUT)
    net.add("class", Place(1))
    network = Network("classes", (2, 8), tuple(net.nodes))
    assert (inexact_places(network, types("bf16")) is not None) == refused
    assert inexact_places(network, types("u8:s8:s32")) is None
