"""Element types in models of OpenVINO: what a model reads, computes and writes.

Integers are multiplied as integers where a model has the form of a quantized one: the source is
f32 that was rounded to 256 levels (``FakeQuantize``), the weights are integers with a factor, and
the compiler moves both behind the sums. Here the levels are the integers themselves and the factor
is 1, so that the sums are exact; they become s32 at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.dtypes import DTYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import Types

    Array = np.ndarray[Any, Any]
    Node = Any

PRODUCTS = frozenset(("FullyConnected", "MatMul", "Convolution", "GroupConvolution"))
"""The layers of a compiled model that compute the problem."""
NAMES = {"i8": "s8"}
"""OpenVINO's names of types, where they are not ours."""


class Forms:
    """A model's ends and constants in the types of a problem."""

    def __init__(self, library: Any, operations: Any, types: Types) -> None:
        """``operations``: the module of the operation set."""
        self._library, self._operations, self._types = library, operations, types
        self._integers = types.accumulator.is_exact

    def parameter(self, shape: Sequence[int]) -> Node:
        """Return the input as it is in memory."""
        element = element_type(self._library, self._types.source.array_type)
        return self._operations.parameter(list(shape), element)

    def source(self, x: Node) -> Node:
        """Return an operation's first operand."""
        if not self._integers:
            return x
        limits = np.iinfo(self._types.source.array_type)
        operations = self._operations
        least, most = (operations.constant(np.float32(end)) for end in (limits.min, limits.max))
        levels = limits.max - limits.min + 1
        return operations.fake_quantize(
            operations.convert(x, "f32"), least, most, least, most, levels
        )

    def weights(self, array: Array) -> Node:
        """Return an operation's second operand, which is constant."""
        constant = self._library.op.Constant(shared(self._library, array))
        if not self._integers:
            return constant
        operations = self._operations
        return operations.multiply(
            operations.convert(constant, "f32"), operations.constant(np.float32(1))
        )

    def result(self, y: Node) -> Node:
        """Return the result as it is written."""
        if not self._integers:
            return y
        element = element_type(self._library, self._types.result.array_type)
        return self._operations.convert(y, element)

    def note(self, executable: Any) -> str | None:
        """Return in which other type a compiled model computes; None if there is no other."""
        computed = {NAMES.get(name, name): None for name in map(str.lower, _precisions(executable))}
        # Signed integers may be shifted to unsigned ones, which is exact.
        same = {"u8", "s8"} if self._integers else {self._types.weights.name}
        others = [name for name in computed if name not in same]
        return f"computes {self._types.name} in {' and '.join(others)}" if others else None


def _precisions(executable: Any) -> list[str]:
    """Return the types in which the layers that compute were compiled."""
    nodes = [node.get_rt_info() for node in executable.get_runtime_model().get_ordered_ops()]
    return [
        str(info["runtimePrecision"].value)
        for info in nodes
        if str(info["layerType"].value) in PRODUCTS
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
