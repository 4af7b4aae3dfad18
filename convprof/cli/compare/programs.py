"""``convprof compare commands --command``: whole programs, in alternating rounds."""

from __future__ import annotations

import json
import shlex
import sys
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import start_environment
from convprof.cli.compare import fail_on
from convprof.cli.driver import Driver, Work, noise_watch
from convprof.cli.outputs import Outputs
from convprof.errors import EXIT_FAILURE, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from convprof.cli.outputs import Picture
    from convprof.machine.noise import NoiseWatch
    from convprof.render.files import Text
    from convprof.render.progress import Step
    from convprof.studies.answer import Answer
    from convprof.studies.compare.programs import Programs

MOST_PROGRAMS = 8
_TAKEN = (
    *("programs", "budget", "rounds", "seed", "isolate", "wait_idle", "fail_on", "plot"),
    *("json_path", "csv_path", "markdown_path", "report_path", "color", "quiet"),
)
"""The parameters that apply to whole programs."""


def measure(flags: dict[str, Any], limit_s: float) -> int:
    """Measure the programs; return the exit code."""
    _check_flags()
    commands: tuple[str, ...] = flags["programs"]
    if not 2 <= len(commands) <= MOST_PROGRAMS:  # noqa: PLR2004
        raise InputError(
            f"name 2 to {MOST_PROGRAMS} programs: --command 'python a.py' --command 'python b.py'"
        )
    outputs = Outputs.of(flags)
    from convprof.studies.compare.programs import Program, Programs, Settings

    all_programs = [
        Program(name, command, _words(command))
        for name, command in zip(ascii_uppercase, commands, strict=False)
    ]
    context = click.get_current_context()
    is_given = context.get_parameter_source("budget") is click.core.ParameterSource.COMMANDLINE
    budget = {"budget_s": flags["budget"]} if is_given else {}
    settings = Settings(rounds=flags["rounds"], seed=flags["seed"], limit_s=limit_s, **budget)
    study = Programs(all_programs, settings, start_environment.variables())
    return Driver(outputs).run(_Work(study, outputs, flags["fail_on"]))


def _check_flags() -> None:
    """Raise InputError for what describes problems: a whole program decides for itself."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        is_given = source is click.core.ParameterSource.COMMANDLINE
        is_given &= context.params.get(name) != ()  # of click 8.1, where no PROBLEM is given too
        if is_given and name not in _TAKEN:
            text = parameter.opts[0] if isinstance(parameter, click.Option) else "PROBLEM"
            raise InputError(f"--command runs whole programs: leave out {text}")


def _words(command: str) -> tuple[str, ...]:
    """Return the words of a command line; no shell reads it."""
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        reason = str(error).lower()
        raise InputError(f"{reason} in it", field="command", value=command) from None
    if not words or not command.isprintable():
        raise InputError("this is not a command line", field="command", value=repr(command))
    return words


class _Work(Work):
    """Run the programs; show and write their times."""

    def __init__(self, study: Programs, outputs: Outputs, limit: str | None) -> None:
        self._study, self._outputs = study, outputs
        self._limit = fail_on.share(limit)
        self._watch = noise_watch()
        self._interrupted = False

    def noise(self) -> NoiseWatch:
        """Return the watch for disturbances."""
        return self._watch

    def ready(self) -> bool:
        """Whether any program has run, or failed."""
        return any(p.runs or p.reason for p in self._study.programs)

    def steps(self) -> Iterator[Step]:
        """Run the programs."""
        return self._study.events()

    def complete(self, *, interrupted: bool) -> None:
        """Remember whether all rounds are there."""
        self._interrupted = interrupted

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the document, the rows and the table."""
        from convprof.render.compare import programs as render

        return {
            "json": self._to_json,
            "csv": lambda: render.to_csv(self._study),
            "markdown": lambda: render.to_markdown(self._study),
        }

    def _to_json(self) -> str:
        from convprof.studies.compare.programs import document_of

        settings = {"argv": sys.argv[1:]}
        document = document_of(
            self._study, self._watch, settings, self.answer(), interrupted=self._interrupted
        )
        return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def pictures(self) -> Sequence[Picture]:
        """Return the times."""
        from convprof.render.compare.programs import programs_chart

        return self._outputs.pictures(lambda dated: programs_chart(self._study, dated=dated))

    def show(self, console: Console) -> None:
        """Print the table."""
        from convprof.render.compare.programs import programs_report

        programs_report(console, self._study)

    def answer(self) -> Answer | None:
        """Return which program is slower."""
        from convprof.studies.compare.programs_answer import answer

        return answer(self._study, self._limit)

    def status(self) -> int:
        """Return 4 beyond the limit, and 1 if a program failed."""
        from convprof.studies.compare.programs_answer import fails

        if fails(self._study, self._limit):
            return fail_on.EXIT_SLOWER
        failed = any(program.reason is not None for program in self._study.programs)
        return EXIT_FAILURE if failed else 0
