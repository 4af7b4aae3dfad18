"""What is computed one after the other when a network runs: a step per node, or fewer when fused.

A convolution or linear layer takes in its epilogue the element-wise nodes after it: a residual that
is added, if it is computed already, then an activation. A sum joins the layer that is computed
last, when the other operand exists. The nodes of attention become one (``attentions``), and
rearrangements one after the other become one copy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof.networks.attentions import attentions
from convprof.networks.rearrangements import in_one
from convprof.problems import Operation
from convprof.problems.graph import INPUT, Network, Node
from convprof.problems.ops import Rearranged

if TYPE_CHECKING:
    from convprof.problems import Conv2d, Gemm
    from convprof.problems.epilogue import Epilogue


@dataclass(frozen=True, slots=True)
class Step:
    """One problem of a network; ``nodes`` says what is in it, the one with the weights first."""

    nodes: tuple[str, ...]
    problem: Conv2d | Gemm | Operation
    reads: tuple[str, ...]
    """Names of the activations: the input, and a residual; or all that an operation reads."""
    writes: str
    """The name of the result, which is the name of the last node."""

    @property
    def name(self) -> str:
        """The published name of the layer."""
        return self.nodes[0]


def steps(network: Network, *, fuse: bool = False) -> list[Step]:
    """Return the steps in an order in which they can be computed."""
    if not fuse:
        return [_alone(network, node) for node in network.nodes]
    return _Fusing(network).steps()


def _alone(network: Network, node: Node) -> Step:
    return Step((node.name,), network.computes(node), node.inputs, node.name)


class _Fusing:
    """Goes through the nodes once, and keeps which are fused already and which results exist."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._fused: set[str] = set()
        self._computed = {INPUT}
        self._attending = {each.writes: each for each in attentions(network)}
        self._inside = {name for each in self._attending.values() for name in each.nodes}

    def steps(self) -> list[Step]:
        """Return the fused steps."""
        fused = []
        for node in self._network.nodes:
            if node.name in self._fused:
                continue
            if node.name in self._inside and node.name not in self._attending:
                continue
            step = self._attention(node) or self._layer(node) or self._rearranged(node)
            step = step or _alone(self._network, node)
            self._fused.update(step.nodes)
            self._computed.add(step.writes)
            fused.append(step)
        return fused

    def _layer(self, node: Node) -> Step | None:
        """Return the step of a layer with the nodes that its epilogue can compute."""
        problem = node.op.layer(*self._network.reads(node))
        if problem is None or problem.grouped_weights:  # such a product has no epilogue
            return None
        nodes, reads, epilogue = [node.name], list(node.inputs), problem.epilogue
        while (after := self._network.only_reader(nodes[-1])) is not None:
            grown = self._grown(epilogue, after, nodes[-1])
            if grown is None:
                break
            if grown.add and not epilogue.add:
                first, second = after.inputs
                reads.append(second if first == nodes[-1] else first)
            epilogue = grown
            nodes.append(after.name)
        fused = replace(problem, epilogue=epilogue, name=node.name)
        return Step(tuple(nodes), fused, tuple(reads), nodes[-1])

    def _grown(self, epilogue: Epilogue, after: Node, now: str) -> Epilogue | None:
        """Return the epilogue with one more node; None if it cannot compute that."""
        new = after.op.epilogue
        if epilogue.function is not None:
            return None
        if new.function is not None:
            return replace(epilogue, function=new.function)
        if not new.add or epilogue.add or after.inputs[0] == after.inputs[1]:
            return None
        shapes = {self._network.shapes[name] for name in after.inputs}
        others = [name for name in after.inputs if name != now]
        alike = len(shapes) == 1 and (others[0] in self._network.images) == (
            now in self._network.images
        )
        return replace(epilogue, add=True) if alike and others[0] in self._computed else None

    def _rearranged(self, first: Node) -> Step | None:
        """Return the step of rearrangements that one copy computes, outside of attention."""
        nodes = in_one(self._network, first, without=self._inside)
        if not nodes:
            return None
        names = tuple(node.name for node in nodes)
        op = Rearranged(tuple(node.op for node in nodes))
        whole = Operation(op=op, inputs=self._network.reads(first), name=first.name)
        return Step(names, whole, first.inputs, names[-1])

    def _attention(self, last: Node) -> Step | None:
        """Return the step of the attention whose result a node computes, if it does."""
        whole = self._attending.get(last.name)
        if whole is None:
            return None
        inputs = tuple(self._network.shapes[name] for name in whole.reads)
        problem = Operation(op=whole.op, inputs=inputs, name=whole.nodes[0])
        return Step(whole.nodes, problem, whole.reads, whole.writes)
