"""The page about self-attention over the patches of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from convprof.render.explain.checks import checked
from convprof.render.explain.grid import Cell, Labels, channel_style, grid, numbers
from convprof.render.explain.page import GAP, Block, Page, counted
from convprof.studies.explain.attention import layers_to_reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from rich.console import Console

    from convprof.studies.explain.attention import AttentionPage

    Array = np.ndarray[Any, Any]

QUERY, KEY, VALUE, RESULT = "#e69f00", "#56b4e9", "#009e73", "#cc79a7"
VIT_SIDE = 14
"""Patches across the image of ViT-B/16."""


def show(console: Console, page: AttentionPage) -> None:
    """Print the page."""
    out = Page(console)
    out.heading(
        "attention",
        f"{page.side}x{page.side} patches of an image, one head of "
        f"{counted(page.problem.dim, 'feature')}",
    )
    out.prose(_conclusion(page))
    _tokens(out, page)
    _row(out, page)
    _softmax(out, page)
    _reach(out, page)
    out.check(_checked(page))


def _conclusion(page: AttentionPage) -> str:
    n, dim = page.problem.tokens, page.problem.dim
    return (
        f"Each of {n} patches takes a weighted mean of the values of all {n} patches. The weights "
        f"of a patch are a softmax over {n} scores, its query times each key, and sum to 1: they "
        "depend on what the patches show, not on where they are. A 3x3 convolution has the same "
        "weights everywhere and reads neighbours only. The price: "
        f"{n} x {n} scores of {counted(dim, 'product')} each, so the work grows with the square "
        "of the number of patches."
    )


def _names(page: AttentionPage) -> list[str]:
    return [str(token) for token in range(page.problem.tokens)]


def _tokens(out: Page, page: AttentionPage) -> None:
    out.section("1. Patches of 2x2 pixels are tokens; Q = T Wq, K = T Wk, V = T Wv")
    left = [Labels("patch", _names(page))]
    numbered = [[Cell(str(i * page.side + j)) for j in range(page.side)] for i in range(page.side)]
    out.side_by_side(
        [
            Block("image", grid(numbers(page.image))),
            Block("patches", grid(numbered)),
            *(
                Block(name, grid(numbers(matrix, style=style)))
                for name, matrix, style in zip(
                    ("Wq", "Wk", "Wv"), page.projections, (QUERY, KEY, VALUE), strict=True
                )
            ),
        ]
    )
    out.side_by_side(
        [
            Block("tokens T", grid(numbers(page.tokens), left=left)),
            Block("queries Q", grid(numbers(page.q, style=QUERY), left=left)),
            Block("keys K", grid(numbers(page.k, style=KEY), left=left)),
            Block("values V", grid(numbers(page.v, style=VALUE), left=left)),
        ]
    )
    out.note("here the weights W are drawn; a network learns them, and adds a position to a token")


def _row(out: Page, page: AttentionPage) -> None:
    t, dim = page.token, page.problem.dim
    out.section(f"2. One row by hand: patch {t}, query ({_listed(page.q[t])})")
    head = [Labels("patch", _names(page))]
    parts = (
        ("q*k", page.products[t], "", KEY),
        ("score", page.scores[t], ".2f", ""),
        ("exp", page.powers[t], ".3f", ""),
        ("weight", page.weights[t], ".3f", "bold"),
    )
    for name, values, form, style in parts:
        cells = [[Cell(format(value, form), style) for value in values.tolist()]]
        labels = [Labels("", [name.rjust(6)])]
        out.picture(_aligned(cells, labels, head if name == parts[0][0] else (), out.width))
    largest = page.scores[t].max()
    out.note(
        f"q*k: the sum of the products; score: q*k / sqrt({dim}); exp: of the score less the "
        f"largest, {largest:.2f}; weight: exp / {page.powers[t].sum():.3f}, their sum, so the "
        f"weights sum to {page.weights[t].sum():.3f}"
    )
    terms = [
        f"{weight:.3f}*({_listed(value)})"
        for weight, value in zip(page.weights[t].tolist(), page.v.tolist(), strict=True)
    ]
    out.note(f"output {t} = {' + '.join(terms)} = ({_listed(page.output[t], '.3f')})")


def _aligned(
    cells: list[list[Cell]], left: Sequence[Labels], head: Sequence[Labels], width: int
) -> list[Text]:
    """Return one line of numbers of six places each, so that successive lines are aligned."""
    wide = [[Cell(cell.text.rjust(5), cell.style) for cell in row] for row in cells]
    heads = [Labels(labels.name, [value.rjust(5) for value in labels.values]) for labels in head]
    return [line for line in grid(wide, width=width, left=left, head=heads) if line.plain.strip()]


def _listed(values: Any, form: str = "") -> str:
    return ", ".join(format(value, form) for value in list(values))


def _softmax(out: Page, page: AttentionPage) -> None:
    out.section("3. All rows: softmax(Q K^T / sqrt(dim)), and the outputs")
    cells = [
        [Cell(f"{value:.2f}", "bold" if value == max(row) else "") for value in row]
        for row in page.weights.tolist()
    ]
    head, left = [Labels("key", _names(page))], [Labels("query", _names(page))]
    sums = [[Cell(f"{value:.2f}")] for value in page.weights.sum(axis=1).tolist()]
    outputs = [[Cell(f"{value:.2f}", RESULT) for value in row] for row in page.output.tolist()]
    others = (("sum", sums), ("outputs", outputs))
    room = out.width - sum(GAP + Block(*_below(*other)).width for other in others)
    out.side_by_side(
        [
            Block("weights", grid(cells, width=room, left=left, head=head)),
            *(Block(*_below(*other)) for other in others),
        ]
    )
    same = f", within {page.order:.0e}" if page.order else ""
    out.note(
        "one row per patch, the largest weight bold. Patches in another order give the same "
        f"outputs in that order{same}: where a patch is plays no part"
    )


def _below(caption: str, cells: list[list[Cell]]) -> tuple[str, list[Text]]:
    """Return a picture with two empty lines above, as high as two lines of labels."""
    return caption, [Text(), Text(), *grid(cells)]


def _reach(out: Page, page: AttentionPage) -> None:
    out.section("4. Which patches reach the output of patch 0 (each patch is changed once)")
    blocks = [
        Block(f"3x3 conv, {counted(reach.layers, 'layer')}", _marks(reach.convolution))
        for reach in page.reaches
    ]
    blocks.append(Block("attention, 1 layer", _marks(page.reaches[0].attention)))
    out.side_by_side(blocks)
    out.note(
        f"# reaches it. From corner to corner of {page.side}x{page.side} patches a 3x3 convolution "
        f"needs {counted(layers_to_reach(page.side), 'layer')}, of {VIT_SIDE}x{VIT_SIDE} "
        f"{layers_to_reach(VIT_SIDE)}; attention needs one, of any size"
    )


def _marks(read: Array) -> list[Text]:
    return grid([[Cell("#", channel_style(0)) if each else Cell("-", "dim") for each in row]
                 for row in read.tolist()])  # fmt: skip


def _checked(page: AttentionPage) -> str:
    sums = float(abs(page.weights.sum(axis=1) - 1).max())
    return (
        checked(page.checked, counted(page.output.size, "output"), "in float64")
        + f"; every row of weights sums to 1 within {max(sums, 1e-16):.0e}"
    )
