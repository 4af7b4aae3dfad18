"""The choice of register tiles for many threads: how much work the choice itself is."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.codegen import isa as isas
from convprof.codegen import tile_shares
from convprof.problems import parse
from convprof.strategies.base import Setting
from convprof.strategies.conv import dense_tiles, longest_share
from convprof.strategies.conv.dense_tiles import DensePlan
from convprof.strategies.memory import ALIASED_ROWS

pytestmark = pytest.mark.skipif(not isas.available(), reason="no kernels for this CPU")


@pytest.fixture
def evaluated(monkeypatch):
    """The blockings whose shares were computed, with nothing chosen before."""
    blockings = []
    shares = longest_share.shares

    def counted(plan, blocking):
        blockings.append(blocking)
        return shares(plan, blocking)

    monkeypatch.setattr(longest_share, "shares", counted)
    monkeypatch.setattr(dense_tiles, "_chosen", {}, raising=False)
    return blockings


def plan(text, threads):
    return DensePlan(parse(text), Setting("nhwc", threads=threads))


def test_a_batch_of_many_tiles_is_evaluated_once(evaluated):
    """28 672 groups of equal tiles for 128 threads: the first blocking is even."""
    made = plan("mb64ic64ih56oc256kh1", 128)
    assert evaluated == [made.chosen]


def test_a_choice_is_made_once(evaluated):
    made = plan("ic64ih7oc64kh1", 24)
    count = len(evaluated)
    assert count > 1  # few tiles for many threads
    assert made.blockings()[0] == plan("ic64ih7oc64kh1", 24).chosen == made.chosen
    assert len(evaluated) == count
    plan("ic64ih7oc64kh1", 23)
    assert len(evaluated) > count


def test_few_choices_are_kept(evaluated, monkeypatch):
    monkeypatch.setattr(dense_tiles, "MOST_CHOSEN", 1)
    for threads in (24, 23, 24):
        plan("ic64ih7oc64kh1", threads)
        assert len(dense_tiles._chosen) == 1
    assert evaluated


def test_groups_that_stay_whole_are_not_divided_one_by_one(monkeypatch):
    divided = []
    whole = tile_shares._divided
    monkeypatch.setattr(tile_shares, "_divided", lambda *given: divided.append(1) or whole(*given))
    tile_shares.shares(np.ones(20_000), range(0, 20_000, 2), 16)
    assert len(divided) <= 2 * 16


@pytest.mark.parametrize(
    ("text", "dtype", "aliased"),
    [
        ("mb1ic1024ih14oc64kh1", "f32", True),
        ("mb1ic512ih14oc64kh1sh2", "f32", True),
        ("mb1ic1024ih14oc64kh1sh2", "bf16", True),
        ("mb1ic1024ih14oc64kh1", "bf16", False),
        ("mb1ic1040ih14oc64kh1", "f32", False),
    ],
)
def test_pixels_of_a_tile_do_not_evict_each_other(text, dtype, aliased):
    plan = DensePlan(parse(text), Setting("nhwc", dtype))
    for vectors, rows in plan.shapes():
        tallest = plan.multiply.tile_rows(vectors, plan.isa)
        assert rows == (min(tallest, ALIASED_ROWS) if aliased else tallest)
