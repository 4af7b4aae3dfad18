"""``im2col`` with the product done by the BLAS that NumPy was built with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.dtypes import COMMON
from convprof.strategies.conv.im2col import Im2col, Product
from convprof.strategies.plan import Call, Plan

if TYPE_CHECKING:
    from convprof.problems import Conv2d
    from convprof.strategies.base import Setting


class Im2colBlas(Im2col):
    """Patch matrix times weights, BLAS's product."""

    name = "im2col-blas"
    summary = "patch matrix, then the GEMM of NumPy's BLAS"
    dtypes = COMMON

    def gemm(self, p: Conv2d, setting: Setting, product: Product) -> Call:  # noqa: ARG002
        """Return a call of ``numpy.matmul``, which hands contiguous matrices to BLAS."""
        shapes = (
            (product.a, (p.groups, product.m, product.t)),
            (product.b, (p.groups, product.t, product.n)),
            (product.c, (p.groups, product.m, product.n)),
        )

        def multiply(buffers: dict[str, np.ndarray[Any, Any]]) -> None:
            a, b, c = (buffers[key].reshape(shape) for key, shape in shapes)
            np.matmul(a, b, out=c)

        return Call("gemm", multiply)

    def plan(self, p: Conv2d, setting: Setting) -> Plan:
        """Hold BLAS to the setting's threads."""
        plan = super().plan(p, setting)
        plan.blas_threads = setting.threads
        return plan
