"""The document itself inside a report: to read if it is short, and to save."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from typing import Any

MOST_SHOWN = 200_000
"""The most characters that a page shows."""
MOST_PACKED = 400_000
"""The most compressed bytes that a page has for saving."""


@dataclass(frozen=True, slots=True)
class Raw:
    """The forms of a document that a page has; None for what would be too large."""

    text: str | None
    link: str | None
    """A link to save the document as JSON compressed by gzip: it needs no script."""


def raw(document: dict[str, Any] | None) -> Raw:
    """Return the forms of a document."""
    if document is None:
        return Raw(None, None)
    text = json.dumps(document, indent=1, ensure_ascii=False)
    packed = gzip.compress(text.encode("utf-8", errors="backslashreplace"), mtime=0)
    return Raw(
        text if len(text) <= MOST_SHOWN else None,
        f"data:application/gzip;base64,{base64.b64encode(packed).decode()}"
        if len(packed) <= MOST_PACKED
        else None,
    )
