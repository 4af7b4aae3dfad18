"""The page about one output of a convolution and about the options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from convprof.render.columns import Column
from convprof.render.explain.checks import checked
from convprof.render.explain.grid import LETTERS, Cell, Labels, channel_style, grid, numbers
from convprof.render.explain.page import Block, Page, counted
from convprof.studies.explain.frameworks import OPTIONS

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.problems import Conv2d
    from convprof.studies.explain.conv import ByHand, ConvPage, Reads, Size
    from convprof.studies.explain.frameworks import Option

FIRST, SECOND = "#e69f00", "#56b4e9"


def show(console: Console, page: ConvPage) -> None:
    """Print the page."""
    out = Page(console)
    out.title("conv", page.named)
    out.prose(_conclusion(page))
    out.smaller(page.reduction)
    _one_output(out, page)
    _all_outputs(out, page)
    out.section("2. Which inputs one output reads: a 3x3 filter, and one option each")
    out.side_by_side([Block(reads.label, _marks(reads)) for reads in page.reads])
    out.note(
        "1 read by the first output, 2 by its right neighbour, # by both; + a zero of the padding "
        "that one of them reads, · one that neither reads, - an input that neither reads"
    )
    out.side_by_side([Block(_groups_label(p), _groups(p)) for p in page.groups])
    out.note("# the filter reads the channel: a filter reads the channels of its group only")
    _sizes(out, page)
    _frameworks(out, page)
    out.check(checked(page.checked, counted(page.y.size, "output"), "summed by hand"))


def _conclusion(page: ConvPage) -> str:
    p = page.named
    return (
        f"One output is a sum of {p.terms:,} products: {counted(p.cg, 'channel')} x {p.r}x{p.s} "
        f"inputs under the filter, each times its weight. The filter moves by the stride "
        f"{p.stride[0]}x{p.stride[1]}, so that {p.h}x{p.w} inputs give {p.p}x{p.q} outputs, and "
        f"{counted(p.k, 'filter')} give {counted(p.k, 'output channel')}."
    )


def _one_output(out: Page, page: ConvPage) -> None:
    one = page.by_hand
    i, j = one.pixel
    out.section(f"1. One output by hand: y[{one.filter}, {i}, {j}]")
    for n, c in enumerate(one.channels):
        letter, style = LETTERS[c], channel_style(c)
        out.side_by_side(
            [
                Block(f"x, channel {letter}", grid(numbers(page.x[c], style=style))),
                Block("window", grid(numbers(one.window[n], one.border, style))),
                Block("filter", grid(numbers(one.weights[n]))),
                Block("products", grid(numbers(one.products[n], one.border))),
                Block("sum", [Text(f" {one.sums[n]}", style=style)]),
            ]
        )
    if one.border.any():
        out.note("· is a zero of the padding")
    for n, c in enumerate(one.channels):
        out.note(f"{LETTERS[c]}: {_written_out(one, n)} = {one.sums[n]}")
    parts = " + ".join(_signed(value) for value in one.sums)
    out.note(f"y[{one.filter}, {i}, {j}] = {parts} = {one.total}")


def _written_out(one: ByHand, n: int) -> str:
    """Return the products of one channel; products with zeros of the padding are left out."""
    pairs = zip(one.window[n].flat, one.weights[n].flat, one.border.flat, strict=True)
    return " + ".join(f"{x}*{_signed(int(w))}" for x, w, border in pairs if not border) or "0"


def _signed(value: int) -> str:
    return f"({value})" if value < 0 else str(value)


def _all_outputs(out: Page, page: ConvPage) -> None:
    blocks = []
    for k, plane in enumerate(page.y):
        cells = numbers(plane)
        if k == page.by_hand.filter:
            i, j = page.by_hand.pixel
            cells[i][j] = Cell(f"*{cells[i][j].text}", "bold")
        blocks.append(Block(f"y, filter {k}", grid(cells)))
    out.side_by_side(blocks)
    out.note("* the output above; the others are summed in the same way")


def _marks(reads: Reads) -> list[Text]:
    height, width = reads.border.shape
    return grid([[_mark(reads, i, j) for j in range(width)] for i in range(height)])


def _mark(reads: Reads, i: int, j: int) -> Cell:
    first, second = bool(reads.first[i, j]), bool(reads.second[i, j])
    if reads.border[i, j]:
        return Cell("+", "bold") if first or second else Cell("·", "dim")
    if first and second:
        return Cell("#", "bold")
    if first:
        return Cell("1", FIRST)
    return Cell("2", SECOND) if second else Cell("-", "dim")


def _groups_label(p: Conv2d) -> str:
    if p.is_depthwise:
        return f"groups {p.groups}: depthwise"
    return f"groups {p.groups}"


def _groups(p: Conv2d) -> list[Text]:
    cells = [
        [Cell("#", channel_style(c)) if c // p.cg == k // p.kg else Cell("-", "dim")
         for c in range(p.c)]
        for k in range(p.k)
    ]  # fmt: skip
    head = [Labels("channel", list(LETTERS[: p.c]))]
    return grid(cells, left=[Labels("filter", [str(k) for k in range(p.k)])], head=head)


def _sizes(out: Page, page: ConvPage) -> None:
    out.section("3. The output size: (in + before + after - reach) // stride + 1")
    out.note("reach: inputs from the first tap to the last, (taps - 1) * dilation + 1")
    out.table("With the numbers put in", SIZES, page.sizes)
    out.note("unread: elements at the end of the padded input that the division drops")


def _put_in(size: Size) -> str:
    axis = size.axis
    return f"({axis.size} + {size.begin} + {size.end} - {axis.span}) // {axis.stride} + 1"


def _reach(size: Size) -> str:
    return f"({size.axis.taps} - 1) * {size.axis.dilation} + 1 = {size.axis.span}"


SIZES: list[Column[Size]] = [
    Column("", lambda size: size.label, 1, "left"),
    Column("reach", _reach, 4),
    Column("formula", _put_in, 3),
    Column("output", lambda size: str(size.out), 2),
    Column("unread", lambda size: str(size.unread), 5),
]


def _frameworks(out: Page, page: ConvPage) -> None:
    out.section("4. The same layer in three frameworks")
    for spelling in page.spellings:
        out.note(f"{spelling.framework}: {spelling.code}" + _remark(spelling.note))
    out.table("The names of the options, with example values", NAMES, OPTIONS)
    out.note('* only without a stride; ** data_format="channels_first" makes it (n, c, h, w)')
    torch, keras = page.same
    out.section(f"5. Where they differ: stride 2, {torch.axis.size} inputs, filter of 3")
    out.side_by_side(
        [
            Block("PyTorch padding=1", _windows(torch)),
            Block('TensorFlow, Keras padding="same"', _windows(keras)),
        ]
    )
    out.note(
        f'{torch.out} outputs both times, but of other inputs: "same" pads {keras.begin} before '
        f"and {keras.end} after, the extra zero at the end. Weights of the one framework give "
        "other results in the other. ONNX has both: pads, and SAME_UPPER (SAME_LOWER puts the "
        "extra zero first)"
    )


def _remark(note: str) -> str:
    return f" ({note})" if note else ""


def _windows(size: Size) -> list[Text]:
    """Return the padded axis, and below it the inputs of each output."""
    axis = size.axis
    inputs = ["·"] * size.begin + [str(i) for i in range(axis.size)] + ["·"] * size.end
    lines = [Text("input    " + " ".join(inputs))]
    for output in range(size.out):
        read = range(output * axis.stride, output * axis.stride + axis.span, axis.dilation)
        marks = ["#" if i in read else " " for i in range(len(inputs))]
        lines.append(Text(f"output {output} " + " ".join(marks), style=channel_style(output)))
    return lines


NAMES: list[Column[Option]] = [
    Column("", lambda option: option.option, 1, "left"),
    Column("PyTorch", lambda option: option.torch, 2, "left"),
    Column("Keras", lambda option: option.keras, 3, "left"),
    Column("ONNX", lambda option: option.onnx, 4, "left"),
]
