"""The output of ``compare mixers`` for several images: tables, charts, and crossings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.render.charts.terminal import chart_lines
from convprof.render.compare.mixers import growth_report, growth_words, run_title
from convprof.render.compare.mixers_chart import growth_chart
from convprof.render.console import draw
from convprof.studies.compare.mixers.growth import growths, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from convprof.studies.compare.mixers.growth import Stage

CHART_WIDTH, CHART_HEIGHT = 100, 20


def growing_report(console: Console, stages: Sequence[Stage], exclude: Callable[[], None]) -> None:
    """Print the images side by side, a chart, the exclusions, and the crossings of the mixers.

    ``exclude``: prints the exclusions.
    """
    by_run = runs(stages)
    named = len({strategy for _, strategy, _ in by_run}) > 1
    for threads, strategy, own in by_run:
        growth_report(console, run_title(threads, strategy, own, named=named), own)
        chart = replace(growth_chart(own), title="", subtitle="")  # the table's title is above
        console.print()
        draw(console, chart_lines(chart, min(console.width, CHART_WIDTH), CHART_HEIGHT))
        console.print()
    exclude()
    growth_words(console, growths(stages), stages[0][0])
