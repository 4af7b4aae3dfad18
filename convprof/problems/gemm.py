"""A matrix product, or a batch of independent ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from convprof.problems import checks
from convprof.problems.checks import check_name
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue
from convprof.problems.formatting import format_gemm


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemm:
    """A (m, k) @ B (k, n) -> C (m, n), row-major; ``batch`` of them side by side.

    ``name`` takes no part in comparisons. Raises ProblemError for impossible sizes.
    """

    kind: ClassVar[str] = "gemm"

    m: int
    n: int
    k: int
    batch: int = 1
    epilogue: Epilogue = NO_EPILOGUE
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for key in ("m", "n", "k", "batch"):
            object.__setattr__(self, key, checks.size(key, getattr(self, key)))
        check_name(self.name)
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

    def operand_shapes(self, layout: str) -> tuple[tuple[int, ...], ...]:  # noqa: ARG002
        """Return the shapes of A, B and the epilogue's operands; a product has no layout."""
        bias = ((self.n,),) * self.epilogue.bias
        return self.a_shape, self.b_shape, *bias, *(self.c_shape,) * self.epilogue.add

    def result_shape(self, layout: str) -> tuple[int, ...]:  # noqa: ARG002
        """Return the shape of C; a product has no layout."""
        return self.c_shape

    def bytes_min(self, itemsize: int) -> int:
        """Return the minimum bytes that must move: operands read once, C written once."""
        one = self.m * self.k + self.k * self.n + self.m * self.n * (1 + self.epilogue.add)
        return (self.batch * one + self.epilogue.bias * self.n) * itemsize

    def dims(self) -> dict[str, Any]:
        """Return the sizes for JSON."""
        sizes = {"m": self.m, "n": self.n, "k": self.k, "batch": self.batch}
        return sizes | ({"epilogue": self.epilogue.text} if self.epilogue else {})

    @property
    def descriptor(self) -> str:
        """The canonical benchdnn text, e.g. ``1024x512:512x768`` or ``16x40x64:16x64x40``."""
        return format_gemm(self)

    def with_batch(self, n: int) -> Gemm:
        """Return ``n`` independent products of the same sizes."""
        return replace(self, batch=n)
