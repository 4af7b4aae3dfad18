"""``compare layouts``: each strategy in NCHW against NHWC, and whether a conversion pays."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof import stats
from convprof.measure.contestant import Contestant
from convprof.measure.session import Participant, Session, Settings
from convprof.problems import BackwardData, Conv2d, Reorder
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.studies.run import Choice, contestants, with_peak

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.machine.noise import NoiseWatch
    from convprof.measure.events import Event
    from convprof.problems import Backward
    from convprof.results import Measurement
    from convprof.stats import Ratio, Verdict

OTHER = {"nchw": "nhwc", "nhwc": "nchw"}


@dataclass(frozen=True)
class Conversions:
    """Seconds to convert the input and the output of a convolution, from each layout."""

    input_s: dict[str, float]
    """By the layout converted from."""
    output_s: dict[str, float]

    def round_trip_s(self, home: str) -> float:
        """Return the cost of leaving ``home`` before a convolution and coming back after it."""
        return self.input_s[home] + self.output_s[OTHER[home]]


@dataclass(frozen=True)
class LayoutComparison:
    """One strategy on one number of threads, in both layouts."""

    strategy: str
    threads: int
    nchw: Measurement
    nhwc: Measurement
    ratio: Ratio
    """Time in NHWC over time in NCHW."""
    conversions: Conversions | None

    @property
    def verdict(self) -> Verdict:
        """What can be said of NHWC."""
        return self.ratio.verdict

    @property
    def better(self) -> str | None:
        """The faster layout, None where there is none for certain."""
        return {"faster": "nhwc", "slower": "nchw"}.get(self.verdict)

    @property
    def break_even(self) -> int | None:
        """After how many such convolutions in a row converting to the better layout has paid."""
        if self.better is None or self.conversions is None:
            return None
        times = {"nchw": self.nchw.time_s, "nhwc": self.nhwc.time_s}
        slow, fast = times[OTHER[self.better]], times[self.better]
        if slow is None or fast is None or slow.median <= fast.median:
            return None
        cost = self.conversions.round_trip_s(OTHER[self.better])
        return max(1, math.ceil(cost / (slow.median - fast.median)))

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as the result document has it."""
        conversions = dataclasses.asdict(self.conversions) if self.conversions else None
        side = {"strategy": self.strategy, "threads": self.threads}
        return {
            "kind": "layouts",
            "problem": self.nchw.problem,
            "a": {**side, "layout": "nhwc"},
            "b": {**side, "layout": "nchw"},
            "ratio": dataclasses.asdict(self.ratio),
            "verdict": self.verdict,
            "break_even": self.break_even,
            "conversions": conversions,
        }


