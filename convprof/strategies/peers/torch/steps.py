"""The steps in which PyTorch runs a network: one call each, for one or several nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convprof.networks.steps import steps as fused_steps
from convprof.problems import ops
from convprof.problems.graph import INPUT
from convprof.strategies.peers.torch.ops import in_place_calls, make
from convprof.strategies.peers.torch.packed import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convprof.networks.steps import Step as Fused
    from convprof.problems.graph import Network, Node

    Tensor = Any
    Run = Callable[..., Tensor]
    Tensors = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True)
class Step:
    """One call."""

    run: Run
    reads: tuple[str, ...]
    writes: str
    alias: bool = False
    """Whether the result may be in the memory of the first of ``reads``."""
    fixed: bool = False
    """Whether nothing may overwrite the result: it is a weight, or has elements that repeat."""
    in_place: tuple[tuple[int, Run], ...] = ()
    """The ``reads`` that the result can overwrite, and the calls that overwrite them."""
    frees: tuple[str, ...] = ()
    """The results that no later step reads."""


def eager(network: Network, tensors: Tensors, *, in_place: bool) -> list[Step]:
    """Return a call for every node, but one call for the nodes of attention.

    ``tensors`` has the result of ``torch_ops.tensors_of`` by node.
    """
    whole = {step.writes: step for step in fused_steps(network, fuse=True) if _is_attention(step)}
    gone = {name for step in whole.values() for name in step.nodes if name != step.writes}
    steps = [
        _attending(network, whole[node.name], tensors)
        if node.name in whole
        else _alone(network, node, tensors)
        for node in network.nodes
        if node.name not in gone
    ]
    return _freed(_reusing_memory(steps) if in_place else steps)


def packed(network: Network, tensors: Tensors) -> list[Step]:
    """Return the same with packed layers that fuse sums and activations.

    Raises one of ``torch_calls.UNSUPPORTED`` if PyTorch lacks the operators.
    """
    steps: list[Step] = []
    for step in fused_steps(network, fuse=True):
        if _is_attention(step):
            steps.append(_attending(network, step, tensors))
        elif step.problem.op:
            steps += [_alone(network, network.by_name[name], tensors) for name in step.nodes]
        else:
            run, calls = pack(step.problem, tensors[step.name])
            steps.append(Step(run, step.reads, step.writes, in_place=calls))
    return _freed(_reusing_memory(steps))


def _is_attention(step: Fused) -> bool:
    return step.problem.layer_kind in {ops.Attention.kind, ops.RearrangedAttention.kind}


def _attending(network: Network, step: Fused, tensors: Tensors) -> Step:
    inputs = tuple(network.shapes[name] for name in step.reads)
    call = make(step.problem.op, inputs, tensors.get(step.name, {}))
    return Step(call, step.reads, step.writes)


def _alone(network: Network, node: Node, tensors: Tensors) -> Step:
    """Return the call of one node."""
    inputs, repeats = network.reads(node), node.op.kind == ops.Expand.kind
    return Step(
        make(node.op, inputs, tensors.get(node.name, {})),
        node.inputs,
        node.name,
        alias=node.op.is_view or node.op.only_rearranges or repeats,
        fixed=node.op.is_constant or repeats,
        in_place=in_place_calls(node.op, inputs),
    )


def _reusing_memory(steps: Sequence[Step]) -> list[Step]:
    """Let results overwrite memory that no later step reads, under any of its names."""
    last = _last_readers(steps)
    home = {INPUT: INPUT}  # the first name of a result's memory
    fixed = {INPUT}
    steps_in_place = []
    for index, step in enumerate(steps):
        homes = [home[name] for name in step.reads]
        chosen = home[step.writes] = homes[0] if step.alias else step.writes
        for place, call in step.in_place:
            where = homes[place]
            names = [name for name, its in home.items() if its == where]
            alone = homes.count(where) == 1 and where not in fixed
            if alone and all(last.get(name, -1) <= index for name in names):
                chosen = where
                step = replace(step, run=call)  # noqa: PLW2901
                break
        home[step.writes] = chosen
        fixed |= {chosen} if step.fixed else set()
        steps_in_place.append(step)
    return steps_in_place


def _last_readers(steps: Sequence[Step]) -> dict[str, int]:
    """Return the index of the last step that reads each result; the caller reads the network's."""
    last = {name: index for index, step in enumerate(steps) for name in step.reads}
    last[steps[-1].writes] = len(steps)
    return last


def _freed(steps: Sequence[Step]) -> list[Step]:
    """Free each result after its last reader."""
    last = _last_readers(steps)
    return [
        replace(step, frees=tuple(dict.fromkeys(n for n in step.reads if last[n] == index)))
        for index, step in enumerate(steps)
    ]
