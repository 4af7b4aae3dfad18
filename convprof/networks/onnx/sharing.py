"""Which nodes of a file read the same weight, whatever was done to its shape in between."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof.problems.operation import VARIANCE
from convprof.problems.ties import Tie

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.networks.onnx.node import Constant, FileNode
    from convprof.problems.graph import Node
    from convprof.problems.shapes import Shape

_MATRIX = 2
_RESHAPE = ("Expand", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
_SAME_TENSOR = frozenset(("Cast", "DequantizeLinear", "Identity", *_RESHAPE))
"""Operators after which a weight is still the same tensor of the file."""


@dataclass(frozen=True, slots=True)
class _Root:
    """A tensor of the file, by name; ``turned`` if rows and columns of a matrix are exchanged."""

    name: str
    turned: bool = False


class Sharing:
    """Follows the constants of a file to the operations that read them."""

    def __init__(self, constants: Mapping[str, Constant]) -> None:
        """``constants`` are the file's tensors, by name."""
        self._constants = constants
        self._roots: dict[str, _Root] = {}
        self._uses: list[tuple[str, str, _Root]] = []
        """Node and weight of the network, and the tensor of the file."""

    def follow(self, node: FileNode, given: Constant) -> None:
        """Note that a node of the file only gives a constant another name, shape or type."""
        if node.kind in _SAME_TENSOR:
            turns = node.kind == "Transpose" and len(given.shape) == _MATRIX
            turns = turns and node.integers("perm", (1, 0)) == (1, 0)
            self._roots[node.outputs[0]] = self._root(node.input(0), turned=turns)

    def read(
        self,
        node: FileNode,
        made: Node,
        shapes: Sequence[Shape],
        given: Sequence[tuple[str, Constant]],
    ) -> None:
        """Note which constants of a file's node are the weights of an operation, in their order."""
        op = made.op
        wanted = {**op.weights(*shapes), **op.buffers(*shapes)}
        turned = node.kind == "Gemm" and bool(node.integer("transB", 0))
        for (weight, shape), (name, constant) in zip(wanted.items(), given, strict=False):
            if constant.elements == math.prod(shape):
                root = self._root(name, turned=turned and len(shape) == _MATRIX)
                self._uses.append((made.name, weight, root))

    def ties(self, kept: Sequence[Node]) -> tuple[Tie, ...]:
        """Return the ties of the nodes that a network has; the first reader owns a weight."""
        names = {node.name for node in kept}
        owners: dict[tuple[str, bool], tuple[str, str, _Root]] = {}
        found = []
        for node, weight, root in self._uses:
            if node not in names:
                continue
            # Some tools merge equal tensors. A variance is drawn positive, and nothing else is.
            key = root.name, weight == VARIANCE
            owner, owned, first = owners.setdefault(key, (node, weight, root))
            if (owner, owned) != (node, weight):
                found.append((Tie(node, weight, owner, owned, root.turned != first.turned), root))
        # Exporters merge tensors that are equal, such as the factors of norms that were never
        # trained. Those are no weight of a shared layer, unless another tensor of it is shared.
        sure = {(tie.node, tie.owner) for tie, root in found if not self._uniform(root)}
        return tuple(
            tie for tie, root in found if not self._uniform(root) or (tie.node, tie.owner) in sure
        )

    def _uniform(self, root: _Root) -> bool:
        constant = self._constants.get(root.name)
        return constant is not None and constant.uniform

    def _root(self, name: str, *, turned: bool) -> _Root:
        root = self._roots.get(name, _Root(name))
        return replace(root, turned=root.turned != turned)
