"""The first code of a process in another environment: reports what is there.

The environment's Python runs this file by its path, and may be older than convprof allows: only the
standard library of Python 3.7 is used until the reply is written. Where convprof is not installed,
the package of this file is used. Every other package is the environment's own.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module, util
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[2]
NAME = "convprof"
OLDEST = (3, 11)
"""The lowest version of Python that convprof runs on."""


def main() -> None:
    """Answer one request with what the environment has; then serve contestants."""
    replies = os.dup(1)
    os.dup2(2, 1)  # packages may print while they are imported
    request = json.loads(_line())
    reply = _facts(request)
    os.write(replies, json.dumps(reply).encode() + b"\n")
    os.dup2(replies, 1)
    os.close(replies)
    if reply["protocol"] == request["protocol"]:
        worker = import_module(f"{NAME}.measure.isolated.worker")
        worker.serve(import_module(f"{NAME}.strategies.registry").find)


def _line() -> bytes:
    """Return the first line of standard input, and read nothing after it."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit()
        line += byte
    return line


def _facts(request: dict[str, Any]) -> dict[str, Any]:
    """Return the version of Python, and if it is new enough what else there is."""
    facts: dict[str, Any] = {
        "python": list(sys.version_info[:3]),
        "packages": {},
        "modules": [],
        "convprof": None,
        "folder": "",
        "lent": False,
        "protocol": None,
    }
    if sys.version_info >= OLDEST:
        facts["packages"] = _versions(request["packages"])
        facts["modules"] = [name for name in request["modules"] if util.find_spec(name)]
        facts["lent"] = util.find_spec(NAME) is None
        if facts["lent"]:
            _lend()
        package = import_module(NAME)
        facts["convprof"] = str(getattr(package, "__version__", "unknown"))
        facts["folder"] = str(Path(str(package.__file__)).parent)
        facts["protocol"] = _protocol()
    facts["cpu_s"] = time.process_time()
    return facts


def _versions(names: list[str]) -> dict[str, str]:
    """Return the versions of the packages that are installed."""
    from importlib import metadata

    versions = {}
    for name in names:
        try:
            versions[name] = str(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
    return versions


def _lend() -> None:
    """Let this environment import the package of this file, and nothing next to it."""
    initial = str(PACKAGE / "__init__.py")
    spec = util.spec_from_file_location(NAME, initial, submodule_search_locations=[str(PACKAGE)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{initial} cannot be imported")
    module = util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)


def _protocol() -> int:
    """Return the number of the messages; 0 for a convprof that did not number them."""
    try:
        isolated = import_module(f"{NAME}.measure.isolated")
    except ImportError:
        return 0
    return int(getattr(isolated, "PROTOCOL", 0))


if __name__ == "__main__":
    main()
