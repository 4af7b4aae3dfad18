"""The element types of the three stages of Winograd's algorithm, from the types of a problem."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.kernels.winograd_tables import WHOLE_BITS
from convprof.dtypes import S16, DType, Types, of_one, short_name

if TYPE_CHECKING:
    from convprof.codegen.isa import Isa


NARROWEST = 16
"""Bytes of the vectors that every instruction set has."""


@dataclass(frozen=True, slots=True)
class StageTypes:
    """The types of each stage. ``source`` is what it reads, ``result`` what it writes."""

    transform_in: Types
    products: Types
    transform_out: Types

    @property
    def rounds(self) -> bool:
        """Whether transformed numbers are rounded before they are multiplied."""
        products = self.products
        return not products.source.is_exact and products.source != products.accumulator


def stage_types(types: Types) -> StageTypes:
    """Return the types of the stages. The weights of the first stage are the zero point of padding.

    Short floats become f32 when a tile is transformed, and are rounded again only when the result
    is written: rounding in between would be amplified by the transforms. Bytes become numbers of
    16 bits, which have a sum of products in s32.
    """
    total = types.accumulator
    between = Types(S16, S16, total, total) if total.is_exact else of_one(total)
    return StageTypes(
        Types(types.source, total, between.source, between.source),
        between,
        Types(total, between.weights, total, types.result),
    )


def input_lanes(types: Types, isa: Isa, channels: int) -> int:
    """Return the elements of a vector of input transforms: few channels do not fill a wide one."""
    size = stage_types(types).transform_in.accumulator.bytes
    few = max(NARROWEST // size, 1 << (channels - 1).bit_length())
    return min(isa.lanes(size), few)


def note(types: Types, stages: StageTypes) -> str | None:
    """Return in which type products are computed, if not in the type of the operands.

    Or that numbers are rounded before.
    """
    between = stages.products.source
    if stages.rounds:
        return f"rounds transformed numbers to {between.name}"
    if between == types.source:
        return None
    return f"multiplies {short_name(types.name)} in {between.name}"


def rounded_types(types: Types) -> StageTypes:
    """Return the types of the stages where transformed short floats are rounded to their type."""
    total, short = types.accumulator, types.source
    return StageTypes(
        Types(short, total, total, short),
        Types(short, short, total, total),
        Types(total, total, total, types.result),
    )


def most_channels(types: Types, taps: int) -> int | None:
    """Return the most input channels whose sums of bytes are exact; None for floats.

    ``taps``: of a filter, the products of a sum for each input channel.
    """
    if not types.accumulator.is_exact:
        return None
    product = math.prod(map(_largest, (types.source, types.weights)))
    return ((1 << WHOLE_BITS - 1) - 1) // (taps * product)


def _largest(dtype: DType) -> int:
    """Return the largest absolute value of a type of whole numbers."""
    lowest = int(dtype.lowest)
    return max(-lowest, (1 << dtype.bits) - 1 + lowest)
