"""Einsum: another order of the axes of one operand, or the products of two."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.networks.onnx.converters.products import linear, product
from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.networks.onnx.node import MOST_AXES, Constant, Recipe, Value

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode
    from convprof.problems.shapes import Shape

_EQUATION = re.compile(r"([A-Za-z]+)(?:,([A-Za-z]+))?->([A-Za-z]*)")
_UNSUPPORTED = (
    "only transpositions, and products of two operands that sum over the axes that both have and "
    "the result has not, are supported"
)


@dataclass(frozen=True, slots=True)
class _Equation:
    """The axes of two operands and of the result, a letter each."""

    first: str
    second: str
    result: str

    @classmethod
    def of(cls, node: FileNode) -> _Equation:
        """Return the equation of a node; UnsupportedNodeError for other forms.

        InputError for an axis of the result that no operand has: nothing computes it.
        """
        match = _EQUATION.fullmatch(node.text("equation", "").replace(" ", ""))
        if match is None:
            raise node.unsupported(_UNSUPPORTED)
        equation = cls(match[1], match[2] or "", match[3])
        for letters in (equation.first, equation.second, equation.result):
            if len(letters) > MOST_AXES or len(set(letters)) < len(letters):
                raise node.unsupported(_UNSUPPORTED)
        if not set(equation.result) <= set(equation.first + equation.second):
            raise node.refused(_UNSUPPORTED)
        return equation

    @property
    def items(self) -> str:
        """The axes that both operands and the result have: independent products."""
        return "".join(each for each in self.result if each in self.first and each in self.second)

    @property
    def summed(self) -> str:
        """The axes that both operands have and the result has not."""
        return "".join(
            each for each in self.first if each in self.second and each not in self.result
        )

    @property
    def rows(self) -> str:
        """The axes of the first operand and the result alone."""
        return "".join(each for each in self.first if each not in self.second)

    @property
    def columns(self) -> str:
        """The axes of the second operand and the result alone."""
        return "".join(each for each in self.second if each not in self.first)

    @property
    def is_product(self) -> bool:
        """Whether each axis of the result is of an operand, and the other axes are of both."""
        kept = self.items + self.rows + self.columns
        return bool(self.summed and self.result) and sorted(kept) == sorted(self.result)


def _einsum(net: Importer, node: FileNode) -> Value:
    equation = _Equation.of(node)
    if not equation.second:
        x = net.activation(node)
        if sorted(equation.first) != sorted(equation.result) or len(x.shape) != len(equation.first):
            raise node.unsupported(_UNSUPPORTED)
        return transposed(net, node, x, _order(equation.first, equation.result))
    if not equation.is_product:
        raise node.unsupported(_UNSUPPORTED)
    sizes = _sizes(net, node, equation)
    b = net.values[node.input(1)]
    if isinstance(b, Constant) and not equation.items:
        y = _linear(net, node, equation, sizes, b)
    else:
        y = _batched(net, node, equation, sizes)
    letters = equation.items + equation.rows + equation.columns
    whole = reshaped(net, node, y, tuple(sizes[each] for each in letters), "axes")
    return transposed(net, node, whole, _order(letters, equation.result), "order")


def _sizes(net: Importer, node: FileNode, equation: _Equation) -> dict[str, int]:
    """Return the size of every axis; UnsupportedNodeError where an axis of size 1 is repeated."""
    sizes: dict[str, int] = {}
    for at, letters in enumerate((equation.first, equation.second)):
        shape = net.values[node.input(at)].shape
        if len(shape) != len(letters):
            raise node.refused(f"{letters} does not fit {shape}")
        for letter, size in zip(letters, shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise node.unsupported(_UNSUPPORTED)
    return sizes


def _linear(
    net: Importer, node: FileNode, equation: _Equation, sizes: dict[str, int], matrix: Constant
) -> Value:
    """Return the rows times a matrix of weights."""
    a = _arranged(net, node, 0, (equation.first, equation.rows, equation.summed))
    rows, summed, columns = _counts(sizes, equation.rows, equation.summed, equation.columns)
    order = _order(equation.second, equation.summed + equation.columns)
    b = matrix
    if order != tuple(range(len(order))):
        moved = tuple(matrix.shape[axis] for axis in order)
        recipe = Recipe(lambda array: array.transpose(order), (matrix,))
        b = Constant(moved, stored=matrix.stored, recipe=recipe)
    return linear(
        net, node, reshaped(net, node, a, (rows, summed), "a"), b.reshaped((summed, columns)), []
    )


def _batched(net: Importer, node: FileNode, equation: _Equation, sizes: dict[str, int]) -> Value:
    """Return the products of two activations, one for each item."""
    sorts = equation.items, equation.rows, equation.summed, equation.columns
    items, rows, summed, columns = _counts(sizes, *sorts)
    a = _arranged(net, node, 0, (equation.first, equation.items, equation.rows, equation.summed))
    b = _arranged(
        net, node, 1, (equation.second, equation.items, equation.columns, equation.summed)
    )
    first = reshaped(net, node, a, (items, rows, summed), "a")
    second = reshaped(net, node, b, (items, columns, summed), "b")
    return product(net, node, first, second, transposed=True)


def _arranged(net: Importer, node: FileNode, at: int, letters: tuple[str, ...]) -> Value:
    """Return an operand with its axes in the order of the sorts after its own letters."""
    own, *sorts = letters
    x = net.computed(node, at)
    return transposed(net, node, x, _order(own, "".join(sorts)), f"order{at}")


def _order(before: str, after: str) -> Shape:
    return tuple(before.index(each) for each in after)


def _counts(sizes: dict[str, int], *sorts: str) -> list[int]:
    """Return the number of elements along the axes of each sort."""
    return [math.prod(sizes[each] for each in letters) for letters in sorts]


CONVERTERS = {"Einsum": _einsum}
