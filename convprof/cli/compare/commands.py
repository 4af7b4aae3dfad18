"""``convprof compare commands``: problems in several environments, or whole programs."""

from __future__ import annotations

import functools
from dataclasses import replace
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, measuring, options
from convprof.cli.compare import fail_on
from convprof.cli.compare.view import ComparingView
from convprof.cli.help_page import Command
from convprof.cli.number_types import Whole
from convprof.cli.seconds_flags import ISOLATE_S
from convprof.errors import EXIT_USAGE, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from convprof.cli.from_flags import Asked
    from convprof.cli.outputs import Outputs, Picture
    from convprof.measure.isolated.environment import Environment
    from convprof.problems import Problem
    from convprof.render.charts.chart import Bars
    from convprof.render.files import Text
    from convprof.results import Document, Measurement
    from convprof.studies.answer import Answer
    from convprof.studies.compare.environments import EnvironmentComparison, Environments

MOST_ENVIRONMENTS = 8
"""A process of every environment is alive for every contestant."""
MOST_PROCESSES = 100
"""Of one environment, one after the other; more do not make an interval much narrower."""


@click.command(
    "commands",
    cls=Command,
    short_help="Compare environments (two versions of PyTorch), or programs.",
)
@options.problem_options
@click.option(
    "--python",
    "pythons",
    multiple=True,
    metavar="FILE",
    help="The Python of an environment, or the folder of a virtual environment; give it at least "
    "twice. The first is the base.",
)
@click.option(
    "--command",
    "programs",
    multiple=True,
    metavar="'WORD...'",
    help="Instead of PROBLEM and --python: a whole program; give it at least twice. No shell reads "
    "it. --budget: seconds per program, default 10.",
)
@click.option(
    "--processes",
    type=Whole(1, MOST_PROCESSES),
    default=1,
    show_default=True,
    metavar="N",
    help="Measure in N new processes of each environment, one after the other; how far they differ "
    "is in the interval.",
)
@options.pass_option
@options.epilogue_option
@options.layout_option()
@options.measure_options(
    strategies="Strategies to run; default auto and every library that an environment has.",
    file_types=True,
)
@options.max_error_option()
@options.isolate_limit_option
@fail_on.option
@options.all_option
@options.dry_run_option
@options.plot_option("Draw the ratios as .svg or .png")
@options.output_options(saves=True)
def commands(**flags: Any) -> int:
    """Measure the same problems in several environments, or whole programs, in alternating rounds.

    Two versions of PyTorch, of NumPy and its BLAS, or of convprof: each in an environment of its
    own. Every contestant computes in a process of each environment; a round takes a sample of all,
    in shuffled order, so that the drift of the machine affects all alike. A change is a whole 95 %
    interval beyond 2 %. An environment without convprof uses this one, and needs Python 3.11, NumPy
    and numba. PYTHONPATH and packages of the user's folder do not count.

    --command runs whole programs from start to end: once to warm up, then 6 to 25 rounds of each.
    Their output is discarded; an exit code that is not 0 is a failure.
    """
    if flags["programs"]:
        from convprof.cli.compare import programs

        return programs.measure(flags, flags["isolate"] or ISOLATE_S)
    pythons: tuple[str, ...] = flags["pythons"]
    if not 2 <= len(pythons) <= MOST_ENVIRONMENTS:  # noqa: PLR2004
        raise InputError(
            f"name 2 to {MOST_ENVIRONMENTS} environments: --python old/bin/python --python "
            "new/bin/python; or whole programs with --command"
        )
    flags["isolate"] = flags["isolate"] or ISOLATE_S
    asked = from_flags.asked(flags)
    examined = environments(pythons, flags["isolate"])
    asked = replace(asked, choice=replace(asked.choice, environments=examined))
    from convprof.studies.compare.environments import Environments, chosen

    measuring.note_workload(asked, chosen)
    study = functools.partial(Environments, processes=flags["processes"])
    return measuring.each_problem(asked, flags, study, lambda outputs: _View(asked, flags, outputs))


def environments(pythons: Sequence[str], limit_s: float) -> tuple[Environment, ...]:
    """Return what is in each environment; InputError if contestants cannot compute in one."""
    from convprof.measure.isolated.examination import distinguished, examine
    from convprof.strategies import registry

    modules = registry.library_packages()
    names = zip(ascii_uppercase, pythons, strict=False)
    return distinguished([examine(name, path, modules, limit_s) for name, path in names])


class _View(ComparingView["Environments", "EnvironmentComparison"]):
    """Print the rows of all problems at the end."""

    apart = False

    def __init__(self, asked: Asked, flags: dict[str, Any], outputs: Outputs) -> None:
        self._asked, self._outputs, self._every = asked, outputs, flags["every"]
        self._limit = fail_on.share(flags["fail_on"])
        self._measurements: list[Measurement] = []
        self._comparisons: list[EnvironmentComparison] = []

    def _compared(self, study: Environments) -> list[EnvironmentComparison]:
        return study.compared()

    def _read(
        self, comparisons: Sequence[dict[str, Any]], measurements: Sequence[Measurement]
    ) -> list[EnvironmentComparison]:
        from convprof.studies.compare.environments import read

        return read(comparisons, measurements)

    def _take(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        compared: list[EnvironmentComparison],
    ) -> None:
        del problem
        self._measurements += measurements
        self._comparisons += compared

    def summary(self, console: Console) -> None:
        """Print the environments and a row for each contestant."""
        from convprof.render.compare.environments import environments_report

        environments_report(
            console, self._facts, self._comparisons, self._measurements, every=self._every
        )

    @property
    def _facts(self) -> list[Any]:
        from convprof.studies.compare.environments import facts

        return facts(self._asked.settings_shown())

    def answer(self) -> Answer | None:
        """Return what changes from the base to the other environments."""
        from convprof.studies.compare.environments_answer import answer

        return answer(self._comparisons, self._measurements, self._facts, self._limit)

    def status(self) -> int:
        """Return 4 beyond the limit, and 2 where nothing is compared; else 0."""
        from convprof.results import FAILURES
        from convprof.studies.compare.environments_answer import fails

        if fails(self._comparisons, self._measurements, self._limit):
            return fail_on.EXIT_SLOWER
        failed = any(m.status in FAILURES for m in self._measurements)
        return 0 if self._comparisons or failed else EXIT_USAGE

    def forms(self) -> dict[str, Callable[[Document], Text]]:
        """Return the Markdown with the ratios."""
        from convprof.render.compare.environments import to_markdown

        return {"markdown": to_markdown}

    def pictures(self) -> list[Picture]:
        """Return the ratios."""
        return self._outputs.pictures(self._chart)

    def _chart(self, dated: str) -> Bars | None:
        from convprof.render.compare.environments_chart import environments_chart

        return environments_chart(self._comparisons, dated=dated)
