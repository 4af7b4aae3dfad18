"""The page about the gradients of a convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from convprof.render.columns import Column
from convprof.render.explain.checks import checked
from convprof.render.explain.grid import LETTERS, Cell, channel_style, grid, numbers
from convprof.render.explain.page import Block, Page, counted

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from rich.console import Console

    from convprof.studies.explain.backward import BackwardPage, Part, Step

    Array = np.ndarray[Any, Any]

TRAINING_PASSES = 3


def show(console: Console, page: BackwardPage) -> None:
    """Print the page."""
    out = Page(console)
    out.title("backward", page.named)
    out.prose(_conclusion(page))
    out.smaller(page.reduction)
    _layer(out, page)
    _input(out, page)
    _weight(out, page)
    _whole(out, page)
    _differences(out, page)
    out.check(_checked(page))


def _conclusion(page: BackwardPage) -> str:
    p = page.named
    return (
        f"An input element takes part in at most {p.data_terms:,} products: its gradient is the "
        "sum over the outputs that read it, each output's gradient times the weight in between. "
        f"A weight takes part in {p.weights_terms:,} products, one for each output of its "
        "filter: its gradient is the sum of the inputs that it multiplied, each times the "
        f"gradient of that output. Each gradient takes {p.macs:,} multiply-adds, as many as the "
        f"forward pass: a training step takes {TRAINING_PASSES} times as many."
    )


def _layer(out: Page, page: BackwardPage) -> None:
    out.section("1. The layer, a loss L = sum((y - t)^2) / 2, and its gradient dL/dy = y - t")
    blocks = [
        Block(f"x, channel {LETTERS[c]}", grid(numbers(plane, style=channel_style(c))))
        for c, plane in enumerate(page.x)
    ]
    blocks += [
        Block(f"w, filter {k}, {_letter(page, k, c)}", grid(numbers(plane)))
        for k, planes in enumerate(page.weights)
        for c, plane in enumerate(planes)
    ]
    out.side_by_side(blocks)
    for k in range(page.shown.k):
        out.side_by_side(
            [
                Block(f"y, filter {k}", grid(numbers(page.y[k]))),
                Block("t", grid(numbers(page.target[k]))),
                Block("dL/dy", grid(numbers(page.dy[k], style="bold"))),
            ]
        )


def _letter(page: BackwardPage, k: int, c: int) -> str:
    """Return the letter of the image's channel that a filter's channel reads."""
    p = page.shown
    return LETTERS[k // p.kg * p.cg + c]


def _input(out: Page, page: BackwardPage) -> None:
    c, i, j = page.element
    out.section(f"2. Gradient of one input by hand: x[{c}, {i}, {j}] = {page.x[page.element]}")
    for part in page.parts:
        _worked(out, part, f"weight to y, filter {part.filter}", ~part.used)
    out.note("· an output that does not read this input")
    sums = " + ".join(_signed(part.total) for part in page.parts)
    total = sum(part.total for part in page.parts)
    out.note(f"dL/dx[{c}, {i}, {j}] = {sums} = {total}" if len(page.parts) > 1
             else f"dL/dx[{c}, {i}, {j}] = {total}")  # fmt: skip
    if page.shown.stride == (1, 1):
        out.note(
            "the weights are the filter rotated by 180 degrees: dL/dx is a convolution of dL/dy "
            "with rotated filters, summed over the filters instead of the channels"
        )
    else:
        out.note("with a stride, neighbouring inputs take part in different numbers of outputs")


def _weight(out: Page, page: BackwardPage) -> None:
    k, c, r, s = page.tap
    out.section(
        f"3. Gradient of one weight by hand: w[{k}, {c}, {r}, {s}] = {page.weights[page.tap]}"
    )
    _worked(out, page.weight, f"x that it multiplies, {_letter(page, k, c)}", page.border)
    if page.border.any():
        out.note("· is a zero of the padding")
    out.note(f"dL/dw[{k}, {c}, {r}, {s}] = {page.weight.total}")
    gaps = "" if page.shown.stride == (1, 1) else ", the gaps of the stride between its elements"
    out.note(
        "the next weight to the right multiplies the x one further to the right (by the dilation), "
        f"so dL/dw is the correlation of x with dL/dy as a filter{gaps}"
    )


def _worked(out: Page, part: Part, caption: str, dots: Array) -> None:
    out.side_by_side(
        [
            Block(caption, grid(numbers(part.factors, dots))),
            Block("dL/dy", grid(numbers(part.dy))),
            Block("products", grid(numbers(part.products, dots))),
            Block("sum", grid([[Cell(str(part.total), "bold")]])),
        ]
    )


def _signed(value: int) -> str:
    return f"({value})" if value < 0 else str(value)


def _whole(out: Page, page: BackwardPage) -> None:
    out.section("4. Both gradients, every element in the same way")
    out.side_by_side(
        [
            Block(
                f"dL/dx, {LETTERS[c]}",
                grid(_starred(plane, page.element[1:] if c == page.element[0] else None)),
            )
            for c, plane in enumerate(page.dx.values)
        ]
    )
    out.side_by_side(
        [
            Block(
                f"dL/dw, filter {k}, {_letter(page, k, c)}",
                grid(_starred(plane, page.tap[2:] if (k, c) == page.tap[:2] else None)),
            )
            for k, planes in enumerate(page.dw.values)
            for c, plane in enumerate(planes)
        ]
    )
    out.note("* worked by hand above")


def _starred(plane: Array, at: tuple[int, ...] | None) -> list[list[Cell]]:
    cells = numbers(plane)
    if at is not None:
        i, j = at
        cells[i][j] = Cell(f"*{cells[i][j].text}", "bold")
    return cells


class _Compared(NamedTuple):
    dx: Step
    dw: Step


def _differences(out: Page, page: BackwardPage) -> None:
    rows = [_Compared(*both) for both in zip(page.dx.steps, page.dw.steps, strict=True)]
    out.table("5. The same by finite differences: largest error / largest gradient", STEPS, rows)
    out.note(
        "one-sided: (L(v + h) - L(v)) / h; central: (L(v + h) - L(v - h)) / 2h. L is quadratic: "
        "central differences are exact, the rest is rounding, which a small h enlarges"
    )


def _error(value: float) -> str:
    return f"{value:.1e}" if value else "0"


STEPS: list[Column[_Compared]] = [
    Column("h", lambda row: f"{row.dx.step:g}", 1),
    Column("dx one-sided", lambda row: _error(row.dx.one_sided), 4),
    Column("dx central", lambda row: _error(row.dx.central), 2),
    Column("dw one-sided", lambda row: _error(row.dw.one_sided), 5),
    Column("dw central", lambda row: _error(row.dw.central), 3),
]


def _checked(page: BackwardPage) -> str:
    step = page.dx.steps[0].step
    exact = not any(gradient.steps[0].central for gradient in (page.dx, page.dw))
    by = f"central differences with h = {step:g}"
    what = " and ".join(
        f"{counted(gradient.values.size, 'element')} of {gradient.name}"
        for gradient in (page.dx, page.dw)
    )
    line = checked(page.dx.checked + page.dw.checked, what, "by hand")
    return f"{line}, and {by}" if exact else f"{line}; they differ from {by}"
