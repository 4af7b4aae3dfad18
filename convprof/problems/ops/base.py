"""What every operation of a network answers, given the shapes of what it reads."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from convprof.errors import ProblemError
from convprof.problems.shapes import IMAGE_AXES, Shape, shape_text

if TYPE_CHECKING:
    from convprof.problems.conv2d import Conv2d
    from convprof.problems.gemm import Gemm

Array: TypeAlias = np.ndarray[Any, Any]


class Op(ABC):
    """A frozen value that says what is computed; sizes follow from the shapes of its inputs.

    Every method takes those shapes, in order, and raises ProblemError when they do not fit.
    """

    __slots__ = ()

    kind: ClassVar[str]
    arity: ClassVar[int] = 1
    """How many activations it reads; 0 means any number from one."""
    is_view: ClassVar[bool] = False
    """Whether it only gives the same numbers another shape."""
    makes_images: ClassVar[bool] = False
    """Whether a result of four axes is an image."""
    keeps_images: ClassVar[bool] = True
    """Whether the result is an image if an input is one: it treats them alike in every layout."""

    @property
    def only_rearranges(self) -> bool:
        """Whether the result has the elements of the one input, or some of them, in any order."""
        return self.is_view

    @property
    def text(self) -> str:
        """A few words for a table: ``conv 3x3 s2``."""
        return self.kind

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
        """Return the learned tensors by name; all of them count as parameters."""
        self.given(inputs)
        return {}

    def buffers(self, *inputs: Shape) -> dict[str, Shape]:
        """Return the tensors by name that are known before inference, but were not learned."""
        self.given(inputs)
        return {}

    def parameters(self, *inputs: Shape) -> int:
        """Return how many numbers are learned."""
        return sum(math.prod(shape) for shape in self.weights(*inputs).values())

    def problem(self, *inputs: Shape) -> Conv2d | Gemm | None:
        """Return the convolution or matrix product that it is, without bias and name; or None."""
        self.given(inputs)
        return None

    def macs(self, *inputs: Shape) -> int:
        """Return the multiply-accumulates: those of its problem, and none without one."""
        problem = self.problem(*inputs)
        return 0 if problem is None else problem.macs

    def flops(self, *inputs: Shape) -> int:
        """Return the floating-point operations: 2 per MAC, and every other step that counts.

        A step is an addition, multiplication, division, comparison, square root, exponential or
        error function of one element.
        """
        self.given(inputs)
        return 0

    def bytes_min(self, itemsize: int, *inputs: Shape) -> int:
        """Return the least bytes that move: inputs and weights read once, the result written."""
        output = self.output(*inputs)
        if self.is_view:
            return 0
        moved = (*inputs, output, *self.weights(*inputs).values())
        return itemsize * sum(math.prod(shape) for shape in moved)

    def given(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Return the inputs; ProblemError unless there are as many as it reads."""
        if len(inputs) != (self.arity or max(1, len(inputs))):
            wanted = self.arity or "1 or more"
            raise ProblemError(f"{self.text}: number of inputs {len(inputs)}, must be {wanted}")
        return inputs

    def misfit(self, shape: Shape, wanted: str) -> ProblemError:
        """Return the error for an input of a shape that does not fit."""
        return ProblemError(f"{self.text}: cannot read {shape_text(shape)}; {wanted}")

    def image(self, *inputs: Shape) -> Shape:
        """Return the only input if it is (n, c, h, w)."""
        (x,) = self.given(inputs)
        if len(x) != IMAGE_AXES:
            raise self.misfit(x, "it needs an image (n, c, h, w)")
        return x


def window_text(r: int, s: int, stride: tuple[int, int]) -> str:
    """Return ``3x3 s2``: a window and its stride, if that is not 1."""
    step = f"{stride[0]}" if stride[0] == stride[1] else f"{stride[0]}x{stride[1]}"
    return f"{r}x{s}" + (f" s{step}" if stride != (1, 1) else "")
