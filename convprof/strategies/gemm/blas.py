"""The product by the BLAS that NumPy was built with: OpenBLAS, MKL or Accelerate."""

from __future__ import annotations

from typing import Any

import numpy as np

from convprof.problems import Gemm
from convprof.strategies.base import Role, Setting
from convprof.strategies.plan import WEIGHTS, Call, Plan, X, Y
from convprof.strategies.planned import Planned


def _multiply(buffers: dict[str, np.ndarray[Any, Any]]) -> None:
    np.matmul(buffers[X], buffers[WEIGHTS], out=buffers[Y])


class Blas(Planned[Gemm]):
    """NumPy's BLAS."""

    name = "blas"
    kind = "gemm"
    summary = "the BLAS that NumPy was built with"
    parallel = True
    role = Role.BUNDLED

    def plan(self, _: Gemm, setting: Setting) -> Plan:
        """One call of ``numpy.matmul`` into a result that is allocated beforehand."""
        plan = Plan(steps=[Call("gemm", _multiply)])
        plan.blas_threads = setting.threads
        return plan
