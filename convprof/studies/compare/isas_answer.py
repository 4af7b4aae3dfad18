"""Which instruction set to use: the time decides; cycles and clock under each load say why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import stats, units
from convprof.codegen.isa import ISAS
from convprof.studies.answer import MOST_SENTENCES, Answer
from convprof.studies.compare.isas import rank
from convprof.studies.comparison import times
from convprof.studies.run_answer import threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement
    from convprof.studies.compare.isas import IsaComparison

_WORDS = {
    "same": "both are equally fast",
    "undecided": "the intervals do not decide",
}


def added(answer: Answer | None, comparisons: Sequence[IsaComparison]) -> Answer | None:
    """Return an answer that also says which instruction set to use; ``comparisons`` fastest first.

    Of each problem its fastest strategy counts.
    """
    sentence = conclusion(comparisons)
    if sentence is None:
        return answer
    if answer is None:  # such as of libraries, none of which is installed
        return Answer((sentence,))
    return Answer((*answer.sentences[: MOST_SENTENCES - 1], sentence), answer.command)


def conclusion(comparisons: Sequence[IsaComparison]) -> str | None:
    """Return which instruction set to use, and why; None where nothing was compared."""
    best: dict[tuple[str, ...], IsaComparison] = {}
    named_last_first = list(reversed(comparisons))
    for each in sorted(named_last_first, key=lambda c: (c.doubt is not None, rank(c))):
        best.setdefault((*each.a.problem_key, str(each.a.isa), str(each.b.isa)), each)
    if not best:
        return None
    clear = [each for each in best.values() if each.doubt is None]
    if not clear:
        doubt = next(iter(best.values())).doubt
        return f"The instruction sets cannot be compared, a time is in doubt: {doubt}."
    pair = clear[0].a.isa, clear[0].b.isa
    alike = [each for each in clear if (each.a.isa, each.b.isa) == pair]
    return _of_one(alike[0]) if len(alike) == 1 else _of_many(alike)


def _of_one(each: IsaComparison) -> str:
    """Return the ratio of the times, the cycles at their clocks, and the advice."""
    a, b, ratio = each.a, each.b, each.ratio
    name = f"{' '.join(filter(None, (a.strategy, a.layout)))} on {threads(a.threads)}"
    return (
        f"With {_isa(a)} {name} takes {times(ratio)} as long as with "
        f"{_isa(b)}{_clocks(a, b)}: {_advice(each)}."
    )


def _clocks(a: Measurement, b: Measurement) -> str:
    if a.cycles is None or b.cycles is None:
        return ""
    unit = units.count_unit([a.cycles.per_call, b.cycles.per_call])
    one, other = (
        f"{units.digits(unit.scale(side.per_call))} {unit.name}cycles at "
        f"{side.core_hz / 1e9:.2f} GHz"
        for side in (a.cycles, b.cycles)
    )
    return f", {one} against {other}"


def _advice(each: IsaComparison) -> str:
    if each.better is not None:
        return f"use {each.better}"
    return _WORDS[each.verdict]


def _of_many(comparisons: Sequence[IsaComparison]) -> str:
    """Return on how many problems each instruction set is faster, and which one to use."""
    a, b = comparisons[0].a, comparisons[0].b
    mean = stats.geometric_mean([each.ratio.value for each in comparisons])
    verdicts = [each.verdict for each in comparisons]
    faster, slower = verdicts.count("faster"), verdicts.count("slower")
    if faster == slower:
        advice = "neither is better in general"
    else:
        advice = f"use {a.isa if faster > slower else b.isa}"
    clock = _mean_clocks(comparisons)
    return (
        f"{_isa(a)} takes {mean:.2f} times as long as {_isa(b)} (geometric mean){clock}, faster on "
        f"{faster} and slower on {slower} of {len(verdicts)} problems: {advice}."
    )


def _mean_clocks(comparisons: Sequence[IsaComparison]) -> str:
    pairs = [(c.a.cycles, c.b.cycles) for c in comparisons]
    clocks = [(a.core_hz, b.core_hz) for a, b in pairs if a is not None and b is not None]
    if not clocks:
        return ""
    one, other = (stats.median(side) / 1e9 for side in zip(*clocks, strict=True))
    return f" at {one:.2f} against {other:.2f} GHz"


def _isa(measurement: Measurement) -> str:
    """Return ``avx512 (512 bits)``."""
    name = str(measurement.isa)
    return f"{name} ({ISAS[name].bits} bits)" if name in ISAS else name
