"""Several nodes that are one operation: what exporters write out step by step.

Each pattern is looked for from its last node backwards. That node is replaced by one that names
the operation and reads what the first of them read; nodes that are then unused are dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks.onnx.activation_patterns import find_activation
from convprof.networks.onnx.norm_patterns import find_rms_norm
from convprof.networks.onnx.sum_patterns import find_sum
from convprof.networks.onnx.view import View

if TYPE_CHECKING:
    from convprof.networks.onnx.node import FileNode
    from convprof.networks.onnx.source import Source


def _find_product(net: View, node: FileNode) -> FileNode | None:
    return find_activation(net, node) or find_rms_norm(net, node)


_BY_LAST_NODE = {"Add": find_sum, "Div": find_activation, "Mul": _find_product}


def replace_patterns(source: Source) -> None:
    """Replace every pattern in the graph, in place."""
    view = View(source)
    for index, node in enumerate(source.nodes):
        find = _BY_LAST_NODE.get(node.kind)
        operation = find(view, node) if find else None
        if operation is not None:
            source.nodes[index] = operation
            view.replace(operation)
    source.prune()
