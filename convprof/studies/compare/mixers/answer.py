"""The answer of ``compare mixers``: attention against each other mixer, on the most threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.studies.answer import Answer
from convprof.studies.next_command import growth_of_mixers
from convprof.studies.run_answer import threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.compare.mixers.study import MixerComparison

EXPLAIN = "convprof explain attention"


def answer(comparisons: Sequence[MixerComparison], *, grew: bool) -> Answer | None:
    """Return the answer about one image; None if nothing was compared.

    ``grew``: it is the last of several images, so their growth is known.
    """
    clear = [comparison for comparison in comparisons if comparison.doubt is None]
    if not clear:
        doubt = next((c.doubt for c in comparisons), None)
        return Answer((f"No conclusion, the times are in doubt: {doubt}.",)) if doubt else None
    most = max(comparison.block.threads for comparison in clear)
    first = next(c for c in clear if c.block.threads == most)
    shown = [c for c in clear if (c.block.threads, c.a.strategy) == (most, first.a.strategy)]
    parts = " and ".join(
        f"{c.ratio.value:.2f} times as long as {c.other.mixer.name}" for c in shown
    )
    sentence = (
        f"On {threads(most)}, with images of {first.grid.image} pixels, "
        f"{first.block.mixer.name} takes {parts}."
    )
    return Answer((sentence,), EXPLAIN if grew else growth_of_mixers())
