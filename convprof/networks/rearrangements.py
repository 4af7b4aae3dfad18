"""Rearrangements one after the other that one copy computes: the copies between are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.problems.ops import Rearranged

if TYPE_CHECKING:
    from collections.abc import Collection

    from convprof.problems.graph import Network, Node

MOST = 16
"""Nodes that are tried as one; exporters write up to ten."""


def in_one(network: Network, first: Node, without: Collection[str] = ()) -> tuple[Node, ...]:
    """Return the nodes from ``first`` on that one copy computes; none if that saves no copy.

    Each of them but the last is read by the next one alone. Images have a layout of their own, and
    are left as they are. ``without``: names of nodes that something else computes.
    """
    source, *others = first.inputs
    nodes: list[Node] = []
    copies = taken = 0
    node: Node | None = first
    while node is not None and not others and len(nodes) < MOST and _moves(network, node):
        if node.name in without:
            break
        nodes.append(node)
        whole = Rearranged(tuple(each.op for each in nodes)).strides(network.shapes[source])
        if whole is None:
            break
        alone = Rearranged((node.op,)).strides(network.shapes[node.inputs[0]])
        if alone is None or not alone.is_dense:
            copies, taken = copies + 1, len(nodes)
        node = network.only_reader(node.name)
    return tuple(nodes[:taken]) if copies > 1 else ()


def _moves(network: Network, node: Node) -> bool:
    """Whether a node only moves elements that are in the order of their shape."""
    is_image = not network.images.isdisjoint((node.name, *node.inputs))
    return node.op.only_rearranges and not is_image
