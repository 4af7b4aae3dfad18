"""``convprof compare dtypes``: f32, bf16, f16 and int8 in the same rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, measuring, options
from convprof.cli.compare.view import ComparingView
from convprof.cli.help_page import Command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.cli.from_flags import Asked
    from convprof.cli.outputs import Outputs, Picture
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.studies.answer import Answer
    from convprof.studies.compare.dtypes import Dtypes, TypeComparison


@click.command(
    "dtypes", cls=Command, short_help="Measure f32 against bf16, f16 and int8: which type pays?"
)
@options.problem_options
@options.epilogue_option
@options.measure_options(
    strategies="Strategies; default the best of ours in each type.",
    dtype=options.dtype_option(
        default="all", metavar="TYPE[,TYPE]|all", help_text="Types to compare with f32."
    ),
)
@options.all_option
@options.dry_run_option
@options.plot_option("Draw the ratios as .svg or .png")
@options.output_options(saves=True)
def dtypes(**flags: Any) -> int:
    """Measure the best strategy of each element type against the best one in f32.

    All in the same rounds: time, ratio with interval, bytes, what limits each, and two errors: of
    the arithmetic, and of rounding operands of f32 to the type. Several products that differ in
    their rows show from how many rows a type pays.
    """
    asked = from_flags.asked({**flags, "layout": "all"}, several_dtypes=True)
    from convprof.studies.compare.dtypes import Dtypes, taking

    measuring.note_taking(asked, taking)
    return measuring.each_problem(
        asked, flags, Dtypes, lambda outputs: _View(asked, outputs, every=flags["every"])
    )


class _View(ComparingView["Dtypes", "TypeComparison"]):
    """Print the only problem at once, or a row for each of several problems at the end."""

    apart = False

    def __init__(self, asked: Asked, outputs: Outputs, *, every: bool) -> None:
        self._outputs, self._every = outputs, every
        self._several, self._counts = len(asked.problems) > 1, asked.counts
        self._measurements: list[Measurement] = []
        self._comparisons: list[list[TypeComparison]] = []
        """The comparisons of each problem."""

    def _compared(self, study: Dtypes) -> list[TypeComparison]:
        return study.comparisons()

    def _read(
        self, comparisons: Sequence[dict[str, Any]], measurements: Sequence[Measurement]
    ) -> list[TypeComparison]:
        from convprof.studies.compare.dtypes import read

        return read(comparisons, measurements)

    def _take(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        compared: list[TypeComparison],
    ) -> None:
        del problem
        self._measurements += measurements
        self._comparisons.append(compared)

    def show(self, console: Console) -> None:
        """Print the types of the only problem."""
        from convprof.render.compare.dtypes import dtypes_report

        if not self._several:
            compared = self._comparisons[-1]
            dtypes_report(console, self._measurements, compared, every=self._every)

    def summary(self, console: Console) -> None:
        """Print a row for each of several problems."""
        from convprof.render.compare.dtypes import summary_report
        from convprof.render.tables import excluded

        if self._several:
            lines = excluded(self._measurements)
            summary_report(console, self._comparisons, lines, self._counts)

    def answer(self) -> Answer | None:
        """Return which types pay, and at which error."""
        from convprof.studies.compare.dtypes_answer import answer

        return answer([each for compared in self._comparisons for each in compared])

    def pictures(self) -> list[Picture]:
        """Return the ratios of all problems."""
        from convprof.render.compare.dtypes_chart import dtypes_chart

        every = [each for compared in self._comparisons for each in compared]
        return self._outputs.pictures(lambda dated: dtypes_chart(every, dated=dated))
