"""Attention on one packed projection without its matrix of scores; see ``attention.fused``.

Queries, keys and values of f32 are read in place. In the projection, each key is on a page of its
own, and all keys share a few cache sets. If many queries read them, keys and values are therefore
copied out of the projection first, head by head. Each block of queries copies short floats itself.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from convprof.codegen import isa as isas
from convprof.codegen.kernels.transpose import CopyPanel
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.problems import Attention
from convprof.strategies.attention.blocks import Blocks
from convprof.strategies.attention.forms import form
from convprof.strategies.attention.fused import choose, fill
from convprof.strategies.attention.placement import KV, Placement, side_by_side
from convprof.strategies.layers.stages import plan_of
from convprof.strategies.plan import Buffer, Native, Stage, X

if TYPE_CHECKING:
    from convprof.problems import ops
    from convprof.problems.operation import Operation
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Plan

MOST_BLOCKS = 5
"""Blocks of queries that read keys and values in place. 12 heads of 64 dimensions on one core: 197
tokens in 0.98 ms in place, 1.02 ms from copies; 1,024 tokens in 28.3 and 24.9 ms."""
ROWS = 64
"""Keys or values that a task of the copying stage takes."""


def attention(op: ops.Attention, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of ``Attention`` of (n, t, 3w), which reads the projection in place."""
    ((n, tokens, _),) = problem.inputs
    width = problem.output[-1]
    p = Attention(batch=n, heads=op.heads, tokens=tokens, dim=width // op.heads)
    isa = isas.find(setting.isa)
    blocking = choose(p, isa, setting.types, setting.threads)
    plan = plan_of(problem)
    queries = blocking.queries * isa.lanes(setting.types.accumulator.bytes)
    in_place = not form(setting.types, isa, p.dim).copies
    copied = in_place and p.tokens > MOST_BLOCKS * queries
    placement = Placement.gathered(p) if copied else Placement.packed(p)
    fill(plan, Blocks(p, setting, blocking, placement), setting.threads)
    if copied:
        plan.workspaces[KV] = Buffer((2, *p.shape), setting.types.source)
        plan.lendable_workspaces |= {KV}
        plan.steps.insert(0, _gather(p, setting))
    return plan


def _gather(p: Attention, setting: Setting) -> Stage:
    """Return the stage that copies keys and values; a task has some of one head."""
    isa, tiles = isas.find(setting.isa), TileList()
    walk, target = side_by_side(p, 3), 0
    lanes = isa.lanes(setting.types.source.bytes)
    width = p.heads * p.dim
    for part, image, head in itertools.product((1, 2), range(p.batch), range(p.heads)):
        source = image * walk.group + part * width + head * walk.item
        for first in range(0, p.tokens, ROWS):
            rows = min(ROWS, p.tokens - first)
            copy = CopyPanel(
                types=setting.types,
                lanes=lanes,
                rows=rows,
                columns=p.dim,
                width=p.dim,
                row=walk.step,
            )
            tiles.task()
            tiles.add(kernel(copy, isa), source + first * walk.step, 0, target)
            target += rows * p.dim
    native = Native(runner_address(), tiles)
    return Stage(
        "gather", native, len(tiles.starts), (X, X, KV), tiles.dims(), static_schedule=True
    )
