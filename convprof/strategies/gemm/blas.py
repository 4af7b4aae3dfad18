"""The product by the BLAS that NumPy was built with: OpenBLAS, MKL or Accelerate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convprof.strategies.base import Prepared, Setting, Strategy
from convprof.strategies.blas_threads import BlasPrepared
from convprof.strategies.plan import WEIGHTS, Call, Plan, X, Y

if TYPE_CHECKING:
    from convprof.problems import Gemm, Problem


def _multiply(buffers: dict[str, np.ndarray[Any, Any]]) -> None:
    np.matmul(buffers[X], buffers[WEIGHTS], out=buffers[Y])


class Blas(Strategy):
    """NumPy's BLAS."""

    name: ClassVar[str] = "blas"
    kind: ClassVar[str] = "gemm"
    summary: ClassVar[str] = "the BLAS that NumPy was built with"
    parallel: ClassVar[bool] = True
    peer: ClassVar[bool] = True

    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """One call of ``numpy.matmul`` into a result made beforehand."""
        g: Gemm = problem  # type: ignore[assignment]  # why_not refused other kinds
        plan = Plan(g.a_shape, g.b_shape, g.c_shape, steps=[Call("gemm", _multiply)])
        return BlasPrepared(self.name, g, setting, plan)
