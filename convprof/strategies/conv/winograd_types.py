"""The element types of the three stages of Winograd's algorithm, from the types of a problem."""

from __future__ import annotations

from dataclasses import dataclass

from convprof.dtypes import S16, Types, of_one


@dataclass(frozen=True, slots=True)
class StageTypes:
    """The types of each stage. ``source`` is what it reads, ``result`` what it writes."""

    transform_in: Types
    products: Types
    transform_out: Types


def stage_types(types: Types) -> StageTypes:
    """Return the types of the stages. The first one reads what padding counts as as its weights.

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
