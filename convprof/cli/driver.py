"""The common run of every command: measure, write files, print tables, remark, exit code.

A command describes its work as a ``Work``; ``Driver.run`` returns the exit code. A failing part
does not stop the other parts: each failure is one line on stderr, and the exit code is 1.
"""

from __future__ import annotations

import functools
import json
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convprof.cli import idle, signals
from convprof.cli.flags import message
from convprof.cli.outputs import STDOUT
from convprof.errors import EXIT_FAILURE, EXIT_USAGE, ConvprofError
from convprof.measure.estimate import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rich.console import Console

    from convprof.cli.outputs import Outputs, Picture
    from convprof.machine.noise import NoiseWatch
    from convprof.render.files import Text
    from convprof.render.progress import Progress, Step
    from convprof.render.recording import Block
    from convprof.studies.answer import Answer

EXIT_WRONG = 3


class Work:
    """The work of one command. This base class measures, writes and prints nothing."""

    writes_itself: frozenset[str] = frozenset()
    """Flags whose files are written during the measurement."""
    ends_after_errors = False
    """Whether results are written and printed even after a fatal error."""
    measures = True
    """Whether the command measures times: then the load of the machine matters."""

    def noise(self) -> NoiseWatch | None:
        """Return the watch that collected disturbances of the measurement."""
        return None

    def ready(self) -> bool:
        """Whether there are results to write and print."""
        return True

    def notes(self) -> Iterable[str]:
        """Return lines for stderr before anything is measured."""
        return ()

    def steps(self) -> Iterator[Step]:
        """Measure; yield the texts and events for progress."""
        return iter(())

    def measure(self, driver: Driver) -> None:
        """Measure with progress on stderr."""
        driver.follow(self.steps())

    def complete(self, *, interrupted: bool) -> None:
        """Prepare the results for writing and printing."""

    def forms(self) -> Mapping[str, Callable[[], Text]]:
        """Return, by flag, the function that makes the text of a file; calls give the same text."""
        return {}

    def document(self) -> dict[str, Any] | None:
        """Return the content of ``--json`` for a report; None if the command has none."""
        from convprof.render.files import parts

        form = self.forms().get("json")
        document: dict[str, Any] | None = form and json.loads("".join(parts(form())))
        return document

    def pictures(self) -> Iterable[Picture]:
        """Return the charts for `--plot` and for a report."""
        return ()

    def drawings(self) -> Iterable[tuple[str, Callable[[], None]]]:
        """Return the files to draw, each with the function that draws it."""
        return [(picture.path, picture.draw) for picture in self.pictures() if picture.path]

    def written(self, driver: Driver) -> None:
        """Do the work after the files are written; signals still wait."""

    def show(self, console: Console) -> None:
        """Print the tables."""

    def answer(self) -> Answer | None:
        """Return the answer that is printed last; None if nothing was measured."""
        return None

    def recorded(self) -> Sequence[str]:
        """Return the words of the command that wrote the document that is shown, if any."""
        return ()

    def remarks(self) -> Iterable[str]:
        """Return lines for stderr at the end."""
        return ()

    def so_far(self) -> str:
        """Return a text about the results of an interrupted command."""
        return "what was measured until then is above" if self.ready() else NOTHING

    def status(self) -> int:
        """Return the exit code of the results."""
        return 0


NOTHING = "nothing was measured yet"


