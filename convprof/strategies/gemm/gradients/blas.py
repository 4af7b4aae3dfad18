"""Both gradients by the BLAS that NumPy was built with; it reads transposed operands in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convprof.problems import BackwardData
from convprof.strategies.base import Prepared, Setting, Strategy
from convprof.strategies.blas_threads import BlasPrepared
from convprof.strategies.gemm.gradients.plans import empty_plan
from convprof.strategies.plan import WEIGHTS, Call, X, Y

if TYPE_CHECKING:
    from convprof.problems import Backward, Gemm, Problem


def _data(buffers: dict[str, np.ndarray[Any, Any]]) -> None:
    np.matmul(buffers[X], buffers[WEIGHTS].swapaxes(-1, -2), out=buffers[Y])


def _weights(buffers: dict[str, np.ndarray[Any, Any]]) -> None:
    np.matmul(buffers[X].swapaxes(-1, -2), buffers[WEIGHTS], out=buffers[Y])


class BlasData(Strategy):
    """dC B^T by NumPy's BLAS."""

    name: ClassVar[str] = "blas"
    kind: ClassVar[str] = "gemm-backward-data"
    summary: ClassVar[str] = "the BLAS that NumPy was built with"
    parallel: ClassVar[bool] = True
    peer: ClassVar[bool] = True

    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """One call of ``numpy.matmul`` into a result made beforehand."""
        backward: Backward[Gemm] = problem  # type: ignore[assignment]  # why_not refused other kinds
        plan = empty_plan(backward)
        plan.steps = [Call("gemm", _data if isinstance(backward, BackwardData) else _weights)]
        return BlasPrepared(self.name, problem, setting, plan)


class BlasWeights(BlasData):
    """A^T dC by NumPy's BLAS."""

    kind: ClassVar[str] = "gemm-backward-weights"
