"""A whole network in float64: every node by its definition, its results kept while somebody reads.

Activations are in their logical shapes, weights by name of the node and of the tensor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.networks.graph import INPUT
from convprof.networks.ops import Convolution, Linear
from convprof.strategies import oracle, reference
from convprof.strategies.reference_operations import compute

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from convprof.networks.graph import Network, Node
    from convprof.problems import Conv2d, Gemm

    Array = np.ndarray[Any, Any]
    Weights = Mapping[str, Mapping[str, Array]]


def network(net: Network, x: Array, weights: Weights) -> Array:
    """Return the last result in float64, of the shape ``net.output``."""
    for _, result in results(net, x, weights):
        last = result
    return last


def results(net: Network, x: Array, weights: Weights) -> Iterator[tuple[Node, Array]]:
    """Yield every node with its result in float64, in the order of the nodes.

    ``weights``: the op's weights and buffers by name, by name of the node; nodes without any need
    not be in it. KeyError names a tensor that is missing.
    """
    last_reader = {name: node.name for node in net.nodes for name in node.inputs}
    held: dict[str, Array] = {INPUT: np.asarray(x, dtype=np.float64)}
    for node in net.nodes:
        result = _computed(net, node, [held[name] for name in node.inputs], weights)
        yield node, result
        held[node.name] = result
        for name in {*node.inputs, node.name}:
            if last_reader.get(name, node.name) == node.name:
                del held[name]


def _computed(net: Network, node: Node, inputs: list[Array], weights: Weights) -> Array:
    shapes = net.reads(node)
    names = [*node.op.weights(*shapes), *node.op.buffers(*shapes)]
    known = [weights[node.name][name].astype(np.float64) for name in names]
    if not isinstance(node.op, Convolution | Linear):
        return compute(node.op, *inputs, *known)
    problem: Conv2d | Gemm = net.computes(node)  # type: ignore[assignment]  # it is one of the two
    weight, *more = known
    product = (
        oracle.conv2d(problem, inputs[0], weight)  # type: ignore[arg-type]
        if isinstance(node.op, Convolution)
        else oracle.gemm(problem, inputs[0], weight)  # type: ignore[arg-type]
    )
    return reference.epilogue(problem, product, more).reshape(net.shapes[node.name])
