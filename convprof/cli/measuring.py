"""Run a study for each problem: progress, tables, the document and journal, the exit code."""

from __future__ import annotations

import contextlib
import functools
import itertools
from typing import TYPE_CHECKING, Any, Generic

from convprof.cli import dry_run, signals
from convprof.cli.driver import NOTHING, Driver, Work, exit_code, noise_watch, reason
from convprof.cli.flags import message
from convprof.cli.outputs import Outputs
from convprof.cli.result_journal import ResultJournal
from convprof.cli.view import AnyStudy
from convprof.errors import ConvprofError, InputError, ToolchainError
from convprof.measure.events import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from convprof.cli.from_flags import Asked
    from convprof.cli.outputs import Picture
    from convprof.cli.view import View
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.contestant import Contestant
    from convprof.problems import Problem, TypedProblem
    from convprof.render.files import Text
    from convprof.results import Document, Measurement
    from convprof.studies.answer import Answer
    from convprof.studies.run import Choice


class Measuring(Work, Generic[AnyStudy]):
    """The work of a command that runs one study per problem."""

    _document: Document

    def __init__(
        self,
        asked: Asked,
        outputs: Outputs,
        study: Callable[[TypedProblem, NoiseWatch], AnyStudy],
        view: View[AnyStudy],
        driver: Driver | None = None,
    ) -> None:
        """``driver``: a driver that has already measured for this work."""
        self._asked = asked
        self._outputs = outputs
        self._study = study
        self._view = view
        self._driver = driver or Driver(outputs)
        self._watch = noise_watch()
        self._journal = ResultJournal(asked, outputs, self._driver)
        self._shown = 0
        self._waiting: Callable[[], None] | None = None
        """Prints the last problem: at the end the files are written first."""
        self._unseen = 0
        """The number of problems of an earlier process that this command cannot show."""

    def run(self) -> int:
        """Measure every problem; write, print, and return the exit code."""
        with self._journal:
            self._driver.before_measuring(_load_compiler)
            self._begin()
            return self._driver.run(self)

    def noise(self) -> NoiseWatch:
        """Return the watch for noise."""
        return self._watch

    def notes(self) -> list[str]:
        """Return the notes about the problems."""
        return [f"note: {note}" for note in self._asked.notes]

    def measure(self, driver: Driver) -> None:
        """Measure one problem after the other, each with its own progress."""
        from convprof.studies.forget import forget

        self._document.measurements += self._refused()
        for number, task in enumerate(self._asked.tasks):
            if self._document.interrupted:
                raise signals.Interrupted
            self._show_waiting()
            if self._outputs.unread():
                break
            if number:
                forget()
            if self._journal.has(number):
                self._again(task, number, driver)
            else:
                self._one(task, number, driver)
        if self._document.interrupted:
            raise signals.Interrupted

    def _begin(self) -> None:
        self._driver.follow(self._begin_document())
        self._journal.begin(self._document)

    def _begin_document(self) -> Iterator[str]:
        self._document = yield from self._asked.begin_document()

    def _refused(self) -> list[Measurement]:
        """Print the problems that are not started; return their records."""
        from convprof.studies import run

        measurements: list[Measurement] = []
        for task, error in self._asked.refused.items():
            self._driver.remark(f"refused: {message(error)}")
            choice = self._asked.choice_of(task)
            measurements += run.refused(task.problem, choice, message(error))
        return measurements

    def _again(self, task: TypedProblem, number: int, driver: Driver) -> None:
        """Take over the measurements of a problem by an earlier process."""
        driver.follow(self._journal.limits(number))
        with signals.held():  # a signal now would lose a part of the problem
            measurements, comparisons = self._journal.stored(number)
            self._document.measurements += measurements
            self._document.comparisons += comparisons
        shown = False

        def take() -> None:
            nonlocal shown
            shown = self._view.again(task.problem, measurements, comparisons)

        self._driver.attempt(f"what was kept of {task.problem.descriptor}", take)
        if shown:
            self._waiting = self._show
        else:
            self._unseen += 1

    def _one(self, task: TypedProblem, number: int, driver: Driver) -> None:
        """Measure a problem; its results go to the document, the journal and the screen."""
        study: AnyStudy | None = None
        error: Exception | None = None
        try:
            study = self._study(task, self._watch)
            self._follow(study, number, driver)
        except Exception as raised:  # one problem must not end the others
            # all others would fail in the same way: one line for all
            if isinstance(raised, ToolchainError):
                raise
            if isinstance(raised, InputError) and len(self._asked.tasks) == 1:
                raise
            error = raised
        with signals.held():  # a signal now would lose the whole problem
            self._take(task, number, (study, error))

    def _take(
        self,
        task: TypedProblem,
        number: int,
        ended: tuple[AnyStudy | None, Exception | None],
    ) -> None:
        """Put the results into the document and the journal."""
        study, error = ended
        measurements: list[Measurement] = []
        comparisons: list[dict[str, Any]] = []
        try:
            measurements = study.measurements() if study else []
            if study is not None and error is None:
                comparisons = self._view.keep(study)
        except Exception as raised:  # noqa: BLE001  # as above
            error = raised
        if error is not None:
            measurements = [*(measurements or _bare(study)), self._lost(task, error)]
        self._document.measurements += measurements
        self._document.comparisons += comparisons
        if not self._document.interrupted:
            self._journal.add(number, (task.problem, measurements, comparisons), self._watch)
        show = functools.partial(self._show_rows, measurements)
        self._waiting = self._show if error is None else show

    def _lost(self, task: TypedProblem, error: Exception) -> Measurement:
        """Return the row of a problem that ended with an error."""
        from convprof.studies.run import unmeasured

        choice = self._asked.choice_of(task)
        if isinstance(error, InputError):
            return unmeasured(task.problem, choice, "refused", message(error))
        return unmeasured(task.problem, choice, "failed", reason(error))

    def _show_rows(self, measurements: Sequence[Measurement]) -> None:
        """Print the measurements of a problem before an error, and the error."""
        from convprof.render import describe
        from convprof.render.console import say
        from convprof.render.run import run_report

        line = describe.problem_line(measurements[-1].problem, measurements[-1].dtype)
        if not any(m.time_s for m in measurements):  # else it is the title
            self._driver.show(lambda: say(self._driver.stdout, line, style="bold"))
        self._driver.show(lambda: run_report(self._driver.stdout, measurements))

    def _show_waiting(self) -> None:
        work, self._waiting = self._waiting, None
        if work is not None:
            work()

    def _show(self) -> None:
        if self._shown and self._view.apart and self._outputs.tables:
            self._driver.stdout.print()
        self._shown += 1
        self._driver.show(lambda: self._view.show(self._driver.stdout))

    def _follow(self, study: AnyStudy, number: int, driver: Driver) -> None:
        total = len(self._asked.tasks)
        part = Part.of(f"problem {number + 1}/{total}" if total > 1 else "", number, total)
        try:
            driver.follow(itertools.chain([part], study.events()))
        except KeyboardInterrupt:  # the problem's measurements remain
            self._document.interrupted = True

    def complete(self, *, interrupted: bool) -> None:
        """Add the facts to the document that are known at the end only."""
        from convprof.studies.document import observe

        document = self._document
        document.interrupted |= interrupted
        machine = self._asked.machine
        self._driver.attempt("the machine's state", lambda: observe(document, self._watch, machine))
        self._driver.attempt("the network", lambda: document.networks.extend(self._view.networks()))

    def pictures(self) -> list[Picture]:
        """Return the pictures of the view."""
        return self._view.pictures()

    def written(self, driver: Driver) -> None:
        """Remove the journal if the document has all of its content."""
        del driver
        self._journal.end(interrupted=self._document.interrupted)

    def show(self, console: Console) -> None:
        """Print the last problem and the summary."""
        self._show_waiting()
        if self._document.measurements:
            self._driver.show(lambda: self._summary(console))

    def answer(self) -> Answer | None:
        """Return the answer of the view."""
        return self._view.answer()

    def remarks(self) -> list[str]:
        """Return the number of problems in the document that were not printed."""
        if not self._unseen:
            return []
        path, more = self._outputs.paths["json"], self._unseen
        several = "s" if more > 1 else ""
        text = f"{path} has {more} problem{several} more, finished before, than is printed or drawn"
        return [f"{text} here: convprof show {path} prints all"]

    def so_far(self) -> str:
        """Return the place of the finished problems."""
        text = super().so_far() if self._document.measurements else NOTHING
        return f"{text}{self._journal.way_on()}"

    def status(self) -> int:
        """Return the exit code of the view, or of the measurements."""
        return self._view.status() or exit_code({m.status for m in self._document.measurements})

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the document, its rows and its tables."""
        from convprof.render import export

        forms: dict[str, Callable[[Document], Text]] = {
            "json": export.to_json,
            "csv": export.to_csv,
            "markdown": export.to_markdown,
            **self._view.forms(),
        }
        return {flag: functools.partial(form, self._document) for flag, form in forms.items()}

    def _summary(self, console: Console) -> None:
        from convprof.render import describe

        document = self._document
        self._driver.show(lambda: self._view.summary(console))
        cycles = describe.cycles_line(document.measurements)
        for line in filter(None, (describe.machine_line(document), cycles)):
            # Lines are wrapped in a terminal, and whole in a pipe.
            console.print(line, style="dim", soft_wrap=not console.is_terminal, markup=False)


def _load_compiler() -> None:
    """Import numba, which most strategies need; whatever fails is said where it is needed."""
    from convprof.codegen import numba_setup

    with contextlib.suppress(ConvprofError):
        numba_setup.load()


def note_workload(
    asked: Asked, chosen: Callable[[Problem, Choice], Choice] = lambda _, choice: choice
) -> None:
    """Add notes on the amount of work. ``chosen``: the contestants of a problem."""
    from convprof.studies.run import contestants

    note_taking(asked, lambda problem, choice: contestants(problem, chosen(problem, choice)))


def note_taking(asked: Asked, taking: Callable[[Problem, Choice], Sequence[Contestant]]) -> None:
    """Add notes on the amount of work. ``taking``: returns the contestants of a problem."""
    from convprof.studies import workload

    asked.notes.extend(
        workload.notes(
            asked.tasks,
            lambda task: taking(task.problem, asked.choice_of(task)),
            asked.settings.budget_s,
        )
    )


def _bare(study: object) -> list[Measurement]:
    """Return a study's results without the study's additions; empty if that fails too."""
    with contextlib.suppress(Exception):
        return list(study.session.bare())  # type: ignore[attr-defined]
    return []


def each_problem(
    asked: Asked,
    flags: dict[str, Any],
    study: Callable[..., AnyStudy],
    view: Callable[[Outputs], View[AnyStudy]],
) -> int:
    """Measure one study per problem, or list the problems for ``--dry-run``; return the exit code.

    ``study`` takes a problem, choice, settings, machine and watch.
    """
    if flags["dry_run"]:
        dry_run.dry_run(asked)
        return 0
    outputs = Outputs.of(flags)

    def begin(task: TypedProblem, watch: NoiseWatch) -> AnyStudy:
        return study(task.problem, asked.choice_of(task), asked.settings, asked.machine, watch)

    return Measuring(asked, outputs, begin, view(outputs)).run()
