from __future__ import annotations

import numpy as np
import pytest

import convprof
from convprof.codegen.tile_list import TileList
from convprof.problems import Conv2d
from convprof.strategies import plan as module
from convprof.strategies.plan import Stage, shared

P = {"c": 8, "k": 16, "h": 9, "w": 9, "r": 3, "s": 3, "pad": (1, 1)}


def tables(prepared):
    return [step.dims for step in prepared.plan.steps if isinstance(step, Stage)]


def test_a_list_is_made_once_as_long_as_somebody_has_it():
    first = shared("key", TileList)
    assert shared("key", TileList) is first
    assert shared("other", TileList) is not first
    del first
    assert all(key[0] != "key" for key in module._alive)


def test_a_cache_of_another_size_makes_another_list(monkeypatch):
    first = shared("key", TileList)
    monkeypatch.setattr(module, "l2_bytes", lambda: 1 << 12)
    assert shared("key", TileList) is not first


@pytest.mark.parametrize("strategy", ["microkernel", "winograd"])
def test_equal_layers_have_one_table(strategy):
    one = convprof.prepare(Conv2d(**P, name="one"), strategy, "nhwc")
    two = convprof.prepare(Conv2d(**P, name="two"), strategy, "nhwc")
    other = convprof.prepare(Conv2d(**{**P, "k": 17}), strategy, "nhwc")
    assert [id(table) for table in tables(one)] == [id(table) for table in tables(two)]
    assert not {id(table) for table in tables(one)} & {id(table) for table in tables(other)}
    assert one.executed_flops() == two.executed_flops() > 0


@pytest.mark.parametrize("strategy", ["microkernel", "winograd"])
def test_equal_layers_have_weights_of_their_own(strategy):
    p, random = Conv2d(**P), np.random.default_rng(0)
    x = random.random(p.x_shape("nhwc"), dtype=np.float32)
    weights = [random.random(p.weight_shape, dtype=np.float32) for _ in range(2)]
    both = [convprof.prepare(p, strategy, "nhwc") for _ in range(2)]
    for prepared, w in zip(both, weights, strict=True):
        prepared.bind(x, w)
    for prepared in both:
        prepared.run()
    again = convprof.prepare(p, strategy, "nhwc")
    for prepared, w in zip(both, weights, strict=True):
        again.bind(x, w)  # what is packed anew replaces all that was packed before
        again.run()
        np.testing.assert_array_equal(prepared.output(), again.output())
