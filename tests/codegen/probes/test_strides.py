"""The strided product reads every element once, whatever the stride."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.codegen.probes.strides import UNROLL, stride_kernel
from convprof.codegen.threads import Program, team


@pytest.mark.parametrize(("dtype", "kind"), [("f32", np.float32), ("f64", np.float64)])
@pytest.mark.parametrize("stride", [1, 2, 16, 32, 64])
def test_each_element_counts_once(dtype, kind, stride):
    run = UNROLL * 64 * 3
    a = np.arange(2 * run).astype(kind) % 7
    b = np.arange(run).astype(kind) % 5
    y = np.zeros(2, kind)
    made = stride_kernel(dtype, stride, 64 // y.itemsize)
    buffers = np.array([a.ctypes.data, b.ctypes.data, y.ctypes.data], np.int64)
    dims = np.array([run, 2], np.int64)
    program = Program([(made.address, 0, 1, buffers.ctypes.data, dims.ctypes.data)], 1)
    team(1).run(program)
    assert list(a.reshape(2, run) @ b) == list(y)  # small whole numbers: sums are exact
