"""The flags for timing a network's layers: one layout, one number of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options, user_command
from convprof.cli.number_types import Whole
from convprof.dtypes import COMMON, SHORT, SHORT_FLOATS, listed, short_name
from convprof.errors import InputError
from convprof.problems.base import FORWARD

if TYPE_CHECKING:
    from convprof.measure.settings import Settings
    from convprof.studies.run import Choice

OURS = "auto"
"""The best of our own strategies, chosen for each layer."""

measure_options = options.stack(
    options.strategy_option("Strategies for the layers; of several, the first that takes a layer, with --pass or --plan its fastest.", (OURS,)),  # noqa: E501
    options.layout_option("nhwc", "nchw|nhwc", "Layout of the activations; with --plan of the input only."),  # noqa: E501
    options.threads_option("all", help_text="Numbers of threads; several are compared with each other and with streams of one thread each, not with --pass."),  # noqa: E501
    options.tune_option(),
    options.budget_option("layer, pass and strategy"),
    options.seed_option(),
    options.wait_idle_option,
    click.option("--fuse", is_flag=True, help="Fold batch norms; compute activations and sums together with the layers before them; --plan always does."),  # noqa: E501
    click.option("--plan", is_flag=True, help="Find the strategy and layout of every layer that make the whole network fastest."),  # noqa: E501
    options.libraries_option("Libraries that run the whole network in the same rounds, such as onnxruntime; convprof strategies lists them."),  # noqa: E501
    options.dtype_option(metavar="f32|f64|bf16|f16|int8", help_text="Element type; int8 (u8:s8:s32) with --fuse or --plan, not with --pass; backward passes take f32 and f64."),  # noqa: E501
    options.isa_option("Instruction set of generated kernels (sse, avx2, avx512, neon); of several, which makes the chain faster, not with --plan and --pass.", "NAME[,NAME]|all"),  # noqa: E501
    click.option("--real-weights", is_flag=True, help="Use the weights of an ONNX file, in int8 its scales too, and say the error of the result on them."),  # noqa: E501
    click.option("--input", "input_", type=click.Path(), metavar="FILE", help="Input for --real-weights: a .npy file, a .npz file with all inputs, such as ids of tokens, or a picture; default from the seed."),  # noqa: E501
    click.option("--top", type=Whole(min=1), metavar="N", help="Show the N slowest layers only, equal ones in one row; totals are over all."),  # noqa: E501
    click.option("--all", "every", is_flag=True, help="Print every layer; by default blocks that repeat share rows in long tables."),  # noqa: E501
    options.trace_option(),
    options.plot_option("Draw the slowest layers and the kinds, with --plan the chains, as .svg or .png"),  # noqa: E501
)  # fmt: skip

FLAGS = (
    "strategy",
    "layout",
    "threads",
    "tune",
    "retune",
    "budget",
    "seed",
    "wait_idle",
    "fuse",
    "plan",
    "with_",
    "dtype",
    "isa",
    "real_weights",
    "input_",
    "top",
    "trace_path",
    "plot",
)


def given(names: tuple[str, ...] = FLAGS) -> list[str]:
    """Return the flags that the user gave: ``--threads``."""
    context = click.get_current_context()
    default = click.core.ParameterSource.DEFAULT
    return [
        f"--{name.removesuffix('_path').rstrip('_').replace('_', '-')}"
        for name in names
        if context.get_parameter_source(name) is not default
    ]


_KEPT = ("image", "mb", "dim", "output", "layout", "threads", "dtype", "strategy")
"""Options of every command about the same network."""


def command_line() -> list[str]:
    """Return the words that run the same network: its name, and the user's options about it."""
    return user_command.given().only(_KEPT).words()


def choice_from(
    flags: dict[str, Any], *, several_threads: bool = False, several_isas: bool = False
) -> Choice:
    """Return the strategies, the layout, the numbers of threads and the instruction sets.

    InputError for several layouts, and for several numbers of threads or several instruction sets
    unless that is allowed.
    """
    from convprof.problems.layouts import LAYOUTS
    from convprof.studies.run import Choice

    layouts = from_flags.comma_list((flags["layout"].lower(),))
    if len(layouts) != 1 or layouts[0] not in LAYOUTS:
        raise InputError(f"--layout {flags['layout']}: use {' or '.join(LAYOUTS)}")
    threads = from_flags.threads_from(flags["threads"])
    if len(threads) > 1 and not several_threads:
        numbers = " or ".join(map(str, threads))
        raise InputError(f"--threads {flags['threads']}: use {numbers}, one at a time")
    names = from_flags.names_from(flags, "strategy")
    dtype = from_flags.dtype_from(flags["dtype"], (*COMMON, *SHORT_FLOATS, SHORT["int8"]))
    _check_quantised(flags, dtype)
    from_flags.retune_from(flags)
    isas = from_flags.isas_from(flags["isa"])
    if len(isas) > 1 and not several_isas:
        raise InputError(
            "name one: several are compared without --plan and --pass only",
            field="isa",
            value=flags["isa"],
        )
    return Choice(names, layouts, threads, dtype=dtype, isas=isas, tune=flags["tune"])


def _check_quantised(flags: dict[str, Any], dtype: str) -> None:
    """Raise InputError where layers in bytes are not possible."""
    if dtype != SHORT["int8"]:
        return
    which = flags.get("pass_")
    if which not in {None, FORWARD}:
        return  # preflight.check_gradients names the types that backward passes compute
    if which:
        possible = listed((*COMMON, *SHORT_FLOATS), "or")
        raise InputError(
            f"--dtype {flags['dtype']}: --pass {which} takes {possible}; "
            f"for {short_name(dtype)} use --fuse without --pass"
        )
    if not flags.get("fuse") and not flags.get("plan"):
        raise InputError(
            f"--dtype {flags['dtype']}: add --fuse; batch norms and activations fold into the "
            "layers that compute in bytes"
        )


def settings_from(flags: dict[str, Any]) -> Settings:
    """Return the settings of the measurement: duration and order."""
    from convprof.measure.settings import Settings

    return Settings(flags["budget"], seed=flags["seed"])
