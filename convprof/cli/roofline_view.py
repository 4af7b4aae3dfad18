"""Where the charts of ``convprof roofline`` go: the terminal, and a file for each."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.cli.driver import Driver, Picture
    from convprof.results import Measurement
    from convprof.studies.roofline import Roofline


def plot_names(
    plot: str | None, groups: Sequence[tuple[str, int]]
) -> list[tuple[tuple[str, int], str]]:
    """Return each chart's type and threads and its file, numbered if there are several.

    All of them can be written, or it is InputError.
    """
    if plot is None:
        return []
    from convprof.render.charts import picture

    path = Path(plot)
    names = [plot]
    if len(groups) > 1:
        ends = [f"{dtype}-{threads}" for dtype, threads in groups]
        if len(set(ends)) < len(ends):
            ends = [f"{number}-{end}" for number, end in enumerate(ends, 1)]
        names = [str(path.with_name(f"{path.stem}-{end}{path.suffix}")) for end in ends]
    picture.require(plot)
    for name in names:
        picture.require(name)
    return list(zip(groups, names, strict=True))


class Charts:
    """Print rooflines, and draw them into files."""

    def __init__(self, driver: Driver) -> None:
        self._stdout, self._remark = driver.stdout, driver.remark
        self.plots: list[tuple[tuple[str, int], str]] = []

    def show(self, found: Sequence[Roofline]) -> None:
        """Print each with its chart."""
        from convprof.render import roofline as view

        for roofline in found:
            view.roofline_report(self._stdout, roofline, dated=_dated(roofline))
            self._stdout.print()
        view.definitions_report(self._stdout)

    def excluded(self, measurements: Sequence[Measurement]) -> None:
        """Print who is not in the charts, and why."""
        from convprof.render import describe, tables
        from convprof.render.console import say

        for measurement in tables.excluded(measurements):
            line = describe.exclusion_line(measurement)
            say(self._stdout, line, style="dim")

    def pictures(self, found: Sequence[Roofline]) -> list[Picture]:
        """Return the files that were asked for, each with what draws its chart."""
        return [
            (name, functools.partial(self._draw, roofline, name))
            for roofline, name in self._named(found)
        ]

    def _named(self, found: Sequence[Roofline]) -> list[tuple[Roofline, str]]:
        """Return each chart with its file; some files that were asked for may have no point."""
        left = list(self.plots)
        named = []
        for roofline in found if left else ():
            key = (roofline.dtype, roofline.threads)
            named.append((roofline, left.pop([group for group, _ in left].index(key))[1]))
        return named

    def _draw(self, roofline: Roofline, name: str) -> None:
        from convprof.render import roofline as view
        from convprof.render.charts import picture

        picture.write(view.chart(roofline, dated=_dated(roofline)), name)
        self._remark(f"drawn: {name}: {view.title(roofline)}")


def _dated(roofline: Roofline) -> str:
    """Return the CPU, and when it was measured if that was now."""
    brand = roofline.brand or "unknown CPU"
    return brand if roofline.source else f"{brand} · {time.strftime('%Y-%m-%d')}"
