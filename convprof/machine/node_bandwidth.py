"""The bandwidth of each NUMA node: threads on its CPUs read memory that they have written first.

A page is in the memory of the node whose thread writes it first. So the threads of a node measure
the memory next to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen import affinity
from convprof.errors import ThreadsError
from convprof.machine import bandwidth, facts
from convprof.machine.caches import MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.codegen.probes.streams import Operation
    from convprof.machine.topology import Topology

OPERATIONS: tuple[Operation, ...] = ("load", "triad")


@dataclass(frozen=True, slots=True)
class NodeBandwidth:
    """The bandwidth of the memory of one node, from the node's own CPUs."""

    node: int
    threads: int
    """One for each usable CPU of the node; 0 where this process may use none of them."""
    bytes_per_s: float | None
    """Loads plus stores of the fastest operation; None where it cannot be measured."""
    reason: str | None = None
    """Why it cannot be measured."""


def teams(topology: Topology) -> dict[int, frozenset[int]]:
    """Return the usable CPUs of each node, if there are several nodes."""
    nodes, allowed = topology.numa_nodes, topology.affinity
    if len(nodes) < 2 or allowed is None:  # noqa: PLR2004  # of one node, it is the machine's
        return {}
    return {node.number: frozenset(node.cpus).intersection(allowed) for node in nodes}


def measure() -> Iterator[NodeBandwidth]:
    """Measure node by node; nothing on a machine with one node."""
    for node, cpus in teams(facts().topology).items():
        yield _measured(node, cpus)


def _measured(node: int, cpus: frozenset[int]) -> NodeBandwidth:
    if not cpus or affinity.of() is None:
        return NodeBandwidth(node, 0, None, "this process may use none of its CPUs")
    with affinity.inside(cpus) as allowed:
        if not allowed:
            why = "the system does not let threads choose a CPU"
            return NodeBandwidth(node, len(cpus), None, why)
        return _measured_inside(node, cpus)


def _measured_inside(node: int, cpus: frozenset[int]) -> NodeBandwidth:
    """Measure on the calling thread's node."""
    if affinity.allowed(len(cpus)) != cpus:
        cause = affinity.variable() or "the system"
        why = f"{cause} does not let threads stay on the CPUs of a node"
        return NodeBandwidth(node, len(cpus), None, why)
    try:
        measured = list(
            bandwidth.measure(len(cpus), (MEMORY,), OPERATIONS, bandwidth.QUICK_REPEATS)
        )
    except ThreadsError as error:
        return NodeBandwidth(node, len(cpus), None, str(error))
    rates = [each.bytes_per_s for each in measured if each.bytes_per_s]
    reason = next((each.reason for each in measured if each.reason), None)
    return NodeBandwidth(node, len(cpus), max(rates, default=None), reason)
