"""Fold batch norms and layer scales into the convolution or linear layer before them.

At inference a batch norm is a factor and a term per channel, and a layer scale a factor: both can
be multiplied into the weights once, and cost nothing from then on (Jacob et al. 2018, section 3.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems.graph import Network, Node

if TYPE_CHECKING:
    from collections.abc import Mapping

    Array = np.ndarray[Any, Any]
    Weights = Mapping[str, Mapping[str, Array]]


def folded(network: Network) -> Network:
    """Return the network without the nodes that fold; their layers have a bias.

    ``fold_weights`` makes its weights.
    """
    into = folds(network)
    biased = set(into.values())
    nodes = []
    for node in network.nodes:
        if node.name in into:
            continue
        op = node.op.with_bias() if node.name in biased else node.op
        inputs = tuple(into.get(name, name) for name in node.inputs)
        nodes.append(Node(node.name, op, inputs))
    return Network(network.name, network.input, tuple(nodes), whole=network.whole)


def folds(network: Network) -> dict[str, str]:
    """Return, by the name of each node that folds, the layer that it folds into."""
    readers = network.readers
    into: dict[str, str] = {}
    for node in network.nodes:
        if not node.op.is_foldable:
            continue
        before = node.inputs[0]
        target = into.get(before, before)
        layer = network.by_name.get(target)
        if layer is None or not (layer.op.is_layer and layer.op.has_real_weight):
            continue
        if len(readers[before]) == 1:
            into[node.name] = target
    return into


def fold_weights(network: Network, weights: Weights) -> dict[str, dict[str, Array]]:
    """Return the weights of ``folded(network)``, by node and name."""
    into = folds(network)
    folded_weights = {
        node.name: dict(weights[node.name])
        for node in network.nodes
        if node.name not in into and node.name in weights
    }
    for name, target in into.items():
        factor, term = network.by_name[name].op.factor_and_term(weights[name])
        layer = folded_weights[target]
        wide = network.by_name[target].op.along_results(factor)
        kind = layer["weight"].dtype
        bias = layer["bias"] if "bias" in layer else np.zeros(len(factor))
        product = np.empty_like(layer["weight"])  # rounded once, without a float64 copy of it all
        layer["weight"] = np.multiply(layer["weight"], wide, out=product, casting="same_kind")
        layer["bias"] = (bias * factor + term).astype(kind)
    return folded_weights
