"""The outputs of a command: tables on stdout, and the files that flags name."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.render.charts.chart import Drawable
    from convprof.render.console import Color

STDOUT = "-"


@dataclass(frozen=True)
class Picture:
    """A chart to draw."""

    chart: Callable[[], Drawable | None]
    """Returns the data of the chart; None if there is nothing to draw."""
    path: str | None
    """The file of ``--plot``; None if the chart is for a report only."""
    drawn: Callable[[str], None] = lambda _: None
    """Is called with the path after the file is drawn."""

    def draw(self) -> None:
        """Draw the file of ``--plot``."""
        from convprof.render.charts import picture

        chart = self.chart()
        if chart is not None and self.path is not None:
            picture.write(chart, self.path)
            self.drawn(self.path)


@dataclass(frozen=True)
class Outputs:
    """The output flags of a command."""

    paths: dict[str, str]
    """By flag: a file, or ``-`` for stdout."""
    color: Color
    quiet: bool
    plot: str | None = None
    """The file of the picture."""
    report: str | None = None
    """The HTML file of the report."""
    measures: bool = False
    """Whether the command has ``--wait-idle``, which all measuring commands have."""
    wait_idle_s: float | None = None
    """The longest wait for an idle machine; None: no wait."""
    save: str | None = None
    """The name under which the result is saved."""
    exports: tuple[tuple[str, str], ...] = ()
    """Formats of other tools, each with a file."""

    @classmethod
    def of(cls, flags: dict[str, Any]) -> Outputs:
        """Read the flags and check that every file can be written, before measuring."""
        from convprof.render.files import check_writable

        values = {flag: flags.get(f"{flag}_path") for flag in ("json", "csv", "markdown", "trace")}
        paths = {flag: path for flag, path in values.items() if path is not None}
        to_stdout = [f"--{flag}" for flag, path in paths.items() if path == STDOUT]
        if len(to_stdout) > 1:
            raise InputError(f"{' and '.join(to_stdout)} cannot both write to stdout: name a file")
        taken: dict[str, str] = {}
        for flag, path in paths.items():
            if path != STDOUT:
                check_writable(path, f"--{flag}")
                _take(taken, flag, path)
        for name, path in flags.get("exports", ()):
            check_writable(path, f"--export {name}", stdout=False)
            _take(taken, f"export {name}", path)
        plot = flags.get("plot")
        if plot is not None:
            from convprof.render.charts import picture

            _take(taken, "plot", plot)
            picture.require(plot)
        report = flags.get("report_path")
        if report is not None:
            from convprof.render.report import file

            _take(taken, "report", report)
            file.require(report)
        return cls(
            paths,
            flags["color"],
            flags.get("quiet", False),
            plot,
            report,
            "wait_idle" in flags,
            flags.get("wait_idle"),
            _name(flags.get("save")),
            flags.get("exports", ()),
        )

    @property
    def tables(self) -> bool:
        """Whether stdout shows tables: not if a flag writes its document there."""
        return STDOUT not in self.paths.values()

    def unread(self) -> bool:
        """Whether further results would be lost: stdout has failed, and no file is named."""
        from convprof.render.streams import stdout_lost

        return stdout_lost() and not self.files

    @property
    def files(self) -> bool:
        """Whether results go to a file: measuring then continues without a reader of stdout."""
        if self.draws or self.exports or self.save is not None:
            return True
        return any(path != STDOUT for path in self.paths.values())

    @property
    def draws(self) -> bool:
        """Whether charts are drawn into files."""
        return self.plot is not None or self.report is not None

    def pictures(self, chart: Callable[[str], Drawable | None]) -> list[Picture]:
        """Return the picture for the files; `chart` takes machine and date, and may return None."""
        return [Picture(lambda: chart(dated()), self.plot)] if self.draws else []


def dated(brand: str | None = None) -> str:
    """Return the CPU and today's date for a chart's subtitle; without `brand` this machine's."""
    if brand is None:
        from convprof.machine import facts

        brand = facts().cpu.brand or "unknown CPU"
    return f"{brand} · {time.strftime('%Y-%m-%d')}"


def _take(taken: dict[str, str], flag: str, path: str) -> None:
    """Record the file of a flag; InputError if another flag writes there."""
    other = taken.setdefault(os.path.realpath(path), flag)
    if other != flag:
        raise InputError(f"--{flag} {path}: --{other} writes there; name another file")


def _name(name: str | None) -> str | None:
    """Return the name of ``--save``; InputError for a name that cannot be one."""
    if name is not None:
        from convprof.studies.history.store import check_name

        check_name(name)
    return name
