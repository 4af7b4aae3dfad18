"""Drive a study over problems: show progress, print tables, keep what was measured, exit code."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import click

from convprof.cli import EXIT_FAILURE, EXIT_INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from convprof.cli.options import Asked
    from convprof.cli.outputs import Outputs
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.events import Event
    from convprof.problems import Problem
    from convprof.render.progress import Progress
    from convprof.results import Document, Measurement

EXIT_USAGE = 2
EXIT_WRONG = 3


class Study(Protocol):
    """A question put to one problem."""

    def events(self) -> Iterator[Event]:
        """Measure; yield what happens."""

    def measurements(self) -> list[Measurement]:
        """Return the results so far."""


AnyStudy = TypeVar("AnyStudy", bound=Study)


def dry_run(asked: Asked, command: str) -> None:
    """Print what would be measured, each problem as a command that can be pasted back."""
    from convprof.studies.selection import command_for

    quiet = click.get_current_context().params.get("quiet", False)
    for note in [] if quiet else asked.notes:
        click.echo(f"note: {note}", err=True)
    # The passes of a layer are one command where --pass says which; a file may say so by line.
    with_pass = "--pass" not in command.split()
    for text in dict.fromkeys(command_for(p, with_pass=with_pass) for p in asked.problems):
        click.echo(f"{command} {text}")
    reasons = [f"{line.source}: {line.reason}" for line in asked.left_out]
    for reason in [] if quiet else [*reasons, *map(str, asked.refused.values())]:
        click.echo(f"left out: {reason}", err=True)


def command_line(name: str, flags: dict[str, Any], kept: tuple[str, ...]) -> str:
    """Return ``convprof NAME`` with those of the flags that differ from their defaults."""
    words = ["convprof", *name.split()]
    context = click.get_current_context()
    for key in kept:
        source = context.get_parameter_source(key)
        if source is not click.core.ParameterSource.DEFAULT and flags.get(key) is not None:
            value = flags[key]
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            words += [f"--{key.rstrip('_')}", shlex.quote(text)]
    return " ".join(words)


class Measuring(Generic[AnyStudy]):
    """One command's work. ``run()`` returns the exit code."""

    def __init__(
        self,
        asked: Asked,
        outputs: Outputs,
        study: Callable[[Problem, NoiseWatch], AnyStudy],
        show: Callable[[Console, AnyStudy], list[dict[str, Any]]],
        summary: Callable[[Console], None] | None = None,
        *,
        conclude: Callable[[], list[dict[str, Any]]] | None = None,
    ) -> None:
        """``show`` prints a study's tables and returns its comparisons for the document.

        ``summary`` prints what only the end of all problems shows, instead of or beside that;
        ``conclude`` returns the comparisons that only the end allows.
        """
        from convprof.machine import facts
        from convprof.machine.noise import NoiseWatch
        from convprof.render import console

        self._asked = asked
        self._outputs = outputs
        self._study = study
        self._show = show
        self._summary = summary
        self._conclude = conclude
        self._stdout = console.stdout(outputs.color)
        self._stderr = console.stderr(outputs.color)
        self._watch = NoiseWatch(facts().topology.logical_cpus or 1)

    def run(self) -> int:
        """Measure every problem; print, write, and return the exit code."""
        document = self._begin()
        for note in self._asked.notes:
            self._remark(f"note: {note}")
        document.measurements += self._refused()
        try:
            for number, problem in enumerate(self._asked.problems):
                self._one(problem, number, document)
                if document.interrupted:
                    break
        except KeyboardInterrupt:  # between two problems
            document.interrupted = True
        finally:
            # Whatever happens, what was measured is printed and written.
            self._end(document)
        return _exit_code(document)

    def _begin(self) -> Document:
        from convprof.render.progress import Progress
        from convprof.strategies.base import NATIVE
        from convprof.studies import document, run

        choice, settings = self._asked.choice, self._asked.settings
        with Progress(self._stderr, quiet=self._outputs.quiet) as progress:
            progress.say("measuring this machine's peak")
            peaks = run.peaks(choice.dtype, choice.threads)
            own = None
            if choice.isa != NATIVE:
                own = run.peaks(choice.dtype, choice.threads, choice.isa)
        begun = document.begin(
            {
                "argv": sys.argv[1:],
                "budget_s": settings.budget_s,
                "rounds": settings.rounds,
                "seed": settings.seed,
                "cache": choice.cache,
                "dtype": choice.dtype,
                "isa": choice.isa,
                "tune": choice.tune,
                "threads": list(choice.threads),
                "layouts": list(choice.layouts),
                "strategies": list(choice.strategies) or None,
            },
            peaks,
        )
        begun.ceilings["isa_peaks"] = own
        return begun

    def _refused(self) -> list[Measurement]:
        """Say which problems are not begun at all; return their records."""
        from convprof.studies import run

        found: list[Measurement] = []
        for problem, error in self._asked.refused.items():
            self._remark(f"refused: {error}")
            found += run.refused(problem, self._asked.choice, str(error))
        return found

    def _one(self, problem: Problem, number: int, document: Document) -> None:
        from convprof.render.progress import Progress

        study = self._study(problem, self._watch)
        total = len(self._asked.problems)
        with Progress(self._stderr, quiet=self._outputs.quiet) as progress:
            progress.title = f"problem {number + 1}/{total}, " if total > 1 else ""
            self._watch_events(study, progress, document)
        document.measurements += study.measurements()
        console = self._stdout if self._outputs.tables else _silent()
        if number and self._summary is None:
            console.print()
        document.comparisons += self._show(console, study)

    def _watch_events(self, study: Study, progress: Progress, document: Document) -> None:
        try:
            for event in study.events():
                progress.show(event)
        except KeyboardInterrupt:
            document.interrupted = True

    def _end(self, document: Document) -> None:
        from convprof.render import describe
        from convprof.studies.document import observe

        observe(document, self._watch)
        if self._conclude is not None and document.measurements:
            document.comparisons += self._conclude()
        if self._outputs.tables and document.measurements:
            if self._summary is not None:
                self._summary(self._stdout)
            cycles = describe.cycles_line(document.measurements)
            for line in filter(None, (describe.machine_line(document), cycles)):
                # A terminal gets lines broken at words, a pipe whole lines.
                whole = not self._stdout.is_terminal
                self._stdout.print(line, style="dim", soft_wrap=whole, markup=False)
        if not self._outputs.quiet:
            for finding in self._watch.findings():
                self._remark(f"noise: {finding.message}; {finding.hint}")
        if document.interrupted:
            found = bool(document.measurements)
            text = "what was measured until then is above" if found else "nothing was measured yet"
            self._remark(f"interrupted: {text}", always=True)
        self._outputs.write(document)

    def _remark(self, text: str, *, always: bool = False) -> None:
        if always or not self._outputs.quiet:
            whole = not self._stderr.is_terminal
            self._stderr.print(text, style="yellow", soft_wrap=whole, markup=False)


def _silent() -> Console:
    import io

    from rich.console import Console

    return Console(file=io.StringIO())


def _exit_code(document: Document) -> int:
    if document.interrupted:
        return EXIT_INTERRUPTED
    statuses = {measurement.status for measurement in document.measurements}
    if "wrong" in statuses:
        return EXIT_WRONG
    if "failed" in statuses:
        return EXIT_FAILURE
    return 0 if "ok" in statuses else EXIT_USAGE
