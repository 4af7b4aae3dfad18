"""``--dry-run``: the problems to measure, as commands to copy."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from convprof.cli import user_command
from convprof.cli.flags import message
from convprof.dtypes import F32, short_name
from convprof.studies.command_line import FILES, PROBLEM

if TYPE_CHECKING:
    from convprof.cli.from_flags import Asked
    from convprof.problems import Problem, TypedProblem


_LEFT_OUT = (*PROBLEM, *FILES, "dry_run", "quiet", "color")
"""Options of the user's command that are about all problems together, or about this list."""


def dry_run(asked: Asked) -> None:
    """Print a command for each problem on stdout; notes and omitted problems on stderr."""
    options = replace(user_command.given().without(_LEFT_OUT), arguments=())
    command = options.text()
    quiet = click.get_current_context().params.get("quiet", False)
    for note in [] if quiet else asked.notes:
        click.echo(f"note: {note}", err=True)
    # The passes of a layer are one command if --pass names the pass; a file may name a pass per
    # line.
    with_pass = "pass_" not in options.options
    types = {task.dtype for task in asked.tasks}
    named = types != {F32.name} and "dtype" not in options.options
    with_epilogue = "epilogue" not in options.options
    texts = [
        _of_file(task, dtype=named, epilogue=with_epilogue)
        + command_for(task.problem, with_pass=with_pass)
        for task in asked.tasks
    ]
    for text in dict.fromkeys(texts):
        click.echo(f"{command} {text}")
    left_out = [f"{line.source}: {line.reason}" for line in asked.left_out]
    for text in [] if quiet else [*left_out, *map(message, asked.refused.values())]:
        click.echo(f"left out: {text}", err=True)


def _of_file(task: TypedProblem, *, dtype: bool, epilogue: bool) -> str:
    """Return the options that a shape file may set for a problem, where they are to be named."""
    text = task.problem.epilogue.text
    of_type = f"--dtype {short_name(task.dtype)} " if dtype and task.dtype else ""
    return of_type + (f"--epilogue {text} " if epilogue and text else "")


def command_for(problem: Problem, *, with_pass: bool = False) -> str:
    """Return the problem's descriptor, quoted for a POSIX shell, as the argument of a command.

    ``with_pass`` puts ``--pass`` before a backward one.
    """
    from convprof.problems.base import FORWARD

    which = problem.pass_name
    flag = f"--pass {which} " if with_pass and which != FORWARD else ""
    return flag + shlex.quote(problem.descriptor)
