"""Element types in models of OpenVINO: what a model reads, computes and writes.

Integers are multiplied as integers where a model has the form of a quantized one: the source is
f32 that was rounded to 256 levels (``FakeQuantize``), the weights are integers with a factor, and
the compiler moves both behind the sums. Here the levels are the integers themselves. Without
requantisation the factor is 1, so that the sums are exact, and they become s32 at the end; else the
factors are the scales, and the result is rounded to 256 levels again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.dtypes import DTYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import DType, Types

    Array = np.ndarray[Any, Any]
    Node = Any

PRODUCTS = frozenset(("FullyConnected", "MatMul", "Convolution", "GroupConvolution"))
"""The layers of a compiled model that compute the problem."""
MATRIX_AXES, GROUPED_AXES = 2, 5
"""Of the weights of a product, and of a convolution in groups: group, channel, …."""
NAMES = {"i8": "s8"}
"""OpenVINO's names of types, where they are not ours."""


class Forms:
    """A model's ends and constants in the types of a problem."""

    def __init__(self, library: Any, operations: Any, types: Types) -> None:
        """``operations``: the module of the operation set."""
        self._library, self._operations, self._types = library, operations, types
        self._integers = types.accumulator.is_exact
        self._scale: Array = np.ones(1, np.float32)
        self._zeros = (0, 0)
        """Of source and result."""

    def bind(self, more: Sequence[Array]) -> None:
        """Take the operands after the weights: of requantisation, scales and zero points."""
        if more:
            self._scale, zeros = more
            self._zeros = int(zeros[0]), int(zeros[2])

    def parameter(self, shape: Sequence[int]) -> Node:
        """Return the input as it is in memory."""
        element = element_type(self._library, self._types.source.array_type)
        return self._operations.parameter(list(shape), element)

    def source(self, x: Node) -> Node:
        """Return an operation's first operand."""
        if not self._integers:
            return x
        operations, zero = self._operations, self._zeros[0]
        distance = operations.convert(x, "f32")
        if zero:
            distance = operations.subtract(distance, _number(operations, zero))
        return self._rounded(distance, self._types.source, zero)

    def weights(self, array: Array) -> Node:
        """Return an operation's second operand, which is constant."""
        constant = self._library.op.Constant(shared(self._library, array))
        if not self._integers:
            return constant
        operations = self._operations
        # A convolution's channels are the first axis of its weights, a product's the last one.
        axis = 1 if array.ndim == MATRIX_AXES else 0
        scale = self._scale
        if scale.size > 1:
            scale = scale.reshape(_wide(array.shape, axis, scale.size))
        return operations.multiply(operations.convert(constant, "f32"), operations.constant(scale))

    def result(self, y: Node) -> Node:
        """Return the result as it is written."""
        if not self._integers:
            return y
        operations, of, zero = self._operations, self._types.result, self._zeros[1]
        if self._types.requantises:
            y = self._rounded(y, of, zero)
            y = operations.add(y, _number(operations, zero)) if zero else y
        return operations.convert(y, element_type(self._library, of.array_type))

    def _rounded(self, y: Node, to: DType, zero: int) -> Node:
        """Return distances from a zero point, rounded to whole numbers that the type has."""
        limits, operations = np.iinfo(to.array_type), self._operations
        ends = limits.min - zero, limits.max - zero
        least, most = (_number(operations, end) for end in ends)
        levels = limits.max - limits.min + 1
        return operations.fake_quantize(y, least, most, least, most, levels)

    def note(self, executable: Any, layers: frozenset[str] = PRODUCTS) -> str | None:
        """Return in which other type a compiled model computes; None if there is no other.

        ``layers``: the kinds of layers that compute the problem.
        """
        names = map(str.lower, precisions(executable, layers))
        computed = {NAMES.get(name, name): None for name in names}
        # Signed integers may be shifted to unsigned ones, which is exact.
        same = {"u8", "s8"} if self._integers else {self._types.weights.name}
        others = [name for name in computed if name not in same]
        return f"computes {self._types.name} in {' and '.join(others)}" if others else None


def _number(operations: Any, value: float) -> Node:
    return operations.constant(np.float32(value))


def _wide(shape: Sequence[int], axis: int, channels: int) -> tuple[int, ...]:
    """Return the shape of a value per channel next to weights; a group's channels are two axes."""
    if len(shape) == GROUPED_AXES:
        return (shape[0], channels // shape[0], 1, 1, 1)
    return tuple(channels if each == axis else 1 for each in range(len(shape)))


def precisions(executable: Any, layers: frozenset[str] = PRODUCTS) -> list[str]:
    """Return the types in which the layers that compute were compiled."""
    nodes = [node.get_rt_info() for node in executable.get_runtime_model().get_ordered_ops()]
    return [
        str(info["runtimePrecision"].value)
        for info in nodes
        if str(info["layerType"].value) in layers
    ]


def element_type(library: Any, array_type: np.dtype[Any]) -> Any:
    """Return OpenVINO's element type; NumPy itself has no bf16."""
    if array_type == DTYPES["bf16"].array_type:
        return library.Type.bf16
    return library.Type(array_type)


def shared(library: Any, array: Array) -> Any:
    """Return a tensor in an array's memory; a copy if the array is read-only."""
    if array.dtype == DTYPES["bf16"].array_type:
        bits = array if array.flags.writeable else array.copy()
        return library.Tensor(bits.view(np.uint16), library.Shape(array.shape), library.Type.bf16)
    return library.Tensor(array, shared_memory=array.flags.writeable)
