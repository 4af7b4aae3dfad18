"""Environments for tests: shell scripts in the place of a Python."""

from __future__ import annotations

import json
import sys

from convprof.measure.isolated import PROTOCOL
from convprof.measure.isolated.examination import REQUIRED

FACTS = {
    "python": [3, 12, 1],
    "packages": {name: ".".join(map(str, least)) for name, least in REQUIRED.items()},
    "modules": [],
    "convprof": "9.9",
    "folder": "/somewhere/convprof",
    "lent": False,
    "protocol": PROTOCOL,
    "cpu_s": 0.0,
}


def script(folder, name, text):
    """Return the path of a program that a shell runs."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def answering(folder, name, *replies):
    """Return a program that answers each request with one of the replies, in order."""
    answers = [reply if isinstance(reply, str) else json.dumps(reply) for reply in replies]
    return script(folder, name, "\n".join(f"read line; echo '{answer}'" for answer in answers))


def same(folder, name, *before):
    """Return a program that is this Python; ``before``: words before its arguments."""
    return script(folder, name, f'exec {sys.executable} {" ".join(before)} "$@"')
