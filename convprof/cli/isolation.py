"""``--isolate``: which contestants compute in other processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import user_command
from convprof.cli.seconds_flags import ISOLATE_S, LIBRARIES, NONE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.measure.isolated.processes import Processes


def is_given() -> bool:
    """Whether the user gave the option."""
    return "isolate" in user_command.given().options


def processes(flags: Mapping[str, Any]) -> Processes:
    """Return the processes of contestants, which end with the command.

    Systems without POSIX have none: this is said if the user asked for them.
    """
    from convprof.measure.isolated import process
    from convprof.measure.isolated.processes import HERE, Processes

    value = flags.get("isolate", NONE)
    if value == NONE:
        return HERE
    if not process.IS_SUPPORTED:
        if is_given() and not flags["quiet"]:
            click.echo(
                "note: --isolate needs a POSIX system (Linux, macOS): all contestants compute in "
                "one process",
                err=True,
            )
        return HERE
    of_libraries = value == LIBRARIES
    limit_s = ISOLATE_S if of_libraries else value
    started = Processes(limit_s, "libraries" if of_libraries else "all")
    click.get_current_context().call_on_close(started.close)
    return started
