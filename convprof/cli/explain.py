"""``convprof explain``: a small worked example in the terminal, with real numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options, problem_flags
from convprof.cli.help_page import Group
from convprof.cli.number_types import Whole
from convprof.dtypes import COMMON
from convprof.errors import InputError

if TYPE_CHECKING:
    from convprof.problems import Problem

MOST_NAMED = 3
"""The most problems in an error message."""


@click.group("explain", cls=Group, invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show how a convolution or a product is computed, on a small example with real numbers.

    Without a topic, list the topics. PROBLEM is one descriptor or network layer; where it is too
    large to print, a smaller one that does the same is shown, and counts are given for both.
    """
    if ctx.invoked_subcommand is not None:
        return
    from convprof.render import console
    from convprof.render.explain.page import show

    show(console.stdout())


@command.command("conv")
@options.problem_options
@options.seed_option("Seeds the numbers shown.")
@options.color_option
def conv(**flags: Any) -> None:
    """Compute one output by hand; show what each option does.

    Every product of one window, what stride, padding, dilation and groups read, the output size,
    and the same layer in PyTorch, Keras and ONNX: convprof explain conv resnet50:conv1
    """
    from convprof.render import console
    from convprof.render.explain import conv as view
    from convprof.studies.explain import conv as study
    from convprof.studies.explain import convolution

    problem = convolution(_problem(flags, study.DEFAULT), "conv")
    view.show(console.stdout(flags["color"]), study.conv(problem, flags["seed"]))


@command.command("backward")
@options.problem_options
@options.seed_option("Seeds the numbers shown.")
@options.color_option
def backward(**flags: Any) -> None:
    """Compute gradients by hand; compare with finite differences.

    The gradient of one input and of one weight, then all gradients, against central differences and
    the strategies of the backward passes: convprof explain backward resnet50:layer2.0.conv2
    """
    from convprof.render import console
    from convprof.render.explain import backward as view
    from convprof.studies.explain import backward as study
    from convprof.studies.explain import convolution

    problem = convolution(_problem(flags, study.DEFAULT), "backward")
    view.show(console.stdout(flags["color"]), study.backward(problem, flags["seed"]))


@command.command("channels")
@click.option(
    "--digit", type=Whole(0, 9), default=7, show_default=True, metavar="N", help="The digit that is drawn.",  # noqa: E501
)  # fmt: skip
@options.color_option
def channels(**flags: Any) -> None:
    """Send a digit through 32 and 64 filters and pooling.

    The inputs to which filters of both layers respond, how channels add up, what pooling keeps, and
    the parameters of each layer of mnist-cnn: convprof explain channels --digit 4
    """
    from convprof.render import console
    from convprof.render.explain import channels as view
    from convprof.studies.explain import channels as study

    view.show(console.stdout(flags["color"]), study.channels(flags["digit"]))


@command.command("attention")
@click.option(
    "--side", type=Whole(2, 5), default=3, show_default=True, metavar="N", help="Patches across the image.",  # noqa: E501
)  # fmt: skip
@options.seed_option("Seeds the numbers shown.")
@options.color_option
def attention(**flags: Any) -> None:
    """Work queries, keys and softmax by hand; compare with 3x3.

    One row step by step, all rows, and which patches reach an output after 1, 2 and 3 layers of a
    3x3 convolution and of attention: convprof explain attention --side 4
    """
    from convprof.render import console
    from convprof.render.explain import attention as view
    from convprof.studies.explain import attention as study

    view.show(console.stdout(flags["color"]), study.attention(flags["side"], flags["seed"]))


