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
    from collections.abc import Collection

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
    in_f32 = {task.dtype for task in asked.tasks} == {F32.name}
    own = {"dtype", "epilogue", "weight_dtype"} - options.options.keys()
    own -= {"dtype"} if in_f32 else set()
    texts = [
        _of_file(task, own) + command_for(task.problem, with_pass=with_pass) for task in asked.tasks
    ]
    for text in dict.fromkeys(texts):
        click.echo(f"{command} {text}")
    left_out = [f"{line.source}: {line.reason}" for line in asked.left_out]
    for text in [] if quiet else [*left_out, *map(message, asked.refused.values())]:
        click.echo(f"left out: {text}", err=True)


def _of_file(task: TypedProblem, own: Collection[str]) -> str:
    """Return the options that a shape file has set for a problem.

    ``own``: the options that the user did not name.
    """
    epilogue, weights = task.problem.epilogue.text, task.problem.grouped_weights
    stored = f"{weights.dtype} --group {weights.group}" if weights else ""
    values = {
        "dtype": short_name(task.dtype) if task.dtype else "",
        "weight_dtype": stored,
        "epilogue": epilogue,
    }
    return "".join(
        f"--{name.replace('_', '-')} {value} "
        for name, value in values.items()
        if value and name in own
    )


def command_for(problem: Problem, *, with_pass: bool = False) -> str:
    """Return the problem's descriptor, quoted for a POSIX shell, as the argument of a command.

    ``with_pass`` puts ``--pass`` before a backward one.
    """
    from convprof.problems.base import FORWARD

    which = problem.pass_name
    flag = f"--pass {which} " if with_pass and which != FORWARD else ""
    return flag + shlex.quote(problem.descriptor)
