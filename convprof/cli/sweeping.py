"""Drive a sweep: measure what is missing, then show and draw what there is."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import EXIT_FAILURE, EXIT_INTERRUPTED
from convprof.cli.measuring import EXIT_USAGE, EXIT_WRONG

if TYPE_CHECKING:
    from convprof.render.progress import Progress
    from convprof.studies.journal import Journal
    from convprof.studies.sweep import Sweep
    from convprof.studies.sweep_plan import Plan

STDOUT = "-"


class Sweeping:
    """One command's work. `run()` returns the exit code."""

    def __init__(self, plan: Plan, journal: Journal, flags: dict[str, Any]) -> None:
        from convprof.render import console

        self._plan, self._journal = plan, journal
        self._plot, self._json = flags["plot"], flags["json_path"]
        self._quiet = flags["quiet"]
        self._stdout = console.stdout(flags["color"])
        self._stderr = console.stderr(flags["color"])

    def run(self) -> int:
        """Measure; print, draw, and return the exit code."""
        from convprof.render.progress import Progress
        from convprof.studies.sweep import Sweep

        study = Sweep(self._plan, self._journal)
        if study.done:
            self._remark(f"continuing {self._json}: {self._count(study)} are there")
        interrupted = False
        try:
            with Progress(self._stderr, quiet=self._quiet) as progress:
                self._measure(study, progress)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            # Whatever happens, what was measured is shown.
            if study.done:
                self._show(study)
        if interrupted:
            self._remark(f"interrupted: {self._so_far(study)}", always=True)
            return EXIT_INTERRUPTED
        return _exit_code(study.statuses)

    def _measure(self, study: Sweep, progress: Progress) -> None:
        """Measure the points that are missing; each is in the journal when it is finished."""
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

    def _echo(self, record: dict[str, Any] | None) -> None:
        """Print a line of the journal where stdout is what was asked for."""
        if self._json == STDOUT and record is not None:
            click.echo(json.dumps(record, allow_nan=False, ensure_ascii=False))

    def _show(self, study: Sweep) -> None:
        """Print the table and the chart, draw the picture, say what disturbed."""
        from convprof.render.sweep import sweep_report
        from convprof.render.sweep_chart import sweep_chart
        from convprof.studies.sweep_plan import THREADS
        from convprof.studies.sweep_points import capacities, rows_of

        header = self._journal.header or {}
        rows = rows_of(self._journal.records(), threads=self._plan.over != THREADS)
        passed = capacities(self._plan, header["machine"].get("caches") or ())
        if self._json != STDOUT:
            sweep_report(self._stdout, header, rows, passed)
        if self._plot is not None:
            from convprof.render.charts import picture

            picture.write(sweep_chart(header, rows, passed), self._plot)
        for finding, count in study.noise.values():
            where = f" (at {count} points)" if count > 1 else ""
            self._remark(f"noise{where}: {finding.message}; {finding.hint}")

    def _count(self, study: Sweep) -> str:
        return f"{len(study.done)} of {len(self._plan.values)} points"

    def _so_far(self, study: Sweep) -> str:
        if self._json in (None, STDOUT):
            return f"{self._count(study)} were measured; --json FILE would keep them"
        return f"{self._count(study)} are in {self._json}; the same command goes on from there"

    def _remark(self, text: str, *, always: bool = False) -> None:
        if always or not self._quiet:
            whole = not self._stderr.is_terminal
            self._stderr.print(text, style="yellow", soft_wrap=whole, markup=False)


def _exit_code(statuses: set[str]) -> int:
    if "wrong" in statuses:
        return EXIT_WRONG
    if "failed" in statuses:
        return EXIT_FAILURE
    return 0 if "ok" in statuses else EXIT_USAGE
