"""``convprof run``: measure every strategy on a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import measuring, options
from convprof.cli.outputs import Outputs

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.studies.run import Run

KEPT = ("strategy", "layout", "threads", "dtype", "cache", "budget", "rounds", "seed")


@click.command("run")
@options.problem_options
@options.layout_option
@options.measure_options
@click.option("--dry-run", is_flag=True, help="List what would be measured, as commands.")
@options.output_options
def command(**flags: Any) -> int:
    """Measure convolutions and matrix products, every strategy, side by side.

    PROBLEM is a benchdnn descriptor (mb1ic64ih56oc64kh3ph1), a matrix product
    (512x512:512x512) or a network's layer (resnet50:layer1.0.conv2, globs allowed).
    Without one: the 3x3 convolution of ResNet-50's first stage.
    """
    asked = options.asked(flags)
    if flags["dry_run"]:
        measuring.dry_run(asked, measuring.command_line("run", flags, KEPT))
        return 0
    outputs = Outputs.of(flags)
    from convprof.studies.run import Run

    return measuring.Measuring(
        asked,
        outputs,
        lambda problem, watch: Run(problem, asked.choice, asked.settings, watch),
        _show,
    ).run()


def _show(console: Console, study: Run) -> list[dict[str, Any]]:
    from convprof.render.report import run_report

    run_report(console, study.measurements())
    return []
