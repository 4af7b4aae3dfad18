"""Drive a study over problems: show progress, print tables, keep what was measured, exit code."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any, Generic

from convprof.cli import signals
from convprof.cli.driver import Driver, exit_code, reason
from convprof.cli.flags import message
from convprof.cli.keeping import Keeping
from convprof.cli.view import AnyStudy
from convprof.errors import InputError, ToolchainError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.cli.options import Asked
    from convprof.cli.outputs import Outputs
    from convprof.cli.view import View
    from convprof.machine.noise import NoiseWatch
    from convprof.problems import Problem
    from convprof.render.files import Text
    from convprof.results import Document, Measurement


class Measuring(Generic[AnyStudy]):
    """One command's work. ``run()`` returns the exit code."""

    def __init__(
        self,
        asked: Asked,
        outputs: Outputs,
        study: Callable[[Problem, NoiseWatch], AnyStudy],
        view: View[AnyStudy],
    ) -> None:
        from convprof.machine import facts
        from convprof.machine.noise import NoiseWatch

        self._asked = asked
        self._outputs = outputs
        self._study = study
        self._view = view
        self._driver = Driver(outputs)
        self._watch = NoiseWatch(facts().topology.logical_cpus or 1)
        self._shown = 0
        self._written = False
        """Whether the files are written."""
        self._waiting: Callable[[], None] | None = None
        """Prints the problem measured last: the files come before it at the end."""
        self._unseen = 0
        """Problems that an earlier process measured and that this command cannot show."""

    def run(self) -> int:
        """Measure every problem; write, print, and return the exit code."""
        with Keeping(self._asked, self._outputs, self._driver) as keeping:
            document = self._begin(keeping)
            for note in self._asked.notes:
                self._driver.remark(f"note: {note}")
            document.measurements += self._refused()
            try:
                self._measure(document, keeping)
            except KeyboardInterrupt:  # between two problems
                document.interrupted = True
            try:
                return self._end(document, keeping)
            except KeyboardInterrupt:
                if self._written:
                    raise
            document.interrupted = True  # the signal came just before the files
            return self._end(document, keeping)

    def _begin(self, keeping: Keeping) -> Document:
        from convprof.render.progress import Progress
        from convprof.strategies.base import NATIVE
        from convprof.studies import document, run

        choice = self._asked.choice
        with Progress(self._driver.stderr, quiet=self._outputs.quiet) as progress:
            progress.say("measuring this machine's peak")
            peaks = run.peaks(choice.dtype, choice.threads)
            own = None
            if choice.isa != NATIVE:
                own = run.peaks(choice.dtype, choice.threads, choice.isa)
        begun = document.begin({"argv": sys.argv[1:], **self._asked.settings_shown()}, peaks)
        begun.ceilings["isa_peaks"] = own
        keeping.begin(begun)
        return begun

    def _refused(self) -> list[Measurement]:
        """Say which problems are not begun at all; return their records."""
        from convprof.studies import run

        found: list[Measurement] = []
        for problem, error in self._asked.refused.items():
            self._driver.remark(f"refused: {message(error)}")
            found += run.refused(problem, self._asked.choice, message(error))
        return found

    def _measure(self, document: Document, keeping: Keeping) -> None:
        from convprof.studies.forget import forget

        for number, problem in enumerate(self._asked.problems):
            if document.interrupted:
                break
            self._show_waiting()
            if self._driver.unread():
                break
            if number:
                forget()
            if keeping.has(number):
                self._again(problem, number, document, keeping)
            else:
                self._one(problem, number, document, keeping)

    def _again(self, problem: Problem, number: int, document: Document, keeping: Keeping) -> None:
        """Take over what an earlier process measured of a problem."""
        with signals.held():  # a signal that came now would cost a part of the problem
            measurements, comparisons = keeping.kept(number, self._asked.choice.isa)
            document.measurements += measurements
            document.comparisons += comparisons
        shown = False

        def take() -> None:
            nonlocal shown
            shown = self._view.again(problem, measurements, comparisons)

        self._driver.attempt(f"what was kept of {problem.descriptor}", take)
        if shown:
            self._waiting = self._show
        else:
            self._unseen += 1

    def _one(self, problem: Problem, number: int, document: Document, keeping: Keeping) -> None:
        """Measure a problem; what is found goes to the document, the journal and the screen."""
        study: AnyStudy | None = None
        error: Exception | None = None
        try:
            study = self._study(problem, self._watch)
            self._watch_events(study, number, document)
        except Exception as raised:  # one problem must not cost the others
            if isinstance(raised, ToolchainError):  # all others would fail alike: one line for all
                raise
            if isinstance(raised, InputError) and len(self._asked.problems) == 1:
                raise
            error = raised
        with signals.held():  # a signal that came now would cost the whole problem
            self._take(problem, number, (study, error), document, keeping)

    def _take(
        self,
        problem: Problem,
        number: int,
        ended: tuple[AnyStudy | None, Exception | None],
        document: Document,
        keeping: Keeping,
    ) -> None:
        """Put what was found into the document and the journal."""
        study, error = ended
        found: list[Measurement] = []
        comparisons: list[dict[str, Any]] = []
        try:
            found = study.measurements() if study else []
            if study is not None and error is None:
                comparisons = self._view.keep(study)
        except Exception as raised:  # noqa: BLE001  # as above
            error = raised
        if error is not None:
            found = [*(found or _bare(study)), self._lost(problem, error)]
        document.measurements += found
        document.comparisons += comparisons
        if not document.interrupted:
            keeping.add(number, (problem, found, comparisons), self._watch)
        show = functools.partial(self._show_rows, found)
        self._waiting = self._show if error is None else show

    def _lost(self, problem: Problem, error: Exception) -> Measurement:
        """Return the row of a problem that an error ended."""
        from convprof.studies.run import unmeasured

        if isinstance(error, InputError):
            return unmeasured(problem, self._asked.choice, "refused", message(error))
        return unmeasured(problem, self._asked.choice, "failed", reason(error))

    def _show_rows(self, found: Sequence[Measurement]) -> None:
        """Print what was measured of a problem before an error, and the error."""
        from convprof.render import describe
        from convprof.render.console import say
        from convprof.render.report import run_report

        line = describe.problem_line(found[-1].problem, found[-1].dtype)
        if not any(m.time_s for m in found):  # else it is the title
            self._driver.show(lambda: say(self._driver.stdout, line, style="bold"))
        self._driver.show(lambda: run_report(self._driver.stdout, found))

    def _show_waiting(self) -> None:
        work, self._waiting = self._waiting, None
        if work is not None:
            work()

    def _show(self) -> None:
        if self._shown and self._view.apart and self._outputs.tables:
            self._driver.stdout.print()
        self._shown += 1
        self._driver.show(lambda: self._view.show(self._driver.stdout))

    def _watch_events(self, study: AnyStudy, number: int, document: Document) -> None:
        from convprof.render.progress import Progress

        total = len(self._asked.problems)
        with Progress(self._driver.stderr, quiet=self._outputs.quiet) as progress:
            progress.title = f"problem {number + 1}/{total}, " if total > 1 else ""
            try:
                for event in study.events():
                    progress.show(event)
                    signals.check()
            except KeyboardInterrupt:
                document.interrupted = True

    def _end(self, document: Document, keeping: Keeping) -> int:
        """Write the files, print what only the end shows, say what was in the way."""
        driver = self._driver
        with signals.held():
            self._complete(document)
            driver.files(self._forms(document), self._view.pictures())
            keeping.end(interrupted=document.interrupted)
            self._written = True
        signals.reopen()
        self._show_waiting()
        if document.measurements:
            driver.show(lambda: self._summary(document))
        driver.noise(self._watch)
        if self._unseen:
            path, more = self._outputs.paths["json"], self._unseen
            driver.remark(
                f"{path} has {more} problem{'s' if more > 1 else ''} more, finished before, than "
                f"is printed or drawn here: convprof show {path} prints all"
            )
        if document.interrupted:
            found = bool(document.measurements)
            text = "what was measured until then is above" if found else "nothing was measured yet"
            return driver.interrupted(f"{text}{keeping.way_on()}")
        return driver.code(exit_code({m.status for m in document.measurements}))

    def _complete(self, document: Document) -> None:
        """Add what is known at the end only."""
        from convprof.studies.document import observe

        self._driver.attempt("the machine's state", lambda: observe(document, self._watch))
        if document.measurements:
            self._driver.attempt(
                "the comparisons", lambda: document.comparisons.extend(self._view.conclude())
            )

    def _forms(self, document: Document) -> dict[str, Callable[[], Text]]:
        from convprof.render import export

        forms: dict[str, Callable[[Document], Text]] = {
            "json": export.to_json,
            "csv": export.to_csv,
            "markdown": export.to_markdown,
            **self._view.forms(),
        }
        return {flag: functools.partial(form, document) for flag, form in forms.items()}

    def _summary(self, document: Document) -> None:
        from convprof.render import describe

        console = self._driver.stdout
        self._driver.show(lambda: self._view.summary(console))
        cycles = describe.cycles_line(document.measurements)
        for line in filter(None, (describe.machine_line(document), cycles)):
            # A terminal gets lines broken at words, a pipe whole lines.
            console.print(line, style="dim", soft_wrap=not console.is_terminal, markup=False)


def _bare(study: object) -> list[Measurement]:
    """Return a study's results without what the study adds to them, where even that can be had."""
    with contextlib.suppress(Exception):
        return list(study.session.measurements())  # type: ignore[attr-defined]
    return []
