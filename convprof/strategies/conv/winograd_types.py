"""The element types of the three stages of Winograd's algorithm, from the types of a problem."""

from __future__ import annotations

from dataclasses import dataclass

from convprof.dtypes import Types, of_one


@dataclass(frozen=True, slots=True)
class StageTypes:
    """The types of each stage. ``source`` is what it reads, ``result`` what it writes."""

    transform_in: Types
    products: Types
    transform_out: Types


def stage_types(types: Types) -> StageTypes:
    """Return the types of the stages.

    Short floats become f32 when a tile is transformed, and are rounded again only when the result
    is written: rounding in between would be amplified by the transforms.
    """
    between = of_one(types.accumulator)
    return StageTypes(
        Types(types.source, between.weights, between.source, between.source),
        between,
        Types(between.result, between.weights, types.accumulator, types.result),
    )
