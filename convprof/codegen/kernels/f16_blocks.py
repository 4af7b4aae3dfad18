"""How many products may be summed in f16, so that the result stays within the tolerance.

A sum in f16 is rounded after each product. A block of products is therefore summed in f16, and the
sums of the blocks in f32. For products of independent signs, the worst case, the error of a block
of ``R`` grows as ``sqrt(R * (R + 1) / 2)``, and the result as ``sqrt(R)``: relative to the results
the error is ``sqrt((R + 1) / 2)`` roundings, for any number of blocks.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from convprof.dtypes import tolerance

if TYPE_CHECKING:
    from convprof.dtypes import Types

ROUNDING = 0.425
"""The root mean square of a relative rounding error, in unit roundoffs: uniform within half a unit
of the last place, and mantissas as Benford's law has them: ``sqrt(3 / (8 * log(2)) / 3)``."""
CHANCE = 1e-3
"""The probability of random operands whose error is above the tolerance, if the result with the
largest error were also the one that is rounded most. Errors of drawn operands are half of it."""
NO_LIMIT = 1e-12
"""Instead of 0: the largest of a few results may be arbitrarily small."""


class Sums(NamedTuple):
    """The sums of products of a problem."""

    terms: int
    """Products of a sum, or of a part of it whose operands follow each other in memory."""
    results: int
    """The number of sums. The error is relative to the largest of them."""


MANY = Sums(1 << 14, 1 << 20)
"""Sums whose blocks are as long as they may be."""


def longest_block(types: Types, sums: Sums) -> int:
    """Return the most products of f16 in a block; 0 where not even one may be rounded.

    A result in f32 keeps the accuracy of sums in f32.
    """
    if types.result != types.source or not sums.terms or not sums.results:
        return 0
    unit = types.source.epsilon
    room = (tolerance(types, sums.terms) - types.result.epsilon) / (unit * ROUNDING)
    return max(0, min(sums.terms, int(2 * (room / _margin(sums.results)) ** 2 - 1)))


def _margin(results: int) -> float:
    """Return how much larger the largest error may be, by chance, than the largest result.

    Both relative to their root mean squares: normal distributions of that many numbers.
    """
    normal = NormalDist()
    largest = -normal.inv_cdf(CHANCE / 2 / results)
    beyond = -math.log(CHANCE) / results
    least = -normal.inv_cdf(beyond / 2) if beyond < 1 else NO_LIMIT
    return largest / least
