"""A page as the document of ``convprof study --json``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from convprof import __version__
from convprof.machine import facts
from convprof.results import SCHEMA_VERSION, plain

if TYPE_CHECKING:
    from convprof.machine.noise import NoiseWatch
    from convprof.studies.single.page import Page


def document(
    page: Page, settings: dict[str, Any], watch: NoiseWatch, *, interrupted: bool
) -> dict[str, Any]:
    """Return the page in JSON types: SI units, null for unknown, never NaN."""
    known = facts()
    noise = [dataclasses.asdict(finding) for finding in watch.findings()]
    made: dict[str, Any] = plain(
        {
            "schema_version": SCHEMA_VERSION,
            "kind": "study",
            "tool_version": __version__,
            "machine": {**known.identity(), "key": known.identity_key()},
            "state": {**watch.state(), "noise": noise},
            "settings": {**settings, **page.settings},
            "study": page.study,
            "title": page.title,
            "facts": page.facts,
            "sections": [
                {"title": s.title, "unit": s.unit.name, "cycles_per": s.cycles_per, "rows": s.rows}
                for s in page.sections
            ],
            "findings": [
                {**dataclasses.asdict(f), "difference": f.difference} for f in page.findings
            ],
            "interrupted": interrupted,
        }
    )
    return made
