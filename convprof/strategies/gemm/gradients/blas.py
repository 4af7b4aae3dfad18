"""Both gradients by the BLAS that NumPy uses, which reads transposed operands in place."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from convprof.problems import Backward, Gemm
from convprof.strategies.base import Role, Setting
from convprof.strategies.plan import WEIGHTS, Call, Plan, X, Y
from convprof.strategies.planned import Planned


def _data(buffers: dict[str, np.ndarray[Any, Any]]) -> None:
    np.matmul(buffers[X], buffers[WEIGHTS].swapaxes(-1, -2), out=buffers[Y])


def _weights(buffers: dict[str, np.ndarray[Any, Any]]) -> None:
    np.matmul(buffers[X].swapaxes(-1, -2), buffers[WEIGHTS], out=buffers[Y])


class BlasData(Planned[Backward[Gemm]]):
    """dC B^T by NumPy's BLAS."""

    name = "blas"
    kind = "gemm-backward-data"
    summary = "the BLAS that NumPy was built with"
    parallel = True
    role = Role.BUNDLED
    call: ClassVar[Call] = Call("gemm", _data)

    def plan(self, _: Backward[Gemm], setting: Setting) -> Plan:
        """One call of ``numpy.matmul`` into a result that is allocated beforehand."""
        plan = Plan(steps=[self.call])
        plan.blas_threads = setting.threads
        return plan


class BlasWeights(BlasData):
    """A^T dC by NumPy's BLAS."""

    kind = "gemm-backward-weights"
    call = Call("gemm", _weights)
