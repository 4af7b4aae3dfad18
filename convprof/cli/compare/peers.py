"""``convprof compare peers``: our strategies against the libraries people use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, measuring, options
from convprof.cli.compare.view import ComparingIsasView
from convprof.cli.help_page import Command
from convprof.cli.seconds_flags import LIBRARIES
from convprof.cli.training_totals import TrainingTotals
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.cli.from_flags import Asked
    from convprof.cli.outputs import Outputs, Picture
    from convprof.problems import Problem
    from convprof.render.charts.chart import Bars
    from convprof.results import Measurement
    from convprof.studies.answer import Answer
    from convprof.studies.compare.peers import Peers, Standing


@click.command(
    "peers", cls=Command, short_help="Measure convprof against the libraries people use."
)
@options.problem_options
@options.pass_option
@options.epilogue_option
@options.grouped_weights_options
@options.measure_options(
    strategies="Strategies of ours, or libraries; default auto and every installed library.",
    several_isas=True,
    file_types=True,
)
@options.max_error_option()
@options.isolate_option(LIBRARIES)
@options.all_option
@options.dry_run_option
@options.plot_option("Draw the contestants, or a ratio per problem, as .svg or .png")
@options.output_options(saves=True)
def peers(**flags: Any) -> int:
    """Measure convprof's strategies against libraries such as PyTorch and ONNX Runtime.

    Each in both layouts and in the same rounds; convprof's best is compared with the fastest
    library. --strategy takes names of either side. pip install 'convprof[peers]' brings the
    libraries, and the extras tensorflow and jax two more; libraries that are not installed are
    left out. Each library computes in another process (--isolate): one that crashes is a row.
    """
    asked = from_flags.asked({**flags, "layout": "all"}, several_isas=True)
    if flags["cache"] != "hot":
        raise InputError(
            f"--cache {flags['cache']}: the libraries keep copies of the weights that cannot be "
            "evicted; use --cache hot"
        )
    from convprof.studies.compare.peers import Peers, chosen

    measuring.note_workload(asked, chosen)
    return measuring.each_problem(asked, flags, Peers, lambda outputs: _View(asked, flags, outputs))


class _View(ComparingIsasView["Peers", "Standing"]):
    """Print the only problem at once, or a row for each of several problems at the end."""

    apart = False

    def __init__(self, asked: Asked, flags: dict[str, Any], outputs: Outputs) -> None:
        super().__init__()
        self._choice, self._outputs = asked.choice, outputs
        self._counts = asked.counts
        self._totals = TrainingTotals(flags)
        self._several = len(asked.problems) > 1
        self._every = flags["every"]
        self._measurements: list[Measurement] = []
        self._standings: list[Standing] = []
        self._libraries: set[str] = set()

    def _compared(self, study: Peers) -> list[Standing]:
        """Return the comparisons of a study that has ended."""
        return study.standings()

    def _read(
        self, comparisons: Sequence[dict[str, Any]], measurements: Sequence[Measurement]
    ) -> list[Standing]:
        """Return the comparisons of an earlier process."""
        from convprof.studies.compare.peers import read

        return read(comparisons, measurements)

    def _take(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        compared: list[Standing],
    ) -> None:
        from convprof.studies.compare.peers import libraries

        self._totals.add(problem, list(measurements))
        self._measurements += measurements
        self._standings += compared
        self._libraries |= libraries(problem, self._choice)

    def show(self, console: Console) -> None:
        """Print all contestants, if there is one problem."""
        from convprof.render.compare.peers import peers_report

        if not self._several:
            peers_report(
                console, self._measurements, self._standings, self._libraries, every=self._every
            )

    def summary(self, console: Console) -> None:
        """Print a row for each of several problems."""
        from convprof.render.compare.peers import summary_report

        if self._several:
            summary_report(
                console, self._measurements, self._standings, self._libraries, self._counts
            )
            self._totals.show_all(console)

    def answer(self) -> Answer | None:
        """Return the faster side of each problem, and the faster instruction set."""
        from convprof.studies.compare.isas_answer import added
        from convprof.studies.compare.peers_answer import answer, nothing_compared

        compared = answer(self._standings) or nothing_compared(self._measurements)
        return added(compared, self._isas)

    def pictures(self) -> list[Picture]:
        """Return the contestants of one problem, or the ratios of several."""
        return self._outputs.pictures(self._chart)

    def _chart(self, dated: str) -> Bars | None:
        from convprof.render.compare.peers_chart import peers_chart, standings_chart

        if self._several:
            return standings_chart(self._standings, dated=dated)
        return peers_chart(self._measurements, self._standings, self._libraries, dated=dated)
