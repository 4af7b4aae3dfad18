"""The options of commands: one meaning each; commands choose default and help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from convprof.cli import completion
from convprof.cli.number_types import Number, Whole
from convprof.cli.seconds_flags import ISOLATE_S, LIBRARIES, NONE, WAIT_IDLE_S
from convprof.problems.gradients import PASSES

Command = Callable[..., Any]
Option = Callable[[Command], Command]

PLOT_EXTRA = "pip install 'convprof[plot]'"
REPORT_EXTRA = "pip install 'convprof[report]'"
GREATEST_SEED = 2**63 - 1
SHORTEST_BUDGET_S, LONGEST_BUDGET_S = 0.001, 3600.0
LONGEST_PATIENCE_S = 1e6
MOST_ROUNDS = 10_000
LONGEST_WAIT_S = 86_400.0
SHORTEST_ISOLATE_S = 1.0


class _SecondsOrWord(Number):
    """A range of seconds, or ``libraries`` or ``none``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number or the word; ``click.BadParameter`` for anything else."""
        if value in (LIBRARIES, NONE):
            return value
        try:
            float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number of seconds, {LIBRARIES} or {NONE}.", param, ctx)
        return super().convert(value, param, ctx)


def stack(*options: Option) -> Option:
    """Return one decorator that adds all options in order."""

    def apply(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


def strategy_option(help_text: str, default: tuple[str, ...] | None = None) -> Option:
    """Return ``--strategy``, which takes several names."""
    shown = default is not None
    return click.option("--strategy", "-s", multiple=True, default=default, show_default=shown, metavar="NAME[,NAME]", help=help_text, shell_complete=completion.strategies)  # noqa: E501  # fmt: skip


def threads_option(
    default: str | None = "1,all",
    metavar: str = "N[,N]|all",
    help_text: str = "Numbers of threads.",
) -> Option:
    """Return ``--threads``."""
    return click.option("--threads", "-t", metavar=metavar, default=default, show_default=True, help=help_text)  # noqa: E501  # fmt: skip


PRODUCT_TYPES = "f32|f64|bf16|f16|int8|SOURCE:WEIGHTS:RESULT"
PRODUCT_TYPES_HELP = (
    "Element types; int8 is u8:s8:s32, of attention s8:s8:f32. Convolutions and matrix products "
    "take all; attention f32, f64, bf16, f16 and s8:s8:f32, :s8, :u8; backward passes f32 and f64."
)
OWN_TYPE_HELP = "Element type; default f32, or what --dt of a shape file says."


def dtype_option(
    default: str | None = "f32", metavar: str = "f32|f64", help_text: str = "Element type."
) -> Option:
    """Return ``--dtype``."""
    return click.option("--dtype", default=default, show_default=True, metavar=metavar, help=help_text, shell_complete=completion.dtypes)  # noqa: E501  # fmt: skip


def isa_option(help_text: str, metavar: str = "sse|avx2|avx512|amx|neon|native") -> Option:
    """Return ``--isa``."""
    return click.option("--isa", default="native", show_default=True, metavar=metavar, help=help_text, shell_complete=completion.isas)  # noqa: E501  # fmt: skip


def tune_option() -> Option:
    """Return ``--tune`` and ``--retune``."""
    return stack(
        click.option("--tune", type=click.Choice(["off", "quick", "full"]), default="quick", show_default=True, help="How auto chooses: by its model, or by timing few or all candidates."),  # noqa: E501
        click.option("--retune", is_flag=True, help="Let auto time its candidates again, and replace the stored choices."),  # noqa: E501
    )  # fmt: skip


def max_error_option() -> Option:
    """Return ``--max-error``."""
    return click.option("--max-error", type=Number(0, 1), default=0.0, show_default=True, metavar="ERROR", help="Let auto try algorithms that add a relative error up to this: split6 (2e-6), split3 (1e-4), winograd16 (8e-3).")  # noqa: E501  # fmt: skip


def layout_option(
    default: str = "all",
    metavar: str = "nchw|nhwc|all",
    help_text: str = "Layouts of a convolution's activations.",
) -> Option:
    """Return ``--layout``."""
    return click.option("--layout", default=default, show_default=True, metavar=metavar, help=help_text, shell_complete=completion.layouts)  # noqa: E501  # fmt: skip


def budget_option(each: str = "contestant", default: float = 0.07) -> Option:
    """Return ``--budget``, the measuring time of each contestant, variant or layer."""
    return click.option("--budget", type=Number(SHORTEST_BUDGET_S, LONGEST_BUDGET_S), default=default, show_default=True, metavar="SECONDS", help=f"Measuring time per {each}.")  # noqa: E501  # fmt: skip


def patience_option(help_text: str) -> Option:
    """Return ``--patience``, the time limit of one contestant."""
    return click.option("--patience", type=Number(0, LONGEST_PATIENCE_S, min_open=True), default=60.0, show_default=True, metavar="SECONDS", help=help_text)  # noqa: E501  # fmt: skip


def seed_option(help_text: str = "Seeds the operands and the order of rounds.") -> Option:
    """Return ``--seed``."""
    return click.option("--seed", type=Whole(0, GREATEST_SEED), default=0, show_default=True, metavar="N", help=help_text)  # noqa: E501  # fmt: skip


def isolate_option(default: str = NONE) -> Option:
    """Return ``--isolate`` of commands whose contestants may compute in this process."""
    return click.option("--isolate", type=_SecondsOrWord(SHORTEST_ISOLATE_S, LONGEST_WAIT_S), default=default, show_default=True, metavar=f"[SECONDS|{LIBRARIES}|{NONE}]", help=f"Measure contestants in other processes: one that crashes, or does not answer within SECONDS ({ISOLATE_S:g} without a number), is a row, and the others go on. {LIBRARIES}: only contestants of libraries, a process for each library.")  # noqa: E501  # fmt: skip


def top_option(help_text: str, default: int) -> Option:
    """Return ``--top``, the number of rows to print."""
    return click.option("--top", type=Whole(1), default=default, show_default=True, metavar="N", help=help_text)  # noqa: E501  # fmt: skip


def match_option() -> Option:
    """Return ``--match`` of commands with problems."""
    return click.option("--match", metavar="REGEX", help="Keep the problems whose name or descriptor matches.")  # noqa: E501  # fmt: skip


def measure_option() -> Option:
    """Return ``--measure`` of the commands that diagnose logs."""
    return click.option("--measure", is_flag=True, help="Measure convprof's best strategy and the installed libraries on the first problems.")  # noqa: E501  # fmt: skip


def plot_option(help_text: str = "Draw an .svg or .png") -> Option:
    """Return ``--plot``."""
    return click.option("--plot", metavar="FILE", help=f"{help_text}; {PLOT_EXTRA}.")


def json_option(help_text: str = "Write the result document.") -> Option:
    """Return ``--json``."""
    return click.option("--json", "json_path", metavar="FILE|-", help=help_text)


def csv_option(help_text: str = "Write one row per contestant.") -> Option:
    """Return ``--csv``."""
    return click.option("--csv", "csv_path", metavar="FILE|-", help=help_text)


def markdown_option(help_text: str = "Write the tables as Markdown.") -> Option:
    """Return ``--markdown``."""
    return click.option("--markdown", "markdown_path", metavar="FILE|-", help=help_text)


def report_option() -> Option:
    """Return ``--report``."""
    return click.option("--report", "report_path", metavar="FILE", help=f"Write a page of HTML, with the tables and charts; {REPORT_EXTRA}.")  # noqa: E501  # fmt: skip


def trace_option() -> Option:
    """Return ``--trace``, which writes a timeline."""
    return click.option("--trace", "trace_path", metavar="FILE|-", help="Write a timeline as JSON for chrome://tracing and ui.perfetto.dev.")  # noqa: E501  # fmt: skip


def quiet_option(help_text: str = "No progress and no remarks on stderr.") -> Option:
    """Return ``--quiet``."""
    return click.option("--quiet", "-q", is_flag=True, help=help_text)


def libraries_option(
    help_text: str, metavar: str = "NAME[,NAME]", *, several: bool = True
) -> Option:
    """Return ``--with``, which names libraries."""
    return click.option("--with", "with_", multiple=several, metavar=metavar, help=help_text, shell_complete=completion.libraries)  # noqa: E501  # fmt: skip


all_option = click.option("--all", "every", is_flag=True, help="Print every row; by default the best layout of the fastest strategies.")  # noqa: E501  # fmt: skip
wait_idle_option = click.option("--wait-idle", type=Number(0, LONGEST_WAIT_S), metavar="[SECONDS]", help=f"Wait before measuring until other programs are idle, at most SECONDS; {WAIT_IDLE_S:g} without a number.")  # noqa: E501  # fmt: skip
color_option = click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True, help="Colour the output.")  # noqa: E501  # fmt: skip
isolate_limit_option = click.option("--isolate", type=Number(SHORTEST_ISOLATE_S, LONGEST_WAIT_S), metavar="[SECONDS]", help=f"The longest time without an answer from a process; {ISOLATE_S:g} without the option.")  # noqa: E501  # fmt: skip
dry_run_option = click.option("--dry-run", is_flag=True, help="List what would be measured, as commands.")  # noqa: E501  # fmt: skip
pass_option = click.option("--pass", "pass_", type=click.Choice(PASSES), default="forward", show_default=True, help="Which pass of a layer; training: all three, and their total.")  # noqa: E501  # fmt: skip
epilogue_option = click.option("--epilogue", metavar="STEP[,STEP]", help="What follows each convolution and product: bias, add (a residual), and an activation; fused, and in passes of its own.")  # noqa: E501  # fmt: skip

grouped_weights_options = stack(
    click.option("--weight-dtype", metavar="int8|int4|uint8|uint4", shell_complete=completion.weight_dtypes, help="Weights of 8 or 4 bits for a matrix product of f32 or bf16 (--dtype), with scales for groups of each column; uint8 and uint4 have zero points too."),  # noqa: E501
    click.option("--group", metavar="16|32|64|128|256|channel", shell_complete=completion.groups, help="Neighbouring weights of a column that share a scale, or channel for the whole column; default 128."),  # noqa: E501
)  # fmt: skip

problem_options = stack(
    click.argument("problem", nargs=-1, metavar="[PROBLEM]...", shell_complete=completion.problems),
    click.option("--batch", multiple=True, metavar="FILE", help="Read problems from a benchdnn shape file; - is stdin."),  # noqa: E501
    click.option("--mb", type=Whole(), metavar="N", help="Override the minibatch of every problem."),  # noqa: E501
    match_option(),
    click.option("--input", "input_", metavar="NxCxHxW", help="A convolution's input, instead of PROBLEM."),  # noqa: E501
    click.option("--filters", type=Whole(), metavar="K", help="Its output channels."),
    click.option("--kernel", metavar="R[xS]", help="Its filter, 3 or 3x5."),
    click.option("--stride", metavar="N[xN]", help="Default 1."),
    click.option("--pad", metavar="N[xN]|same|valid", help="Default 0; four numbers: top, left, bottom, right."),  # noqa: E501
    click.option("--dilation", metavar="N[xN]", help="Default 1, which means dense."),
    click.option("--groups", type=Whole(), metavar="N", help="Default 1."),
    click.option("--gemm", metavar="MxNxK", help="A matrix product, instead of PROBLEM; or MxK:KxN."),  # noqa: E501
    click.option("--attention", metavar="BxHxTxD[:MASK]", help="Attention, instead of PROBLEM: batch, heads, tokens, dim per head; :kvHxT has other keys; MASK is causal, keys or pairs."),  # noqa: E501
)  # fmt: skip


def measure_options(
    *,
    strategies: str = "Strategies to run; default all but the libraries.",
    threads: Option | None = None,
    budget_s: float = 0.07,
    several_isas: bool = False,
    dtype: Option | None = None,
    file_types: bool = False,
) -> Option:
    """Return the options of the measurement; ``strategies`` is the help of ``--strategy``.

    ``several_isas``: the command compares instruction sets. ``dtype``: a ``--dtype`` of its own.
    ``file_types``: without ``--dtype``, the types of a shape file hold.
    """
    default = "Default f32, or what --dt of a shape file says." if file_types else "Default f32."
    several = " (sse, avx2, avx512, amx, neon); of several, which is faster" if several_isas else ""
    return stack(
        strategy_option(strategies),
        threads or threads_option(),
        dtype or dtype_option(None, PRODUCT_TYPES, f"{PRODUCT_TYPES_HELP} {default}"),
        isa_option(
            f"Instruction set of generated kernels{several}; strategies of libraries and of "
            "compiled loops ignore it.",
            "NAME[,NAME]|all" if several_isas else "sse|avx2|avx512|amx|neon|native",
        ),
        tune_option(),
        click.option("--cache", type=click.Choice(["hot", "cold"]), default="hot", show_default=True, help="cold: operands are evicted from the caches before each call."),  # noqa: E501
        budget_option(default=budget_s),
        click.option("--rounds", type=Whole(1, MOST_ROUNDS), metavar="N", help="A fixed number of rounds, whatever time they take."),  # noqa: E501
        seed_option(),
        wait_idle_option,
    )  # fmt: skip


def save_option() -> Option:
    """Return ``--save``, which keeps a result in the history."""
    return click.option("--save", metavar="NAME", help="Keep the result on this machine under a name, for `convprof history` and `compare results last~1 last`.")  # noqa: E501  # fmt: skip


EXPORTS = ("bencher", "github-action-benchmark", "google-benchmark", "pyperf", "hyperfine")


def export_option() -> Option:
    """Return ``--export``, which writes a result for other tools."""
    return click.option("--export", "exports", type=(click.Choice(EXPORTS), str), multiple=True, metavar="FORMAT FILE", help=f"Write the result for another tool: {', '.join(EXPORTS)}.")  # noqa: E501  # fmt: skip


def output_options(*, csv: str = "Write one row per contestant.", saves: bool = False) -> Option:
    """Return the options of the output; ``csv`` is the help of ``--csv``.

    ``saves``: the command writes a result document, which can be saved and exported.
    """
    return stack(
        *([save_option(), export_option()] if saves else []),
        json_option(),
        csv_option(csv),
        markdown_option(),
        report_option(),
        color_option,
        quiet_option(),
    )  # fmt: skip


def suite_options(isolate: str = NONE) -> Option:
    """Return the problems, and how ``run`` measures them: here, or on each host of a fleet.

    ``isolate``: the default of ``--isolate``.
    """
    return stack(
        problem_options,
        pass_option,
        epilogue_option,
        grouped_weights_options,
        layout_option(),
        measure_options(several_isas=True, file_types=True),
        max_error_option(),
        isolate_option(isolate),
    )
