from __future__ import annotations

import ctypes

import numpy as np
import pytest

from convprof.codegen import isa as isas
from convprof.codegen.kernels import transpose
from convprof.codegen.kernels.transpose import InterleaveTile
from convprof.codegen.tile_list import kernel
from convprof.dtypes import types


@pytest.mark.parametrize("name", isas.widths() or ("native",))
@pytest.mark.parametrize(("dtype", "kind"), [("f32", "f4"), ("f64", "f8")])
@pytest.mark.parametrize("count", range(1, transpose.MOST + 1))
def test_rows_become_tuples_and_tuples_rows(name, dtype, kind, count):
    isa = isas.find(name)
    for length in (1, 5, 16, 23, 64):
        rows = np.random.default_rng(0).random((count, length + 3)).astype(kind)
        both = rows[:, :length].T.ravel()
        tile = InterleaveTile(types(dtype), isa.lanes(int(kind[1])), count, length, length + 3)
        joined = np.full(length * count + 2, -1, kind)
        run(tile, isa, rows, joined)
        assert joined.tolist() == [*both.tolist(), -1, -1]
        tile = InterleaveTile(
            types(dtype), isa.lanes(int(kind[1])), count, length, length + 3, split=True
        )
        apart = np.full((count, length + 3), -1, kind)
        run(tile, isa, both, apart)
        np.testing.assert_array_equal(apart[:, :length], rows[:, :length])
        assert np.all(apart[:, length:] == -1)


def run(tile, isa, source, target):
    made = kernel(tile, isa)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(made.address)
    call(None, None, source.ctypes.data, target.ctypes.data)
