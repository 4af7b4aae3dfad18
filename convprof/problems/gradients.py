"""The passes of training: the gradients of a convolution or a product, as problems of their own.

A layer ``y = f(x, w)`` costs three computations per training step. From the gradient ``dy`` of
the loss with respect to ``y``, the backward pass computes that with respect to ``x``
(``backward-data``, benchdnn's ``BWD_D``) and that with respect to ``w`` (``backward-weights``,
``BWD_W``). Both sum over the very products of the forward pass, so all three count the same
multiply-adds.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convprof.problems.conv2d import Conv2d
    from convprof.problems.gemm import Gemm

    Shapes = tuple[tuple[int, ...], ...]

FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS = "forward", "backward-data", "backward-weights"
TRAINING = "training"
"""All three, one after the other."""
PASSES = (FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, TRAINING)


@dataclass(frozen=True, slots=True)
class _Backward:
    """A gradient of the problem ``forward``."""

    which: ClassVar[str]
    forward: Conv2d | Gemm

    @property
    def kind(self) -> str:
        """The forward problem's kind and the pass: ``conv2d-backward-data``."""
        return f"{self.forward.kind}-{self.which}"

    @property
    def name(self) -> str:
        """The name of the forward problem."""
        return self.forward.name

    @property
    def macs(self) -> int:
        """Multiply-accumulates: every product of the forward pass belongs to one sum here too."""
        return self.forward.macs

    @property
    def flops(self) -> int:
        """Floating-point operations: 1 MAC = 2 FLOPs; as many as in the forward pass."""
        return 2 * self.macs

    @property
    def descriptor(self) -> str:
        """The forward problem's benchdnn text; the pass is the ``kind``, or ``--pass``."""
        return self.forward.descriptor

    def dims(self) -> dict[str, Any]:
        """Return the forward problem's sizes for JSON, and the pass."""
        return {**self.forward.dims(), "pass": self.which}


@dataclass(frozen=True, slots=True)
class BackwardData(_Backward):
    """dy, w -> dx: the gradient with respect to the activation.

    For a convolution dy ``(n, k, p, q)`` and dx ``(n, c, h, w)`` in a layout, weights
    ``(k, c / groups, r, s)``; for a product C = A B: dA (m, k) = dC (m, n) B^T.
    """

    which: ClassVar[str] = BACKWARD_DATA

    def with_batch(self, n: int) -> BackwardData:
        """Return the same pass of ``n`` images or products."""
        return dataclasses.replace(self, forward=self.forward.with_batch(n))

    def operand_shapes(self, layout: str) -> Shapes:
        """Return the shapes of dy in a layout and of the weights (of dC and B)."""
        return self.forward.result_shape(layout), self.forward.operand_shapes(layout)[1]

    def result_shape(self, layout: str) -> tuple[int, ...]:
        """Return the shape of dx in a layout (of dA)."""
        return self.forward.operand_shapes(layout)[0]

    def bytes_min(self, itemsize: int) -> int:
        """Return the minimum bytes that must move: dy and the weights read, dx written, each once.

        All of dx: where no filter tap meets the input its gradient is zero, and is written too.
        """
        first, second = self.operand_shapes("nchw")
        return sum(map(math.prod, (first, second, self.result_shape("nchw")))) * itemsize


@dataclass(frozen=True, slots=True)
class BackwardWeights(_Backward):
    """x, dy -> dw: the gradient with respect to the weights.

    For a convolution x ``(n, c, h, w)`` and dy ``(n, k, p, q)`` in a layout, dw
    ``(k, c / groups, r, s)``; for a product C = A B: dB (k, n) = A^T dC (m, n).
    """

    which: ClassVar[str] = BACKWARD_WEIGHTS

    def with_batch(self, n: int) -> BackwardWeights:
        """Return the same pass of ``n`` images or products."""
        return dataclasses.replace(self, forward=self.forward.with_batch(n))

    def operand_shapes(self, layout: str) -> Shapes:
        """Return the shapes of x and dy in a layout (of A and dC)."""
        return self.forward.operand_shapes(layout)[0], self.forward.result_shape(layout)

    def result_shape(self, layout: str) -> tuple[int, ...]:
        """Return the shape of dw, the same in every layout (of dB)."""
        return self.forward.operand_shapes(layout)[1]

    def bytes_min(self, itemsize: int) -> int:
        """Return the minimum bytes that must move: the same tensors as in the forward pass."""
        return self.forward.bytes_min(itemsize)


Backward: TypeAlias = BackwardData | BackwardWeights

_CLASSES: dict[str, type[Backward]] = {
    BACKWARD_DATA: BackwardData,
    BACKWARD_WEIGHTS: BackwardWeights,
}


def passes_of(problem: Conv2d | Gemm, which: str) -> list[Conv2d | Gemm | Backward]:
    """Return the problems that one of ``PASSES`` of a layer consists of, in order."""
    if which == TRAINING:
        return [problem, BackwardData(problem), BackwardWeights(problem)]
    return [problem if which == FORWARD else _CLASSES[which](problem)]


def forward_only(problems: Iterable[Any]) -> list[Any]:
    """Return the forward problem of each pass, each once and in order."""
    return list(dict.fromkeys(p.forward if isinstance(p, _Backward) else p for p in problems))


def pass_of(problem: object) -> str:
    """Return which pass a problem is: ``forward`` for all but a backward one."""
    return problem.which if isinstance(problem, _Backward) else FORWARD


def family(problem: Any) -> str:
    """Return the kind of the forward problem: ``conv2d`` for each pass of a convolution."""
    kind: str = problem.forward.kind if isinstance(problem, _Backward) else problem.kind
    return kind
