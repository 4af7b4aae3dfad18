"""Drive a sweep: measure what is missing, then show and draw what there is."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from convprof.cli import signals
from convprof.cli.driver import STDOUT, Driver, exit_code
from convprof.cli.outputs import Outputs

if TYPE_CHECKING:
    from convprof.render.progress import Progress
    from convprof.studies.journal import Journal
    from convprof.studies.sweep import Sweep
    from convprof.studies.sweep_plan import Plan


class Sweeping:
    """One command's work. `run()` returns the exit code."""

    def __init__(self, plan: Plan, journal: Journal, flags: dict[str, Any]) -> None:
        self._plan, self._journal = plan, journal
        self._plot, self._json = flags["plot"], flags["json_path"]
        paths = {} if self._json is None else {"json": self._json}
        outputs = Outputs(paths, flags["color"], flags["quiet"], self._plot is not None)
        self._driver = Driver(outputs)

    def run(self) -> int:
        """Measure; draw, print, and return the exit code."""
        from convprof.studies.sweep import Sweep

        study = Sweep(self._plan, self._journal)
        if study.done:
            self._driver.remark(f"continuing {self._json}: {self._count(study)} are there")
        interrupted = False
        try:
            interrupted = self._driver.interrupts(lambda: self._measure(study))
        finally:
            # Whatever happens, what was measured is shown.
            self._end(study)
        if interrupted:
            return self._driver.interrupted(self._so_far(study))
        return self._driver.code(exit_code(study.statuses))

    def _measure(self, study: Sweep) -> None:
        """Measure the points that are missing; each is in the journal when it is finished."""
        from convprof.render.progress import Progress

        with Progress(self._driver.stderr, quiet=self._driver.outputs.quiet) as progress:
            self._points(study, progress)

    def _points(self, study: Sweep, progress: Progress) -> None:
        from convprof.studies import sweep

        if self._journal.header is None:
            progress.say("measuring this machine's peak")
            self._journal.begin(sweep.begin(self._plan, sys.argv[1:]))
            self._echo(self._journal.header)
        for event in study.events():
            if isinstance(event, sweep.Began):
                name = f"{self._plan.over} {event.x}"
                progress.title = f"point {event.index + 1}/{event.total} ({name}), "
            elif isinstance(event, sweep.Ended):
                self._echo(event.record)
            else:
                progress.show(event)
            signals.check()
            if self._driver.unread():
                break

    def _echo(self, record: dict[str, Any] | None) -> None:
        """Print a line of the journal where stdout is what was asked for."""
        if self._json == STDOUT and record is not None:
            print(json.dumps(record, allow_nan=False), flush=True)  # noqa: T201  # it is the data

    def _end(self, study: Sweep) -> None:
        """Draw the picture; print the table and the chart; say what disturbed."""
        if not study.done:
            signals.reopen()
            return
        driver, plot = self._driver, self._plot
        driver.pictures([] if plot is None else [(plot, lambda: self._draw(plot))])
        signals.reopen()
        driver.show(self._show)
        for finding, count in study.noise.values():
            where = f" (at {count} points)" if count > 1 else ""
            driver.remark(f"noise{where}: {finding.message}; {finding.hint}")

    def _found(self) -> tuple[dict[str, Any], Any, Any]:
        """Return the header, the rows and the capacities that the range passes."""
        from convprof.studies.sweep_plan import THREADS
        from convprof.studies.sweep_points import capacities, rows_of

        header = self._journal.header or {}
        rows = rows_of(self._journal.records(), threads=self._plan.over != THREADS)
        return header, rows, capacities(self._plan, header["machine"].get("caches") or ())

    def _show(self) -> None:
        from convprof.render.sweep import sweep_report

        sweep_report(self._driver.stdout, *self._found())

    def _draw(self, plot: str) -> None:
        from convprof.render.charts import picture
        from convprof.render.sweep_chart import sweep_chart

        picture.write(sweep_chart(*self._found()), plot)

    def _count(self, study: Sweep) -> str:
        return f"{len(study.done)} of {len(self._plan.values)} points"

    def _so_far(self, study: Sweep) -> str:
        if self._json in (None, STDOUT):
            return f"{self._count(study)} were measured; --json FILE would keep them"
        return f"{self._count(study)} are in {self._json}; the same command goes on from there"
