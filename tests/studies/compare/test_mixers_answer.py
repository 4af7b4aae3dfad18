"""Attention against the other mixers, in a sentence that follows from fixed ratios."""

from __future__ import annotations

from convprof.networks.mixers import Grid, mixers
from convprof.stats import Ratio
from convprof.studies.compare.mixers.answer import answer
from convprof.studies.compare.mixers.costs import Total
from convprof.studies.compare.mixers.study import MixerComparison

GRID = Grid()


def comparison(position, ratio, threads=1, *, doubt=None):
    block, *others = (Total(mixer, "auto", threads, (), {}) for mixer in mixers(GRID))
    ratio = Ratio(ratio, ratio - 0.01, ratio + 0.01, 25)
    if doubt:
        ratio = Ratio(1e9, 1.0, 1e12, 25)
    return MixerComparison(block, others[position], ratio, GRID)


def test_all_mixers_on_the_most_threads():
    found = answer([comparison(0, 9.0), comparison(0, 0.88, 2), comparison(1, 7.47, 2)], grew=False)
    (sentence,) = found.sentences
    assert sentence.startswith(
        "On 2 threads, with images of 224 pixels, attention takes 0.88 times"
    )
    assert sentence.endswith("conv3x3 and 7.47 times as long as depthwise7x7+pointwise.")
    assert found.command == "convprof compare mixers --images 112,224,384"


def test_after_several_images_the_explanation_is_next():
    assert answer([comparison(0, 2.0)], grew=True).command == "convprof explain attention"


def test_nothing_compared_or_only_in_doubt():
    assert answer([], grew=False) is None
    doubtful = comparison(0, 2.0, doubt=True)
    assert answer([doubtful], grew=False).sentences == (
        f"No conclusion, the times are in doubt: {doubtful.doubt}.",
    )
