"""``convprof compare mixers``: self-attention and convolutions on the same tokens."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, measuring, options, problem_flags
from convprof.cli.help_page import Command
from convprof.cli.number_types import Whole
from convprof.cli.outputs import Outputs
from convprof.cli.view import View
from convprof.errors import InputError, ProblemError
from convprof.problems.typed import TypedProblem

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.cli.from_flags import Asked
    from convprof.cli.outputs import Picture
    from convprof.networks.mixers import Grid
    from convprof.results import Measurement
    from convprof.studies.answer import Answer
    from convprof.studies.compare.mixers.growth import Stage
    from convprof.studies.compare.mixers.study import MixerComparison, Mixers

MOST_IMAGES = 32
DEFAULT_IMAGE = 224
_NUMBER = re.compile(r"[0-9]{1,10}")


_options = options.stack(
    click.option("--image", type=Whole(), metavar="SIZE", help=f"Side of the image in pixels; default {DEFAULT_IMAGE}."),  # noqa: E501
    click.option("--images", metavar="SIZE,SIZE[,SIZE]", help="Growing images instead: how the time of each mixer grows with the tokens, with a chart."),  # noqa: E501
    click.option("--patch", type=Whole(), default=16, show_default=True, metavar="SIZE", help="Side of a patch, which is a token."),  # noqa: E501
    click.option("--dim", type=Whole(), default=768, show_default=True, metavar="N", help="Channels of a token."),  # noqa: E501
    click.option("--heads", type=Whole(), metavar="N", help="Heads of attention; default one for 64 channels."),  # noqa: E501
    click.option("--mb", type=Whole(), default=1, show_default=True, metavar="N", help="Images at once."),  # noqa: E501
    options.libraries_option("Also measure the parts by these strategies, such as torch; pip install 'convprof[peers]'."),  # noqa: E501
    options.measure_options(
        strategies="Strategies for the parts; default auto, the best of ours for each.",
        threads=options.threads_option("1"),
    ),
    options.plot_option("Draw the blocks, or with --images their growth, as .svg or .png"),
    options.output_options(saves=True),
)  # fmt: skip


@click.command(
    "mixers",
    cls=Command,
    short_help="Measure self-attention against convolutions.",
)
@_options
def mixers(**flags: Any) -> int:
    """Measure what mixes the tokens of an image: self-attention against convolutions.

    A self-attention block (QKV projection, softmax(QK^T)V, output projection), a 3x3 convolution,
    and a depthwise 7x7 with a pointwise convolution, all on the same tokens and channels and in
    the same rounds. With --images 112,224,384,512 also where attention's quadratic part overtakes
    the rest.
    """
    grids = _grids(flags)
    asked = _asked(flags, grids)
    outputs = Outputs.of(flags)
    from convprof.studies.compare.mixers.study import Mixers

    # The attention product identifies a grid: no two images have the same number of tokens.
    by_problem = dict(zip(asked.problems, grids, strict=True))
    return measuring.Measuring(
        asked,
        outputs,
        lambda task, watch: Mixers(
            by_problem[task.problem], asked.choice, asked.settings, asked.machine, watch
        ),
        _View(outputs, several=len(grids) > 1),
    ).run()


def _grids(flags: dict[str, Any]) -> list[Grid]:
    """Return the grids of tokens; ProblemError for sizes that do not fit."""
    from convprof.networks.mixers import Grid, default_heads

    if flags["images"] is None:
        image = DEFAULT_IMAGE if flags["image"] is None else flags["image"]
        sizes = [image]
    elif flags["image"] is not None:
        raise InputError(f"--image {flags['image']}: --images says which; use one of them")
    else:
        sizes = _images(flags["images"])
    heads = default_heads(flags["dim"]) if flags["heads"] is None else flags["heads"]
    rest = {key: flags[key] for key in ("patch", "dim", "mb")}
    Grid(image=rest["patch"], heads=heads, **rest)  # for every image
    try:
        return [Grid(image=size, heads=heads, **rest) for size in sizes]
    except ProblemError as error:
        if flags["images"] is None:
            raise
        raise error.within("images", flags["images"]) from None


def _images(text: str) -> list[int]:
    """Return two sizes or more, each larger than the one before; InputError otherwise."""
    parts = [part.strip() for part in text.split(",")]
    shown = text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004  # a line stays a line
    if len(parts) > MOST_IMAGES:
        raise InputError(f"--images {shown}: {len(parts)} images; use at most {MOST_IMAGES}")
    if not all(_NUMBER.fullmatch(part) for part in parts):
        raise InputError(f"--images {shown!r}: use whole numbers, such as 112,224,384,512")
    sizes = [int(part) for part in parts]
    if len(sizes) == 1:
        raise InputError(f"--images {shown}: growth takes two sizes or more; for one use --image")
    for small, large in itertools.pairwise(sizes):
        if large <= small:
            raise InputError(f"--images {shown}: {large} follows {small}; let the sizes increase")
    return sizes


def _asked(flags: dict[str, Any], grids: list[Grid]) -> Asked:
    """Return the flags as values; the problems are the grids' attention products."""
    from convprof.networks.mixers import mixers as mixers_of
    from convprof.strategies.base import Setting
    from convprof.studies import preflight
    from convprof.studies.compare.mixers.study import LAYOUT, OURS

    others = from_flags.names_from(flags, "with_")
    if others and flags["cache"] != "hot":
        raise InputError(
            f"--with {others[0]}: a library's copies of the weights cannot be evicted; "
            "use --cache hot"
        )
    try:
        parts = [part for grid in grids for mixer in mixers_of(grid) for part in mixer.parts]
    except ProblemError as error:
        raise InputError(f"--dim {flags['dim']}, --mb {flags['mb']}: {error}") from None
    problems = [part.problem for part in parts]
    preflight.check_strategies(others, problems, preflight.LIBRARY)
    asked = from_flags.asked(
        {
            **flags,
            **dict.fromkeys((*problem_flags.SHAPE_FLAGS, "mb", "match")),
            "problem": tuple(problem.descriptor for problem in problems),
            "batch": (),
            "layout": LAYOUT,
            "strategy": (*(flags["strategy"] or (OURS,)), *others),
        },
        every=True,
    )
    choice = asked.choice
    settings = [
        Setting(LAYOUT, choice.dtype, threads, choice.isa, choice.tune)
        for threads in choice.threads
    ]
    preflight.check_takers(others, problems, settings, preflight.LIBRARY)
    products = [part.problem for part in parts if part.quadratic]
    return replace(asked, tasks=[TypedProblem(each) for each in products], notes=[])


