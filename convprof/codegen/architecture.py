"""One name for each architecture, on all operating systems."""

from __future__ import annotations

X86, ARM = "x86_64", "aarch64"
_NAMES = {"amd64": X86, "arm64": ARM}


def architecture(machine: str) -> str:
    """Return ``x86_64``, ``aarch64``, or for others the name from ``platform.machine()``."""
    lower = machine.lower()
    return _NAMES.get(lower, lower)
