"""What every problem provides: its tensors, its cost, its text and its float64 reference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from convprof.errors import ProblemError
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue
from convprof.problems.requantisation import Factors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from convprof.dtypes import Types
    from convprof.problems.grouped_weights import GroupedWeights
    from convprof.problems.tensors import Array, Points, TensorSpec

FORWARD = "forward"
"""The pass of every problem but the gradients."""


class Problem(ABC):
    """Something to compute, and nothing about how. Immutable; equal problems compute the same."""

    __slots__ = ()

    @property
    @abstractmethod
    def kind(self) -> str:
        """The word for the sort of problem, as in JSON: ``conv2d``."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What the user calls it, or empty; it takes no part in comparisons."""

    @property
    @abstractmethod
    def descriptor(self) -> str:
        """The canonical text."""

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiply-accumulates."""

    @property
    @abstractmethod
    def flops(self) -> int:
        """Floating-point operations: 2 per multiply-accumulate, and the other steps that count."""

    @property
    @abstractmethod
    def terms(self) -> int:
        """The length of the longest sum behind one element of the result."""

    @property
    def roundings(self) -> int:
        """How often what becomes a result is rounded to the result's type."""
        return 1

    def known_error(self, types: Types) -> float:  # noqa: ARG002
        """Return the error that a result may have besides rounding in its own types."""
        return 0.0

    def why_not_in(self, types: Types) -> str | None:  # noqa: ARG002
        """Return why the problem is not computed in some types, after a strategy's name."""
        return None

    @property
    def epilogue(self) -> Epilogue:
        """What follows the products, element by element."""
        return NO_EPILOGUE

    @property
    def grouped_weights(self) -> GroupedWeights | None:
        """The type of weights that are stored in 8 or 4 bits; None for all other weights."""
        return None

    @property
    def has_layout(self) -> bool:
        """Whether any tensor of the problem is stored in the layout of the setting."""
        return False

    @property
    def has_minibatch(self) -> bool:
        """Whether the user may set the minibatch of a problem whose text has none."""
        return False

    @property
    def layer_kind(self) -> str:
        """The word for the sort of layer in a network: ``conv``, ``linear``, ``batch norm``."""
        return self.kind

    @property
    def layer_text(self) -> str:
        """What a layer computes, in a few words: ``3x3 s2 64->128``."""
        return self.descriptor

    @property
    def is_opaque(self) -> bool:
        """Whether another program computes the problem, so that no claim about it is possible."""
        return False

    @property
    def is_network(self) -> bool:
        """Whether it is many layers, one after the other, whose weights are bound by name."""
        return False

    @property
    def op(self) -> Any:  # an Op: the module of ops imports the problems, and so this one
        """The op of a network that is computed; None for a convolution, a product, ..."""
        return None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names under which a network stores the constant operands, in their order."""
        return ()

    def view(self, x: Array) -> Array | None:  # noqa: ARG002
        """Return the result as a view of the first operand, in logical order; None if it is new."""
        return None

    @property
    def pass_name(self) -> str:
        """One of forward, backward-data and backward-weights."""
        return FORWARD

    @property
    def forward(self) -> Problem:
        """The problem itself; for a gradient, the layer whose gradient it is."""
        return self

    @property
    def family(self) -> str:
        """The kind of the forward problem: ``conv2d`` for each pass of a convolution."""
        return self.forward.kind

    @abstractmethod
    def operands(self, layout: str, types: Types) -> tuple[TensorSpec, ...]:
        """Return what is read, in the order of binding."""

    @abstractmethod
    def result(self, layout: str, types: Types) -> TensorSpec:
        """Return what is written."""

    def bytes_min(self, types: Types) -> int:
        """Return the bytes that must move with cold caches: operands read, result written, once."""
        tensors = (*self.operands("nchw", types), self.result("nchw", types))
        return sum(tensor.nbytes for tensor in tensors)

    @abstractmethod
    def reference(self, operands: Sequence[Array], points: Points | None = None) -> Array:
        """Return the result in float64, in its logical shape, or its values at some points.

        ``operands`` are as many as ``operands()`` says, in their logical order of axes. NumPy only,
        no code shared with any strategy.
        """

    def reference_in(
        self, types: Types, operands: Sequence[Array], points: Points | None = None
    ) -> Array:
        """Return the reference of the result in these types, where the types change the formula."""
        del types
        return self.reference(operands, points)

    @abstractmethod
    def dims(self) -> dict[str, Any]:
        """Return the sizes in JSON types."""

    def with_batch(self, n: int) -> Self:
        """Return the same problem for ``n`` images or items; ProblemError where it has no batch."""
        raise ProblemError(f"{self.descriptor}: has no batch to set to {n}")

    def with_epilogue(self, epilogue: Epilogue) -> Self:  # noqa: ARG002
        """Return the same problem with an epilogue; ProblemError where it cannot have one."""
        raise ProblemError(
            f"{self.descriptor} has no epilogue; name convolutions and matrix products"
        )

    def with_grouped_weights(self, weights: GroupedWeights) -> Self:  # noqa: ARG002
        """Return the same problem with weights of 8 or 4 bits; ProblemError if it cannot."""
        raise ProblemError(f"{self.descriptor} is not a matrix product")

    def first_rows(self, rows: int) -> Problem:  # noqa: ARG002
        """Return a smaller problem of the first rows of the result; the same if it has none."""
        return self


class Trainable(Problem):
    """A problem with weights, and so with gradients: a convolution or a matrix product.

    The gradients are problems of their own (``gradients``); what depends on the layer is here.
    """

    __slots__ = ()

    @abstractmethod
    def with_epilogue(self, epilogue: Epilogue) -> Self:
        """Return the same layer with an epilogue."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """The elements of a bias: output channels, or columns of a product."""

    def reference_in(
        self, types: Types, operands: Sequence[Array], points: Points | None = None
    ) -> Array:
        """Return the float64 reference; of bytes as the formula of requantisation gives."""
        if not types.requantises:
            return self.reference(operands, points)
        x, weights, *more = operands
        factors = Factors.of(self.epilogue, more)
        centred = x.astype("int64") - factors.zeros[0]
        sums = self.with_epilogue(NO_EPILOGUE).reference((centred, weights), points)
        return factors.results(sums, self.epilogue, self.result("nchw", types), points)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The weights, the factors of weights of few bits, and the bias of an epilogue."""
        factors = self.grouped_weights.factors if self.grouped_weights else ()
        return ("weight", *factors, *["bias"] * self.epilogue.bias)

    @property
    @abstractmethod
    def data_terms(self) -> int:
        """The length of the longest sum behind an element of the gradient of the data."""

    @property
    @abstractmethod
    def weights_terms(self) -> int:
        """The length of the sum behind an element of the gradient of the weights."""

    @abstractmethod
    def data_gradient(self, dy: Array, weights: Array, points: Points | None = None) -> Array:
        """Return the float64 gradient of the first operand, or its values at some points."""

    @abstractmethod
    def weights_gradient(self, x: Array, dy: Array, points: Points | None = None) -> Array:
        """Return the float64 gradient of the weights, or its values at some points."""
