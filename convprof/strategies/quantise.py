"""Convert an activation between f32 and bytes: between layers of a quantised network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof.codegen.kernels.quantise import QuantiseTile
from convprof.codegen.tile_list import TileList, kernel
from convprof.problems import TypeConversion
from convprof.problems.requantisation import limits
from convprof.problems.type_conversion import DEQUANTISE, FACTORS, QUANTISE
from convprof.strategies.layers.stages import KernelContext, parts
from convprof.strategies.plan import Plan, X, Y
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.base import Setting


class Quantise(Planned[TypeConversion]):
    """Both directions; the types say which."""

    name = "quantise"
    kind = "convert"
    summary = "vectors between f32 and bytes, by a scale and a zero point"
    parallel = True
    generated = True
    dtypes = (QUANTISE, DEQUANTISE)

    def plan(self, p: TypeConversion, setting: Setting) -> Plan:
        """One stage over the elements."""
        context, types = KernelContext(setting), setting.types
        low, high = limits(types.result if types.result.is_exact else types.source)
        lanes = context.isa.lanes(types.scale.bytes)
        tiles = TileList()
        count = math.prod(p.shape)
        for start, length in parts(count, context.elements(count)):
            tile = QuantiseTile(types, lanes, length, low, high, fused=context.isa.fused)
            tiles.add(kernel(tile, context.isa), start, 0, start)
        plan = Plan(operands=(X,))
        plan.steps = [context.stage("convert", tiles, (X, FACTORS, Y))]
        return plan
