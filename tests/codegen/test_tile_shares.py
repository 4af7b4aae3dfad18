"""Tiles divided among threads: each once, equal work, in order where possible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.codegen.tile_shares import shares


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=6), st.integers(1, 40)
)
def test_every_tile_belongs_to_one_thread(groups, threads):
    costs = np.array([float(cost) for group in groups for cost in group])
    starts = np.cumsum([0, *map(len, groups)])[:-1].tolist()
    divided = shares(costs, starts, threads)
    assert len(divided.tiles) == threads
    assert sorted(np.concatenate(divided.tiles).tolist()) == list(range(len(costs)))
    assert divided.longest >= divided.mean
    work = [costs[own].sum() for own in divided.tiles]
    assert max(work) == pytest.approx(divided.longest)


def test_whole_groups_stay_together():
    divided = shares(np.ones(12), [0, 3, 6, 9], 2)
    assert [own.tolist() for own in divided.tiles] == [list(range(6)), list(range(6, 12))]


def test_a_group_is_cut_in_order_where_its_tiles_are_small():
    divided = shares(np.ones(100), [0], 4)
    assert [own.tolist() for own in divided.tiles] == [
        list(range(start, start + 25)) for start in range(0, 100, 25)
    ]


def test_the_largest_tiles_go_first_where_no_cut_is_even():
    """13, 12 and four of 5 … in order, the first share would be 25 of 48."""
    costs = np.array([13.0, 12.0, 5.0, 5.0, 5.0, 5.0, 1.0, 1.0, 1.0])
    assert shares(costs, [0], 2).balance > 0.99


def test_more_threads_than_tiles():
    divided = shares(np.array([2.0, 2.0]), [0], 4)
    assert [len(own) for own in divided.tiles].count(0) == 2
    assert divided.balance == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("threads", "groups", "tiles"), [(8, 1792, 4), (16, 2000, 4), (8, 1000, 1), (128, 28672, 4)]
)
def test_many_equal_groups_are_shared_out_evenly(threads, groups, tiles):
    """No share ends before its room is full: what it lacked would be on the last shares."""
    divided = shares(np.ones(groups * tiles), range(0, groups * tiles, tiles), threads)
    assert divided.balance >= 0.99
