"""``convprof compare results``: saved results against earlier ones; a gate for a pipeline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options
from convprof.cli.compare import fail_on
from convprof.cli.driver import Driver, Work
from convprof.cli.help_page import Command
from convprof.cli.outputs import Outputs
from convprof.errors import EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from convprof.render.files import Text
    from convprof.studies.answer import Answer
    from convprof.studies.compare.results import Compared


@click.command(
    "results", cls=Command, short_help="Compare saved results: what is slower, what is faster?"
)
@click.argument("base")
@click.argument("new", nargs=-1, required=True, metavar="NEW...")
@click.option(
    "--by",
    type=click.Choice(["auto", "time", "cycles", "peak"]),
    default="auto",
    show_default=True,
    help="What is compared; auto: seconds, but cycles where the clock differs, and shares of the "
    "peak where the machine differs.",
)
@fail_on.option
@click.option("--all", "every", is_flag=True, help="Print every row; by default what changed.")
@options.output_options(csv="Write one row per measurement that matches.")
def results(**flags: Any) -> int:
    """Compare results that --json wrote with BASE: earlier ones, or another machine's.

    BASE and each NEW are a file, a folder of results, or a pattern in quotes. Measurements match by
    problem, strategy, layout, type, threads, cache and instruction set. A ratio is new / base with
    a 95 % interval from the rounds of both; slower or faster is said where the whole interval is
    beyond 2 %. Machines, clocks, versions and load are compared first.
    """
    outputs = Outputs.of(flags)
    from convprof.studies.compare import results, results_files

    base = results_files.read(flags["base"])
    by = None if flags["by"] == "auto" else flags["by"]
    news = [results_files.read(name) for name in flags["new"]]
    compared = [results.compare(base, new, by) for new in news]
    return Driver(outputs).run(_Work(compared, flags["fail_on"], every=flags["every"]))


class _Work(Work):
    """Show and write the comparisons: nothing is measured."""

    measures = False

    def __init__(self, compared: list[Compared], limit: str | None, *, every: bool) -> None:
        self._compared, self._fail_on, self._every = compared, limit, every
        self._limit = fail_on.share(limit)

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the document, the rows and the tables."""
        from convprof.render.compare import results as render

        return {
            "json": self._to_json,
            "csv": lambda: render.to_csv(self._compared),
            "markdown": lambda: render.to_markdown(self._compared, every=self._every),
        }

    def _to_json(self) -> str:
        from convprof.studies.compare import results

        document = results.document(self._compared, self._fail_on, self.answer())
        return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def show(self, console: Console) -> None:
        """Print the machines and the rows that changed."""
        from convprof.render.compare.results import results_report

        results_report(console, self._compared, every=self._every)

    def answer(self) -> Answer:
        """Return what changed."""
        from convprof.studies.compare.results_answer import answer

        return answer(self._compared, self._limit)

    def remarks(self) -> list[str]:
        """Return what was noticed when the files were read."""
        sides = [self._compared[0].base, *(each.new for each in self._compared)]
        return [f"note: {note}" for side in sides for note in side.notes]

    def status(self) -> int:
        """Return 4 beyond the limit, and 2 where nothing matches."""
        from convprof.studies.compare.results_answer import fails

        if fails(self._compared, self._limit):
            return fail_on.EXIT_SLOWER
        unmatched = any(not each.rows and not each.lost for each in self._compared)
        return EXIT_USAGE if unmatched else 0
