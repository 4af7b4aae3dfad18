from __future__ import annotations

import numpy as np
import pytest

import convprof
from convprof.dtypes import COMMON, types
from convprof.machine import facts
from convprof.problems import LayoutConversion
from convprof.problems.layouts import LAYOUTS

THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
PROBLEMS = [
    LayoutConversion(n=1, c=1, h=1, w=1),
    LayoutConversion(n=1, c=3, h=4, w=5),
    LayoutConversion(n=2, c=16, h=4, w=4),
    LayoutConversion(n=3, c=33, h=5, w=7),
    LayoutConversion(n=1, c=64, h=17, w=31),
]


@pytest.mark.parametrize("dtype", COMMON)
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("p", PROBLEMS, ids=lambda p: p.descriptor)
def test_out_of_one_layout_into_the_other(p, layout, threads, dtype):
    (spec,) = p.operands(layout, types(dtype))
    x = np.arange(1, spec.elements + 1, dtype=spec.dtype.numpy).reshape(spec.shape)
    prepared = convprof.prepare(p, "transpose", layout, threads, dtype)
    prepared.bind(x)
    prepared.run()
    axes = (0, 2, 3, 1) if layout == "nchw" else (0, 3, 1, 2)
    np.testing.assert_array_equal(prepared.output(), x.transpose(axes))
