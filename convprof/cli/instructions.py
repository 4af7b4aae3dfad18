"""``convprof instructions``: latency and throughput of single instructions, in core cycles."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options
from convprof.cli.driver import NOTHING, Driver, Work, noise_watch
from convprof.cli.help_page import Command
from convprof.cli.outputs import Outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from convprof.cli.outputs import Picture
    from convprof.machine.noise import NoiseWatch
    from convprof.render.files import Text
    from convprof.studies.answer import Answer


@click.command("instructions", cls=Command)
@click.option("--match", metavar="REGEX", help="Keep the instructions whose name matches.")
@options.wait_idle_option
@options.plot_option("Draw latency and throughput as .svg or .png")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Print every row, not only the interesting ones; files have all.",
)
@options.output_options(csv="Write one row per instruction.")
def command(**flags: Any) -> int:
    """Measure what single instructions cost on this core, in cycles.

    Latency from chains of dependent instructions, reciprocal throughput from independent ones:
    integers, floats, conversions and loads, scalars and vectors. The table also has published
    figures of known cores of this architecture; the first line names the core that this machine
    resembles most. Printed are the rows that kernels depend on, and rows that differ from that
    core; --all prints every row, --match the rows that you name.
    """
    everything = flags["everything"] or flags["match"] is not None
    outputs = Outputs.of(flags)
    return Driver(outputs).run(_Work(flags["match"], outputs, everything=everything))


class _Work(Work):
    """Measure the instructions; write and show them with published figures."""

    def __init__(self, match: str | None, outputs: Outputs, *, everything: bool) -> None:
        from convprof.studies.instructions import Instructions

        self._outputs, self._everything = outputs, everything
        self._watch = noise_watch()
        self._study = Instructions(match)
        self._document: dict[str, Any] = {}

    def noise(self) -> NoiseWatch:
        """Return the watch for noise."""
        return self._watch

    def steps(self) -> Iterator[str]:
        """Measure; yield a text before each measurement."""
        return self._study.passes()

    def complete(self, *, interrupted: bool) -> None:
        """Make the document."""
        self._study.interrupted = interrupted
        rows = self._study.rows()
        for row in rows:
            if row.core_hz:
                self._watch.see_clock(row.core_hz)
        self._document = self._study.to_json(rows, self._watch, {"argv": sys.argv[1:]})

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the document, its rows and its tables."""
        from convprof.render import instructions as view

        shown = view.View.of(self._study)
        return {
            "json": lambda: json.dumps(self._document, indent=2, allow_nan=False) + "\n",
            "csv": lambda: view.to_csv(shown),
            "markdown": lambda: view.to_markdown(shown),
        }

    def pictures(self) -> list[Picture]:
        """Return the picture of the costs."""
        from convprof.render.instructions import View
        from convprof.render.instructions_chart import instructions_chart

        return self._outputs.pictures(
            lambda dated: instructions_chart(View.of(self._study), dated=dated)
        )

    def show(self, console: Console) -> None:
        """Print the table and the most similar core."""
        from convprof.render import instructions as view

        shown = view.View.of(self._study)
        view.instructions_report(console, shown, everything=self._everything)

    def answer(self) -> Answer | None:
        """Return the conclusion for kernels."""
        from convprof.render import instructions as view

        return view.answer(view.View.of(self._study), everything=self._everything)

    def so_far(self) -> str:
        """Return whether anything was measured."""
        return super().so_far() if self._study.rows() else NOTHING
