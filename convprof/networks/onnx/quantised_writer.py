"""Write a network whose layers compute in bytes: QuantizeLinear and DequantizeLinear around them.

This is the QDQ form of ONNX Runtime's and OpenVINO's tools: activations are rounded to u8 and
become f32 again, weights are s8 with a scale per output channel, biases s32. A runtime replaces
DequantizeLinear, an operator and QuantizeLinear by the operator of bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.networks.onnx.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.problems.graph import Network, Node
    from convprof.problems.quantisation import Quantisation, Scale
    from convprof.problems.shapes import Shape

    Array = np.ndarray[Any, Any]

TO_BYTES, FROM_BYTES = "QuantizeLinear", "DequantizeLinear"


class QuantisedWriter(Writer):
    """A writer that adds a rounding after every result of bytes."""

    def __init__(
        self,
        network: Network,
        weights: Mapping[str, Mapping[str, Array]],
        quantisation: Quantisation,
        *,
        rounds_sums: bool,
    ) -> None:
        """``rounds_sums``: whether a layer's result is rounded to bytes before a sum reads it.

        ONNX Runtime computes a layer in bytes only if its own result is bytes.
        """
        super().__init__(network, weights)
        self._quantisation = quantisation
        summed = quantisation.summed if rounds_sums else frozenset()
        self._rounded = quantisation.written | summed
        self._bytes_of: dict[str, str] = {}
        """The rounded form of results that are f32, by their names."""

    def add(self, node: Node, kind: str, *inputs: str, last: bool = True, **attributes: Any) -> str:
        """Append an ONNX node that reads bytes where its node does, and rounds where it does."""
        read = [self._read(node, name) for name in inputs]
        output = super().add(node, kind, *read, last=last, **attributes)
        if output == node.name or not last:
            return output
        return self._round(node, output, self._quantisation.scales[node.name], node.name)

    def result_name(self, node: Node) -> str:
        """Return another name than the node's where a rounding follows."""
        return self.fresh(node) if node.name in self._rounded else super().result_name(node)

    def weight(self, node: Node, key: str, shape: Shape | None = None) -> str:
        """Return the name of a weight: of a layer in bytes, of the f32 that the bytes mean."""
        layer = self._quantisation.layers.get(node.name)
        if layer is None:
            return super().weight(node, key, shape)
        array, scales, axis = layer.weights, layer.scales, layer.axis
        if key == "bias" and layer.bias is not None:
            array, scales, axis = layer.bias, layer.bias_scales, 0
        zeros = np.zeros(scales.shape, array.dtype)
        constants = [
            self.constant(node, each) for each in (array, scales.astype(np.float32), zeros)
        ]
        return self.append(FROM_BYTES, constants, self.fresh(node), axis=axis)

    def _read(self, node: Node, name: str) -> str:
        """Return the name of what a node reads: rounded for a layer in bytes, if that is f32."""
        quantisation = self._quantisation
        if node.name not in quantisation.readers or name not in self.network.shapes:
            return name
        # What another node of the same layer gives is not rounded, whether it is a sum or not.
        if name in self._rounded or name in quantisation.readers:
            return name
        if name not in self._bytes_of:
            rounded = self.fresh(node)
            scale = quantisation.scales[name]
            self._bytes_of[name] = self._round(node, name, scale, rounded)
        return self._bytes_of[name]

    def _round(self, node: Node, name: str, scale: Scale, result: str) -> str:
        """Append the rounding of a value to bytes and back to f32; return the result's name."""
        step, zero = np.float32(scale.scale), np.uint8(scale.zero)
        factors = [self.constant(node, np.array(each)) for each in (step, zero)]
        whole = self.append(TO_BYTES, [name, *factors], self.fresh(node))
        return self.append(FROM_BYTES, [whole, *factors], result)
