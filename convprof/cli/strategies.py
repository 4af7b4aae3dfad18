"""``convprof strategies``: what there is, and what refuses a problem."""

from __future__ import annotations

from typing import Any

import click

from convprof.cli import options


@click.command("strategies")
@options.problem_options
@options.layout_option
@click.option(
    "--threads",
    "-t",
    default="1",
    show_default=True,
    metavar="N[,N]|all",
    help="Numbers of threads.",
)
@click.option("--dtype", default="f32", show_default=True, metavar="f32|f64", help="Element type.")
@options.color_option
def command(**flags: Any) -> int:
    """List the strategies; for a given PROBLEM, say which refuse it and why."""
    from convprof.render import console
    from convprof.render.strategies import refusals_report, strategies_report
    from convprof.strategies import registry
    from convprof.studies.preflight import refusals

    layouts, counts = options.layouts_from(flags["layout"]), options.threads_from(flags["threads"])
    dtype = options.dtype_from(flags["dtype"])
    out = console.stdout(flags["color"])
    named = flags["problem"] or flags["batch"] or options.spelled(flags)
    if not named:
        for kind in registry.KINDS[:-1]:  # a reorder is part of a comparison, not asked for
            listed = [(strategy.name, strategy.summary) for strategy in registry.strategies(kind)]
            strategies_report(out, kind, listed)
        return 0
    problems, notes = options.problems_from(flags)
    for note in notes:
        console.say(console.stderr(flags["color"]), f"note: {note}")
    for problem in problems:
        refusals_report(out, problem.descriptor, refusals(problem, layouts, counts, dtype))
    return 0