@command.command("cycles")
@options.dtype_option()
@options.threads_option("all", "N|all", "Threads of the peak.")
@options.wait_idle_option
@options.color_option
@options.quiet_option()
def cycles(**flags: Any) -> int:
    """Measure from one multiply-add to the peak.

    The latency of a multiply-add, then more chains, more lanes, more threads, each expected and
    measured; at the end the product against the peak: convprof explain cycles --threads 1
    """
    from convprof.cli.driver import Driver
    from convprof.cli.explain_cycles import CyclesWork
    from convprof.cli.outputs import Outputs

    counts = from_flags.threads_from(flags["threads"])
    if len(counts) > 1:
        raise InputError(f"--threads {flags['threads']}: the page is of one number of threads")
    work = CyclesWork(from_flags.dtype_from(flags["dtype"], COMMON), counts[0])
    return Driver(Outputs.of(flags)).run(work)


@command.command("im2col")
@options.problem_options
@options.seed_option("Seeds the numbers shown.")
@options.color_option
def im2col(**flags: Any) -> None:
    """Build the patch matrix from index arrays; count copies."""
    from convprof.render import console
    from convprof.render.explain import im2col as view
    from convprof.studies.explain import convolution
    from convprof.studies.explain import im2col as study

    problem = convolution(_problem(flags, study.DEFAULT), "im2col")
    view.show(console.stdout(flags["color"]), study.im2col(problem, flags["seed"]))


@command.command("layout")
@options.problem_options
@options.color_option
def layout(**flags: Any) -> None:
    """Show addresses in NCHW and NHWC; count cache lines."""
    from convprof.render import console
    from convprof.render.explain import layout as view
    from convprof.studies.explain import convolution
    from convprof.studies.explain import layout as study
    from convprof.studies.explain.here import here

    problem = convolution(_problem(flags, study.DEFAULT), "layout")
    view.show(console.stdout(flags["color"]), study.layout(problem, here()))


@command.command("tile")
@options.problem_options
@options.color_option
def tile(**flags: Any) -> None:
    """Mark what register and cache tiles touch; count loads."""
    from convprof.render import console
    from convprof.render.explain import tile as view
    from convprof.studies.explain import tile as study
    from convprof.studies.explain.here import here

    problem = _problem(flags, study.DEFAULT)
    view.show(console.stdout(flags["color"]), study.tile(problem, here()))


@command.command("winograd")
@options.problem_options
@click.option(
    "--tile", "m", type=click.Choice(["2", "4"]), default="2", show_default=True, help="Outputs across a tile: F(2x2, 3x3) or F(4x4, 3x3).",  # noqa: E501
)  # fmt: skip
@click.option(
    "--dtype", type=click.Choice(["f32", "int8"]), default="f32", show_default=True, help="With int8, the transforms are in whole numbers.",  # noqa: E501
)  # fmt: skip
@options.seed_option("Seeds the numbers shown.")
@options.color_option
def winograd(**flags: Any) -> None:
    """Take a tile through the transforms; count products.

    With bytes all numbers are whole, and results exact: convprof explain winograd --dtype int8
    """
    from convprof.render import console
    from convprof.render.explain import winograd as view
    from convprof.studies.explain import convolution
    from convprof.studies.explain import winograd as study

    problem = convolution(_problem(flags, study.DEFAULT), "winograd")
    page = study.winograd(problem, int(flags["m"]), flags["seed"], flags["dtype"])
    view.show(console.stdout(flags["color"]), page)


def _problem(flags: dict[str, Any], default: str) -> Problem:
    """Return the one problem of the flags; by default the topic's own problem."""
    if not (flags["problem"] or flags["batch"] or problem_flags.spelled(flags)):
        flags = {**flags, "problem": (default,)}
    problems, notes = problem_flags.problems_from(flags)
    if len(problems) > 1:
        listed = ", ".join(p.name or p.descriptor for p in problems[:MOST_NAMED])
        raise InputError(
            f"PROBLEM means {len(problems)} problems ({listed}, ...), and a page explains one: "
            "name one, or pick it with --match"
        )
    if notes:
        from convprof.render import console

        for note in notes:
            console.say(console.stderr(flags["color"]), f"note: {note}")
    return problems[0]
