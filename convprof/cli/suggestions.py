"""Suggestions: the nearest command or option, and ours for an option of other tools."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click

OTHER_TOOLS = {
    # hyperfine
    "--warmup": "convprof warms up each contestant until two calls agree",
    "--runs": "--rounds",
    "--min-runs": "--rounds",
    "--max-runs": "--rounds",
    "--export-json": "--json",
    "--export-csv": "--csv",
    "--export-markdown": "--markdown",
    "--parameter-list": "convprof sweep measures over a range of sizes, threads or tiles",
    "--parameter-scan": "convprof sweep measures over a range of sizes, threads or tiles",
    # benchdnn
    "--dt": "--dtype",
    "--dir": "--pass",
    "--stag": "--layout",
    "--dtag": "--layout",
    "--attr-post-ops": "--epilogue",
    "--fix-times-per-prb": "--rounds",
    "--max-ms-per-prb": "--budget, in seconds",
    "--mode": "convprof always verifies and measures",
    "--perf-template": "--json, --csv or --markdown",
    # others
    "--repeat": "--rounds",
    "--iterations": "--rounds",
    "--output": "--json, --csv or --markdown",
    "--device": "convprof measures CPUs only",
}
"""Options of hyperfine, benchdnn and others: ours, or convprof's replacement."""
_CUTOFF = 0.6


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean run?``; empty if no name is near."""
    near = difflib.get_close_matches(word, list(known), n=2, cutoff=_CUTOFF)
    return f"did you mean {' or '.join(near)}?" if near else ""


def unknown_command(word: str, known: Iterable[str]) -> str:
    """Return the message for a word that names no command."""
    hint = nearest(word, known)
    return f"No such command {word!r}{f': {hint}' if hint else '.'}"


def unknown_option(error: click.NoSuchOption) -> str:
    """Return the message for an unknown option, the same with every version of click."""
    name = error.option_name
    start = f"No such option {name}"
    known = _options(error.ctx)
    ours = OTHER_TOOLS.get(name)
    if ours is not None and (not ours.startswith("--") or ours.split(",")[0] in known):
        return f"{start}: {f'use {ours}' if ours.startswith('--') else ours}"
    hint = nearest(name, known)
    return f"{start}: {hint}" if hint else f"{start}."


def _options(context: click.Context | None) -> list[str]:
    """Return the long options of the command."""
    parameters = context.command.params if context else []
    return [option for p in parameters for option in p.opts if option.startswith("--")]
