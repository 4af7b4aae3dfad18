"""``compare commands --command A --command B``: whole programs in alternating rounds.

A round runs every program once, in shuffled order, from its start to its end. The first program is
the base. Every round has new processes, so the interval of a ratio has the spread between them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convprof import stats
from convprof.measure import programs
from convprof.measure.events import Sampled
from convprof.measure.programs import ProgramError
from convprof.measure.rounds import FEWEST_ROUNDS, ROUNDS
from convprof.results import envelope
from convprof.studies import document
from convprof.studies.comparison import Comparison, figures

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from convprof.machine.noise import NoiseWatch
    from convprof.measure.events import Event
    from convprof.measure.programs import ProgramRun
    from convprof.stats import Verdict
    from convprof.studies.answer import Answer

KIND = "programs"
"""Of the document."""
BASE = "A"
"""The letter of the first program."""


@dataclass(frozen=True)
class Settings:
    """How long and in which order programs run."""

    budget_s: float = 10.0
    """Seconds per program that decide the number of rounds, from `FEWEST_ROUNDS` to `ROUNDS`."""
    rounds: int | None = None
    """A fixed number of rounds; None: as many as the budget allows."""
    seed: int = 0
    limit_s: float = 120.0
    """Seconds after which a program is ended."""
    warm_ups: int = 1
    """Runs before the rounds, which are not counted: files are in the memory of the system then."""


@dataclass
class Program:
    """A command line, and its runs so far."""

    name: str
    """A letter."""
    command: str
    """As the user gave it."""
    words: tuple[str, ...]
    runs: dict[int, ProgramRun] = field(default_factory=dict)
    """By round."""
    reason: str | None = None
    """Why it takes no further part; None if it does."""

    @property
    def doubt(self) -> str | None:
        """The time of a whole program is what it is."""
        return None

    @property
    def seconds(self) -> dict[int, float]:
        """Seconds by round."""
        return {number: run.seconds for number, run in self.runs.items()}

    @property
    def median_s(self) -> float:
        """The median time of a run."""
        return stats.median(list(self.seconds.values()))

    def to_json(self) -> dict[str, Any]:
        """Return the fields for the document."""
        seconds = list(self.seconds.values())
        interval = stats.median_interval(seconds)
        return {
            "name": self.name,
            "command": self.command,
            "status": "ok" if self.reason is None else "failed",
            "reason": self.reason,
            "median_s": stats.median(seconds) if seconds else None,
            "ci95_s": list(interval) if interval else None,
            "min_s": min(seconds, default=None),
            "processor_s": self.processor_s,
            "rounds_s": seconds,
        }

    @property
    def processor_s(self) -> float | None:
        """The median processor time of a run, on all CPUs."""
        times = [run.processor_s for run in self.runs.values()]
        return stats.median(times) if times else None


@dataclass(frozen=True)
class ProgramComparison(Comparison[Program]):
    """Another program (``a``) and the base (``b``)."""

    @property
    def verdict(self) -> Verdict:
        """What can be said of ``a``: a change is a whole interval beyond 2 %."""
        return self.ratio.change

    def to_json(self) -> dict[str, Any]:
        """Return the fields for the document."""
        sides = {"a": self.a.name, "b": self.b.name}
        return {**sides, **figures(self.ratio), "verdict": self.verdict}


class Programs:
    """Several programs in the same rounds. Iterate over ``events()``."""

    def __init__(
        self, all_programs: Sequence[Program], settings: Settings, variables: Mapping[str, str]
    ) -> None:
        """``variables``: of the environment in which the programs run."""
        self.programs = list(all_programs)
        self.settings = settings
        self.rounds = 0
        self._variables = variables

    def events(self) -> Iterator[str | Event]:
        """Warm up, then run every program once in each round; yield what happens."""
        for program in self.programs:
            for number in range(self.settings.warm_ups):
                yield f"warm-up {number + 1}/{self.settings.warm_ups}: {program.command}"
                self._run(program)
        self.rounds = self.settings.rounds or 0
        order = random.Random(self.settings.seed)
        number = 0
        while number < (self.rounds or FEWEST_ROUNDS):
            if self.programs[0].reason is not None:
                return  # without the base nothing can be compared
            active = [program for program in self.programs if program.reason is None]
            order.shuffle(active)
            for program in active:
                run = self._run(program)
                if run is not None:
                    program.runs[number] = run
                    yield self._sampled(program, number, run.seconds)
            number += 1
            self.rounds = self.rounds or self._affordable()

    def comparisons(self) -> list[ProgramComparison]:
        """Return each further program against the base, from the rounds that both have."""
        base, *others = self.programs
        pairs = [(other, stats.ratio_by_round(other.seconds, base.seconds)) for other in others]
        return [ProgramComparison(other, base, ratio) for other, ratio in pairs if ratio]

    def _run(self, program: Program) -> ProgramRun | None:
        if program.reason is not None:
            return None
        try:
            return programs.run(program.words, self._variables, self.settings.limit_s)
        except ProgramError as error:
            program.reason = str(error)
            return None

    def _affordable(self) -> int:
        """Return the number of rounds that the budget allows, by the slowest program so far."""
        slowest = max((p.median_s for p in self.programs if p.runs), default=0.0)
        if not slowest:
            return FEWEST_ROUNDS
        return max(FEWEST_ROUNDS, min(ROUNDS, int(self.settings.budget_s / slowest)))

    def _sampled(self, program: Program, number: int, seconds: float) -> Sampled:
        rounds = self.rounds or ROUNDS
        round_s = sum(each.median_s for each in self.programs if each.runs)
        left = round_s * (rounds - number - 1)
        return Sampled(program.command, number + 1, rounds, seconds, left)


def document_of(
    study: Programs,
    watch: NoiseWatch,
    settings: dict[str, Any],
    answer: Answer | None,
    *,
    interrupted: bool,
) -> dict[str, Any]:
    """Return the runs and the comparisons in JSON types; ``settings``: of the command line."""
    own = study.settings
    return envelope(
        KIND,
        machine=document.machine(),
        state=document.state(watch),
        settings={
            **settings,
            "rounds": study.rounds,
            "seed": own.seed,
            "limit_s": own.limit_s,
            "warm_ups": own.warm_ups,
        },
        programs=[program.to_json() for program in study.programs],
        comparisons=[each.to_json() for each in study.comparisons()],
        answer=answer.to_json() if answer else None,
        interrupted=interrupted,
    )


def lost(study: Programs) -> list[Program]:
    """Return the further programs that fail where the base does not."""
    base, *others = study.programs
    return [program for program in others if program.reason is not None and base.runs]
