"""Collects the nodes and weights of an ONNX graph that is written from a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import InputError
from convprof.networks.onnx.package import onnx_package

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx

    from convprof.problems.graph import Network, Node
    from convprof.problems.shapes import Shape

    Array = np.ndarray[Any, Any]


class Writer:
    """The graph so far. Results of the network's nodes have the nodes' names."""

    def __init__(self, network: Network, weights: Mapping[str, Mapping[str, Array]]) -> None:
        self.network = network
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.packed: dict[str, tuple[str, str, str]] = {}
        """By name of a packed projection, its queries, keys and values."""
        self._weights = weights
        self._written: dict[tuple[int, Shape], str] = {}
        """The names of the weights by array and shape: one that nodes share is written once."""
        self._helper = onnx_package().helper
        self._number = 0

    def add(self, node: Node, kind: str, *inputs: str, last: bool = True, **attributes: Any) -> str:
        """Append an ONNX node; return its result's name, the node's own if it is the last."""
        output = self.result_name(node) if last else self.fresh(node)
        return self.append(kind, inputs, output, **attributes)

    def append(
        self, kind: str, inputs: Sequence[str], output: str, *others: str, **attributes: Any
    ) -> str:
        """Append an ONNX node, and return the name of its first result; ``others`` follow it."""
        proto = self._helper.make_node(kind, inputs, [output, *others], name=output, **attributes)
        self.nodes.append(proto)
        return output

    def cast(self, node: Node, x: str, to: str, *, last: bool = False) -> str:
        """Append the conversion to an element type of ONNX; return its result's name."""
        number = onnx_package().TensorProto.DataType.Value(to)
        return self.add(node, "Cast", x, to=number, last=last)

    def result_name(self, node: Node) -> str:
        """Return the name of what the last ONNX node of a node gives."""
        return node.name

    def split(self, node: Node, x: str, axis: int, pieces: int) -> tuple[str, ...]:
        """Append a division into equal pieces; return their names."""
        outputs = tuple(self.fresh(node) for _ in range(pieces))
        self.append("Split", [x], *outputs, axis=axis, num_outputs=pieces)
        return outputs

    def reads(self, node: Node) -> tuple[Shape, ...]:
        """Return the shapes of what a node reads."""
        return self.network.reads(node)

    def weight(self, node: Node, key: str, shape: Shape | None = None) -> str:
        """Return the name of one of a node's weights, of another shape if one is given.

        Raises InputError when it is missing or does not have the shape that the op needs.
        """
        inputs = self.reads(node)
        needed = {**node.op.weights(*inputs), **node.op.buffers(*inputs)}[key]
        array = self._weights.get(node.name, {}).get(key)
        if array is None:
            raise InputError(f"{node.name}: its weight {key!r} is missing")
        if array.shape != needed:
            raise InputError(f"{node.name}: {key!r} is {array.shape}, must be {needed}")
        key_and_shape = id(array), shape or needed
        if key_and_shape not in self._written:
            exact = array.astype(np.float32, copy=False).reshape(shape or needed)
            self._written[key_and_shape] = self.constant(node, exact)
        return self._written[key_and_shape]

    def integers(self, node: Node, *numbers: int) -> str:
        """Return the name of a list of whole numbers."""
        return self.constant(node, np.array(numbers, np.int64))

    def constant(self, node: Node, array: Array) -> str:
        """Return the name of a constant."""
        name = self.fresh(node)
        self.initializers.append(onnx_package().numpy_helper.from_array(array, name))
        return name

    def fresh(self, node: Node) -> str:
        """Return a new name: a node's, a space and a number. No node has such a name."""
        self._number += 1
        return f"{node.name} {self._number}"
