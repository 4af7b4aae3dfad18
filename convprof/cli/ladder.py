"""``convprof ladder``: one problem rung by rung, and Halide's schedules for comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, measuring, options, problem_flags
from convprof.cli.help_page import Group
from convprof.cli.outputs import Outputs
from convprof.cli.view import View
from convprof.errors import InputError, UnknownNameError
from convprof.studies.ladder import VARIED

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.cli.from_flags import Asked
    from convprof.cli.outputs import Picture
    from convprof.problems import Problem
    from convprof.render.charts.chart import Bars
    from convprof.studies.answer import Answer
    from convprof.studies.ladder.study import Ladder, Pair, Step

BASES = {"gemm": "1024x1024:1024x1024", "conv2d": problem_flags.DEFAULT_PROBLEM}
COMPANIONS = ("halide",)
_options = options.stack(
    click.argument("problem", required=False, metavar="[PROBLEM]"),
    click.option("--size", metavar="N[,N]", help="A ladder for each size: m = n = k of a product, h = w of an image; a:b:xfactor too."),  # noqa: E501
    options.libraries_option("Show Halide's schedules next to the rungs; pip install 'convprof[peers]'.", "halide", several=False),  # noqa: E501
    click.option("--why", is_flag=True, help="Also print the inner loops and a sentence per rung."),
    options.patience_option("A rung predicted to take longer is refused."),
    options.measure_options(
        strategies="Rungs to climb; default all.",
        threads=options.threads_option("all", "N|all", "Threads of the last rung; the others run on one."),  # noqa: E501
        budget_s=0.5,
    ),
    options.plot_option(),
    options.output_options(saves=True),
)  # fmt: skip


@click.group("ladder", cls=Group)
def command() -> None:
    """Climb from the naive loops to the peak, one idea a rung."""


@command.command("gemm", short_help="Climb to a fast matrix product.")
@_options
def gemm(**flags: Any) -> int:
    """Measure a matrix product rung by rung.

    naive, reordered, tiled, vectorized, fma, unrolled, packed, prepacked, strassen, parallel: each
    has one idea more than the one before. For each: what it gains and what limits it; with --why
    also the limit that it removes and its inner loop. PROBLEM (1024x1024:1024x1024) or --size: what
    is multiplied.
    """
    return _run("gemm", {**flags, "layout": "nchw"})


@command.command("conv", short_help="Climb to a fast convolution.")
@_options
@options.layout_option("nhwc")
def conv(**flags: Any) -> int:
    """Measure a convolution rung by rung.

    direct, reordered, im2col, tiled, microkernel, winograd, auto, parallel: from the loops of the
    definition to the best of all on all threads. Without PROBLEM: resnet50:layer1.0.conv2.
    """
    return _run("conv2d", flags)


def _run(kind: str, flags: dict[str, Any]) -> int:
    word = kind.removesuffix("2d")
    names = _rungs(kind, word, from_flags.names_from(flags, "strategy"))
    asked = _asked(kind, word, flags)
    companion = _companion(flags)
    outputs = Outputs.of(flags)
    from convprof.studies.ladder.study import Ladder

    return measuring.Measuring(
        asked,
        outputs,
        lambda task, watch: Ladder(
            task.problem,
            asked.choice,
            asked.settings,
            asked.machine,
            watch,
            names=names,
            time_limit_s=flags["patience"],
            halide=companion is not None,
        ),
        _View(word, asked, flags, outputs),
    ).run()


def _rungs(kind: str, word: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the named rungs; UnknownNameError for a name that is not a rung."""
    from convprof.studies.ladder.study import LADDERS, PARALLEL

    known = (*LADDERS[kind], PARALLEL)
    for name in names:
        if name not in known:
            raise UnknownNameError.of(f"of the {word} ladder", name, known, field="strategy")
    return names


def _companion(flags: dict[str, Any]) -> str | None:
    """Return the library next to the rungs; InputError if it cannot be shown."""
    name: str | None = flags["with_"]
    if name is None:
        return None
    if name.lower() not in COMPANIONS:
        raise InputError(f"--with {name}: use {' or '.join(COMPANIONS)}")
    if flags["cache"] != "hot":
        raise InputError(
            f"--with {name}: its copies of the weights cannot be evicted; use --cache hot"
        )
    from convprof.studies.ladder import schedules

    reason = schedules.missing()
    if reason is not None:
        raise InputError(f"--with {name}: {reason}")
    return name.lower()


