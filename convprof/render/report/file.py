"""Writing a report; needs the extra `report` (jinja2 and matplotlib), imported when it is used."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from convprof.atomic_files import one_line
from convprof.errors import InputError
from convprof.render import files
from convprof.version import VERSION

if TYPE_CHECKING:
    from convprof.render.report.page import Page

SUFFIXES = (".html", ".htm")
PACKAGES = ("jinja2", "matplotlib")
_FOLDER = Path(__file__).parent


def require(path: str, flag: str = "--report") -> None:
    """Raise InputError unless a report can be written to `path`. Call it before measuring."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        end = f"ends in {suffix!r}" if suffix else "has no suffix"
        raise InputError(f"{flag} {one_line(path)}: the name {end}; use .html")
    files.check_writable(path, flag, stdout=False)
    lacking = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if lacking:
        raise InputError(
            f"{flag} {one_line(path)}: reports need {' and '.join(lacking)}: "
            "pip install 'convprof[report]'"
        )


def write(page: Page, path: str) -> None:
    """Write the page; readers see the old or the complete new file."""
    files.write_atomically(path, html(page))


def html(page: Page) -> str:
    """Return the page: every text of a document, a file or a user is escaped by the template."""
    import jinja2

    from convprof.render.report import facts, raw, views

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_FOLDER / "report.js").read_text(encoding="utf-8")
    document = page.document or {}
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts, charts = views.parts(page), views.charts(page)
    measured, known = facts.measurements(document), facts.facts(document)
    links = {
        "answer": True,
        "results": parts,
        "charts": charts,
        "measurements": measured,
        "remarks": page.remarks,
        "machine": known,
        "document": page.document,
    }
    return environment.get_template("report.html.j2").render(
        page=page,
        version=VERSION,
        links=[name for name, content in links.items() if content],
        title=f"{' '.join(page.command.split()[:3])} · {page.date}",
        parts=parts,
        every=views.tables_of(measured, "measurements"),
        shown=facts.MOST_MEASUREMENTS,
        measured=len(document.get("measurements") or ()),
        facts=views.tables_of(known, "facts"),
        charts=charts,
        raw=raw.raw(page.document),
        style=(_FOLDER / "report.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=f"sha256-{digest}",
    )
