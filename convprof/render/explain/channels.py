"""The page about the channels of a small network."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from convprof import units
from convprof.render.columns import Column
from convprof.render.explain.checks import checked
from convprof.render.explain.grid import Cell, channel_style, grid, numbers
from convprof.render.explain.page import Block, Page, counted
from convprof.render.explain.shades import shaded

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console
    from rich.text import Text

    from convprof.studies.explain.channels import Added, Answer, Change, ChannelsPage, Layer, Stage

    Array = np.ndarray[Any, Any]

MAPS = 4
"""Maps of a layer that are drawn."""
RANKED = 6
"""The number of filters of a layer whose answers are listed."""
NEARLY_ZERO, STRONG = 0.02, 0.5
"""A share of a filter's largest weight."""
CONTRIBUTIONS = 5
"""The number of listed channels at either end of the parts of an output."""


def show(console: Console, page: ChannelsPage) -> None:
    """Print the page."""
    out = Page(console)
    out.heading("channels", f"a {page.number} through 32 and then 64 filters, as in mnist-cnn")
    out.prose(_conclusion(page))
    _digit(out, page)
    _first(out, page)
    _pooling(out, page)
    _adding(out, page)
    _second(out, page)
    out.table("6. Layers and parameters of mnist-cnn", LAYERS, page.layers)
    out.note(
        f"{page.parameters:,} parameters. A filter has weights for every channel that it reads; "
        "weights do not depend on the size of the image, but the weights of the first fully "
        "connected layer do"
    )
    out.check(_checked(page))


def _conclusion(page: ChannelsPage) -> str:
    best = page.second.answer(page.second.ranked()[0])
    before, after = page.changes[1], page.changes[2]
    return (
        f"A filter of the first layer answers to an edge or a bar, a filter of the second to a "
        f"shape made of them: here most to {best.filter!r}. Pooling keeps the largest answer of "
        "each 2x2 square and forgets its place in it: the digit moved by one pixel changes the "
        f"maps by {_percent(before)} before pooling and by {_percent(after)} after."
    )


def _percent(change: Change) -> str:
    return f"{100 * change.share:.0f} %"


def _digit(out: Page, page: ChannelsPage) -> None:
    out.section("1. The digit, 28x28 pixels from 0 to 1, drawn from strokes")
    out.picture(shaded(page.image))
    out.note("two rows of pixels in a line of characters; not handwriting, and the filters "
             "below are made by hand, not trained")  # fmt: skip


def _first(out: Page, page: ChannelsPage) -> None:
    stage = page.first
    out.section("2. conv1: 32 filters of 5x5, each gives a map of its answers (after ReLU)")
    ranked = stage.ranked()
    blocks = [Block(stage.filters.names[k], _signs(stage.filters.weights[k, 0])) for k in ranked]
    out.side_by_side(blocks[:MAPS])
    out.note("filters: # and + above 0, = and - below 0; # and = more than half the largest")
    _maps(out, stage, stage.pooled)
    out.note("their maps, after pooling: 14x14")
    out.table("The largest answers of conv1", ANSWERS, [stage.answer(k) for k in ranked[:RANKED]])
    out.note("N is up, E is right. A filter has mean 0: an even area gives 0")


def _signs(weights: Array) -> list[Text]:
    """Return a filter as marks."""
    largest = float(abs(weights).max())
    marks = [[_sign(value / largest) for value in row] for row in weights.tolist()]
    return grid([[Cell(mark) for mark in row] for row in marks])


def _sign(value: float) -> str:
    if abs(value) < NEARLY_ZERO:
        return "·"
    if abs(value) < STRONG:
        return "+" if value > 0 else "-"
    return "#" if value > 0 else "="


def _maps(out: Page, stage: Stage, planes: Array) -> None:
    out.side_by_side(
        [
            Block(stage.filters.names[k], shaded(planes[k], channel_style(n)))
            for n, k in enumerate(stage.ranked()[:MAPS])
        ]
    )


