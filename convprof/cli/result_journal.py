"""The journal next to the file of ``--json``: finished problems survive a killed process."""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from convprof.atomic_files import one_line
from convprof.cli.flags import message
from convprof.errors import ConvprofError
from convprof.render.files import STDOUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from convprof.cli.driver import Driver
    from convprof.cli.from_flags import Asked
    from convprof.cli.outputs import Outputs
    from convprof.machine.noise import NoiseWatch
    from convprof.problems import Problem
    from convprof.render.progress import Step
    from convprof.results import Document, Measurement
    from convprof.studies.journal import Journal
    from convprof.studies.run_journal import Kept

_OUTPUT = (
    *("json_path", "csv_path", "markdown_path", "report_path", "plot", "color", "quiet"),
    *("save", "exports", "asm", "explain", "dry_run", "top", "fail_on"),
)
"""Parameters of the output, without effect on the measurement."""
_PROBLEMS = ("problem", "batch", "mb", "match")
"""Parameters that name problems; the problems themselves are compared."""


class ResultJournal:
    """A journal, if ``--json`` names a file and there are several problems."""

    def __init__(self, asked: Asked, outputs: Outputs, driver: Driver) -> None:
        self._asked, self._driver = asked, driver
        self._path = _journal_path(outputs, asked)
        self._json = outputs.paths.get("json", "")
        self._journal: Journal | None = None
        self._kept: dict[int, Kept] = {}
        self._finished = 0

    def __enter__(self) -> Self:
        """Open the journal; InputError if this command cannot continue it."""
        if self._path is None:
            return self
        from convprof.studies import journal, run_journal

        shown = one_line(self._path)
        name = f"{one_line(self._json)}: {shown}"
        self._journal = journal.Journal(self._path, run_journal.KIND, name, _way_out(shown))
        if self._journal.header is not None:
            try:
                if next(self._journal.records(), None) is None:
                    self._journal.clear()  # the process that created it finished nothing
                else:
                    self._take_over()
            except BaseException:
                self._close()
                raise
        self._finished = len(self._kept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the journal; delete it if it is empty."""
        if self._journal is not None and not self._finished:
            self._journal.remove()
        self._close()

    def _take_over(self) -> None:
        """Read the finished problems of an earlier process; InputError if its command differs."""
        from convprof.studies import run_journal

        if self._journal is None:
            return
        difference = run_journal.difference(self._journal, self._identity())
        if difference is not None:
            raise self._journal.damaged(difference)
        self._kept = run_journal.finished(self._journal, self._asked.problems)

    def begin(self, document: Document) -> None:
        """Write the header, or print that an earlier process's work is continued."""
        if self._journal is None:
            return
        if self._kept:
            total = len(self._asked.problems)
            path = one_line(self._path or "")
            self._driver.remark(
                f"continuing {path}: {len(self._kept)} of {total} problems are finished there"
            )
        if self._journal.header is None:
            from convprof.studies import run_journal

            self._write(lambda j: j.begin(run_journal.header(self._identity(), document)))

    def has(self, number: int) -> bool:
        """Whether an earlier process has finished a problem."""
        return number in self._kept

    def limits(self, number: int) -> Iterator[Step]:
        """Measure the limits for the comparison of a stored problem's results."""
        from convprof.studies.roofline_session import measure_limits

        with contextlib.suppress(ConvprofError, LookupError):
            for measurement in self._kept[number].measurements:
                yield from measure_limits(measurement, self._asked.machine)

    def stored(self, number: int) -> tuple[list[Measurement], list[dict[str, Any]]]:
        """Return the stored results of a problem, compared with this process's limits."""
        from convprof.studies.roofline_session import with_limits

        kept = self._kept.pop(number)
        measurements = list(kept.measurements)
        with contextlib.suppress(ConvprofError, LookupError):
            measurements = [with_limits(m, self._asked.machine) for m in measurements]
        return measurements, list(kept.comparisons)

    def add(
        self,
        number: int,
        finished: tuple[Problem, Sequence[Measurement], Sequence[dict[str, Any]]],
        watch: NoiseWatch,
    ) -> None:
        """Write a finished problem to disk before the next problem begins."""
        from convprof.studies import run_journal

        def write(journal: Journal) -> None:
            state: dict[str, Any] = {}
            self._driver.attempt("the machine's state", lambda: state.update(watch.state()))
            journal.append(run_journal.record(number, *finished, state))
            self._finished += 1

        self._write(write)

    def end(self, *, interrupted: bool) -> None:
        """Delete the journal if the document has all of its content; else print its path."""
        if self._journal is None or interrupted:
            return
        if self._driver.written("json"):
            self._finished = 0
        elif self._finished:
            path = one_line(self._path or "")
            self._driver.failure(
                f"{self._finished} finished problems are kept in {path}: "
                f"convprof show {path} --json NAME writes them elsewhere"
            )

    def way_on(self) -> str:
        """Return the text about the journal for an interrupted command."""
        if self._journal is None or not self._finished:
            return ""
        path, total = one_line(self._path or ""), len(self._asked.problems)
        return (
            f"; {self._finished} of {total} problems are finished and kept in {path}: "
            "the same command goes on from there"
        )

    def _write(self, work: Any) -> None:
        """Write to the journal; after a write error print one line and continue without it."""
        if self._journal is None:
            return
        try:
            work(self._journal)
        except (ConvprofError, OSError, ValueError) as error:
            self._driver.failure(
                f"{message(error)}. Measuring goes on; nothing more is kept meanwhile"
            )
            if not self._finished:
                self._journal.remove()
            self._close()

    def _close(self) -> None:
        if self._journal is not None:
            self._journal.__exit__(None, None, None)
            self._journal = None

    def _identity(self) -> dict[str, Any]:
        from convprof.cli import problem_flags
        from convprof.studies import run_journal

        context = click.get_current_context()
        ignored = (*_OUTPUT, *_PROBLEMS, *problem_flags.SHAPE_FLAGS)
        flags = {k: v for k, v in context.params.items() if k not in ignored}
        name = context.command_path.partition(" ")[2]
        settings = self._asked.settings_shown()
        return run_journal.identity(name, self._asked.tasks, flags, settings)


def _journal_path(outputs: Outputs, asked: Asked) -> str | None:
    """Return the journal's name; None for one problem, or if ``--json`` is not a regular file."""
    from convprof.studies.run_journal import SUFFIX

    path = outputs.paths.get("json", STDOUT)
    if path == STDOUT or len(asked.problems) == 1:
        return None
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return None
    except FileNotFoundError:
        pass
    except OSError:
        return None
    return path + SUFFIX


def _way_out(path: str) -> str:
    return (
        f"Recover what is in it: convprof show {path} --json NAME; then remove it, or name another "
        "file"
    )
