"""``convprof strategies``: the strategies, and those that refuse a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options
from convprof.cli.help_page import Command

if TYPE_CHECKING:
    from convprof.problems import Problem

LAYOUT_CONVERSION = "reorder"
"""A kind without a PROBLEM: comparisons of layouts measure it."""


@click.command("strategies", cls=Command)
@options.problem_options
@options.layout_option()
@options.threads_option(
    None, help_text="Numbers of threads; default the fewest that each strategy takes."
)
@options.dtype_option(metavar=options.PRODUCT_TYPES, help_text=options.PRODUCT_TYPES_HELP)
@options.color_option
def command(**flags: Any) -> int:
    """List the strategies; for a given PROBLEM, say which refuse it and why."""
    from convprof.cli.user_command import with_options
    from convprof.render import console
    from convprof.render.answer import answer_report
    from convprof.render.strategies import absent_report, listing_report
    from convprof.strategies import registry
    from convprof.studies import strategies

    layouts = from_flags.layouts_from(flags["layout"])
    counts = from_flags.threads_from(flags["threads"]) if flags["threads"] is not None else ()
    dtype = from_flags.dtype_from(flags["dtype"])
    out = console.stdout(flags["color"])
    problems: list[Problem] = []
    if flags["problem"] or flags["batch"] or from_flags.spelled(flags):
        problems, notes = from_flags.problems_from(flags)
        for note in notes:
            console.say(console.stderr(flags["color"]), f"note: {note}")
        listings = [strategies.replies(p, layouts, counts, dtype) for p in problems]
    else:
        kinds = (kind for kind in registry.KINDS if kind != LAYOUT_CONVERSION)
        listings = [strategies.listing(kind) for kind in kinds]
    for listing in listings:
        listing_report(out, listing)
    absent_report(out, listings)
    answer = strategies.answer(listings, problems)
    answer_report(out, with_options(answer, measured=False))
    return 0
