"""Both gradients by the BLAS that NumPy was built with; it reads transposed operands in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems import Backward, BackwardData
from convprof.strategies.base import Role, Setting
from convprof.strategies.gemm.gradients.plans import empty_plan
from convprof.strategies.plan import WEIGHTS, Call, X, Y
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.plan import Plan


def _data(buffers: dict[str, np.ndarray[Any, Any]]) -> None:
    np.matmul(buffers[X], buffers[WEIGHTS].swapaxes(-1, -2), out=buffers[Y])


def _weights(buffers: dict[str, np.ndarray[Any, Any]]) -> None:
    np.matmul(buffers[X].swapaxes(-1, -2), buffers[WEIGHTS], out=buffers[Y])


class BlasData(Planned[Backward]):
    """dC B^T by NumPy's BLAS."""

    name = "blas"
    kind = "gemm-backward-data"
    summary = "the BLAS that NumPy was built with"
    parallel = True
    role = Role.BUNDLED

    def plan(self, backward: Backward, setting: Setting) -> Plan:
        """One call of ``numpy.matmul`` into a result made beforehand."""
        plan = empty_plan(backward)
        plan.steps = [Call("gemm", _data if isinstance(backward, BackwardData) else _weights)]
        plan.blas_threads = setting.threads
        return plan


class BlasWeights(BlasData):
    """A^T dC by NumPy's BLAS."""

    kind = "gemm-backward-weights"
