"""``convprof compare``: two ways of doing the same, in the same rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import measuring, options
from convprof.cli.compare_peers import peers
from convprof.cli.outputs import Outputs
from convprof.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.problems import Conv2d, Problem
    from convprof.studies.layouts import Layouts

KEPT = ("strategy", "threads", "dtype", "isa", "tune", "cache", "budget", "rounds", "seed")


@click.group("compare")
def command() -> None:
    """Compare two ways of doing the same, in the same interleaved rounds."""


command.add_command(peers)


@command.command("layouts")
@options.problem_options
@options.measure_options
@click.option("--dry-run", is_flag=True, help="List what would be measured, as commands.")
@options.output_options
def layouts(**flags: Any) -> int:
    """Measure each strategy in NCHW against NHWC, and what converting would cost."""
    asked = options.asked({**flags, "layout": "all"})
    for problem in asked.problems:
        _convolution(problem)
    if flags["dry_run"]:
        measuring.dry_run(asked, measuring.command_line("compare layouts", flags, KEPT))
        return 0
    outputs = Outputs.of(flags)
    from convprof.studies.layouts import Layouts

    return measuring.Measuring(
        asked,
        outputs,
        lambda problem, watch: Layouts(_convolution(problem), asked.choice, asked.settings, watch),
        _show,
    ).run()


def _convolution(problem: Problem) -> Conv2d:
    from convprof.problems import Conv2d

    if not isinstance(problem, Conv2d):
        raise InputError(
            f"{problem.descriptor}: a {problem.kind} has no layouts to compare; name a convolution"
        )
    return problem


def _show(console: Console, study: Layouts) -> list[dict[str, Any]]:
    from convprof.render.report import layouts_report

    comparisons = study.comparisons()
    layouts_report(console, study.measurements(), comparisons)
    return [comparison.to_json() for comparison in comparisons]