def _asked(kind: str, word: str, flags: dict[str, Any]) -> Asked:
    """Return the flags as values: problems of one kind; one thread and the requested number."""
    counts = from_flags.threads_from(flags["threads"])
    if len(counts) > 1:
        raise InputError(f"--threads {flags['threads']}: a ladder has one number, of its last rung")
    if len(from_flags.layouts_from(flags["layout"])) > 1:
        raise InputError(f"--layout {flags['layout']}: a ladder has one layout: nchw or nhwc")
    if flags["problem"] and flags["size"]:
        raise InputError(
            f"--size {flags['size']}: {flags['problem']} has its size; use one of them"
        )
    base = {
        **flags,
        **dict.fromkeys((*problem_flags.SHAPE_FLAGS, "mb", "match")),
        "batch": (),
        "strategy": (),
        "threads": f"1,{counts[0]}",
        "problem": (flags["problem"] or BASES[kind],),
    }
    problems, _ = problem_flags.problems_from(base)
    if any(problem.kind != kind for problem in problems):
        raise InputError(f"{base['problem'][0]}: ladder {word} takes a {word}")
    if flags["size"]:
        base["problem"] = tuple(
            problem.descriptor for problem in _sized(kind, problems[0], flags["size"])
        )
    return from_flags.asked(base)


def _sized(kind: str, base: Problem, text: str) -> list[Problem]:
    from convprof.problems.families import parse_range, vary

    values = parse_range(text, "size")
    try:
        return [vary(base, VARIED[kind], value) for value in values]
    except InputError as error:
        raise error.within("size", text) from None


class _View(View["Ladder"]):
    """Print every ladder when it is finished, and a table of all ladders at the end."""

    apart = False

    def __init__(self, word: str, asked: Asked, flags: dict[str, Any], outputs: Outputs) -> None:
        self._word, self._choice, self._outputs = word, asked.choice, outputs
        self._machine = asked.machine
        kind = asked.problems[0].kind
        self._varied = VARIED[kind] if flags["size"] is not None else ""
        self._several, self._by_size = len(asked.problems) > 1, flags["size"] is not None
        self._why: bool = flags["why"]
        self._ladders: list[tuple[str, list[Step]]] = []
        self._pairs: list[Pair] = []

    def keep(self, study: Ladder) -> list[dict[str, Any]]:
        """Take the rungs; return the comparisons."""
        self._ladders.append((self._name(study.problem), study.steps()))
        self._pairs = study.pairs()
        return study.comparisons()

    def show(self, console: Console) -> None:
        """Print the last ladder."""
        from convprof.render.ladder import halide_report, ladder_report

        if len(self._ladders) > 1:
            console.print()
        ladder_report(console, self._ladders[-1][1], why=self._why)
        halide_report(console, self._pairs)

    def summary(self, console: Console) -> None:
        """Print a table with a column for each size."""
        from convprof.render.ladder import sizes_report

        if self._several:
            sizes_report(console, self._ladders)
        console.print()

    def answer(self) -> Answer | None:
        """Return the fastest rung, its limit, the largest gain, and the next command."""
        from convprof.render.rung_limit_words import answer

        return answer(self._ladders)

    def pictures(self) -> list[Picture]:
        """Return the picture of all ladders, if requested and if there is a time."""
        return self._outputs.pictures(self._chart)

    def _chart(self, dated: str) -> Bars | None:
        from convprof.render.ladder_chart import ladder_chart

        choice = self._choice
        peaks = self._machine.peaks(choice.dtype, choice.threads)
        return ladder_chart(
            f"ladder {self._word}", self._ladders, peaks, dated=dated, varied=self._varied
        )

    def _name(self, problem: Problem) -> str:
        if not self._by_size:
            return problem.name or problem.descriptor
        dims = problem.dims()
        return str(dims["m" if problem.kind == "gemm" else "h"])
