"""``convprof strategies``: the strategies, and those that refuse a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options, problem_flags
from convprof.cli.help_page import Command
from convprof.dtypes import F32
from convprof.errors import InputError

if TYPE_CHECKING:
    from convprof.problems import Problem
    from convprof.studies.strategies import Listing

LAYOUT_CONVERSION = "reorder"
"""A kind without a PROBLEM: comparisons of layouts measure it."""


OF_A_PROBLEM = (
    "layout", "threads", "pass_", "epilogue", "weight_dtype", "group", "mb", "match"
)  # fmt: skip
"""Options that select nothing from the list of all strategies."""


@click.command("strategies", cls=Command)
@options.problem_options
@options.grouped_weights_options
@options.pass_option
@options.epilogue_option
@options.layout_option()
@options.threads_option(
    None, help_text="Numbers of threads; default the fewest that each strategy takes."
)
@options.dtype_option(
    None,
    options.PRODUCT_TYPES,
    f"{options.PRODUCT_TYPES_HELP} Of a PROBLEM f32 by default; without PROBLEM, the strategies "
    "that compute the type.",
)
@options.color_option
def command(**flags: Any) -> int:
    """List the strategies; for a given PROBLEM, say which refuse it and why."""
    from convprof.cli.user_command import with_options
    from convprof.render import console
    from convprof.render.answer import answer_report
    from convprof.render.strategies import absent_report, listing_report
    from convprof.studies import strategies

    out = console.stdout(flags["color"])
    dtype = None if flags["dtype"] is None else from_flags.dtype_from(flags["dtype"])
    problems: list[Problem] = []
    if flags["problem"] or flags["batch"] or problem_flags.spelled(flags):
        problems, notes = problem_flags.computed(flags | {"dtype": flags["dtype"] or F32.name})
        for note in notes:
            console.say(console.stderr(flags["color"]), f"note: {note}")
        layouts = from_flags.layouts_from(flags["layout"])
        counts = from_flags.threads_from(flags["threads"]) if flags["threads"] is not None else ()
        listings = [strategies.replies(p, layouts, counts, dtype or F32.name) for p in problems]
    else:
        listings = _every(dtype)
    for listing in listings:
        if listing.entries:
            listing_report(out, listing)
    absent_report(out, listings)
    answer = strategies.answer(listings, problems, dtype)
    answer_report(out, with_options(answer, measured=False))
    return 0


def _every(dtype: str | None) -> list[Listing]:
    """Return the strategies of each kind of problem; InputError for an option of a problem."""
    from convprof.cli.user_command import given
    from convprof.strategies import registry
    from convprof.studies import strategies

    user = given().only(OF_A_PROBLEM).options
    if user:
        flag = next(iter(user.values()))[0]
        raise InputError(
            f"{flag} is for a problem: name one, such as {problem_flags.DEFAULT_PROBLEM}"
        )
    kinds = (kind for kind in registry.KINDS if kind != LAYOUT_CONVERSION)
    listings = [strategies.listing(kind, dtype) for kind in kinds]
    return [each for each in listings if each.entries or each.absent]
