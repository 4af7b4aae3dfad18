"""A network as a problem: all its layers, one after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.dtypes import F32, QUANTISED, tolerance
from convprof.problems.base import Problem
from convprof.problems.shapes import shape_text
from convprof.problems.tensors import TensorSpec, activation, picked, relative_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from convprof.dtypes import Types
    from convprof.problems.graph import Network, Weights
    from convprof.problems.quantisation import FileScales
    from convprof.problems.tensors import Array, Points


LAYER_IN_BYTES = 3 * 2 * QUANTISED
"""The error of one layer that computes in bytes: its input, its weights and its result are rounded.
Measured: 0.011 to 0.014 with operands of a normal distribution."""


@dataclass(frozen=True, eq=False, slots=True)
class RealOperands:
    """The operands of a network that are not drawn, all in f32 and in logical shapes."""

    weights: Weights
    x: Array
    reference: Array
    """The float64 result."""
    others: Mapping[str, Array] = field(default_factory=dict)
    """The results of other programs on the same operands, by their names."""
    scales: FileScales | None = None
    """The scales of the file, where the file has bytes."""
    rounded: Array | None = None
    """The float64 result with the roundings of the file; None where the file has no bytes."""

    @classmethod
    def of(
        cls, network: Network, weights: Weights, x: Array, scales: FileScales | None = None
    ) -> RealOperands:
        """Compute the float64 result, which takes about as long as 20 runs."""
        rounded = network.reference(x, weights, scales.activations) if scales else None
        return cls(weights, x, network.reference(x, weights), scales=scales, rounded=rounded)

    def expected(self, types: Types) -> Array:
        """Return the float64 result for some types: with the roundings of the file in int8."""
        if self.rounded is None or not types.accumulator.is_exact:
            return self.reference
        return self.rounded


@dataclass(frozen=True, eq=False)
class NetworkProblem(Problem):
    """``network`` from its input to its result; input and result are in the setting's layout."""

    kind: ClassVar[str] = "network"

    network: Network
    real: RealOperands | None = None
    """Real weights and a real input; None where both are drawn from a seed."""

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network.name

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return self.network.macs

    @property
    def flops(self) -> int:
        """Floating-point operations of all layers, as written: nothing folded."""
        return self.network.flops

    @property
    def is_network(self) -> bool:
        """It is."""
        return True

    @property
    def terms(self) -> int:
        """The terms of all layers: the errors of one layer are operands of the next."""
        net = self.network
        return sum(net.computes(node).terms for node in net.nodes)

    @property
    def roundings(self) -> int:
        """One per layer."""
        return len(self.network.nodes)

    def known_error(self, types: Types) -> float:
        """Return what `tolerance` does not know of a chain in bytes; 0 for other types.

        Few layers may have the error of one. And the roundings of a file, of which a chain may
        leave out some: layers that compute in f32 do not round, and no result before a fused sum.
        """
        if not types.accumulator.is_exact:
            return 0.0
        few = max(0.0, LAYER_IN_BYTES - tolerance(types, self.terms, self.roundings))
        if self.real is None:
            return few
        return few + relative_error(self.real.expected(types), self.real.reference)

    @property
    def has_layout(self) -> bool:
        """Whether there are any images."""
        return bool(self.network.images)

    def bytes_min(self, types: Types) -> int:
        """Return the least bytes: each layer's operands read, its result written, caches cold."""
        return self.network.bytes_min(types)

    def operands(self, layout: str, types: Types) -> tuple[TensorSpec, ...]:
        """Return the input, then the weights and buffers of every node; they are bound by name."""
        from convprof.problems.exact_results import is_mixed  # with NumPy

        net = self.network
        order = layout if net.takes_image else None
        outer = F32 if is_mixed(net, types) else _outer(types)
        return (activation("x", net.input, order, outer.source), *self._constants(types))

    def _constants(self, types: Types) -> Iterator[TensorSpec]:
        net = self.network
        for node in net.nodes:
            shapes = net.reads(node)
            tensors = {**node.op.weights(*shapes), **node.op.buffers(*shapes)}
            for name, shape in tensors.items():
                yield TensorSpec(f"{node.name}.{name}", shape, None, types.weights, constant=True)

    def result(self, layout: str, types: Types) -> TensorSpec:
        """Return the result of the last node."""
        order = layout if self.gives_image else None
        return activation("y", self.network.output, order, _outer(types).result)

    @property
    def gives_image(self) -> bool:
        """Whether the result is stored in the layout of the setting."""
        *_, last = self.network.shapes
        return last in self.network.images

    def reference(self, operands: Sequence[Array], points: Points | None = None) -> Array:
        """Return the result in float64 and in its logical shape, layer by layer."""
        x, *constants = operands
        return picked(self.network.reference(x, self._by_node(constants)), points)

    def _by_node(self, constants: Sequence[Array]) -> Weights:
        arrays, net = iter(constants), self.network
        weights: dict[str, dict[str, Array]] = {}
        for node in net.nodes:
            shapes = net.reads(node)
            names = [*node.op.weights(*shapes), *node.op.buffers(*shapes)]
            weights[node.name] = {name: next(arrays) for name in names}
        return weights

    def dims(self) -> dict[str, Any]:
        """Return the shapes for JSON."""
        return {
            "input": list(self.network.input),
            "output": list(self.network.output),
            "elements": math.prod(self.network.input),
        }

    @property
    def descriptor(self) -> str:
        """``resnet50 of 1x3x224x224``: for people, not for ``parse``."""
        return f"{self.network.name} of {shape_text(self.network.input)}"


def _outer(types: Types) -> Types:
    """Return the types of input and result: f32 around layers in bytes."""
    return F32 if types.accumulator.is_exact else types
