"""Linear layers that read the same value as one layer: their weights side by side.

Queries, keys and values of attention are such layers. One product reads the value once and has more
columns to share out. Each layer's own name remains: a slice of the columns. Layers are joined only
where the slice costs nothing: there is one row and no epilogue would be lost, or the slice is part
of a copy that the network has in any case (the transposition of the heads).
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.networks.rearrangements import in_one
from convprof.problems.graph import Network, Node
from convprof.problems.ops import Slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from convprof.problems.ops import Op

    Array = np.ndarray[Any, Any]
    Weights = Mapping[str, Mapping[str, Array]]


@dataclass(frozen=True)
class SideBySide:
    """A network with joined layers, and the layers that each of them replaces."""

    network: Network
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By name of a joined layer, the layers in the order of their columns."""

    def weights(self, weights: Weights) -> Weights:
        """Return the weights of this network, from the weights of the network before.

        Layers with the same arrays get the same arrays again, so that they are packed once.
        """
        if not self.members:
            return weights
        inside = {name for names in self.members.values() for name in names}
        own = {name: tensors for name, tensors in weights.items() if name not in inside}
        stacked: dict[tuple[int, ...], Array] = {}
        for joined, names in self.members.items():
            tensors: dict[str, Array] = {}
            for part in weights[names[0]]:
                arrays = [weights[name][part] for name in names]
                key = tuple(map(id, arrays))
                if key not in stacked:
                    stacked[key] = np.concatenate(arrays, axis=-1)
                tensors[part] = stacked[key]
            own[joined] = tensors
        return own


def side_by_side(network: Network) -> SideBySide:
    """Return the network with layers joined where that costs no copy."""
    groups = [*_groups(network)]
    joined = _joined(network, groups)
    kept = [
        group
        for group in groups
        if all(_is_free(joined.network, joined.network.by_name[node.name]) for node in group)
    ]
    if not kept:
        return SideBySide(network)
    return joined if len(kept) == len(groups) else _joined(network, kept)


def _groups(network: Network) -> Iterator[list[Node]]:
    """Yield the layers that read the same value and can be one layer."""
    last = network.nodes[-1].name
    alike: dict[tuple[str, Op], list[Node]] = {}
    for node in network.nodes:
        kind = node.op.without_size
        if kind is not None and node.name != last:
            alike.setdefault((node.inputs[0], kind), []).append(node)
    yield from (nodes for nodes in alike.values() if len(nodes) > 1)


def _joined(network: Network, groups: list[list[Node]]) -> SideBySide:
    """Return the network with a layer for each group, at the place of the group's first layer."""
    first = {group[0].name: group for group in groups}
    columns: dict[str, Node] = {}
    members: dict[str, tuple[str, ...]] = {}
    nodes: list[Node] = []
    for node in network.nodes:
        if node.name in first:
            group = first[node.name]
            sizes = [network.shapes[each.name][-1] for each in group]
            names = tuple(each.name for each in group)
            whole = Node(_title(names, network), node.op.of_size(sum(sizes)), node.inputs)
            nodes.append(whole)
            members[whole.name] = names
            axis = len(network.shapes[node.name]) - 1
            for each, size, end in zip(group, sizes, itertools.accumulate(sizes), strict=True):
                columns[each.name] = Node(each.name, Slice(axis, end - size, end), (whole.name,))
        nodes.append(columns.get(node.name, node))
    inner = Network(network.name, network.input, tuple(nodes), whole=network.whole)
    return SideBySide(inner, members)


def _title(names: tuple[str, ...], network: Network) -> str:
    """Return ``layer.0.query + key + value``: the common part of the names once."""
    words = [re.split(r"(?<=[./])", name) for name in names]
    common = sum(
        1 for _ in itertools.takewhile(lambda same: len(set(same)) == 1, zip(*words, strict=False))
    )
    others = ("".join(each[common:]) for each in words[1:])
    title = " + ".join((names[0], *others))
    while title in network.shapes:
        title += " side by side"
    return title


def _is_free(network: Network, node: Node) -> bool:
    """Whether the slice of a layer's columns is a view, or part of a copy after it."""
    if math.prod(network.shapes[node.name][:-1]) > 1:
        return bool(in_one(network, node))
    return not any(network.by_name[name].op.epilogue for name in network.readers[node.name])
