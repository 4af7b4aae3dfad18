"""Networks that read ids of tokens, in types without all whole numbers: what stays f32 in them.

bf16 has the whole numbers up to 256, f16 up to 2,048, and a table may have 100,000 rows. In such a
network the input is f32, and so is every result that depends on no learned weights: ids, positions,
masks. ``Converted`` nodes convert these results for the other nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import F32
from convprof.problems.graph import INPUT, Network, Node
from convprof.problems.ops import Converted

if TYPE_CHECKING:
    from convprof.dtypes import Types


def is_mixed(network: Network, types: Types) -> bool:
    """Whether some results of a network in these types are f32."""
    return bool(network.whole) and _is_short(types)


def _is_short(types: Types) -> bool:
    return not (types.source.has_fma or types.accumulator.is_exact)


def inexact_places(network: Network, types: Types) -> Node | None:
    """Return a node with numbers of rows or elements that a type does not have; None if none has.

    In a mixed network, numbers that depend on no learned weights are f32.
    """
    if not _is_short(types):
        return None
    exact = exact_results(network) if network.whole else frozenset()
    most = 1 / types.source.epsilon  # all whole numbers up to it
    return next(
        (
            node
            for node in network.nodes
            if node.op.places(*network.reads(node)) > most and not exact.issuperset(node.inputs)
        ),
        None,
    )


def exact_results(network: Network) -> frozenset[str]:
    """Return the names of the results that depend on no learned weights, and of the input."""
    exact = {INPUT}
    for node in network.nodes:
        learned = node.op.weights(*network.reads(node)) or node.op.takes_exact
        if not learned and exact.issuperset(node.inputs):
            exact.add(node.name)
    return frozenset(exact)


def with_conversions(network: Network) -> Network:
    """Return the network with a node for each result that changes its type.

    A network without whole numbers stays. In f32 the nodes are views.
    """
    if not network.whole:
        return network
    exact = exact_results(network)
    nodes: list[Node] = []
    converted: dict[str, str] = {}

    def as_real(name: str) -> str:
        """Return the name of a result in the network's type."""
        if name not in exact:
            return name
        if name not in converted:
            converted[name] = f"{name} converted"
            nodes.append(Node(converted[name], Converted(), (name,)))
        return converted[name]

    for node in network.nodes:
        stays = node.name in exact or node.op.takes_exact
        inputs = node.inputs if stays else tuple(map(as_real, node.inputs))
        nodes.append(Node(node.name, node.op, inputs))
    as_real(nodes[-1].name)
    return Network(network.name, network.input, tuple(nodes), whole=network.whole)


def types_of(network: Network, types: Types) -> dict[str, str]:
    """Return the types of the nodes of a mixed network; the network's own are left out."""
    exact = exact_results(network)
    own = types.source.name
    reading = {
        node.name: f"{F32.name}:{own}:{own}"
        for node in network.nodes
        if node.op.takes_exact and exact.issuperset(node.inputs)
    }
    return dict.fromkeys(exact, F32.name) | reading
