"""What every operation of a network has: a shape rule, a cost and a reference."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from convprof.errors import ProblemError
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue
from convprof.problems.shapes import IMAGE_AXES, Shape, shape_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from convprof.dtypes import Types
    from convprof.problems.conv2d import Conv2d
    from convprof.problems.gemm import Gemm
    from convprof.problems.ops.byte_attention import ByteAttention

Array: TypeAlias = np.ndarray[Any, Any]

SMALL = 0.1
"""Standard deviation of random biases, and of random factors about their mean."""


@dataclass(frozen=True)
class Op(ABC):
    """A frozen value that says what is computed; sizes follow from the shapes of its inputs.

    Methods with ``inputs`` take the shapes of the inputs, in order, and raise ProblemError when the
    shapes do not fit.
    """

    __slots__ = ()

    kind: ClassVar[str]
    arity: ClassVar[int] = 1
    """The number of activations that are read; 0 means any number from one."""
    is_view: ClassVar[bool] = False
    """Whether the result is the same memory, or a part of it, in another shape."""
    makes_images: ClassVar[bool] = False
    """Whether a result of four axes is an image."""
    keeps_images: ClassVar[bool] = True
    """Whether the result is an image if an input is one, in the same layout."""
    is_layer: ClassVar[bool] = False
    """Whether it is the product of an activation and a learned ``weight``. Only such an op is
    computed as a convolution or a product of its own."""
    has_real_weight: ClassVar[bool] = True
    """Whether a factor per channel can be multiplied into the ``weight`` of a layer."""
    is_per_channel: ClassVar[bool] = False
    """Whether it is only a factor, a term or both per channel."""
    is_foldable: ClassVar[bool] = False
    """Whether its factor and term can be multiplied into the layer before it."""
    is_constant: ClassVar[bool] = False
    """Whether the result depends on no input, so that it is computed once."""
    is_opaque: ClassVar[bool] = False
    """Whether another program computes the op, so that no claim about it is possible."""
    takes_exact: ClassVar[bool] = False
    """Whether it reads results of f32 where the network is shorter, and gives the network's type;
    see ``exact_results``."""
    is_gate: ClassVar[bool] = False
    """Whether one input, mostly between 0 and 1, scales the other."""

    @property
    def epilogue(self) -> Epilogue:
        """The op as the epilogue of the layer before it; an empty one if it cannot be that."""
        return NO_EPILOGUE

    @property
    def without_size(self) -> Self | None:
        """The layer without its number of results, equal for layers that can be side by side.

        None for ops whose results cannot be joined with another layer's results on the last axis.
        """
        return None

    @property
    def only_rearranges(self) -> bool:
        """Whether the result has the elements of the one input, or some of them, in any order."""
        return self.is_view

    @property
    def keeps_bytes(self) -> bool:
        """Whether an element of the result is the element of an input, whatever its scale is."""
        return self.is_view

    def byte_attention(self, *inputs: Shape) -> ByteAttention | None:  # noqa: ARG002
        """Return the op as attention that may read bytes; None for all other ops."""
        return None

    @property
    def is_causal(self) -> bool:
        """Whether it adds a causal mask: nothing, or very low numbers where a key is later."""
        return False

    @property
    def limits(self) -> tuple[float, float] | None:
        """The least and the largest number that every input must have; None: any numbers."""
        return None

    @property
    def text(self) -> str:
        """A few words for a table: ``conv 3x3 s2``."""
        return self.kind

    @property
    def settings(self) -> dict[str, Any]:
        """The op's own settings in JSON types."""
        return asdict(self)

    @abstractmethod
    def output(self, *inputs: Shape) -> Shape:
        """Return the shape of the result."""

    @abstractmethod
    def reference(self, *operands: Array) -> Array:
        """Return the result in float64, computed by the definition alone, in its logical shape.

        ``operands`` in float64 and in logical shapes: the inputs, then the weights, then the
        buffers, in the order of ``weights`` and ``buffers``.
        """

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return the shapes of the learned tensors by name: the parameters."""
        self.checked(inputs)
        return {}

    def buffers(self, *inputs: Shape) -> dict[str, Shape]:
        """Return the shapes of constant tensors that were not learned, by name."""
        self.checked(inputs)
        return {}

    def parameters(self, *inputs: Shape) -> int:
        """Return the number of learned elements."""
        return sum(math.prod(shape) for shape in self.weights(*inputs).values())

    def problem(self, *inputs: Shape) -> Conv2d | Gemm | None:
        """Return the equivalent convolution or product, without bias and name, or None."""
        self.checked(inputs)
        return None

    def layer(self, *inputs: Shape) -> Conv2d | Gemm | None:
        """Return the problem of a layer, with the bias in its epilogue; None for other ops."""
        self.checked(inputs)
        return None

    def with_bias(self) -> Self:
        """Return the same layer with a bias."""
        raise ProblemError(f"{self.text}: has no bias")

    def of_size(self, outputs: int) -> Self:
        """Return the same layer with another number of results; see ``without_size``."""
        raise ProblemError(f"{self.text}: cannot have {outputs} results")

    def along_results(self, vector: Array) -> Array:
        """Return a vector with an element per output channel, broadcastable to the weight."""
        return vector

    def factor_and_term(self, tensors: Mapping[str, Array]) -> tuple[Array, Array]:
        """Return the factor and the term per channel of a foldable op, in float64."""
        raise ProblemError(f"{self.text} of {', '.join(tensors)}: cannot be folded")

    def joined(self, second: Op, third: Op) -> Op | None:  # noqa: ARG002
        """Return one op that computes this op and the next two, if there is one."""
        return None

    def distribution(self, name: str, shape: Shape, gain: float) -> tuple[float, float]:  # noqa: ARG002
        """Return the mean and the standard deviation of random values of a learned tensor.

        ``gain`` is the variance that the result of a layer shall have.
        """
        return 0.0, SMALL

    def places(self, *inputs: Shape) -> int:
        """Return how many rows or elements the op numbers, in what it reads or gives; else 0."""
        self.checked(inputs)
        return 0

    def fixed(self, shape: Shape) -> Array | None:  # noqa: ARG002
        """Return a tensor whose numbers are known without any weights; else None."""
        return None

    def macs(self, *inputs: Shape) -> int:
        """Return the multiply-accumulates of the problem; 0 without one."""
        problem = self.problem(*inputs)
        return 0 if problem is None else problem.macs

    def flops(self, *inputs: Shape) -> int:
        """Return the floating-point operations: 2 per MAC, and every other step that counts.

        A step is an addition, multiplication, division, comparison, square root, exponential or
        error function of one element.
        """
        self.checked(inputs)
        return 0

    def bytes_min(self, types: Types, *inputs: Shape) -> int:
        """Return the least bytes that move: inputs and weights read once, the result written."""
        output = self.output(*inputs)
        if self.is_view:
            return 0
        read = sum(math.prod(shape) for shape in inputs)
        learned = sum(math.prod(shape) for shape in self.weights(*inputs).values())
        written = math.prod(output) * types.result.bytes
        return read * types.source.bytes + learned * types.weights.bytes + written

    def checked(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Return the inputs; ProblemError if their number is not the operation's."""
        if len(inputs) != (self.arity or max(1, len(inputs))):
            expected = self.arity or "1 or more"
            raise ProblemError(f"{self.text}: number of inputs {len(inputs)}, must be {expected}")
        return inputs

    def misfit(self, shape: Shape, requirement: str) -> ProblemError:
        """Return the error for an input of a shape that does not fit."""
        return ProblemError(f"{self.text}: cannot read {shape_text(shape)}; {requirement}")

    def image(self, *inputs: Shape) -> Shape:
        """Return the only input if it is (n, c, h, w)."""
        (x,) = self.checked(inputs)
        if len(x) != IMAGE_AXES:
            raise self.misfit(x, "it needs an image (n, c, h, w)")
        return x


