"""Attention of activations without its matrix of scores; see ``attention.fused``.

Queries, keys and values of f32 are read in place. In a projection, each key is on a page of its
own, and all keys share a few cache sets. If many queries read them, keys and values are therefore
copied out of the projection first, head by head. Each block of queries copies short floats itself.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from convprof.codegen import isa as isas
from convprof.codegen.kernels.transpose import CopyPanel
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.codegen.tile_pairs import Walk
from convprof.errors import RefusedError
from convprof.problems import Attention
from convprof.strategies.attention.forms import form
from convprof.strategies.attention.fused import blockings, fill, lists
from convprof.strategies.attention.placement import KV, Place, Placement, masked, side_by_side
from convprof.strategies.layers.stages import activations, named, plan_of
from convprof.strategies.plan import Buffer, Native, Stage, Y

if TYPE_CHECKING:
    from convprof.problems import ops
    from convprof.problems.operation import Operation
    from convprof.problems.shapes import Shape
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Plan

MOST_BLOCKS = 5
"""Blocks of queries that read keys and values in place. 12 heads of 64 dimensions on one core: 197
tokens in 0.98 ms in place, 1.02 ms from copies; 1,024 tokens in 28.3 and 24.9 ms."""
ROWS = 64
"""Keys or values that a task of the copying stage takes."""


def packed(op: ops.Attention, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of ``Attention`` of (n, t, 3w), which reads the projection in place."""
    ((n, tokens, _),) = problem.inputs
    width = problem.output[-1]
    p = Attention(batch=n, heads=op.heads, tokens=tokens, dim=width // op.heads)
    return _plan(problem, setting, p, Placement.packed(p), p.dim**-0.5)


def rearranged(op: ops.RearrangedAttention, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of ``RearrangedAttention``, which reads every operand in place."""
    p = op.problem_of(*problem.inputs)
    buffers = activations(problem)
    queries, keys, values = (
        _place(buffers[number], part, problem.inputs[number]) for part, number in op.parts
    )
    own = p.tokens * p.dim
    walk = side_by_side(p, 1) if op.tokens_first else Walk(p.heads * own, own, p.dim)
    placement = Placement(queries, keys, values, Place(Y, walk), _mask(problem, op.own_inputs))
    return _plan(problem, setting, p, placement, op.scale)


def _place(buffer: str, part: ops.Rearranged, shape: Shape) -> Place:
    """Return where a part of an activation is."""
    places = part.strides(shape)
    if places is None or places.strides[-1] != 1:
        raise RefusedError(f"{part.text}: the elements of a head are not next to each other")
    *walk, _ = places.strides
    return Place(buffer, Walk(*walk), places.start)


def _mask(problem: Operation, first: int) -> Place | None:
    """Return where the mask is: the activation after the first ones, or a tensor of the op."""
    added = dict(zip(activations(problem)[first:], problem.inputs[first:], strict=True))
    masks = [masked(shape, buffer) for buffer, shape in (added | named(problem)).items()]
    return masks[0] if masks else None


def _plan(
    problem: Operation, setting: Setting, p: Attention, placement: Placement, scale: float
) -> Plan:
    isa = isas.find(setting.isa)
    blocking = blockings(p, setting)[0]
    plan = plan_of(problem)
    queries = blocking.queries * isa.lanes(setting.types.accumulator.bytes)
    in_place = not form(setting.types, isa, p.dim).copies
    apart = placement.keys.walk.step != p.dim
    gathered = in_place and apart and p.tokens > MOST_BLOCKS * queries
    inner = placement.gathered(p) if gathered else placement
    fill(plan, lists(p, setting, blocking, inner, scale=scale), setting.threads)
    if gathered:
        plan.workspaces[KV] = Buffer(p.stacked, setting.types.source)
        plan.lendable_workspaces |= {KV}
        plan.steps[:0] = _gather(p, placement, inner, setting)
    return plan


def _gather(p: Attention, there: Placement, copied: Placement, setting: Setting) -> list[Stage]:
    """Return the stages that copy keys and values; a task has some of one head."""
    pairs = ((there.keys, copied.keys), (there.values, copied.values))
    by_buffer = itertools.groupby(pairs, lambda pair: pair[0].buffer)
    return [_copies(p, list(each), setting) for _, each in by_buffer]


def _copies(p: Attention, pairs: list[tuple[Place, Place]], setting: Setting) -> Stage:
    """Return the stage that copies from one buffer."""
    isa, tiles = isas.find(setting.isa), TileList()
    lanes = isa.lanes(setting.types.source.bytes)
    for source, target in pairs:
        copies = {
            first: kernel(
                CopyPanel(
                    types=setting.types,
                    lanes=lanes,
                    rows=min(ROWS, p.keys - first),
                    columns=p.dim,
                    width=p.dim,
                    row=source.walk.step,
                ),
                isa,
            )
            for first in range(0, p.keys, ROWS)
        }
        heads = itertools.product(range(p.batch), range(p.key_heads))
        for (image, head), (first, copy) in itertools.product(heads, copies.items()):
            tiles.task()
            tiles.add(copy, source.at(image, head, first), 0, target.at(image, head, first))
    native, buffer = Native(runner_address(), tiles), pairs[0][0].buffer
    buffers = (buffer, buffer, KV)
    return Stage("gather", native, len(tiles.starts), buffers, tiles.dims(), static_schedule=True)
