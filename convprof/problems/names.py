"""The name that a problem may carry: ``n"resnet_50:conv1"`` at the end of a descriptor."""

from __future__ import annotations

from convprof.errors import DescriptorError, ProblemError
from convprof.problems.checks import shown

MAX_NAME = 1000
"""Characters. oneDNN's own files name every network that has a shape: up to 603 characters."""


def check_name(name: object) -> str:
    """Return the name, or raise ProblemError when it could not be printed or read back.

    Control characters could rewrite a terminal's screen, and a double quote would end the
    name early in the descriptor.
    """
    if not isinstance(name, str):
        raise ProblemError(f"name={shown(name)}: must be text")
    if len(name) > MAX_NAME:
        raise ProblemError(f"name={shown(name)}: must have at most {MAX_NAME} characters")
    if not name.isprintable():
        raise ProblemError(f"name={shown(name)}: control characters are not allowed in a name")
    if '"' in name:
        raise ProblemError(f"name={shown(name)}: double quotes are not allowed in a name")
    return name


def read_name(text: str) -> str:
    """Return the name from what follows the ``n`` of a descriptor: quoted, or all the rest.

    A bare ``n`` is an empty name, as in benchdnn. Raises DescriptorError when a quote is open, or
    text follows it.
    """
    if not text.startswith('"'):
        return check_name(text)
    name, quote, rest = text[1:].partition('"')
    if not quote:
        raise DescriptorError(f"n{shown(text)}: the name's closing quote is missing")
    if rest:
        raise DescriptorError(f"{shown(rest)} follows the name: the name must come last")
    return check_name(name)


def quoted(name: str) -> str:
    """Return the end of a descriptor: ``n"name"``, or nothing when there is no name."""
    return f'n"{name}"' if name else ""
