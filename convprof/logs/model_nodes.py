"""The convolutions and products of a model by name: what a profile without attributes lacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from convprof.errors import InputError
from convprof.integers import ceil_div
from convprof.logs.products import product
from convprof.problems.conv2d import Conv2d

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.problems.base import Problem
    from convprof.problems.gemm import Gemm

Padding = Literal["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]
PADDINGS: tuple[Padding, ...] = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
_SUFFIXES = ("_nchwc", "/WithoutBiases", "_kernel_time", "_token_0")
"""What ONNX Runtime and OpenVINO append to the name of a node that they replace."""
_IMAGE = 4


@dataclass(frozen=True, slots=True)
class ModelNode:
    """A convolution or a product of a model; a shape is empty if the model does not tell it."""

    is_convolution: bool
    x: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()
    result: tuple[int, ...] = ()
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Top, left, bottom, right."""
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1
    padding: Padding = "NOTSET"

    def problem(self) -> Problem | None:
        """Return the problem with the shapes of the model; None if they are not known."""
        try:
            if self.is_convolution:
                return self.convolution(list(self.x), list(self.weights))
            return self._product()
        except InputError:
            return None

    def convolution(self, x: list[int], weights: list[int]) -> Conv2d | None:
        """Return the convolution of these shapes; None if they do not belong to this node."""
        if len(x) != _IMAGE or len(weights) != _IMAGE or min(*x, *weights) < 1:
            return None
        (n, c, h, w), (k, per_group, r, s) = x, weights
        if per_group * self.groups != c or (self.weights and tuple(weights) != self.weights):
            return None
        return Conv2d(
            n=n, c=c, h=h, w=w, k=k, r=r, s=s, stride=self.strides, pad=self._pads((h, w), (r, s)),
            dilation=self.dilations, groups=self.groups,
        )  # fmt: skip

    def _pads(self, sizes: tuple[int, int], taps: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return the padding; ``SAME`` gives as many outputs as strides fit into the input."""
        if self.padding == "NOTSET":
            return self.pads
        if self.padding == "VALID":
            return (0, 0, 0, 0)
        begins, ends = [], []
        for size, tap, stride, dilation in zip(
            sizes, taps, self.strides, self.dilations, strict=True
        ):
            reach = (ceil_div(size, stride) - 1) * stride + (tap - 1) * dilation + 1
            total = max(0, reach - size)
            smaller = total // 2
            begins.append(smaller if self.padding == "SAME_UPPER" else total - smaller)
            ends.append(total - begins[-1])
        return (begins[0], begins[1], ends[0], ends[1])

    def _product(self) -> Gemm | None:
        if not self.x or not self.result or self.x[:-1] != self.result[:-1]:
            return None
        return product(list(self.x), [*self.weights[:-2], self.x[-1], self.result[-1]])


@dataclass
class ModelNodes:
    """Nodes by their own names, by the names of their results, and of what is fused into them."""

    _by_name: dict[str, ModelNode] = field(default_factory=dict)
    _ambiguous: set[str] = field(default_factory=set)
    found: int = 0
    """How many names of a log were names of the model."""

    def add(self, name: str, node: ModelNode) -> None:
        """Add a node; a name of several nodes identifies none of them."""
        if name and self._by_name.setdefault(name, node) != node:
            self._ambiguous.add(name)

    def find(self, name: str) -> ModelNode | None:
        """Return the node that a library names; None if the name is unknown or ambiguous."""
        while name not in self._by_name:
            shorter = next((name.removesuffix(s) for s in _SUFFIXES if name.endswith(s)), "")
            if not shorter:
                return None
            name = shorter
        if name in self._ambiguous:
            return None
        self.found += 1
        return self._by_name[name]

    def problem(self, name: str) -> Problem | None:
        """Return the problem of a node."""
        node = self.find(name)
        return None if node is None else node.problem()

    def __iter__(self) -> Iterator[ModelNode]:
        """Iterate over the nodes, a node once for each of its names."""
        return iter(self._by_name.values())

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._by_name)