class Layouts:
    """One convolution in both layouts, with the conversions, in one session."""

    def __init__(
        self,
        problem: Conv2d | Backward,
        choice: Choice,
        settings: Settings,
        watch: NoiseWatch | None = None,
    ) -> None:
        self.problem = problem
        self.isa = choice.isa
        both = dataclasses.replace(choice, layouts=("nchw", "nhwc"))
        taking_part = contestants(problem, both)
        counts = dict.fromkeys(c.setting.threads for c in taking_part)
        self.session = Session(
            [*taking_part, *(c for count in counts for c in _conversions(problem, both, count))],
            settings,
            watch,
        )

    def events(self) -> Iterator[Event]:
        """Measure; yield what happens."""
        return self.session.events()

    def measurements(self) -> list[Measurement]:
        """Return the convolutions' and the conversions' results so far."""
        return [with_peak(measurement, self.isa) for measurement in self.session.measurements()]

    def comparisons(self) -> list[LayoutComparison]:
        """Return what can be compared so far, fastest strategy first."""
        sides: dict[tuple[str, int], dict[str, Participant]] = {}
        for participant in self.session.participants:
            contestant = participant.contestant
            if contestant.problem == self.problem and participant.samples:
                key = (contestant.strategy.name, contestant.setting.threads)
                sides.setdefault(key, {})[contestant.setting.layout] = participant
        found = [
            self._compare(name, threads, pair["nchw"], pair["nhwc"])
            for (name, threads), pair in sides.items()
            if len(pair) == len(OTHER) and pair["nchw"].samples.keys() & pair["nhwc"].samples.keys()
        ]
        return sorted(found, key=_best_s)

    def _compare(
        self, name: str, threads: int, nchw: Participant, nhwc: Participant
    ) -> LayoutComparison:
        common = sorted(nchw.samples.keys() & nhwc.samples.keys())
        ratio = stats.paired_ratio(
            [nhwc.samples[number].seconds for number in common],
            [nchw.samples[number].seconds for number in common],
        )
        return LayoutComparison(
            strategy=name,
            threads=threads,
            nchw=with_peak(self.session.measurement(nchw), self.isa),
            nhwc=with_peak(self.session.measurement(nhwc), self.isa),
            ratio=ratio,
            conversions=self._costs(threads),
        )

    def _costs(self, threads: int) -> Conversions | None:
        """Return the conversions' medians on that many threads; None if one is missing."""
        medians: dict[tuple[bool, str], float] = {}
        shapes = _shapes(self.problem)
        for participant in self.session.participants:
            contestant = participant.contestant
            problem, setting = contestant.problem, contestant.setting
            if isinstance(problem, Reorder) and setting.threads == threads and participant.samples:
                middle = stats.median([sample.seconds for sample in participant.samples.values()])
                for position, shape in enumerate(shapes):
                    if problem == shape:
                        medians[bool(position), setting.layout] = middle
        if not shapes or len(medians) < len(shapes) * len(OTHER):
            return None
        return Conversions(
            {layout: medians[False, layout] for layout in OTHER},
            {layout: medians[True, layout] for layout in OTHER},
        )


def advice(comparisons: list[LayoutComparison]) -> str:
    """Return one sentence that follows from the numbers."""
    if not comparisons:
        return "Nothing was measured in both layouts, so there is nothing to advise."
    best = comparisons[0]
    threads = f"{best.threads} thread{'s' if best.threads > 1 else ''}"
    if best.better is None:
        word = "make the same" if best.verdict == "same" else "cannot be told apart"
        return (
            f"For the fastest strategy, {best.strategy} on {threads}, the layouts {word}: "
            "keep the one the data is in."
        )
    gain = best.ratio.value if best.ratio.value > 1 else 1 / best.ratio.value
    start = (
        f"Prefer {best.better.upper()}: the fastest strategy, {best.strategy} on {threads}, "
        f"is {gain:.2f}x faster in it"
    )
    if best.break_even is None:
        return start + "."
    count = best.break_even
    if count == 1:
        return f"{start}, and converting there and back already pays for a single convolution."
    return f"{start}, and converting there and back pays from {count} such convolutions in a row."


def _best_s(comparison: LayoutComparison) -> float:
    sides = (comparison.nchw.time_s, comparison.nhwc.time_s)
    return min(side.median for side in sides if side is not None)


def _shapes(problem: Conv2d | Backward) -> tuple[Reorder, ...]:
    """Return the input and the output as things to convert.

    Of the gradient of the weights, which have no layout, none: nothing stays in a layout.
    """
    if isinstance(problem, Conv2d):
        p, turned = problem, False
    elif isinstance(problem, BackwardData) and isinstance(problem.forward, Conv2d):
        p, turned = problem.forward, True
    else:
        return ()
    shapes = Reorder(n=p.n, c=p.c, h=p.h, w=p.w), Reorder(n=p.n, c=p.k, h=p.p, w=p.q)
    return shapes[::-1] if turned else shapes


def _conversions(p: Conv2d | Backward, choice: Choice, threads: int) -> list[Contestant]:
    strategy = registry.find("reorder", "transpose")
    return [
        Contestant(strategy, shape, Setting(layout, choice.dtype, threads), choice.cache)
        for shape in dict.fromkeys(_shapes(p))
        for layout in OTHER
    ]
