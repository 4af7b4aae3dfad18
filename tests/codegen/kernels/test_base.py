"""What all kernels share: the sizes of elements by pointer, and the refusal of mixed types."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from convprof.codegen import isa
from convprof.codegen.kernels.base import Kernel
from convprof.codegen.tile_list import TileKernel, TileList
from convprof.codegen.tile_pairs import KEYS, RESULTS, ROWS, PairTiles
from convprof.dtypes import F32, Types, find

LANES = isa.find("native").lanes(4)
MIXED = Types(find("f32"), find("f64"), find("f64"), find("f32"))


@dataclass(frozen=True)
class Copy(Kernel):
    def _code(self, w):
        w.store(w.load("%a"), "%c")
        return f"{w.taken()}\n"


@pytest.fixture
def mixed():
    """Return a kernel whose weights are twice as large as its source; it is not compiled."""
    return TileKernel(Copy(MIXED, LANES), None, 7000)


def test_each_offset_is_in_elements_of_its_pointer(mixed):
    tiles = TileList()
    tiles.task()
    tiles.add(mixed, 3, 3, 5)
    assert tiles.dims().tolist() == [1, 0, 1, 7000, 12, 24, 20]


def test_rows_of_tiles_too(mixed):
    same = TileKernel(Copy(F32, LANES), None, 8000)
    tiles = TileList()
    tiles.add_each([mixed, same], [[1], [2]], 10, [[3], [4]], tasks=True)
    rows = [[7000, 4, 80, 12], [8000, 4, 40, 12], [7000, 8, 80, 16], [8000, 8, 40, 16]]
    assert tiles.dims()[4:].reshape(4, 4).tolist() == rows


def test_a_pointer_that_the_kernel_does_not_take_has_no_offset(mixed):
    tiles = TileList()
    tiles.add(mixed, 3, 3, 5, 9)
    assert tiles.dims()[-5:].tolist() == [7000, 12, 24, 20, 0]


def test_tiles_of_pairs_too(mixed):
    pairs = PairTiles()
    pairs.place(mixed, (ROWS, 3), (KEYS, 3), (RESULTS, 5))
    assert pairs.rows[0].tolist() == [7000, ROWS, 12, KEYS, 24, RESULTS, 20]


def test_a_kernel_that_computes_in_one_type_refuses_more():
    with pytest.raises(ValueError, match=r"^Copy computes in one type, not f32:f64:f32$"):
        Copy(MIXED, LANES).ir()
