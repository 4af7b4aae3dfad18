"""Panels of horizontal bars with matplotlib; ratios as markers with intervals around 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from convprof.render.charts import palette
from convprof.render.charts.groups import bar_group
from convprof.render.charts.scale import MOST_ABOVE, Scale, text
from convprof.render.charts.sizes import (
    GRID_GREY,
    LINE_GREY,
    LINE_HEIGHT,
    POINTS,
    SMALL_SIZE,
    TEXT_SIZE,
    WIDTH,
)
from convprof.render.charts.wrapping import wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from convprof.render.charts.chart import Bar, Bars, Panel, Reference

BAR = 0.62
"""Height of a bar, as a share of the height of its row."""
NEUTRAL = "#7a8fa6"
"""The colour of bars without a strategy."""
NOTE_COLUMNS, LABEL_COLUMNS = 44, 34
PANEL_ROOM = 0.75
"""Inches of a panel for its title, its ticks and the label of its axis."""
BAR_ROOM = 0.10
"""Inches between the text of one bar and the text of the next."""
TICKS = 6
RATIO_TICKS = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50,
)  # fmt: skip
NEAR_TICK = 1.15
"""An axis of ratios reaches the next tick if the tick is at most this factor away."""
NARROW_RATIOS = 6.0
"""The ratio of the ends of an axis up to which the axis has fine ticks."""
HEADROOM = 1.04


def bars_height(chart: Bars) -> float:
    """Return the height in inches that the panels need."""
    return sum(map(_panel_height, chart.panels)) or PANEL_ROOM


def draw_bars(figure: Figure, chart: Bars) -> None:
    """Draw the panels one below the other; the bars of a panel decide its height."""
    if not chart.panels:
        return
    ratios = [_panel_height(panel) for panel in chart.panels]
    grid = figure.add_gridspec(len(chart.panels), 1, height_ratios=ratios)
    for number, panel in enumerate(chart.panels):
        _panel(figure.add_subplot(grid[number, 0]), panel, number)


def _panel_height(panel: Panel) -> float:
    rows = len(_reference_rows(panel.references, _scale(panel)))
    room = PANEL_ROOM + (0.3 if panel.title else 0.0)
    room += rows * LINE_HEIGHT * SMALL_SIZE / POINTS
    return room + sum(map(_bar_height, panel.bars))


def _bar_height(bar: Bar) -> float:
    lines = max(len(wrapped(bar.note, NOTE_COLUMNS)), len(wrapped(bar.label, LABEL_COLUMNS)), 1.2)
    return BAR_ROOM + lines * LINE_HEIGHT * SMALL_SIZE / POINTS


def _panel(axes: Axes, panel: Panel, number: int) -> None:
    scale = _scale(panel)
    axes.set_xscale("log" if scale.log else "linear")
    axes.set_xlim(scale.low, scale.high)
    places = _places(panel.bars)
    axes.set_ylim(sum(map(_bar_height, panel.bars)) or 1.0, 0.0)
    for place, (bar, y) in enumerate(zip(panel.bars, places, strict=True)):
        _bar(axes, bar, y, bar_group(number, place), ratios=panel.ratios)
    _ticks(axes, panel, scale, places)
    _references(axes, panel.references, scale)
    axes.set_xlabel(panel.x_label, fontsize=TEXT_SIZE)
    if panel.title:
        rows = len(_reference_rows(panel.references, scale))
        pad = 5 + rows * LINE_HEIGHT * SMALL_SIZE
        axes.set_title(panel.title, loc="left", fontsize=TEXT_SIZE, weight="bold", pad=pad)


def _places(bars: Sequence[Bar]) -> list[float]:
    """Return the middle of each bar, in inches from the top of the panel."""
    places, top = [], 0.0
    for bar in bars:
        height = _bar_height(bar)
        places.append(top + height / 2)
        top += height
    return places


def _scale(panel: Panel) -> Scale:
    """Return the x axis: bars begin at 0; ratios have 1 and every interval on a log axis."""
    ends = [v for bar in panel.bars for v in (bar.value, bar.low, bar.high, bar.expected) if v]
    ends += [reference.x for reference in panel.references]
    if not panel.ratios:
        most = MOST_ABOVE * max((bar.value for bar in panel.bars), default=0.0)
        whole = [v for bar in panel.bars for v in (bar.value, bar.expected) if v]
        cut = [min(bar.high, most) for bar in panel.bars if bar.high]
        ends = [*whole, *cut, *(reference.x for reference in panel.references)]
        return Scale(0.0, max(ends, default=1.0) * HEADROOM)
    ends = [end for end in ends if end > 0] + [1.0]
    low, high = min(ends), max(ends)
    room = max(1.05, (high / low) ** 0.06)
    return _to_ticks(Scale(low / room, high * room, log=True))


def _to_ticks(scale: Scale) -> Scale:
    """Return an axis of ratios whose ends are ticks, where ticks are near."""
    below = [tick for tick in RATIO_TICKS if scale.low / NEAR_TICK <= tick <= scale.low]
    above = [tick for tick in RATIO_TICKS if scale.high <= tick <= scale.high * NEAR_TICK]
    return Scale(max(below, default=scale.low), min(above, default=scale.high), log=True)


def _bar(axes: Axes, bar: Bar, y: float, group: str, *, ratios: bool) -> None:
    look = palette.look_of(bar.subject) if bar.subject else None
    color = look.color if look else NEUTRAL
    hollow = bool(bar.variant % 2)
    height = BAR * min(_bar_height(bar), 0.34)
    if ratios:
        face = "white" if hollow else color
        marker = look.marker if look else "o"
        axes.plot(
            [bar.value], [y], marker=marker, markersize=8, color=color, markerfacecolor=face,
            markeredgewidth=1.4, linestyle="none", zorder=4, gid=group,
        )  # fmt: skip
    else:
        face = "white" if hollow else color
        axes.barh(
            y, bar.value, height, facecolor=face, edgecolor=color, linewidth=1.4,
            hatch="////" if hollow else None, zorder=3, gid=group,
        )  # fmt: skip
    if bar.low is not None and bar.high is not None:
        spread = ([max(0.0, bar.value - bar.low)], [max(0.0, bar.high - bar.value)])
        # On a bar, a white line under the black one: visible on every colour.
        for width, line in ((3.2, "white"), (1.2, "black")) if not ratios else ((1.2, color),):
            axes.errorbar(
                [bar.value], [y], xerr=spread, fmt="none", zorder=5,
                ecolor=line, elinewidth=width, capsize=3, capthick=width,
            )  # fmt: skip
    if bar.expected is not None:
        axes.barh(
            y, bar.expected, height * 1.25, facecolor="none", edgecolor=color,
            linestyle=(0, (4, 2.5)), linewidth=1.4, zorder=4,
        )  # fmt: skip
    _note(axes, bar, y)


def _note(axes: Axes, bar: Bar, y: float) -> None:
    if bar.note:
        axes.annotate(
            "\n".join(wrapped(bar.note, NOTE_COLUMNS)),
            (1.0, y),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL_SIZE,
            annotation_clip=False,
        )


def _ticks(axes: Axes, panel: Panel, scale: Scale, places: Sequence[float]) -> None:
    ticks = _ratio_ticks(scale) if panel.ratios else scale.ticks(TICKS)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FixedFormatter([text(value) for value in ticks]))
    labels = ["\n".join(wrapped(bar.label, LABEL_COLUMNS)) for bar in panel.bars]
    axes.set_yticks(list(places), labels, fontsize=SMALL_SIZE + 1)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=SMALL_SIZE + 1)
    axes.grid(axis="x", color=GRID_GREY, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _ratio_ticks(scale: Scale) -> list[float]:
    """Return round ratios on the axis; near 1 only with enough room for their labels."""
    ticks = [value for value in RATIO_TICKS if scale.holds(value)]
    if scale.high / scale.low > NARROW_RATIOS:
        ticks = [value for value in ticks if f"{value:g}".strip("0.") in ("1", "2", "5")]
    elif scale.high / scale.low > 2:  # noqa: PLR2004  # a factor in both directions
        ticks = [value for value in ticks if value not in (0.9, 1.1)]
    return ticks


def _references(axes: Axes, references: Sequence[Reference], scale: Scale) -> None:
    """Draw the lines; label each above the axes, in further rows if labels would touch."""
    for row, members in enumerate(_reference_rows(references, scale)):
        for reference in members:
            axes.axvline(reference.x, color=palette.CEILING, linewidth=1.5, zorder=2.5)
            axes.annotate(
                reference.label,
                (reference.x, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3 + row * LINE_HEIGHT * SMALL_SIZE),
                textcoords="offset points",
                ha=_side(scale.share(reference.x)),
                va="bottom",
                fontsize=SMALL_SIZE,
                color=LINE_GREY,
                annotation_clip=False,
            )


def _side(share: float) -> str:
    """Return the end of a label that is at its line, so that the label stays above the axes."""
    if share < 0.3:  # noqa: PLR2004  # the left third
        return "left"
    return "right" if share > 0.7 else "center"  # noqa: PLR2004  # the right third


def _reference_rows(references: Sequence[Reference], scale: Scale) -> list[list[Reference]]:
    """Return the references in rows of labels that do not touch, the lowest row first."""
    rows: list[list[Reference]] = []
    ends: list[float] = []
    for reference in sorted(references, key=lambda one: one.x):
        share = scale.share(reference.x)
        width = len(reference.label) * SMALL_SIZE * 0.6 / POINTS / (WIDTH / 2)
        begin = share - {"left": 0.0, "center": 0.5, "right": 1.0}[_side(share)] * width
        row = next((k for k, end in enumerate(ends) if begin > end), len(rows))
        rows[row : row + 1] = [[*(rows[row] if row < len(rows) else []), reference]]
        ends[row : row + 1] = [begin + width]
    return rows
