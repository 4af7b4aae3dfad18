"""Where convprof keeps between two commands what took time to find out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "CONVPROF_CACHE_DIR"


def folder(kind: str) -> Path:
    """Return the folder for files of a kind: CONVPROF_CACHE_DIR, or one in the user's cache folder.

    The folder that the variable names is one for all kinds; their files' names tell them apart.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "convprof" / kind
