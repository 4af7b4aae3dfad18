"""``convprof compare peers``: our strategies against the libraries people use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import measuring, options
from convprof.cli.outputs import Outputs
from convprof.cli.training import Totals
from convprof.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.results import Measurement
    from convprof.studies.peers import Peers, Standing

KEPT = (
    "pass_",
    "epilogue",
    "strategy",
    "threads",
    "dtype",
    "isa",
    "tune",
    "budget",
    "rounds",
    "seed",
)


@click.command("peers", short_help="Measure convprof against the libraries people use.")
@options.problem_options
@options.pass_option
@options.epilogue_option
@options.measure_options
@click.option("--dry-run", is_flag=True, help="List what would be measured, as commands.")
@options.output_options
def peers(**flags: Any) -> int:
    """Measure convprof's strategies against PyTorch, ONNX Runtime, OpenVINO and NumPy's BLAS.

    Each in both layouts and in the same rounds; convprof's best is compared with the fastest
    library. --strategy takes names of either side. pip install 'convprof[peers]' brings the
    libraries; those that are not installed are passed over.
    """
    asked = options.asked({**flags, "layout": "all"})
    if flags["cache"] != "hot":
        raise InputError(
            f"--cache {flags['cache']}: the libraries keep copies of the weights that cannot be "
            "evicted; use --cache hot"
        )
    if flags["dry_run"]:
        measuring.dry_run(asked, measuring.command_line("compare peers", flags, KEPT))
        return 0
    outputs = Outputs.of(flags)
    from convprof.studies.peers import Peers

    view = _View(Totals(asked, flags), several=len(asked.problems) > 1)
    return measuring.Measuring(
        asked,
        outputs,
        lambda problem, watch: Peers(problem, asked.choice, asked.settings, watch),
        view.show,
        summary=view.summary if view.several else None,
    ).run()


class _View:
    """Print a problem at once if it is the only one, else a row for each at the end."""

    def __init__(self, totals: Totals, *, several: bool) -> None:
        self._totals = totals
        self.several = several
        self._measurements: list[Measurement] = []
        self._standings: list[Standing] = []
        self._libraries: set[str] = set()

    def show(self, console: Console, study: Peers) -> list[dict[str, Any]]:
        """Print a study, or keep it; return its comparisons."""
        from convprof.render.peers import peers_report

        standings = study.standings()
        self._totals.add(study.problem, study.measurements())
        if self.several:
            self._measurements += study.measurements()
            self._standings += standings
            self._libraries |= study.libraries
        else:
            peers_report(console, study.measurements(), standings, study.libraries)
        return [standing.to_json() for standing in standings]

    def summary(self, console: Console) -> None:
        """Print the studies that were kept."""
        from convprof.render.peers import summary_report

        summary_report(console, self._measurements, self._standings, self._libraries)
        self._totals.show_all(console)
