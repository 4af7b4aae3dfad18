"""``convprof history``: the results that --save kept, over time and machines."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import completion, options
from convprof.cli.driver import Driver, Work
from convprof.cli.help_page import Command
from convprof.cli.outputs import Outputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from convprof.cli.outputs import Picture
    from convprof.render.files import Text
    from convprof.studies.answer import Answer
    from convprof.studies.history.store import Run
    from convprof.studies.history.study import Line


_AGE = re.compile(r"(\d{1,6})([hdwy])")
_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}


def _seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Return an age in seconds; ``click.BadParameter`` for another form than 90d."""
    if value is None:
        return None
    match = _AGE.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not of the form 90d, 12h, 6w or 1y", ctx, param)
    return float(match[1]) * _SECONDS[match[2]]


@click.command("history", cls=Command)
@click.argument("problem", required=False, shell_complete=completion.problems)
@options.strategy_option("One strategy instead of the fastest one of each run.")
@click.option("--all", "every", is_flag=True, help="Print every row; by default the 20 newest.")
@click.option(
    "--forget",
    metavar="NAME[~N]",
    help="Remove a saved run: the newest of that name, or the N-th before it.",
)
@click.option(
    "--older",
    metavar="AGE",
    callback=_seconds,
    help="Remove the runs older than 90d (or 12h, 6w, 1y), of all names or of --forget NAME.",
)
@options.plot_option("Draw the shares of the peak as .svg or .png")
@options.output_options(csv="Write one row per run and line.")
def command(**flags: Any) -> int:
    """List and draw the results that --save kept, and mark where they changed.

    PROBLEM is a descriptor or a name, with * and ?; without one all problems are listed. A line is
    the fastest measurement of each run, in one type and on one number of threads of one machine.
    A change is where the level differs by Pettitt's test (5 %) and by over 2 %. It needs 8 runs, 4
    of them after the change; in a series of 100 runs, 9. `show NAME~1`, `roofline NAME` and
    `compare results NAME~1 NAME` take saved runs.

    --forget and --older remove runs at once, without a question.
    """
    outputs = Outputs.of(flags)
    if flags["forget"] is not None or flags["older"] is not None:
        return _forget(flags, outputs)
    from convprof.cli import from_flags
    from convprof.errors import InputError
    from convprof.studies.history import store, study

    if not store.has_runs():
        raise InputError("no run is saved yet; convprof run PROBLEM --save NAME saves one")
    names = from_flags.names_from(flags, "strategy")
    if len(names) > 1:
        raise InputError("one strategy at a time", field="strategy", value=",".join(names))
    lines = study.lines(flags["problem"], names[0] if names else None)
    return Driver(outputs).run(_Work(lines, outputs, every=flags["every"]))


def _forget(flags: dict[str, Any], outputs: Outputs) -> int:
    """Remove runs; say which."""
    from convprof.errors import InputError
    from convprof.studies.history import store

    others = [flag for flag in ("problem", "plot", "report_path") if flags[flag] is not None]
    others += [flag for flag in ("strategy", "every") if flags[flag]]
    if others or outputs.paths:
        raise InputError("--forget and --older remove whole runs: use them without other options")
    before_s = None if flags["older"] is None else time.time() - flags["older"]
    return Driver(outputs).run(_Forgotten(*store.remove(flags["forget"], before_s)))


class _Forgotten(Work):
    """Say which runs were removed."""

    measures = False

    def __init__(self, runs: list[Run], left: int) -> None:
        self._runs, self._left = runs, left

    def show(self, console: Console) -> None:
        """Print the runs."""
        from convprof.render.history import removed_report

        removed_report(console, self._runs, self._left)


class _Work(Work):
    """Show the saved runs: nothing is measured."""

    measures = False

    def __init__(self, lines: list[Line], outputs: Outputs, *, every: bool) -> None:
        self._lines, self._outputs, self._every = lines, outputs, every

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the document, the rows and the table."""
        from convprof.render import history as render

        return {
            "json": self._to_json,
            "csv": lambda: render.to_csv(self._lines),
            "markdown": lambda: render.to_markdown(self._lines),
        }

    def _to_json(self) -> str:
        from convprof.studies.history import study

        document = study.document(self._lines, self.answer())
        return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def pictures(self) -> list[Picture]:
        """Return the chart."""
        from convprof.render.history import history_chart

        return self._outputs.pictures(lambda _: history_chart(self._lines))

    def show(self, console: Console) -> None:
        """Print a row for each line, and the changes."""
        from convprof.render.history import history_report

        history_report(console, self._lines, every=self._every)

    def answer(self) -> Answer:
        """Return the newest change for the worse."""
        from convprof.studies.history.study import answer

        return answer(self._lines)