@dataclass(frozen=True, slots=True)
class OfShape(Op):
    """An operation that names the shape of its result."""

    keeps_images: ClassVar[bool] = False

    shape: Shape

    @property
    def text(self) -> str:
        """``expand 1x2x4x8x16``."""
        return f"{self.kind} {shape_text(self.shape)}"


def broadcast(op: Op, inputs: tuple[Shape, ...], count: int) -> Shape:
    """Return the larger size of every axis of ``count`` inputs; ProblemError if they misfit."""
    if len(inputs) != count:
        raise ProblemError(f"{op.text}: number of inputs {len(inputs)}, must be {count}")
    first, *others = inputs
    sizes = first
    for shape in others:
        pairs = list(zip(sizes, shape, strict=False))
        if len(shape) != len(sizes) or any(x != y and 1 not in (x, y) for x, y in pairs):
            raise op.misfit(shape, f"it does not fit the first input {first}")
        sizes = tuple(map(max, pairs))
    return sizes


def window_text(r: int, s: int, stride: tuple[int, int]) -> str:
    """Return ``3x3 s2``: a window and its stride, if that is not 1."""
    step = f"{stride[0]}" if stride[0] == stride[1] else f"{stride[0]}x{stride[1]}"
    return f"{r}x{s}" + (f" s{step}" if stride != (1, 1) else "")
