"""Print what pyproject.toml asks for, pinned to its lower bounds: requirements for pip.

``python .ci/floors.py > floors.txt && python -m pip install -r floors.txt '.[test]'``
"""  # noqa: INP001  # a script, no package

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"

EXTRAS = ("test", "peers", "plot", "report", "onnx")
"""What a user installs. The linters of ``dev`` are not part of what runs."""

TOO_LARGE = {"torch"}
"""PyPI's builds bring several gigabytes of libraries for GPUs."""

_BOUNDED = re.compile(r"(?P<name>[A-Za-z0-9_-]+)>=(?P<version>[0-9.]+)")


def floors() -> list[str]:
    """Return ``name==version`` of every requirement; ValueError for one without a lower bound."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    metadata = project["project"]
    wanted = [*project["build-system"]["requires"], *metadata["dependencies"]]
    for extra in EXTRAS:
        wanted += metadata["optional-dependencies"][extra]
    pinned = []
    for requirement in wanted:
        found = _BOUNDED.fullmatch(requirement)
        if found is None:
            raise ValueError(f"{requirement!r} in {PROJECT.name}: write NAME>=VERSION")
        if found["name"] not in TOO_LARGE:
            pinned.append(f"{found['name']}=={found['version']}")
    return sorted(set(pinned))


if __name__ == "__main__":
    sys.stdout.write("\n".join(floors()) + "\n")
