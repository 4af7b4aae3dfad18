from __future__ import annotations

import numpy as np
import pytest

from convprof.codegen import isa as isas
from convprof.dtypes import COMMON, DTYPES
from convprof.problems import LayoutConversion
from convprof.strategies.base import Setting
from convprof.strategies.plan import Buffer, Plan, X, Y
from convprof.strategies.plan_runner import PlanRunner
from convprof.strategies.transposition import transpose_stage, transposed

SHAPES = [(1, 1, 1), (2, 3, 40), (2, 40, 3), (1, 4, 4), (3, 5, 17), (1, 200, 130), (2, 16, 300)]


@pytest.mark.parametrize("isa", isas.widths() or ("native",))
@pytest.mark.parametrize("dtype", COMMON)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_matrix_is_transposed(shape, dtype, isa):
    n, rows, columns = shape
    for threads in (1, 2):
        setting = Setting("nchw", dtype, threads, isa=isa)
        plan = Plan(steps=[transpose_stage("turn", X, Y, Buffer(shape, DTYPES[dtype]), setting)])
        problem = LayoutConversion(n=n, c=rows, h=1, w=columns)
        prepared = PlanRunner("turn", problem, setting, plan)
        x = np.arange(n * rows * columns, dtype=DTYPES[dtype].numpy).reshape(shape)
        prepared.bind(x.reshape(n, rows, 1, columns))
        prepared.run()
        np.testing.assert_array_equal(prepared.output()[:, 0], x.transpose(0, 2, 1))


@pytest.mark.parametrize("threads", [2, 8, 64])
@pytest.mark.parametrize("shape", [(1, 64, 3136), (1, 2048, 49), (1, 3, 50176), (1, 50176, 3)])
def test_all_threads_find_work(shape, threads):
    stage = transpose_stage(
        "turn", X, Y, Buffer(shape, DTYPES["f32"]), Setting("nchw", "f32", threads)
    )
    assert stage.tasks >= 2 * threads


def test_what_is_smaller_than_a_vector_is_one_task():
    assert (
        transpose_stage(
            "turn", X, Y, Buffer((1, 3, 2), DTYPES["f32"]), Setting("nchw", "f32", 64)
        ).tasks
        == 1
    )


@pytest.mark.parametrize("dtype", COMMON)
@pytest.mark.parametrize("shape", SHAPES)
def test_arrays_are_transposed_at_once(shape, dtype):
    n, rows, columns = shape
    x = np.arange(n * rows * columns, dtype=DTYPES[dtype].numpy).reshape(shape)
    target = np.full((n, columns, rows), -1, x.dtype)
    transposed(Buffer(shape, DTYPES[dtype]), Setting("nchw", dtype)).fill(target, x)
    np.testing.assert_array_equal(target, x.transpose(0, 2, 1))
