"""Fields of errors as flags of the running command."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from convprof.errors import InputError, NotAResultError, in_python

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = {
    "budget_s": "budget",
    "command": "programs",
    "dims": "dim",
    "library": "with",
    "python": "pythons",
}
"""Fields whose flag has another name."""


FLEET = "fleet run PROBLEM --workers 1"
WRITERS = {"fleet": FLEET, "table": FLEET}
"""By the group or command that reads them, what writes results of another kind than `run` does."""


def message(error: BaseException, command: click.Command | None = None) -> str:
    """Return the message of an error for a user of the command line.

    ``command``: the command whose flags are used; None: the running command.
    """
    if not isinstance(error, InputError):
        return str(error)
    if command is None:
        context = click.get_current_context(silent=True)
        command = context.command if context else None
    text = error.text(functools.partial(_spelled, {} if command is None else flags(command)))
    if isinstance(error, NotAResultError):
        writer = WRITERS.get((command and command.name) or "", "run")
        return f"{text}. Write one with: convprof {writer} --json FILE"
    return text


def flags(command: click.Command) -> dict[str, str]:
    """Return the flag of each field of a command and of its subcommands."""
    own = {
        parameter.name.removesuffix("_path").rstrip("_"): max(parameter.opts, key=len)
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name
    }
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            subcommand = command.get_command(context, name)
            own |= {} if subcommand is None else flags(subcommand)
    return own


def _spelled(known: dict[str, str], field: str, values: Sequence[str]) -> str:
    """Return ``--field value``; a field without a flag has its Python name."""
    flag = known.get(WORDS.get(field, field))
    if flag is None:
        return in_python(field, values)
    return " ".join(f"{flag} {value}" for value in values) or flag