class Driver:
    """Runs the work of one command, and records whether any part failed."""

    def __init__(self, outputs: Outputs, *, report_on_stderr: bool = False) -> None:
        """``report_on_stderr``: stdout belongs to another program."""
        from convprof.render import console

        self.outputs = outputs
        self._recorder = (
            None
            if outputs.report is None
            else console.recording(outputs.color, stderr=report_on_stderr, printed=outputs.tables)
        )
        """The console that keeps the tables for a report."""
        stdout = (console.stderr if report_on_stderr else console.stdout)(outputs.color)
        self.stdout = self._recorder or stdout
        self.stderr = console.stderr(outputs.color)
        self._failed = False
        self._said: list[str] = []
        """The remarks, for a report."""
        self._answered: Answer | None = None
        """The answer that was printed, for a report."""
        self._written: set[str] = set()
        self._ended = False
        """Whether the files are written."""
        self._estimate = Estimate()
        """The estimate of the whole command, for all parts."""
        self._looked = False
        """Whether the load of the machine was checked."""

    def run(self, work: Work) -> int:
        """Measure, write, print and remark; return the exit code."""
        for note in work.notes():
            self.remark(note)
        try:
            interrupted = self._interrupts(lambda: self._measure(work))
        except ConvprofError:
            if work.ends_after_errors:
                self._end(work, interrupted=False)
            raise
        try:
            return self._end(work, interrupted=interrupted)
        except KeyboardInterrupt:
            if self._ended:
                raise
        return self._end(work, interrupted=True)  # the signal came just before writing the files

    def _measure(self, work: Work) -> None:
        if work.measures:
            self.before_measuring()
        work.measure(self)

    def before_measuring(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Warn that the machine is busy, or wait for it to be idle; once.

        ``meanwhile``: work of this process while it looks at the load.
        """
        if self._looked or not self.outputs.measures:
            return
        self._looked = True
        idle.before_measuring(self.outputs.wait_idle_s, self.follow, self.remark, meanwhile)

    def _end(self, work: Work, *, interrupted: bool) -> int:
        with signals.held():
            work.complete(interrupted=interrupted)
            if work.ready():
                self._files(work)
            work.written(self)
            self._ended = True
        signals.reopen()
        try:
            self._say(work, interrupted=interrupted)
        finally:  # a second signal may have cut the tables: the report has what was printed
            path, recorder = self.outputs.report, self._recorder
            if work.ready() and path is not None and recorder is not None:
                with signals.held():
                    self._report(work, path, recorder.blocks)
        return signals.exit_code() if interrupted else self._code(work.status())

    def _say(self, work: Work, *, interrupted: bool) -> None:
        """Print the tables, the remarks and the answer."""
        if work.ready():
            self.show(lambda: work.show(self.stdout))
        watch = work.noise()
        if watch is not None:
            self.noise(watch)
        for text in work.remarks():
            self.remark(text)
        if interrupted:
            self._interrupted(work.so_far())
        elif work.ready():
            self.show(lambda: self._answer(work))

    def _answer(self, work: Work) -> None:
        from convprof.cli.user_command import recorded, with_options
        from convprof.render.answer import answer_report
        from convprof.render.recording import instead

        answer = work.answer()
        if answer is not None:
            measured = self.outputs.measures and work.measures
            line = recorded(work.recorded())
            self._answered = with_options(answer, measured=measured, document=line)
            with instead(self.stdout, lambda: None):  # a report has the answer apart
                answer_report(self.stdout, self._answered)

    def follow(self, steps: Iterable[Step]) -> None:
        """Run the steps, each shown on stderr; a signal ends them between two steps."""
        with self._progress() as progress:
            for step in steps:
                progress.show(step)
                signals.check()

    def _progress(self) -> Progress:
        from convprof.render.progress import Progress

        return Progress(self.stderr, quiet=self.outputs.quiet, estimate=self._estimate)

    def _files(self, work: Work) -> None:
        """Write every requested file, the pictures, then the document for stdout."""
        forms = work.forms()
        paths = {f: path for f, path in self.outputs.paths.items() if f not in work.writes_itself}
        for flag, path in paths.items():
            if path != STDOUT and self.write(flag, path, forms[flag]):
                self._written.add(flag)
        name = self.outputs.save
        if name is not None:
            self.attempt(f"--save {name}", functools.partial(_save, name, forms["json"]))
        for name, path in self.outputs.exports:
            export = functools.partial(_export, name, path, forms["json"])
            self.attempt(f"--export {name} {path}", export)
        drawings = list(work.drawings())
        if drawings:
            with self._progress() as progress:
                for path, draw in drawings:
                    progress.say(f"drawing {path}")
                    self.attempt(f"--plot {path}", draw)
        for flag, path in paths.items():
            if path == STDOUT:
                self.attempt(f"--{flag} -", functools.partial(_print, flag, forms[flag]))

    def _report(self, work: Work, path: str, blocks: Sequence[Block]) -> None:
        """Write the page of HTML: the tables and texts that were printed, and the charts."""
        from convprof.cli import user_command
        from convprof.render.report import file
        from convprof.render.report.page import Page

        def write() -> None:
            charts = [picture.chart() for picture in work.pictures()]
            page = Page(
                command=user_command.given().text(),
                date=time.strftime("%Y-%m-%d %H:%M"),
                answer=self._answered,
                blocks=tuple(blocks),
                charts=tuple(chart for chart in charts if chart is not None),
                remarks=tuple(self._said),
                document=work.document(),
            )
            file.write(page, path)

        with self._progress() as progress:
            progress.say(f"writing {path}")
            self.attempt(f"--report {path}", write)

    def written(self, flag: str) -> bool:
        """Whether the file of a flag was written."""
        return flag in self._written

    def _interrupts(self, work: Callable[[], None]) -> bool:
        """Measure; return whether a signal ended it.

        An unexpected error is one line: the measurements before the error are still written.
        """
        try:
            work()
        except KeyboardInterrupt:
            return True
        except ConvprofError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            self.failure(reason(error))
        return False

    def show(self, work: Callable[[], None]) -> None:
        """Print tables, unless stdout belongs to a document; a report has them all the same."""
        if self.outputs.tables or self._recorder is not None:
            self.attempt("the tables", work)

    def noise(self, watch: NoiseWatch) -> None:
        """Print the disturbances of the measurement."""
        if not self.outputs.quiet:
            self.attempt("the remarks on noise", lambda: self._noise(watch))

    def _noise(self, watch: NoiseWatch) -> None:
        for finding in watch.findings():
            self.remark(f"noise: {finding.message}; {finding.hint}")

    def _interrupted(self, text: str) -> None:
        """Print the state of an interrupted command."""
        name = signals.name()
        self.remark(f"interrupted{f' by {name}' if name else ''}: {text}", always=True)

    def remark(self, text: str, *, always: bool = False) -> None:
        """Print a line on stderr; with ``--quiet`` only if ``always``."""
        self._said.append(text)
        if always or not self.outputs.quiet:
            whole = not self.stderr.is_terminal
            self.stderr.print(text, style="yellow", soft_wrap=whole, markup=False)

    def write(self, flag: str, path: str, form: Callable[[], Text | bytes]) -> bool:
        """Write one form of a result to the file of an option, or text to stdout for ``-``."""
        return self.attempt(f"--{flag} {path}", functools.partial(_write, path, form))

    def attempt(self, what: str, work: Callable[[], object]) -> bool:
        """Do a part of the ending; a failure is one line, and the other parts continue."""
        try:
            work()
        except ConvprofError as error:
            self.failure(message(error))
        except Exception as error:  # noqa: BLE001  # whatever it is, the rest must not be lost
            self.failure(f"{what}: {reason(error)}")
        else:
            return True
        return False

    def failure(self, text: str) -> None:
        """Print a failure; the exit code will not be 0."""
        self._failed = True
        self.remark(f"convprof: {text}", always=True)

    def _code(self, status: int) -> int:
        """Return the exit code of the results; 1 if only a part of the ending failed."""
        return status or (EXIT_FAILURE if self._failed else 0)


def noise_watch() -> NoiseWatch:
    """Return a watch for disturbances on this machine."""
    from convprof.machine import facts
    from convprof.machine.noise import NoiseWatch

    return NoiseWatch(facts().topology.logical_cpus or 1)


def reason(error: BaseException) -> str:
    """Return an unexpected error in one line, with the place in the program that raised it."""
    if isinstance(error, MemoryError) and not str(error):
        return "out of memory"
    text = " ".join(f"{type(error).__name__}: {error}".split())
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "convprof" in Path(frame.filename).parts] or frames
    return f"{text} ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else text


def exit_code(statuses: set[str]) -> int:
    """Return the exit code of results: 3 wrong, 1 failed, 2 refusals only, else 0."""
    if "wrong" in statuses:
        return EXIT_WRONG
    if "failed" in statuses:
        return EXIT_FAILURE
    return 0 if "ok" in statuses else EXIT_USAGE


def _write(path: str, form: Callable[[], Text | bytes]) -> None:
    from convprof.atomic_files import write_bytes_atomically
    from convprof.render.files import write_atomically

    content = form()
    if isinstance(content, bytes):
        write_bytes_atomically(path, content)
    else:
        write_atomically(path, content)


def _save(name: str, form: Callable[[], Text]) -> None:
    from convprof.render.files import parts
    from convprof.studies.history.save import save

    save(name, "".join(parts(form())).encode())


def _export(name: str, path: str, form: Callable[[], Text]) -> None:
    from convprof.render.exports import formats
    from convprof.render.files import parts, write_atomically
    from convprof.studies import reading

    document = reading.document(json.loads("".join(parts(form()))))
    write_atomically(path, formats.export(document, name))


def _print(flag: str, form: Callable[[], Text]) -> None:
    """Print a text; JSON is in ASCII as a whole if stdout lacks one of its characters."""
    from convprof.render.characters import encodable, json_in_ascii
    from convprof.render.files import parts

    encoding = sys.stdout.encoding
    lacking = flag == "json" and any(encodable(p, encoding) != p for p in parts(form()))
    for part in parts(form()):
        sys.stdout.write(json_in_ascii(part) if lacking else part)
    sys.stdout.flush()
