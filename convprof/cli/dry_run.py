"""``--dry-run``: the problems to measure, as commands to copy."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from convprof.cli.flags import message

if TYPE_CHECKING:
    from convprof.cli.from_flags import Asked
    from convprof.problems import Problem


def dry_run(asked: Asked, command: str) -> None:
    """Print a command for each problem on stdout; notes and omitted problems on stderr."""
    quiet = click.get_current_context().params.get("quiet", False)
    for note in [] if quiet else asked.notes:
        click.echo(f"note: {note}", err=True)
    # The passes of a layer are one command if --pass names the pass; a file may name a pass per
    # line.
    with_pass = "--pass" not in command.split()
    for text in dict.fromkeys(command_for(p, with_pass=with_pass) for p in asked.problems):
        click.echo(f"{command} {text}")
    left_out = [f"{line.source}: {line.reason}" for line in asked.left_out]
    for text in [] if quiet else [*left_out, *map(message, asked.refused.values())]:
        click.echo(f"left out: {text}", err=True)


def command_line(name: str, flags: dict[str, Any], kept: tuple[str, ...]) -> str:
    """Return ``convprof NAME`` with the ``kept`` flags that differ from their defaults."""
    words = ["convprof", *name.split()]
    context = click.get_current_context()
    for key in kept:
        source = context.get_parameter_source(key)
        if source is not click.core.ParameterSource.DEFAULT and flags.get(key) is not None:
            value = flags[key]
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            words += [f"--{key.rstrip('_')}", shlex.quote(text)]
    return " ".join(words)


def command_for(problem: Problem, *, with_pass: bool = False) -> str:
    """Return the problem's descriptor, quoted for a POSIX shell, as the argument of a command.

    ``with_pass`` puts ``--pass`` before a backward one.
    """
    from convprof.problems.base import FORWARD

    which = problem.pass_name
    flag = f"--pass {which} " if with_pass and which != FORWARD else ""
    return flag + shlex.quote(problem.descriptor)
