"""What a sweep varies, from flags: the problem, --over and --range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options, problem_flags
from convprof.errors import InputError

if TYPE_CHECKING:
    from convprof.problems import Problem
    from convprof.studies.sweep.range import Range

DEFAULT_OVER = {"gemm": "size", "conv2d": "channels"}
STRATEGIES = {
    "gemm": ("naive", "reordered", "tiled", "packed"),
    "conv2d": ("im2col", "tiled", "microkernel", "winograd"),
}
"""The default strategies: rungs whose lines in a plot are far enough apart."""
RANGES = {
    "size": "32:1024:x2",
    "channels": "16:256:x2",
    "image": "7:112:x2",
    "filter": "1:11:+2",
    "batch": "1:16:x2",
    "tile": "32:512:x2",
    "unroll": "1:16:x2",
}


def range_options() -> options.Option:
    """Return ``--over`` and ``--range``."""
    return options.stack(
        click.option("--over", metavar="VARIABLE", help="What is varied; see above."),
        click.option("--range", "range_", metavar="RANGE", help="a:b:+step, a:b:xfactor, numbers, or a list of these."),  # noqa: E501
    )  # fmt: skip


def with_problem(flags: dict[str, Any], text: str) -> dict[str, Any]:
    """Return the flags of a command that takes one problem, without flags that describe shapes."""
    shapes = dict.fromkeys((*problem_flags.SHAPE_FLAGS, "mb", "match"))
    return {**flags, **shapes, "problem": (text,), "batch": ()}


def range_from(base: Problem, over: str | None, text: str | None) -> Range:
    """Return the range of a problem; InputError for another variable or another form."""
    from convprof.problems.families import parse_range
    from convprof.studies.sweep.range import Range, variables

    over = (over or DEFAULT_OVER[base.kind]).lower()
    known = variables(base.kind)
    if over not in known and not over.startswith("tile."):
        listed = ", ".join(known)
        raise InputError(f"--over {over}: a {word(base)} is swept over {listed} or tile.NAME")
    return Range(base, over, parse_range(text or _default_range(base.kind, over)))


def word(base: Problem) -> str:
    """Return the word for a kind of problem: gemm or conv."""
    return base.kind.removesuffix("2d")


def check_threads_flag() -> None:
    """Raise InputError if --threads was given to a sweep over threads."""
    source = click.get_current_context().get_parameter_source("threads")
    if source is click.core.ParameterSource.COMMANDLINE:
        raise InputError("--threads: with --over threads, --range says how many")


def default_strategies(range_: Range) -> tuple[str, ...]:
    """Return the strategies of a sweep that names none; none: all that have the blocking."""
    from convprof.studies.sweep.blocking import is_blocking

    return () if is_blocking(range_.over) else STRATEGIES[range_.base.kind]


def _default_range(kind: str, over: str) -> str:
    from convprof.machine import facts

    if over == "threads":
        return f"1:{facts().topology.usable_cores}:+1"
    if kind == "conv2d" and over == "tile":
        return "1:64:x2"  # rows of output, of which images have few
    if over not in RANGES:
        raise InputError(f"--over {over}: also say --range, such as --range 64:1024:x2")
    return RANGES[over]
