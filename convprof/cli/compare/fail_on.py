"""``--fail-on slower:5%``: the limit of commands that compare builds, and its exit code."""

from __future__ import annotations

import click

EXIT_SLOWER = 4
"""A measurement is slower than ``--fail-on`` allows, or its result is lost."""


def _checked(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Return ``--fail-on`` as it is; ``click.BadParameter`` for another form than slower:5%."""
    if value is not None and share(value) is None:
        raise click.BadParameter(f"{value!r} is not of the form slower:5%", ctx, param)
    return value


option = click.option(
    "--fail-on",
    callback=_checked,
    metavar="slower:P%",
    help="Exit with 4 if a whole 95 % interval is beyond P % slower, or if a strategy that had a "
    "time now fails or computes wrongly.",
)


def share(limit: str | None) -> float | None:
    """Return the slow-down that a limit allows: 0.05 for ``slower:5%``; None without a limit."""
    from convprof.studies.compare.changes import limit_of

    return limit_of(limit)
