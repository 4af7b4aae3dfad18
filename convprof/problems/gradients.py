"""The passes of training: the gradients of a convolution or a product, as problems of their own.

A layer ``y = f(x, w)`` costs three computations per training step. From the gradient ``dy`` of the
loss with respect to ``y``, the backward pass computes the gradient with respect to ``x``
(``backward-data``, benchdnn's ``BWD_D``) and the gradient with respect to ``w``
(``backward-weights``, ``BWD_W``). Both have as many products as the forward pass, so all three have
the same number of multiply-adds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from convprof.errors import ProblemError
from convprof.problems.base import FORWARD, Problem, Trainable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from convprof.dtypes import Types
    from convprof.problems.tensors import Array, Points, TensorSpec

BACKWARD_DATA, BACKWARD_WEIGHTS = "backward-data", "backward-weights"
TRAINING = "training"
"""All three, one after the other."""
PASSES = (FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, TRAINING)


F_co = TypeVar("F_co", bound=Trainable, covariant=True)


@dataclass(frozen=True, slots=True)
class Backward(Problem, Generic[F_co]):
    """A gradient of the layer ``forward``."""

    which: ClassVar[str]
    forward: F_co = field()  # a field without a default: the base class has a property here

    @property
    def kind(self) -> str:
        """The forward problem's kind and the pass: ``conv2d-backward-data``."""
        return f"{self.forward.kind}-{self.which}"

    @property
    def pass_name(self) -> str:
        """Which gradient it is."""
        return self.which

    @property
    def has_minibatch(self) -> bool:
        """Whether the layer has a minibatch."""
        return self.forward.has_minibatch

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

    @property
    def has_layout(self) -> bool:
        """Whether the layer has activations in a layout."""
        return self.forward.has_layout

    def dims(self) -> dict[str, Any]:
        """Return the forward problem's sizes for JSON, and the pass."""
        return {**self.forward.dims(), "pass": self.which}

    def with_batch(self, n: int) -> Self:
        """Return the same pass of ``n`` images or products."""
        return replace(self, forward=self.forward.with_batch(n))

    def _dy(self, layout: str, types: Types) -> TensorSpec:
        """Return the gradient of the layer's result, which has the type of the result."""
        result = self.forward.result(layout, types)
        return replace(result, name=f"d{result.name}")


@dataclass(frozen=True, slots=True)
class BackwardData(Backward[F_co]):
    """dy, w -> dx: the gradient with respect to the activation.

    For a convolution dy ``(n, k, p, q)`` and dx ``(n, c, h, w)`` in a layout, weights
    ``(k, c / groups, r, s)``; for a product C = A B: dA (m, k) = dC (m, n) B^T.
    """

    which: ClassVar[str] = BACKWARD_DATA

    @property
    def terms(self) -> int:
        """The products behind an element of dx."""
        return self.forward.data_terms

    def operands(self, layout: str, types: Types) -> tuple[TensorSpec, ...]:
        """Return dy and the weights (dC and B)."""
        return self._dy(layout, types), self.forward.operands(layout, types)[1]

    def result(self, layout: str, types: Types) -> TensorSpec:
        """Return dx (dA); it is 0 for inputs that no filter tap reads."""
        x = self.forward.operands(layout, types)[0]
        return replace(x, name=f"d{x.name}")

    def reference(self, operands: Sequence[Array], points: Points | None = None) -> Array:
        """Return dx in float64, or its values at some points."""
        dy, weights = operands
        return self.forward.data_gradient(dy, weights, points)


@dataclass(frozen=True, slots=True)
class BackwardWeights(Backward[F_co]):
    """x, dy -> dw: the gradient with respect to the weights.

    For a convolution x ``(n, c, h, w)`` and dy ``(n, k, p, q)`` in a layout, dw
    ``(k, c / groups, r, s)``; for a product C = A B: dB (k, n) = A^T dC (m, n).
    """

    which: ClassVar[str] = BACKWARD_WEIGHTS

    @property
    def terms(self) -> int:
        """The products behind an element of dw."""
        return self.forward.weights_terms

    def operands(self, layout: str, types: Types) -> tuple[TensorSpec, ...]:
        """Return x and dy (A and dC)."""
        return self.forward.operands(layout, types)[0], self._dy(layout, types)

    def result(self, layout: str, types: Types) -> TensorSpec:
        """Return dw, the same in every layout (dB)."""
        weights = self.forward.operands(layout, types)[1]
        return replace(weights, name=f"d{weights.name}", constant=False)

    def bytes_min(self, types: Types) -> int:
        """Return the minimum bytes that must move: the same tensors as in the forward pass."""
        return self.forward.bytes_min(types)

    def reference(self, operands: Sequence[Array], points: Points | None = None) -> Array:
        """Return dw in float64, or its values at some points."""
        x, dy = operands
        return self.forward.weights_gradient(x, dy, points)


_CLASSES: dict[str, type[Backward[Trainable]]] = {
    BACKWARD_DATA: BackwardData,
    BACKWARD_WEIGHTS: BackwardWeights,
}


def passes_of(problem: Problem, which: str) -> list[Problem]:
    """Return the problems that one of ``PASSES`` of a layer consists of, in order.

    ProblemError for a problem without gradients, unless ``which`` is the forward pass.
    """
    if which == FORWARD:
        return [problem]
    if not isinstance(problem, Trainable):
        raise ProblemError(
            f"{problem.descriptor} has a forward pass only; name convolutions and matrix products"
        )
    if which == TRAINING:
        return [problem, BackwardData(problem), BackwardWeights(problem)]
    return [_CLASSES[which](problem)]
