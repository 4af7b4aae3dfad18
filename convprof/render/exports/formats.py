"""The formats of ``--export`` by name: a format is a module, and a word of the option."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING

from convprof.render.exports.rows import rows

if TYPE_CHECKING:
    from convprof.results import Document


def export(document: Document, name: str) -> str:
    """Return a document in a format; InputError if nothing in it can be exported."""
    module = importlib.import_module(f"convprof.render.exports.{name.replace('-', '_')}")
    content = module.content(document, rows(document))
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
