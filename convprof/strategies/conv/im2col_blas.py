"""``im2col`` with the product done by the BLAS that NumPy was built with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convprof.strategies.blas_threads import BlasPrepared
from convprof.strategies.conv.im2col import Im2col, Product
from convprof.strategies.plan import Call, Plan

if TYPE_CHECKING:
    from convprof.problems import Conv2d
    from convprof.strategies.base import Prepared, Setting


class Im2colBlas(Im2col):
    """Patch matrix times weights, BLAS's product."""

    name: ClassVar[str] = "im2col-blas"
    summary: ClassVar[str] = "patch matrix, then the GEMM of NumPy's BLAS"

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

    def prepared(self, p: Conv2d, setting: Setting, plan: Plan) -> Prepared:
        """Return the plan made real, with BLAS held to the setting's threads."""
        return BlasPrepared(self.name, p, setting, plan)
