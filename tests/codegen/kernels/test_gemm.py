"""The fourth pointer of a register tile: what it packs from, or fetches from."""

from __future__ import annotations

import ctypes
import re
from dataclasses import replace

import numpy as np
import pytest

from convprof.codegen import isa as isas
from convprof.codegen.jit import Module
from convprof.codegen.kernels.gemm import Tile
from convprof.dtypes import F32
from convprof.results import NATIVE

ISA = isas.find(NATIVE)
LANES = ISA.lanes(4)
PREFETCH = re.compile(r"getelementptr float, ptr %d_now, i64 (\d+)\n  call void @llvm.prefetch")


def tile(**more):
    """Return a tile of three rows, a vector wide, over two segments of eight steps."""
    made = Tile(
        types=F32,
        lanes=LANES,
        rows=(0, 16, 32),
        segments=((0, 0), (8, 8)),
        run=8,
        vectors=1,
        b_row=LANES,
        c_rows=tuple(i * LANES for i in range(3)),
        columns=LANES,
        fused=ISA.fused,
        most_steps=4,
    )
    return replace(made, **more)


def run(made, *arrays):
    module = Module(made.ir(), ISA.without)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arrays))(module.address("tile"))
    function(*(array.ctypes.data for array in arrays))


def test_packing_goes_on_from_segment_to_segment():
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 16), (16, LANES + 3)))
    packed, c = np.zeros((16, LANES), np.float32), np.zeros((3, LANES), np.float32)
    run(tile(pack_row=LANES + 3), a, packed, c, b)
    assert np.array_equal(b[:, :LANES], packed)
    np.testing.assert_allclose(a @ b[:, :LANES], c, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("fetch_row", "expected"),
    [(0, []), (1, [0]), (4, [0]), (5, [0, 16]), (12, [0, 16, 32]), (16, [0, 16, 32, 48])],
)
def test_a_turn_fetches_whole_lines(fetch_row, expected):
    """The text of the kernel has one iteration of four steps."""
    text = tile(fetch_row=fetch_row).ir()
    assert [int(offset) for offset in PREFETCH.findall(text)] == expected


def test_fetching_leaves_the_sum_alone():
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 16), (16, LANES)))
    c = np.zeros((3, LANES), np.float32)
    run(tile(fetch_row=4), a, b, c, b)
    np.testing.assert_allclose(a @ b, c, rtol=1e-5, atol=1e-5)
