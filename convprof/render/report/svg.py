"""A chart as SVG inside a page: unique ids, colours of the page, a title for every point."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.render.charts.picture import drawn
from convprof.render.charts.sizes import GRID_GREY, LINE_GREY
from convprof.render.report.values import marks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.render.charts.chart import Drawable
    from convprof.render.report.values import ValueRow

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_HREF = f"{{{LINK}}}href"
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Characters that XML does not have; a name of a layer may have them."""
_URL = re.compile(r"url\(#([^)]+)\)")
_LEFT_OUT = tuple(f"{{{SVG}}}{tag}" for tag in ("metadata", "style", "title"))
_COLOURS = {
    "#000000": "var(--ink)",
    "#ffffff": "var(--paper)",
    LINE_GREY: "var(--grey)",
    "#555555": "var(--grey)",
    GRID_GREY: "var(--grid)",
    "#0072b2": "var(--blue)",
    "#d55e00": "var(--vermilion)",
    "#009e73": "var(--green)",
    "#56b4e9": "var(--sky)",
}
"""Colours that follow the page, which is light or dark; the others can be read on both."""
_PAINT = re.compile(r"\b(fill|stroke|stop-color):\s*(#[0-9a-f]{6})")


def inline(chart: Drawable, name: str) -> str:
    """Return the `svg` element without title; all ids begin with `name`.

    Points link to the rows of the table of values.
    """
    bare = replace(chart, title="", subtitle="", caption="")  # the page has them as text
    root = ET.fromstring(_CONTROL.sub(b"?", drawn(bare, ".svg")))  # noqa: S314  # our own
    for parent in root.iter():
        for child in list(parent):
            if child.tag in _LEFT_OUT:
                parent.remove(child)
    for attribute in ("width", "height"):
        root.attrib.pop(attribute, None)
    _points(root, chart, name)
    for element in root.iter():
        _rename(element, name)
        if not chart.has_own_colours:
            _recolour(element)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title")
    root.set("aria-describedby", f"{name}-description")
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", LINK)
    return ET.tostring(root, encoding="unicode")


def _points(root: ET.Element, chart: Drawable, name: str) -> None:
    """Put each mark into a link to its row, with the values as its title."""
    groups = {element.get("id"): element for element in root.iter() if element.get("id")}
    for group, rows in marks(chart).items():
        if group in groups:
            for (parent, mark), row in zip(_marks(groups[group]), rows, strict=False):
                _link(parent, mark, row, name)


def _marks(group: ET.Element) -> list[tuple[ET.Element, ET.Element]]:
    """Return the markers of a line, or the shape of a bar, each with its parent."""
    uses = list(_children(group, "use"))
    return uses or list(_children(group, "path"))[:1]


def _children(group: ET.Element, tag: str) -> Iterator[tuple[ET.Element, ET.Element]]:
    for parent in group.iter():
        if parent.tag != f"{{{SVG}}}defs":
            yield from ((parent, child) for child in parent if child.tag == f"{{{SVG}}}{tag}")


def _link(parent: ET.Element, mark: ET.Element, row: ValueRow, name: str) -> None:
    link = ET.Element(
        f"{{{SVG}}}a",
        {
            "href": f"#{name}-values-{row.id}",
            "class": "point",
            "data-key": row.key,
            "tabindex": "-1",
        },
    )
    ET.SubElement(link, f"{{{SVG}}}title").text = row.title
    position = list(parent).index(mark)
    parent.remove(mark)
    link.append(mark)
    parent.insert(position, link)


def _rename(element: ET.Element, name: str) -> None:
    own = element.get("id")
    if own is not None:
        element.set("id", f"{name}-{own}")
    target = element.get(_HREF, "")
    if target.startswith("#"):
        element.set(_HREF, f"#{name}-{target[1:]}")
    for key, value in element.attrib.items():
        if "url(#" in value:
            element.set(key, _URL.sub(rf"url(#{name}-\1)", value))


def _recolour(element: ET.Element) -> None:
    style = element.get("style")
    if style is not None:
        element.set("style", _PAINT.sub(lambda m: f"{m[1]}: {_COLOURS.get(m[2], m[2])}", style))
    fill = element.attrib.pop("fill", None)  # of a hatched bar; an attribute has no variables
    if fill is not None:
        element.set("style", f"fill: {_COLOURS.get(fill, fill)}; {style or ''}")
