"""The environment variables with which convprof was started, before it sets some of its own."""

from __future__ import annotations

import os

_saved: dict[str, str] | None = None


def save() -> None:
    """Remember the variables of this process."""
    global _saved  # noqa: PLW0603  # the environment belongs to the process
    _saved = dict(os.environ)


def variables() -> dict[str, str]:
    """Return the variables that a program of the user gets."""
    return dict(os.environ if _saved is None else _saved)
