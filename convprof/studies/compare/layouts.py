"""``compare layouts``: each strategy in NCHW against NHWC, and whether a conversion pays."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof import stats
from convprof.dtypes import F32
from convprof.json_checks import mapping, positive
from convprof.measure.contestant import Contestant
from convprof.problems import LayoutConversion
from convprof.problems.layouts import NCHW
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.studies import comparison
from convprof.studies.compare import isas
from convprof.studies.comparison import Comparison, ratio_of
from convprof.studies.run import Choice, OneProblem, contestants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.measure.participant import Participant
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.stats import Ratio
    from convprof.studies.compare.isas import IsaComparison

KIND = "layouts"
"""Of the comparisons in the result document."""
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
class LayoutComparison(Comparison["Measurement"]):
    """One strategy on one number of threads: NHWC is ``a``, NCHW is ``b``."""

    conversions: Conversions | None

    @property
    def nhwc(self) -> Measurement:
        """The measurement in NHWC."""
        return self.a

    @property
    def nchw(self) -> Measurement:
        """The measurement in NCHW."""
        return self.b

    @property
    def strategy(self) -> str:
        """The strategy of both."""
        return self.a.strategy

    @property
    def threads(self) -> int:
        """The number of threads of both."""
        return self.a.threads

    @property
    def better(self) -> str | None:
        """The layout that is certainly faster; None if neither is."""
        return {"faster": "nhwc", "slower": "nchw"}.get(self.verdict)

    @property
    def break_even(self) -> int | None:
        """From how many such convolutions in a row converting to the better layout pays."""
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
        return {
            **comparison.to_json(KIND, self.b.problem, self),
            "break_even": self.break_even,
            "conversions": conversions,
        }


class Layouts(OneProblem):
    """One convolution in both layouts, with the conversions, in one session."""

    def _contestants(self) -> list[Contestant]:
        both = dataclasses.replace(self.choice, layouts=("nchw", "nhwc"))
        taking_part = contestants(self.problem, both)
        counts = dict.fromkeys(c.setting.threads for c in taking_part)
        conversions = (c for count in counts for c in _conversions(self.problem, both, count))
        return [*taking_part, *conversions]

    def isas(self) -> list[IsaComparison]:
        """Return the instruction sets compared so far."""
        return isas.compared(self.session)

    def comparisons(self) -> list[LayoutComparison]:
        """Return what can be compared so far, fastest strategy first."""
        sides: dict[tuple[str, int, str | None], dict[str, Participant]] = {}
        for participant in self.session.participants:
            contestant = participant.contestant
            if contestant.problem == self.problem and participant.samples:
                key = (contestant.strategy.name, contestant.setting.threads, contestant.isa)
                sides.setdefault(key, {})[contestant.setting.layout] = participant
        comparisons = [
            self._compare(threads, pair["nhwc"], pair["nchw"], ratio)
            for (_, threads, _), pair in sides.items()
            if len(pair) == len(OTHER) and (ratio := ratio_of(pair["nhwc"], pair["nchw"]))
        ]
        return sorted(comparisons, key=lambda c: (c.doubt is not None, _best_s(c)))

    def _compare(
        self, threads: int, nhwc: Participant, nchw: Participant, ratio: Ratio
    ) -> LayoutComparison:
        a, b = (self.session.measurement(each) for each in (nhwc, nchw))
        return LayoutComparison(a, b, ratio, self._costs(threads))

    def _costs(self, threads: int) -> Conversions | None:
        """Return the conversions' medians on that many threads; None if one is missing."""
        medians: dict[tuple[bool, str], float] = {}
        shapes = _shapes(self.problem)
        for participant in self.session.participants:
            contestant = participant.contestant
            problem, setting = contestant.problem, contestant.setting
            converts = problem.kind == LayoutConversion.kind
            if converts and setting.threads == threads and participant.samples:
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


def read(
    comparisons: Sequence[dict[str, Any]], measurements: Sequence[Measurement]
) -> list[LayoutComparison]:
    """Return the comparisons of layouts in a document; one that does not fit is left out."""
    return comparison.read(KIND, _from_json, comparisons, measurements)


def _from_json(fields: dict[str, Any], sides: Comparison[Measurement]) -> LayoutComparison:
    conversions = None
    if fields.get("conversions") is not None:
        seconds = mapping(fields["conversions"])
        input_s, output_s = (
            {layout: positive(mapping(seconds.get(key)).get(layout)) for layout in OTHER}
            for key in ("input_s", "output_s")
        )
        conversions = Conversions(input_s, output_s)
    return LayoutComparison(sides.a, sides.b, sides.ratio, conversions)


def _best_s(comparison: LayoutComparison) -> float:
    sides = (comparison.nchw.time_s, comparison.nhwc.time_s)
    return min(side.median for side in sides if side is not None)


def _shapes(problem: Problem) -> tuple[LayoutConversion, ...]:
    """Return the activation that is read and the one that is written, as conversions.

    The gradient of the weights has no layout: it needs no conversion.
    """
    tensors = problem.operands(NCHW, F32)[0], problem.result(NCHW, F32)
    if any(tensor.layout is None for tensor in tensors):
        return ()
    shapes = (tensor.shape for tensor in tensors)
    return tuple(LayoutConversion(n=n, c=c, h=h, w=w) for n, c, h, w in shapes)


def _conversions(p: Problem, choice: Choice, threads: int) -> list[Contestant]:
    strategy = registry.find("reorder", "transpose")
    return [
        Contestant(strategy, shape, Setting(layout, choice.dtype, threads), choice.cache)
        for shape in dict.fromkeys(_shapes(p))
        for layout in OTHER
    ]