class _View(View["Mixers"]):
    """Print a grid with all its parts if it is the only one, else all of them at the end."""

    apart = False

    def __init__(self, outputs: Outputs, *, several: bool) -> None:
        self._outputs, self._several = outputs, several
        self._stages: list[Stage] = []
        self._comparisons: list[MixerComparison] = []
        self._measurements: list[Measurement] = []
        self._without: dict[str, None] = {}

    def keep(self, study: Mixers) -> list[dict[str, Any]]:
        """Take the measurements; return the comparisons."""
        self._stages.append((study.grid, study.totals()))
        self._comparisons = study.comparisons()
        self._measurements += study.measurements()
        self._without |= dict.fromkeys(study.without)
        return [comparison.to_json() for comparison in self._comparisons]

    def show(self, console: Console) -> None:
        """Print the only grid."""
        from convprof.render.compare.mixers import exclusions, mixers_report

        if not self._several:
            mixers_report(console, *self._stages[-1], self._comparisons)
            exclusions(console, self._measurements, list(self._without))

    def summary(self, console: Console) -> None:
        """Print the images side by side, a chart, and the crossings of the mixers."""
        from convprof.render.compare.mixers import exclusions
        from convprof.render.compare.mixers_growth import growing_report

        if not self._several or not self._stages:
            return
        growing_report(
            console, self._stages, lambda: exclusions(console, self._measurements, [*self._without])
        )

    def answer(self) -> Answer | None:
        """Return how long attention takes by the other mixers, or where it overtakes them."""
        from convprof.studies.compare.mixers.answer import answer, growth_answer
        from convprof.studies.compare.mixers.growth import growths

        if self._several and self._stages:
            return growth_answer(growths(self._stages), self._stages[0][0])
        return answer(self._comparisons)

    def pictures(self) -> list[Picture]:
        """Return the chart, if requested and if it has a point."""
        from convprof.render.compare.block_chart import block_chart
        from convprof.render.compare.mixers_chart import growth_chart

        if not any(totals for _, totals in self._stages):
            return []
        if not self._several:
            return self._outputs.pictures(
                lambda dated: block_chart(*self._stages[-1], self._comparisons, dated=dated)
            )
        return self._outputs.pictures(lambda dated: growth_chart(self._stages, dated=dated))
