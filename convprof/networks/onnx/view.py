"""The file's graph as patterns look at it: backwards from a value to what computes it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

    from convprof.networks.onnx.node import Constant, FileNode
    from convprof.networks.onnx.source import Source

TOLERANCE = 1e-3
"""Relative, of a number that a pattern looks for: files may hold it in half precision."""


class View:
    """Finds the node that computes a value, and the number that a constant holds."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._producers = {name: node for node in source.nodes for name in node.outputs if name}
        self._uses: Counter[str] = source.uses()

    def replace(self, node: FileNode) -> None:
        """Note that another node computes what this one computes."""
        self._producers[node.outputs[0]] = node

    def producer(self, name: str, kind: str) -> FileNode | None:
        """Return the node that computes a value if it is of that kind."""
        node = self._producers.get(name)
        return node if node is not None and node.kind == kind else None

    def number(self, name: str) -> float | None:
        """Return the value of a constant of one number."""
        constant = self._source.constants.get(name)
        if constant is None or constant.values is None or constant.elements != 1:
            return None
        return float(constant.values.reshape(-1)[0])

    def is_number(self, name: str, value: float) -> bool:
        """Whether a value is the constant of that number, or within 0.1 % of it."""
        number = self.number(name)
        return number is not None and math.isclose(number, value, rel_tol=TOLERANCE)

    def weight(self, name: str, rank: int) -> Constant | None:
        """Return a constant with ``rank`` axes."""
        constant = self._source.constants.get(name)
        return constant if constant is not None and len(constant.shape) == rank else None

    def used_once(self, name: str) -> bool:
        """Whether a value is read by one node alone."""
        return self._uses[name] == 1

    def pairs(self, node: FileNode) -> list[tuple[str, str]]:
        """Return the two inputs of a commutative node in both orders."""
        if len(node.inputs) != len(("a", "b")):
            return []
        a, b = node.inputs
        return [(a, b), (b, a)]

    def mean_input(self, name: str) -> str | None:
        """Return x where the value is its mean along the last axis, which stays with size 1."""
        mean = self.producer(name, "ReduceMean")
        if mean is None or not mean.integer("keepdims", 1):
            return None
        axis = self.number(mean.input(1)) if mean.has(1) else None
        axes = mean.integers("axes", ()) if axis is None else (axis,)
        return mean.input(0) if axes == (-1,) else None

    def centred_input(self, name: str) -> str | None:
        """Return x where the value is x less its mean."""
        difference = self.producer(name, "Sub")
        if difference is None or len(difference.inputs) != len(("x", "mean")):
            return None
        x, mean = difference.inputs
        return x if self.mean_input(mean) == x else None

    def is_square(self, name: str, x: str) -> bool:
        """Whether a value is the square of x."""
        power = self.producer(name, "Pow")
        if power is not None:
            return power.input(0) == x and self.is_number(power.input(1), 2)
        product = self.producer(name, "Mul")
        return product is not None and product.inputs == (x, x)

    def factors(self, name: str, stops: frozenset[str]) -> tuple[float, list[str]]:
        """Return a value as a number times other values, which are in ``stops`` or not products.

        At most four products deep, which is more than a pattern has.
        """
        total, values, open_ = 1.0, [], [(name, 4)]
        while open_:
            value, depth = open_.pop()
            node = self._producers.get(value)
            number = self.number(value)
            if number is not None:
                total *= number
            elif value in stops or depth == 0 or node is None or len(node.inputs) < 2:  # noqa: PLR2004
                values.append(value)
            elif node.kind == "Mul":
                open_ += [(each, depth - 1) for each in node.inputs]
            elif node.kind == "Div" and (divisor := self.number(node.input(1))):
                total /= divisor
                open_.append((node.input(0), depth - 1))
            else:
                values.append(value)
        return total, values
