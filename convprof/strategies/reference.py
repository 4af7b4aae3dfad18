"""The float64 reference of what is beside convolutions and products: NumPy only.

Activations are ``(n, c, h, w)``, ``(n, t, c)`` or ``(n, c)`` here, as the shapes of a network say.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems import Conv2d
from convprof.problems.graph import INPUT
from convprof.problems.ops import Convolution, Linear
from convprof.strategies import oracle
from convprof.strategies.reference_operations import compute

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.problems import Gemm
    from convprof.problems.operation import Operation

    Array = np.ndarray[Any, Any]
    Points = np.ndarray[Any, np.dtype[np.int64]]
    from collections.abc import Iterator, Mapping

    from convprof.problems.graph import Network, Node

    Weights = Mapping[str, Mapping[str, Array]]


# A whole network in float64: every node by its definition, its results kept while somebody reads.
#
# Activations are in their logical shapes, weights by name of the node and of the tensor.


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
    return epilogue(problem, product, more).reshape(net.shapes[node.name])


_erf = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1.0 + np.tanh(0.5 * x))  # exp(-x) would overflow


def _hardsigmoid(x: Array) -> Array:
    return np.clip(x + 3.0, 0.0, 6.0) / 6.0


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "relu6": lambda x: np.clip(x, 0.0, 6.0),
    "gelu": lambda x: 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0))),
    "silu": lambda x: x * _sigmoid(x),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "hardsigmoid": _hardsigmoid,
    "hardswish": lambda x: x * _hardsigmoid(x),
}
"""By name, each function of ``problems.functions`` of an array in float64."""


def epilogue(
    problem: Conv2d | Gemm, product: Array, operands: Sequence[Array], points: Points | None = None
) -> Array:
    """Return function(product + bias + residual) in float64, all of it or at flat indices.

    ``operands`` are those of the problem's epilogue: a bias per output channel, then a residual of
    the result's shape, in NCHW for a convolution.
    """
    made, more = problem.epilogue, list(operands)
    if not made:
        return product
    shape = problem.result_shape("nchw")
    total = product
    if made.bias:
        bias = more.pop(0).astype(np.float64)
        wide = bias[:, None, None] if isinstance(problem, Conv2d) else bias
        total = total + _picked(np.broadcast_to(wide, shape), points)
    if made.add:
        total = total + _picked(more.pop(0).astype(np.float64), points)
    return FUNCTIONS[made.function](total) if made.function else total


def _picked(values: Array, points: Points | None) -> Array:
    return values if points is None else values[np.unravel_index(points, values.shape)]


def operation(problem: Operation, operands: Sequence[Array]) -> Array:
    """Return the result of a network's operation in float64, in its logical shape.

    ``operands`` are the activations in their logical shapes, the weights, the buffers.
    """
    return compute(problem.op, *(operand.astype(np.float64) for operand in operands))
