from __future__ import annotations

import tracemalloc

import pytest

from convprof.problems.ops import Rearranged, Slice, Transpose
from convprof.problems.places import MOST_ELEMENTS

PART = Rearranged((Slice(1, 1, 4), Transpose((2, 1, 0))))


def test_the_places_of_a_view():
    places = PART.strides((3, 5, 19))
    assert (places.shape, places.strides, places.start) == ((19, 3, 3), (1, 19, 95), 19)
    assert not places.is_dense


@pytest.mark.parametrize("rows", [2**31 - 1, MOST_ELEMENTS // 95 + 1])
def test_a_tensor_that_no_memory_holds_costs_none(rows):
    tracemalloc.start()
    try:
        assert PART.strides((rows, 5, 19)) is None
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1 << 20
