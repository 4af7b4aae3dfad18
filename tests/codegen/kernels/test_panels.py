"""Columns of a matrix copied into a panel."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from convprof.codegen import isa
from convprof.codegen.kernels.transpose import CopyPanel
from convprof.codegen.tile_list import kernel
from convprof.dtypes import F32


@pytest.mark.parametrize("name", isa.widths() or ("native",))
@pytest.mark.parametrize(("columns", "filled"), [(1, True), (16, True), (37, True), (37, False)])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_columns_are_copied_scaled_and_filled_up_with_zeros(columns, filled, scale, name):
    found = isa.find(name)
    lanes = found.lanes(4)
    width = -(-columns // lanes) * lanes if filled else columns
    a = np.random.default_rng(0).random((6, columns + 3)).astype("f4")
    c = np.full((7, width), np.nan, "f4")
    tile = CopyPanel(
        types=F32, lanes=lanes, rows=6, columns=columns, width=width, row=columns + 3,
        scale=scale,
    )  # fmt: skip
    made = kernel(tile, found)
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(made.address)
    run(a.ctypes.data, None, c.ctypes.data)
    expected = a[:, :columns] * np.float32(scale)
    np.testing.assert_array_equal(expected, c[:6, :columns])
    assert (c[:6, columns:] == 0).all()
    assert np.isnan(c[6]).all()
