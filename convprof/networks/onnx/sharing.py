"""Which nodes of a file read the same weight, whatever was done to its shape in between."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof.problems.operation import VARIANCE
from convprof.problems.ties import Tie

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.networks.onnx.node import Constant, FileNode
    from convprof.problems.graph import Node

_MATRIX = 2
_RESHAPE = ("Expand", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
_SAME_TENSOR = frozenset(("Cast", "DequantizeLinear", "Identity", *_RESHAPE))
"""Operators after which a weight is still the same tensor of the file."""


@dataclass(frozen=True, slots=True)
class _Root:
    """A tensor of the file, by name, or the transposed matrix."""

    name: str
    transposed: bool = False


class Sharing:
    """Follows the constants of a file to the operations that read them."""

    def __init__(self, constants: Mapping[str, Constant]) -> None:
        """``constants`` are the file's tensors, by name."""
        self._constants = constants
        self._roots: dict[str, _Root] = {}
        self._uses: list[tuple[str, str, _Root, int]] = []
        """Node and weight of the network, the tensor of the file, and the number of elements."""

    def follow(self, node: FileNode, constant: Constant) -> None:
        """Note that a node of the file only gives a constant another name, shape or type."""
        if node.kind in _SAME_TENSOR:
            turns = node.kind == "Transpose" and len(constant.shape) == _MATRIX
            turns = turns and node.integers("perm", (1, 0)) == (1, 0)
            self._roots[node.outputs[0]] = self._root(node.input(0), transposed=turns)

    def read(
        self,
        user: Node,
        constants: Mapping[str, Constant],
    ) -> None:
        """Note which constants are the weights of an operation, by the op's names."""
        for weight, constant in constants.items():
            if constant.name:
                root = self._root(constant.name, transposed=constant.is_transposed)
                self._uses.append((user.name, weight, root, constant.elements))

    def ties(self, kept: Sequence[Node]) -> tuple[Tie, ...]:
        """Return the ties of the nodes that a network has; the first reader owns a weight."""
        names = {node.name for node in kept}
        owners: dict[tuple[str, bool, int], tuple[str, str, _Root]] = {}
        ties = []
        for node, weight, root, elements in self._uses:
            if node not in names:
                continue
            # Some tools merge equal tensors. A variance is drawn positive, and nothing else is.
            # A tensor that a file repeats has more elements than the tensor alone.
            key = root.name, weight == VARIANCE, elements
            owner, owned, first = owners.setdefault(key, (node, weight, root))
            if (owner, owned) != (node, weight):
                ties.append(
                    (Tie(node, weight, owner, owned, root.transposed != first.transposed), root)
                )
        # Exporters merge tensors that are equal, such as the factors of norms that were never
        # trained. Those are no weight of a shared layer, unless another tensor of it is shared.
        sure = {(tie.node, tie.owner) for tie, root in ties if not self._uniform(root)}
        return tuple(
            tie for tie, root in ties if not self._uniform(root) or (tie.node, tie.owner) in sure
        )

    def _uniform(self, root: _Root) -> bool:
        constant = self._constants.get(root.name)
        return constant is not None and constant.uniform

    def _root(self, name: str, *, transposed: bool) -> _Root:
        root = self._roots.get(name, _Root(name))
        return replace(root, transposed=root.transposed != transposed)
