"""Flags with which layers of a network are timed: one layout, one number of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options
from convprof.errors import InputError

if TYPE_CHECKING:
    from convprof.measure.session import Settings
    from convprof.studies.run import Choice

OURS = "auto"
"""The best of our own strategies, chosen for each layer."""

measure_options = options.stack(
    click.option("--strategy", "-s", multiple=True, default=(OURS,), show_default=True, metavar="NAME[,NAME]", help="Strategies for the layers; of several, the first that takes a layer, with --pass or --plan its fastest."),  # noqa: E501
    click.option("--layout", default="nhwc", show_default=True, metavar="nchw|nhwc", help="Layout of the activations; with --plan of the input only."),  # noqa: E501
    click.option("--threads", "-t", default="all", show_default=True, metavar="N|all", help="Number of threads."),  # noqa: E501
    click.option("--tune", type=click.Choice(["off", "quick", "full"]), default="quick", show_default=True, help="How auto chooses: by its model, or by timing few or all candidates."),  # noqa: E501
    click.option("--budget", type=float, default=0.07, show_default=True, metavar="SECONDS", help="Measuring time per layer, pass and strategy."),  # noqa: E501
    click.option("--seed", type=int, default=0, show_default=True, help="Seeds the operands and the order of rounds."),  # noqa: E501
    click.option("--fuse", is_flag=True, help="Fold batch norms; take activations and sums along with the layers before them; --plan always does."),  # noqa: E501
    click.option("--plan", is_flag=True, help="Find the strategy and layout of every layer that make the whole network fastest."),  # noqa: E501
    click.option("--with", "with_", multiple=True, metavar="NAME[,NAME]", help="Libraries that run the whole network beside convprof: torch, onnxruntime, openvino, torch-compile."),  # noqa: E501
    click.option("--dtype", default="f32", show_default=True, metavar="f32|f64", help="Element type."),  # noqa: E501
    click.option("--top", type=int, metavar="N", help="Show the N slowest layers only, equal ones in one row; totals are over all."),  # noqa: E501
)  # fmt: skip

FLAGS = (
    "strategy",
    "layout",
    "threads",
    "tune",
    "budget",
    "seed",
    "fuse",
    "plan",
    "with_",
    "dtype",
    "top",
)


def given(names: tuple[str, ...] = FLAGS) -> list[str]:
    """Return those of the flags that the user gave: ``--threads``."""
    context = click.get_current_context()
    default = click.core.ParameterSource.DEFAULT
    return [
        f"--{name.rstrip('_')}"
        for name in names
        if context.get_parameter_source(name) is not default
    ]


def choice_from(flags: dict[str, Any]) -> Choice:
    """Return the strategies, the layout and the threads; InputError unless it is one of each."""
    from convprof.problems.layouts import LAYOUTS
    from convprof.studies.run import Choice

    layouts = options.comma_list((flags["layout"].lower(),))
    if len(layouts) != 1 or layouts[0] not in LAYOUTS:
        raise InputError(f"--layout {flags['layout']}: use {' or '.join(LAYOUTS)}")
    threads = options.threads_from(flags["threads"])
    if len(threads) > 1:
        numbers = " or ".join(map(str, threads))
        raise InputError(f"--threads {flags['threads']}: use {numbers}, one at a time")
    names = options.comma_list(flags["strategy"])
    if not names:
        raise InputError(f"--strategy: name at least one, such as {OURS}")
    dtype = options.dtype_from(flags["dtype"])
    return Choice(names, layouts, threads, dtype=dtype, tune=flags["tune"])


def settings_from(flags: dict[str, Any]) -> Settings:
    """Return how long and in which order to measure; InputError if --budget or --seed is off."""
    from convprof.measure.session import Settings

    options.check_range("--budget", flags["budget"], 0.001, options.LARGEST_BUDGET_S)
    options.check_range("--seed", flags["seed"], 0, 2**63 - 1)
    return Settings(flags["budget"], seed=flags["seed"])


def top_from(flags: dict[str, Any]) -> int | None:
    """Return how many layers to show; None for all; InputError for less than one."""
    top: int | None = flags["top"]
    if top is not None and top < 1:
        raise InputError(f"--top {top}: use 1 or more, or leave it out for all layers")
    return top