def _pooling(out: Page, page: ChannelsPage) -> None:
    corner = page.corner
    out.section("3. Pooling: the largest of each 2x2 square")
    out.side_by_side(
        [
            Block(f"map of {corner.filter!r}, from ({corner.row}, {corner.column})",
                  grid(numbers(corner.before.round(2)))),
            Block("after pooling", grid(numbers(corner.after.round(2)))),
        ]
    )  # fmt: skip
    out.table("What changes when the digit moves by one pixel", CHANGES, page.changes)
    out.note(
        "change: |moved - still| / |still| over all elements. Kept: that a feature is there, and "
        "its place to within 2, later 4 pixels. Lost: its place in the square, and all answers but "
        "the largest"
    )


class _Part(NamedTuple):
    name: str
    value: float
    total: float


def _adding(out: Page, page: ChannelsPage) -> None:
    answer = page.added.answer
    out.table(
        f"4. How channels add up: conv2's {answer.filter!r} at ({answer.row}, {answer.column})",
        PARTS, _parts(page.added),
    )  # fmt: skip
    out.note(
        f"what one map adds is a sum of 5x5 products; {counted(len(page.added.channels), 'map')} "
        f"and the bias make {units.digits(page.added.total)}. Maps that add little or take "
        "something off have features that the shape does not have there"
    )


def _parts(added: Added) -> list[_Part]:
    """Return the parts of the channels, the largest first, and the partial sums."""
    ordered = sorted(added.channels, key=lambda part: -part[1])
    middle = ordered[CONTRIBUTIONS:-CONTRIBUTIONS]
    parts = [
        *ordered[:CONTRIBUTIONS],
        (f"{len(middle)} others", sum(value for _, value in middle)),
        *ordered[-CONTRIBUTIONS:],
        ("bias", added.bias),
    ]
    totals = itertools.accumulate(value for _, value in parts)
    return [_Part(*part, total) for part, total in zip(parts, totals, strict=True)]


def _second(out: Page, page: ChannelsPage) -> None:
    stage = page.second
    ranked = stage.ranked()
    out.section("5. conv2: 64 filters of 32x5x5, each for a shape")
    _maps(out, stage, stage.maps)
    out.table("The largest answers of conv2", ANSWERS, [stage.answer(k) for k in ranked[:RANKED]])
    out.note("a name says which arms leave the centre; rows and columns of 14x14, two pixels each")


def _checked(page: ChannelsPage) -> str:
    stages = page.first, page.second
    outputs = sum(stage.maps.size for stage in stages)
    line = checked([each for stage in stages for each in stage.checked],
                   counted(outputs, "output"), "in float64")  # fmt: skip
    return f"{line}. The filter made for a shape gives the largest answer to it: " + "; ".join(
        f"{each.own} of {each.of} in {each.what}" for each in page.own
    )


ANSWERS: list[Column[Answer]] = [
    Column("filter", lambda answer: answer.filter, 1, "left"),
    Column("largest", lambda answer: f"{answer.value:.2f}", 2),
    Column("row", lambda answer: str(answer.row), 3),
    Column("column", lambda answer: str(answer.column), 4),
    Column("above 0", lambda answer: f"{100 * answer.share:.0f} %", 5),
]
CHANGES: list[Column[Change]] = [
    Column("", lambda change: change.what, 1, "left"),
    Column("size", lambda change: "x".join(map(str, change.shape)), 3),
    Column("change", _percent, 2),
]
PARTS: list[Column[_Part]] = [
    Column("channel", lambda part: part.name, 1, "left"),
    Column("adds", lambda part: f"{part.value:.2f}", 2),
    Column("sum so far", lambda part: f"{part.total:.2f}", 3),
]
LAYERS: list[Column[Layer]] = [
    Column("layer", lambda layer: layer.name, 1, "left"),
    Column("output", lambda layer: "x".join(map(str, layer.output)), 3),
    Column("weights + bias", lambda layer: layer.counted, 4),
    Column("parameters", lambda layer: f"{layer.parameters:,}", 2),
]
