"""Tiles of a panel of weights fetch the next panel."""

from __future__ import annotations

import numpy as np
import pytest

import convprof
from convprof.dtypes import F32
from convprof.problems import BackwardData, Conv2d
from convprof.problems.epilogue import Epilogue
from convprof.strategies import plan
from convprof.strategies.base import Setting
from convprof.strategies.conv import dense_tiles, register_tiles, winograd
from convprof.strategies.conv.dense_tiles import DensePlan
from convprof.strategies.conv.fetching import Fetching

SMALL = 4 << 10
"""Bytes of a second-level cache that few weights fit."""
LAYERS = [
    Conv2d(c=24, k=130, h=7, w=7, r=3, s=3, pad=(1, 1)),
    Conv2d(c=40, k=96, h=9, w=5, r=1, s=1, epilogue=Epilogue(bias=True, add=True, function="relu")),
    Conv2d(n=2, c=16, k=64, h=11, w=11, r=3, s=3, stride=(2, 2), pad=(1, 1)),
    Conv2d(c=32, k=160, h=6, w=6, r=3, s=3, groups=2),
]


def shrink(monkeypatch):
    for module in (dense_tiles, register_tiles, winograd, plan):
        monkeypatch.setattr(module, "l2_bytes", lambda: SMALL)


@pytest.fixture
def _small(monkeypatch):
    shrink(monkeypatch)


def test_a_tile_fetches_as_much_as_it_works():
    fetching = Fetching(panel=1200, work=100 * 12)  # 12 rows, 100 steps
    assert [fetching.each_step(rows) for rows in (1, 4, 7)] == [1, 4, 7]
    fetching.begin(5000, 1200)
    assert fetching.take(2, 400).tolist() == [5000, 5400]
    assert fetching.take(1, 700).tolist() == [5500]  # not beyond the panel
    fetching.begin(6200, 300)
    assert fetching.take(1, 400).tolist() == [6200]


def fetched(plan):
    """Return for each panel, by its start, the elements that its tiles fetch."""
    dims = plan.build()
    table = dims[int(dims[0]) + 2 :].reshape(plan.tiles.count, -1)
    tiles = {made.address: made.tile for made in plan.tiles.uses}
    by_panel = {}
    for address, _, b, _, d, *_ in table.tolist():
        tile = tiles[address]
        first = d // plan.types.weights.bytes
        steps = tile.run * len(tile.segments)
        seen = by_panel.setdefault(b // plan.types.weights.bytes, set())
        seen |= set(range(first, first + steps * tile.fetch_row))
    return by_panel


@pytest.mark.parametrize("p", LAYERS, ids=lambda p: p.descriptor)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("_small")
def test_the_next_panel_is_fetched_while_one_is_in_use(p, threads):
    plan = DensePlan(p, Setting(layout="nhwc", threads=threads))
    assert plan.weights_far
    panels = plan.panels()
    last = {len(panels) * (member + 1) // threads - 1 for member in range(threads)}
    by_panel = fetched(plan)
    for number, panel in enumerate(panels):
        following = panels[number + 1] if number not in last else panel
        start = plan.panel_start(following)
        needed = set(range(start, start + plan.panel_elements(following)))
        assert needed <= by_panel[plan.panel_start(panel)]


def outcome(problem, name, threads):
    prepared = convprof.prepare(problem, name, "nhwc", threads=threads)
    rng = np.random.default_rng(3)
    shapes = tuple(spec.shape for spec in problem.operands("nhwc", F32))
    prepared.bind(*(rng.standard_normal(shape).astype(np.float32) for shape in shapes))
    prepared.run()
    return prepared.output().copy()


@pytest.mark.parametrize("name", ["microkernel", "winograd"])
@pytest.mark.parametrize("p", LAYERS, ids=lambda p: p.descriptor)
def test_far_weights_give_the_same_result(name, p, monkeypatch):
    if name == "winograd" and (p.r, p.stride, p.groups) != (3, (1, 1), 1):
        pytest.skip("winograd refuses it")
    near = outcome(p, name, 1)
    shrink(monkeypatch)
    for threads in (1, 2):
        np.testing.assert_allclose(outcome(p, name, threads), near, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("p", [LAYERS[0], LAYERS[2]], ids=lambda p: p.descriptor)
def test_far_weights_give_the_same_gradient(p, monkeypatch):
    near = outcome(BackwardData(p), "microkernel", 1)
    shrink(monkeypatch)
    for threads in (1, 2):
        far = outcome(BackwardData(p), "microkernel", threads)
        np.testing.assert_allclose(far, near, rtol=1e-3, atol=1e-3)
