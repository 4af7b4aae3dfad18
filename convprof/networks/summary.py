"""What every layer of a network costs, and the network in all, without running it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from convprof.dtypes import F32

if TYPE_CHECKING:
    from convprof.problems.graph import Network, Node
    from convprof.problems.shapes import Shape
    from convprof.problems.ties import Tie

CONVENTION = (
    "MACs: convolutions (padding counts), linear and recurrent layers, attention",
    "FLOPs: 2 per MAC, 1 per addition, comparison, exp, ... of an element elsewhere",
    "bytes: f32, inputs and weights read once, results written once, caches cold",
    "parameters: what is learned; batch norm's running statistics are not",
)
"""How everything below is counted."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Totals of a layer or a network."""

    parameters: int
    """A weight that several layers use counts in the first of them."""
    macs: int
    flops: int
    bytes_min: int

    @property
    def intensity(self) -> float | None:
        """FLOPs per byte; None where nothing moves."""
        return self.flops / self.bytes_min if self.bytes_min else None

    def to_json(self) -> dict[str, Any]:
        """Return the fields and the intensity in JSON types."""
        return {**asdict(self), "intensity": self.intensity}


class RowOp(Protocol):
    """The operation of a layer: a real one, or one of a document."""

    @property
    def kind(self) -> str:
        """``conv``, ``linear``, ``batch norm``."""

    @property
    def text(self) -> str:
        """``conv 3x3 s2``."""

    @property
    def settings(self) -> dict[str, Any]:
        """What else a document has of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One layer: its published name, what it computes, from which shapes to which, at what cost."""

    name: str
    op: RowOp
    reads: tuple[str, ...]
    """Names of what it reads."""
    inputs: tuple[Shape, ...]
    output: Shape
    cost: Cost
    share: float
    """Of the network's MACs."""

    def to_json(self) -> dict[str, Any]:
        """Return the layer in JSON types; ``op`` has its kind and its own settings."""
        return {
            "name": self.name,
            "op": {"kind": self.op.kind, "text": self.op.text, **self.op.settings},
            "reads": list(self.reads),
            "inputs": [list(shape) for shape in self.inputs],
            "output": list(self.output),
            **self.cost.to_json(),
            "share": self.share,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """A network's layers in the order of execution, and their totals."""

    name: str
    input: Shape
    output: Shape
    rows: tuple[Row, ...]
    total: Cost
    ties: tuple[Tie, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the summary in JSON types; sizes in elements and bytes."""
        return {
            "name": self.name,
            "input": list(self.input),
            "output": list(self.output),
            "totals": self.total.to_json(),
            "shared": [tie.to_json() for tie in self.ties],
            "layers": [row.to_json() for row in self.rows],
        }


@dataclass(frozen=True, slots=True)
class Listed:
    """A network in the list of networks."""

    name: str
    input: Shape
    output: Shape
    total: Cost
    layers: int
    layers_with_macs: int | None
    """None in a document of an older version."""

    @classmethod
    def of(cls, summary: Summary) -> Listed:
        """Return the row of a network."""
        counted = sum(1 for row in summary.rows if row.cost.macs)
        rows = len(summary.rows)
        return cls(summary.name, summary.input, summary.output, summary.total, rows, counted)

    def to_json(self) -> dict[str, Any]:
        """Return the row in JSON types."""
        return {
            "name": self.name,
            "input": list(self.input),
            "output": list(self.output),
            "totals": self.total.to_json(),
            "layers": self.layers,
            "layers_with_macs": self.layers_with_macs,
        }


def summarise(network: Network) -> Summary:
    """Return what the network costs, layer by layer."""
    costs = [_cost(network, node) for node in network.nodes]
    total = Cost(
        sum(cost.parameters for cost in costs),
        sum(cost.macs for cost in costs),
        sum(cost.flops for cost in costs),
        sum(cost.bytes_min for cost in costs),
    )
    rows = [
        Row(
            node.name,
            node.op,
            node.inputs,
            network.reads(node),
            network.shapes[node.name],
            cost,
            cost.macs / total.macs if total.macs else 0.0,
        )
        for node, cost in zip(network.nodes, costs, strict=True)
    ]
    return Summary(network.name, network.input, network.output, tuple(rows), total, network.ties)


def _cost(network: Network, node: Node) -> Cost:
    op, inputs = node.op, network.reads(node)
    return Cost(
        network.parameters(node),
        op.macs(*inputs),
        op.flops(*inputs),
        op.bytes_min(F32, *inputs),
    )
