from __future__ import annotations

import ctypes

import numpy as np
import pytest

from convprof.codegen import isa as isas
from convprof.codegen.kernels.transpose import TransposeTile
from convprof.codegen.tile_list import kernel
from convprof.dtypes import types


@pytest.mark.parametrize("name", isas.widths() or ("native",))
@pytest.mark.parametrize(("dtype", "kind"), [("f32", "f4"), ("f64", "f8")])
def test_every_element_lands_in_its_place_and_nothing_else_is_written(name, dtype, kind):
    isa = isas.find(name)
    for rows, columns in ((1, 1), (5, 3), (16, 16), (16, 9), (33, 40), (126, 32)):
        tile = TransposeTile(
            types=types(dtype),
            lanes=isa.lanes(int(kind[1])),
            rows=rows,
            columns=columns,
            source_row=columns + 3,
            target_row=rows + 5,
        )
        made = kernel(tile, isa)
        source = np.random.default_rng(0).random((rows, columns + 3)).astype(kind)
        target = np.full((columns, rows + 5), -1, kind)
        call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(made.address)
        call(None, None, source.ctypes.data, target.ctypes.data)
        np.testing.assert_array_equal(source[:, :columns].T, target[:, :rows])
        assert np.all(target[:, rows:] == -1)
