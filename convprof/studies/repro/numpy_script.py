"""A program that multiplies matrices by NumPy's BLAS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.studies.repro.scripts import program

if TYPE_CHECKING:
    from convprof.studies.repro.call import ReproCall


def product(call: ReproCall) -> str:
    """Return the program; threadpoolctl sets the threads of any BLAS."""
    body = f"""
c = aligned(np.zeros({tuple(call.problem.c_shape)}, a.dtype))
threadpoolctl.threadpool_limits(THREADS, "blas")
calls = {{"numpy.matmul": lambda: np.matmul(a, b, out=c)}}
"""
    return program(call, ("numpy as np", "threadpoolctl"), ("a", "b"), body)
