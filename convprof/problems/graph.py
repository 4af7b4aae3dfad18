"""A network as a graph: named operations, each of which reads results of earlier ones."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from convprof.errors import ProblemError
from convprof.problems import checks
from convprof.problems.operation import Operation
from convprof.problems.shapes import IMAGE_AXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from convprof.dtypes import Types
    from convprof.problems.conv2d import Conv2d
    from convprof.problems.gemm import Gemm
    from convprof.problems.ops import Op
    from convprof.problems.ops.base import Array
    from convprof.problems.quantisation import Scale
    from convprof.problems.shapes import Shape
    from convprof.problems.ties import Tie
    from convprof.problems.whole_inputs import WholeNumbers

Weights: TypeAlias = "Mapping[str, Mapping[str, Array]]"
"""Tensors by name of the node and name in its op."""

INPUT = "input"
"""The name under which nodes read the network's input."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation, under its published name, and the names of what it reads, in order."""

    name: str
    op: Op
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """Nodes in an order in which they can be computed; the last one's result is the network's.

    ``input`` is the shape of the one input, the minibatch first: (n, c, h, w) for images. Shapes
    are logical: they do not depend on the layout of an activation in memory.

    Raises ProblemError, naming the node, when a name occurs twice or is read before it is
    computed, or shapes do not fit.
    """

    name: str
    input: Shape
    nodes: tuple[Node, ...]
    ties: tuple[Tie, ...] = ()
    """Weights that a node shares with an earlier one; a weight has one owner."""
    whole: tuple[WholeNumbers, ...] = ()
    """Parts of the input that are whole numbers."""
    shapes: Mapping[str, Shape] = field(init=False, repr=False, compare=False)
    """By name of the node, the shape of its result; ``input`` as well."""
    images: frozenset[str] = field(init=False, repr=False, compare=False)
    """Names of the results that are images (n, c, h, w), whose order in memory is the layout."""

    def __post_init__(self) -> None:
        if not self.nodes:
            raise ProblemError("a network needs at least one operation")
        for dimension in self.input:
            checks.size("input", dimension)
        checks.elements("input", self.input)
        shapes = {INPUT: self.input}
        for node in self.nodes:
            if node.name in shapes:
                raise ProblemError(f"{node.name}: the name occurs twice")
            try:
                shapes[node.name] = _result(node, shapes)
            except ProblemError as error:
                raise ProblemError(f"{node.name}: {error}") from None
        object.__setattr__(self, "shapes", shapes)
        object.__setattr__(self, "images", _images(self.nodes, shapes))

    @property
    def output(self) -> Shape:
        """The shape of the network's result."""
        return self.shapes[self.nodes[-1].name]

    @functools.cached_property
    def readers(self) -> Mapping[str, tuple[str, ...]]:
        """By name of each result, the nodes that read it, once for each time they do.

        The caller reads the network's result too; its name is ``""``.
        """
        readers: dict[str, list[str]] = {name: [] for name in self.shapes}
        for node in self.nodes:
            for name in node.inputs:
                readers[name].append(node.name)
        readers[self.nodes[-1].name].append("")
        return {name: tuple(nodes) for name, nodes in readers.items()}

    @functools.cached_property
    def by_name(self) -> Mapping[str, Node]:
        """The nodes by their names."""
        return {node.name: node for node in self.nodes}

    def only_reader(self, name: str) -> Node | None:
        """Return the node that alone reads a result, once; None for several, and for the caller."""
        readers = self.readers[name]
        return self.by_name.get(readers[0]) if len(readers) == 1 else None

    @functools.cached_property
    def tied(self) -> Mapping[tuple[str, str], Tie]:
        """The ties by node and name of the weight."""
        return {(tie.node, tie.weight): tie for tie in self.ties}

    def parameters(self, node: Node) -> int:
        """Return how many numbers are learned in a node, without the weights that others own."""
        inputs = self.reads(node)
        shared = [
            math.prod(shape)
            for name, shape in node.op.weights(*inputs).items()
            if (node.name, name) in self.tied
        ]
        return node.op.parameters(*inputs) - sum(shared)

    @property
    def takes_image(self) -> bool:
        """Whether the input is an image (n, c, h, w)."""
        return INPUT in self.images

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all nodes."""
        return sum(node.op.macs(*self.reads(node)) for node in self.nodes)

    @property
    def flops(self) -> int:
        """Floating-point operations of all nodes."""
        return sum(node.op.flops(*self.reads(node)) for node in self.nodes)

    def bytes_min(self, types: Types) -> int:
        """Return the bytes that all nodes move at least, each with cold caches."""
        return sum(node.op.bytes_min(types, *self.reads(node)) for node in self.nodes)

    def reads(self, node: Node) -> tuple[Shape, ...]:
        """Return the shapes of what a node reads, in order: what every method of its op takes."""
        return tuple(self.shapes[name] for name in node.inputs)

    def problem(self, node: Node) -> Conv2d | Gemm | None:
        """Return the convolution or product of a node, without a name; None for other nodes."""
        return node.op.problem(*self.reads(node))

    def computes(self, node: Node) -> Conv2d | Gemm | Operation:
        """Return the problem that a strategy computes for a node, under the node's name.

        A convolution or a linear layer with its bias as an epilogue; all else is an operation.
        """
        op, inputs = node.op, self.reads(node)
        layer = op.layer(*inputs)
        if layer is not None:
            return replace(layer, name=node.name)
        laid_out = not self.images.isdisjoint((node.name, *node.inputs))
        return Operation(op=op, inputs=inputs, laid_out=laid_out, name=node.name)

    def reference(
        self, x: Array, weights: Weights, scales: Mapping[str, Scale] | None = None
    ) -> Array:
        """Return the last result in float64, of the shape ``output``; see ``results``."""
        for _, result in self.results(x, weights, scales):
            last = result  # unpacking would keep every result in memory
        return last

    def results(
        self, x: Array, weights: Weights, scales: Mapping[str, Scale] | None = None
    ) -> Iterator[tuple[Node, Array]]:
        """Yield every node with its result in float64, a result kept until its last reader is done.

        Activations in their logical shapes; the weights and buffers of an op by their names, by
        name of the node. ``scales``: by name, of the results that are rounded to bytes. KeyError
        names a tensor that is missing.
        """
        scales = scales or {}
        last_reader = {name: node.name for node in self.nodes for name in node.inputs}
        first = x.astype(np.float64)
        held: dict[str, Array] = {INPUT: scales[INPUT].rounded(first) if INPUT in scales else first}
        for node in self.nodes:
            shapes = self.reads(node)
            names = [*node.op.weights(*shapes), *node.op.buffers(*shapes)]
            tensors = (weights[node.name][name].astype(np.float64) for name in names)
            result = node.op.reference(*(held[name] for name in node.inputs), *tensors)
            if node.name in scales:
                result = scales[node.name].rounded(result)
            yield node, result
            held[node.name] = result
            for name in {*node.inputs, node.name}:
                if last_reader.get(name, node.name) == node.name:
                    del held[name]


def _images(nodes: tuple[Node, ...], shapes: Mapping[str, Shape]) -> frozenset[str]:
    """Return the names of the results that are images, made by an op or kept from an input."""
    images = {INPUT} if len(shapes[INPUT]) == IMAGE_AXES else set()
    for node in nodes:
        is_image = node.op.makes_images or (
            node.op.keeps_images and images.intersection(node.inputs)
        )
        if is_image and len(shapes[node.name]) == IMAGE_AXES:
            images.add(node.name)
    return frozenset(images)


def _result(node: Node, shapes: Mapping[str, Shape]) -> Shape:
    missing = [name for name in node.inputs if name not in shapes]
    if missing:
        raise ProblemError(f"reads {checks.shown(missing[0])}, which no earlier node computes")
    output = node.op.output(*(shapes[name] for name in node.inputs))
    checks.elements("output", output)
    return output


class Builder:
    """Collects the nodes of a network in their order; a node reads the one before by default."""

    def __init__(self) -> None:
        self.last = INPUT
        """The name of what was added last: what the next node reads."""
        self.nodes: list[Node] = []

    def add(self, name: str, op: Op, *inputs: str) -> str:
        """Append a node that reads ``inputs``, or what was added last; return its name."""
        self.nodes.append(Node(name, op, inputs or (self.last,)))
        self.last = name
        return name
