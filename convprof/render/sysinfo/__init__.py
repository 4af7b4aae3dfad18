"""The ``sysinfo`` document as panels on a terminal, and as plain headings and lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from convprof.render.sysinfo import hardware, system
from convprof.render.sysinfo.hardware import Lookup, Section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console, JustifyMethod, RenderableType

    Builder = Callable[[Lookup], Section | None]

WIDTH = 100
"""The widest line: longer lines are hard to read, so long lists wrap."""
TWO_COLUMNS_FROM = 120
TWO_COLUMNS_WIDTH = 140
INDENT = 2

LEFT: tuple[Builder, ...] = (hardware.cpu, hardware.simd, hardware.cores, system.software)
RIGHT: tuple[Builder, ...] = (
    hardware.caches,
    system.memory_and_system,
    system.clock_and_ceilings,
    system.notes,
)
"""The columns of a wide terminal. The right one has the tables and gets a little more room."""

ORDER = (*LEFT[:-1], *RIGHT[:-1], LEFT[-1], RIGHT[-1])
"""The order of the sections in one column: software and notes come last."""


def show(console: Console, document: dict[str, Any], *, boxed: bool) -> None:
    """Print the document: in panels if ``boxed``, else as headings and indented lines."""
    get = Lookup(document)
    sections = {build: build(get) for build in ORDER}
    present = {build: section for build, section in sections.items() if section is not None}
    labels = max(len(label) for section in present.values() for label, _ in section.rows)
    if boxed:
        panels = {build: _panel(section, labels) for build, section in present.items()}
        _print_panels(console, panels)
    else:
        _print_plain(console, list(present.values()), labels)


def _print_panels(console: Console, panels: Mapping[Builder, Panel]) -> None:
    if console.width < TWO_COLUMNS_FROM:
        console.print(Group(*panels.values()), width=min(console.width, WIDTH))
        return
    grid = Table.grid(expand=True, padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column(ratio=5)
    grid.add_column(ratio=6)
    sides = ([panels[build] for build in side if build in panels] for side in (LEFT, RIGHT))
    grid.add_row(*(Group(*side) for side in sides))
    console.print(grid, width=min(console.width, TWO_COLUMNS_WIDTH))


def _print_plain(console: Console, sections: Sequence[Section], labels: int) -> None:
    parts: list[RenderableType] = []
    for section in sections:
        parts += [Text()] if parts else []
        parts.append(Text(section.title, style="bold"))
        parts.append(Padding(_body(section, labels), (0, 0, 0, INDENT), expand=False))
    with console.capture() as capture:
        console.print(Group(*parts), width=min(console.width, WIDTH))
    # Rich fills every cell with spaces, which a file does not need.
    console.file.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))
    console.file.flush()


def _panel(section: Section, labels: int) -> Panel:
    title = Text(section.title, style="bold")
    return Panel(_body(section, labels), title=title, title_align="left", border_style="dim")


def _body(section: Section, labels: int) -> RenderableType:
    parts: list[RenderableType] = []
    if section.rows:
        parts.append(_rows(section, labels))
    if section.table:
        parts.append(_table(section.table, space_above=bool(section.rows)))
    parts += [Text(line, style="dim") for line in section.legend]
    parts += [_bullet(line) for line in section.notes]
    return Group(*parts)


def _rows(section: Section, labels: int) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(min_width=labels, no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in section.rows:
        grid.add_row(Text(label, style="cyan"), _value(value))
    return grid


def _table(table: Sequence[Sequence[str | None]], *, space_above: bool) -> RenderableType:
    """Return a table without lines: names in the first column, numbers in the others."""
    header, *rows = table
    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="cyan")
    for position, name in enumerate(header):
        justify: JustifyMethod = "right" if position else "left"
        shown.add_column(Text(name or ""), justify=justify, overflow="fold")
    for row in rows:
        shown.add_row(*map(_value, row))
    return Padding(shown, (1 if space_above else 0, 0, 0, 0), expand=False)


def _bullet(line: str) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(Text("-"), Text(line, style="yellow", overflow="fold"))
    return grid


def _value(value: str | None) -> Text:
    return Text("unknown", style="dim") if value is None else Text(value)
