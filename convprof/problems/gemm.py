"""A matrix product, or a batch of independent ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.errors import ProblemError
from convprof.problems import checks, requantisation
from convprof.problems.base import Trainable
from convprof.problems.checks import check_name, quoted
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue
from convprof.problems.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import Types
    from convprof.problems.grouped_weights import GroupedWeights
    from convprof.problems.tensors import Array, Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemm(Trainable):
    """A (m, k) @ B (k, n) -> C (m, n), row-major; ``batch`` independent ones.

    With ``grouped_weights`` B is stored in 8 or 4 bits.

    ``name`` takes no part in comparisons. Raises ProblemError for impossible sizes.
    """

    kind: ClassVar[str] = "gemm"

    m: int
    n: int
    k: int
    batch: int = 1
    epilogue: Epilogue = NO_EPILOGUE
    grouped_weights: GroupedWeights | None = None
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for key in ("m", "n", "k", "batch"):
            object.__setattr__(self, key, checks.size(key, getattr(self, key)))
        check_name(self.name)
        if self.grouped_weights:
            if self.batch > 1 or self.epilogue:
                raise ProblemError("a product of grouped weights has no batch and no epilogue")
            object.__setattr__(self, "grouped_weights", self.grouped_weights.of_columns(self.k))
        for tensor, shape in (("A", self.a_shape), ("B", self.b_shape), ("C", self.c_shape)):
            checks.elements(tensor, shape)

    @property
    def macs(self) -> int:
        """Multiply-accumulates over the whole batch."""
        return self.batch * self.m * self.n * self.k

    @property
    def flops(self) -> int:
        """Floating-point operations: 1 MAC = 2 FLOPs, and the steps of the epilogue."""
        return 2 * self.macs + self.epilogue.steps * self.batch * self.m * self.n

    def _shape(self, *matrix: int) -> tuple[int, ...]:
        return (self.batch, *matrix) if self.batch > 1 else matrix

    @property
    def a_shape(self) -> tuple[int, ...]:
        """(m, k), or (batch, m, k) when the batch exceeds 1."""
        return self._shape(self.m, self.k)

    @property
    def b_shape(self) -> tuple[int, ...]:
        """(k, n), or (batch, k, n) when the batch exceeds 1."""
        return self._shape(self.k, self.n)

    @property
    def c_shape(self) -> tuple[int, ...]:
        """(m, n), or (batch, m, n) when the batch exceeds 1."""
        return self._shape(self.m, self.n)

    def why_not_in(self, types: Types) -> str | None:
        """Refuse a batch of products with scales."""
        if types.requantises and self.batch > 1:
            return f"computes no batch of products in {types.name}"
        return None

    @property
    def layer_kind(self) -> str:
        """A product is a linear layer."""
        return "linear"

    @property
    def layer_text(self) -> str:
        """``1x2048:2048x1000``."""
        return f"{self.m}x{self.k}:{self.k}x{self.n}"

    @property
    def terms(self) -> int:
        """The products behind an element of C: k."""
        return self.k

    @property
    def channels(self) -> int:
        """The elements of a bias."""
        return self.n

    @property
    def data_terms(self) -> int:
        """The products behind an element of dA: n."""
        return self.n

    @property
    def weights_terms(self) -> int:
        """The products behind an element of dB: m."""
        return self.m

    def operands(self, layout: str, types: Types) -> tuple[TensorSpec, ...]:
        """Return A, B and the epilogue's operands; a product has no layout."""
        if self.grouped_weights:
            a = TensorSpec("a", self.a_shape, None, types.source)
            return (a, *self.grouped_weights.operands(self.k, self.n))
        return (
            TensorSpec("a", self.a_shape, None, types.source),
            TensorSpec("b", self.b_shape, None, types.weights, constant=True),
            *self.epilogue.operands(self.n, self.result(layout, types), types),
            *requantisation.operands(self.n, self.terms, self.epilogue, types),
        )

    def result(self, layout: str, types: Types) -> TensorSpec:  # noqa: ARG002
        """Return C; a product has no layout."""
        return TensorSpec("c", self.c_shape, None, types.result)

    def dims(self) -> dict[str, Any]:
        """Return the sizes for JSON."""
        sizes: dict[str, Any] = {"m": self.m, "n": self.n, "k": self.k, "batch": self.batch}
        if self.grouped_weights:
            sizes |= {"group": self.grouped_weights.group}
            return sizes | {"weight_dtype": self.grouped_weights.dtype}
        return sizes | ({"epilogue": self.epilogue.text} if self.epilogue else {})

    @property
    def descriptor(self) -> str:
        """The benchdnn text, ``MxK:KxN[n"name"]``; a batch above 1 comes first."""
        a, b = ("x".join(map(str, shape)) for shape in (self.a_shape, self.b_shape))
        return f"{a}:{b}{quoted(self.name)}"

    def with_epilogue(self, epilogue: Epilogue) -> Gemm:
        """Return the same product with an epilogue."""
        return replace(self, epilogue=epilogue)

    def with_grouped_weights(self, weights: GroupedWeights) -> Gemm:
        """Return the same product with weights of 8 or 4 bits."""
        return replace(self, grouped_weights=weights)

    def first_rows(self, rows: int) -> Gemm:
        """Return the product of the first rows of A, without a batch."""
        return replace(self, m=min(self.m, rows), batch=1, name="")

    def with_batch(self, n: int) -> Gemm:
        """Return ``n`` independent products of the same sizes."""
        return replace(self, batch=n)

    def reference(self, operands: Sequence[Array], points: Points | None = None) -> Array:
        """Return C in float64, or its values at some flat indices."""
        a, b, *more = operands
        if self.grouped_weights:
            return self._grouped_product(self.grouped_weights, a, (b, *more), points)
        product = self._product(a, b, points)
        return self.epilogue.reference(product, more, self.c_shape, points)

    def _grouped_product(
        self, of: GroupedWeights, a: Array, stored: Sequence[Array], points: Points | None
    ) -> Array:
        """Return ``a b`` in float64; at points, of the dequantised columns that they need only."""
        import numpy as np  # late: `convprof --help` must not load it

        if points is None:
            return self._product(a, of.dequantised(stored, self.k))
        rows, columns = np.divmod(points, self.n)
        used, places = np.unique(columns, return_inverse=True)
        b = of.dequantised([each[:, used] for each in stored], self.k)
        product: Array = np.einsum("it,ti->i", a[rows].astype(np.float64), b[:, places])
        return product

    def _product(self, x: Array, weights: Array, points: Points | None = None) -> Array:
        """Return ``a b`` in float64, or its values at some flat indices of the result."""
        import numpy as np  # late: `convprof --help` must not load it

        left = x.reshape(self.batch, self.m, self.k)
        right = weights.reshape(self.batch, self.k, self.n)
        if points is not None:
            item, i, j = np.unravel_index(points, (self.batch, self.m, self.n))
            rows = left[item, i].astype(np.float64)
            values: Array = np.einsum("it,it->i", rows, right[item, :, j].astype(np.float64))
            return values
        product: Array = np.einsum(
            "bik,bkj->bij", left.astype(np.float64), right.astype(np.float64), optimize=True
        )
        return product.reshape(self.c_shape)

    def data_gradient(self, dy: Array, weights: Array, points: Points | None = None) -> Array:
        """Return dA = dC B^T in float64, or its values at some flat indices of it."""
        import numpy as np  # late: `convprof --help` must not load it

        gradient, right = (
            dy.reshape(self.batch, self.m, self.n),
            weights.reshape(self.batch, self.k, self.n),
        )
        if points is not None:
            item, i, t = np.unravel_index(points, (self.batch, self.m, self.k))
            rows = gradient[item, i].astype(np.float64)
            values: Array = np.einsum("ij,ij->i", rows, right[item, t].astype(np.float64))
            return values
        both = gradient.astype(np.float64), right.astype(np.float64)
        product: Array = np.einsum("bij,btj->bit", *both, optimize=True)
        return product.reshape(self.a_shape)

    def weights_gradient(self, x: Array, dy: Array, points: Points | None = None) -> Array:
        """Return dB = A^T dC in float64, or its values at some flat indices of it."""
        import numpy as np  # late: `convprof --help` must not load it

        left, gradient = (
            x.reshape(self.batch, self.m, self.k),
            dy.reshape(self.batch, self.m, self.n),
        )
        if points is not None:
            item, t, j = np.unravel_index(points, (self.batch, self.k, self.n))
            columns = left[item, :, t].astype(np.float64)
            values: Array = np.einsum("pi,pi->p", columns, gradient[item, :, j].astype(np.float64))
            return values
        both = left.astype(np.float64), gradient.astype(np.float64)
        product: Array = np.einsum("bit,bij->btj", *both, optimize=True)
        return product.reshape(self.b_shape)
