"""``convprof run``: measure every strategy on a problem."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import measuring, options
from convprof.cli.outputs import Outputs
from convprof.cli.training import Totals

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.cli.options import Asked
    from convprof.studies.run import Run

KEPT = (
    "pass_",
    "epilogue",
    "strategy",
    "layout",
    "threads",
    "dtype",
    "isa",
    "tune",
    "cache",
    "budget",
    "rounds",
    "seed",
)


@click.command("run")
@options.problem_options
@options.pass_option
@options.epilogue_option
@options.layout_option
@options.measure_options
@click.option("--asm", is_flag=True, help="Print the inner loops of generated kernels, counted.")
@click.option("--explain", is_flag=True, help="Say what auto chose, and why.")
@click.option("--dry-run", is_flag=True, help="List what would be measured, as commands.")
@options.output_options
def command(**flags: Any) -> int:
    """Measure convolutions and matrix products, every strategy, side by side.

    PROBLEM is a benchdnn descriptor (mb1ic64ih56oc64kh3ph1), a matrix product
    (512x512:512x512), attention (attention:1x12x197x64) or a network's layer
    (resnet50:layer1.0.conv2, globs allowed).
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
        functools.partial(
            _show, asked, Totals(asked, flags), asm=flags["asm"], explain=flags["explain"]
        ),
    ).run()


def _show(
    asked: Asked, totals: Totals, console: Console, study: Run, *, asm: bool, explain: bool
) -> list[dict[str, Any]]:
    from convprof.render.report import explanations_report, inner_loops_report, run_report
    from convprof.strategies.base import NATIVE
    from convprof.studies import run

    choice = asked.choice
    narrower = choice.isa != NATIVE
    peaks = run.peaks(choice.dtype, choice.threads, choice.isa) if narrower else []
    run_report(console, study.measurements(), peaks)
    if explain:
        explanations_report(console, study.explanations())
    if asm:
        inner_loops_report(console, study.inner_loops())
    if totals.add(study.problem, study.measurements()):
        totals.show(console, study.problem.descriptor)
    return []
