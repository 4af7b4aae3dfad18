"""The network that NAME means where it is a file: ONNX, with ``--dim`` for what it leaves open."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.problems.checks import MAX_SIZE, shown

if TYPE_CHECKING:
    from convprof.networks import Network

_SUFFIX = ".onnx"
_DIGITS = re.compile(r"[0-9]+")
_MOST_DIGITS = 10
_SEVERAL = re.compile(r"[^,=]+=[0-9]+(,[^,=]+=[0-9]+)+")


def is_file(name: str) -> bool:
    """Whether NAME ends in .onnx, or is a file and no network's name."""
    from convprof import networks

    if name.lower().endswith(_SUFFIX):
        return True
    try:
        return name.lower() not in networks.names() and Path(name).is_file()
    except (OSError, ValueError):  # too long, or a null byte
        return False


def network_from_file(flags: dict[str, Any]) -> Network:
    """Return the network in the file NAME; what differs from the file goes to stderr."""
    from convprof.networks.onnx import load
    from convprof.render import console

    dims = dims_from(flags["dim"])
    for key in ("image", "mb"):
        if flags[key] is not None:
            raise InputError(
                f"--{key} is for the networks of --list; "
                "an ONNX file's open dimensions are set by name: --dim NAME=SIZE"
            )
    imported = load(flags["name"], dims)
    if not flags["quiet"]:
        for note in imported.notes:
            console.say(console.stderr(flags["color"]), f"note: {note}")
    return imported.network


def dims_from(texts: tuple[str, ...]) -> dict[str, int]:
    """Return the sizes of ``NAME=SIZE`` by name; InputError for what is no such pair."""
    dims: dict[str, int] = {}
    for text in texts:
        if _SEVERAL.fullmatch(text):
            each = " ".join(f"--dim {part.strip()}" for part in text.split(","))
            raise InputError(f"--dim {shown(text)}: one --dim each: {each}")
        name, equals, number = text.rpartition("=")
        if not equals or not name or not _DIGITS.fullmatch(number):
            raise InputError(f"--dim {shown(text)}: write NAME=SIZE, such as --dim batch=1")
        number = number.lstrip("0") or "0"
        if len(number) > _MOST_DIGITS or not 1 <= int(number) <= MAX_SIZE:
            raise InputError(f"--dim {shown(text)}: use a size between 1 and {MAX_SIZE}")
        if name in dims:
            raise InputError(f"--dim {shown(text)}: {shown(name)} is set twice")
        dims[name] = int(number)
    return dims
