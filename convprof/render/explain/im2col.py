"""The page about the patch matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from convprof import units
from convprof.render.columns import Column
from convprof.render.explain.grid import (
    LETTERS,
    MORE,
    Cell,
    Labels,
    channel_style,
    fitting,
    grid,
    numbers,
)
from convprof.render.explain.page import INDENT, Block, Page, counted

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.studies.explain.im2col import Im2col, Index
    from convprof.studies.explain.patch_cost import Cost

MOST_ROWS = 27
"""Rows of the patch matrix that are shown: all of three channels of a 3x3 filter."""


def show(console: Console, page: Im2col) -> None:
    """Print the page."""
    out = Page(console)
    out.title("im2col", page.named)
    out.smaller(page.reduction)
    _image(out, page)
    _indices(out, page)
    _patches(out, page)
    _product(out, page)
    _copies(out, page)
    out.table("6. What it costs in f32, and what each change does to it", COSTS, page.variants)
    if page.reduction:
        out.table("The convolution that was named, at its real size", COSTS, [page.named_cost])
    out.lesson(_lesson(page))


def _lesson(page: Im2col) -> str:
    cost, p = page.named_cost, page.named
    depth = p.cg * p.r * p.s
    several = f", {p.groups} times" if p.groups > 1 else ""
    images = f" for each of {p.n} images" if p.n > 1 else ""
    return (
        f"The patch matrix takes {units.size(cost.patch_bytes)} where the input takes "
        f"{units.size(cost.input_bytes)}: {_ratio(cost)} times as much to write and to read again, "
        f"{100 * cost.padding:.1f} % of it zeros of the padding. In return the convolution is a plain "  # noqa: E501
        f"product, ({p.kg:,} x {depth:,}) by ({depth:,} x {p.p * p.q:,}){several}{images}."
    )


def _ratio(cost: Cost) -> str:
    return units.digits(cost.patch_bytes / cost.input_bytes)


def _image(out: Page, page: Im2col) -> None:
    top, left, bottom, right = page.shown.pads
    padded = any(page.shown.pads)
    around = f"np.pad: {top} above, {left} left, {bottom} below, {right} right"
    out.section(f"1. The image, {around if padded else 'no padding'}")
    blocks = []
    for c, plane in enumerate(page.x):
        letter, style = LETTERS[c], channel_style(c)
        blocks.append(Block(f"x, channel {letter}", grid(numbers(plane, style=style))))
        if padded:
            cells = numbers(page.padded[c], page.border, style)
            blocks.append(Block(f"padded, channel {letter}", grid(cells)))
    out.side_by_side(blocks)
    if padded:
        out.note("· is a zero of the padding")


def _indices(out: Page, page: Im2col) -> None:
    out.section("2. The index arrays: patch[t, u] = padded[k[t], i0[t] + i1[u], j0[t] + j1[u]]")
    for indices, what in ((page.rows, "row t"), (page.columns, "column u")):
        out.note(f"one value per {what} of the patch matrix")
        out.picture([line for index in indices for line in _index(index, out.width)])


def _index(index: Index, width: int) -> list[Text]:
    formula = Text(f"{index.name:2} = ").append(index.formula, style="cyan")
    values = [str(value) for value in index.values]
    each = 1 + max(map(len, values))
    kept = fitting(len(values), (width - INDENT - 3) // each)
    shown = "".join((MORE if i is None else values[i]).rjust(each) for i in kept)
    return [formula, Text("    " + shown)]


def _patches(out: Page, page: Im2col) -> None:
    p = page.shown
    rows, columns = page.patches.shape
    out.section(f"3. The patch matrix, {rows} x {columns}: a column per output pixel (p, q)")
    k, i0, j0 = page.rows
    cells = numbers(page.patches, page.zeros)
    colored = [
        [cell if page.zeros[t, u] else Cell(cell.text, channel_style(int(k.values[t])))
         for u, cell in enumerate(row)]
        for t, row in enumerate(cells)
    ]  # fmt: skip
    i1, j1 = page.columns
    head = [Labels(index.name, [str(value) for value in index.values]) for index in (i1, j1)]
    if p.stride != (1, 1):  # else pixel (p, q) starts at (i1, j1) = (p, q)
        pixels = [divmod(u, p.q) for u in range(columns)]
        head = [Labels("p", [str(i) for i, _ in pixels]),
                Labels("q", [str(j) for _, j in pixels]), *head]  # fmt: skip
    left = [
        Labels("k", [f"{LETTERS[c]}={c}" for c in k.values.tolist()]),
        Labels("i0", [str(value) for value in i0.values]),
        Labels("j0", [str(value) for value in j0.values]),
    ]
    out.picture(grid(colored, width=out.width, most_rows=MOST_ROWS, left=left, head=head))
    hidden = "; · is a zero of the padding" if page.zeros.any() else ""
    out.note(f"(i1, j1) is where a column's window starts in the padded image{hidden}")
    if p.groups > 1:
        out.note(f"this is the matrix of the first group, of {p.groups}")


def _product(out: Page, page: Im2col) -> None:
    p = page.shown
    out.section("4. The weights as a matrix, (k, c*r*s), and the product with the patches")
    group = " (of the first group)" if p.groups > 1 else ""
    filters = [Labels("filter", [str(k) for k in range(p.kg)])]
    weights = grid(numbers(page.weights), width=out.width, left=filters)
    out.side_by_side([Block(f"weights{group}", weights)])
    shown = grid(numbers(page.product), width=out.width, left=filters)
    out.side_by_side([Block(f"weights @ patches{group}: one column per output pixel", shown)])
    out.note(
        f"check: {counted(page.checked, 'output')} summed directly, tap by tap: "
        f"largest difference {page.largest_difference}"
    )


def _copies(out: Page, page: Im2col) -> None:
    out.section("5. How often each input element is copied into the patch matrix, in every channel")
    out.picture(grid(numbers(page.copies), width=out.width))
    cost = page.cost
    out.note(
        f"{units.digits(cost.copies)} on average: {cost.input_elements:,} elements fill "
        f"{cost.copied_elements:,} of {cost.patch_elements:,} places, "
        f"{_ratio(cost)} times the input"
    )


def _spelled(cost: Cost) -> str:
    p = cost.problem
    return f"{p.cg * p.r * p.s:,}x{p.p * p.q:,}"


COSTS: list[Column[Cost]] = [
    Column("", lambda cost: cost.label, 1, "left"),
    Column("output", lambda cost: f"{cost.problem.p}x{cost.problem.q}", 2),
    Column("patches", _spelled, 3),
    Column("bytes", lambda cost: units.size(cost.patch_bytes), 4),
    Column("of input", lambda cost: f"{_ratio(cost)}x", 5),
    Column("copies", lambda cost: units.digits(cost.copies), 6),
    Column("zeros", lambda cost: f"{100 * cost.padding:.1f} %", 7),
]
