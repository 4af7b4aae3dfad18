"""``convprof network --list`` and ``convprof network NAME --summary``: nothing is run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convprof.cli.driver import Driver, Work
from convprof.cli.network import chain_options
from convprof.errors import InputError
from convprof.problems.checks import MAX_SIZE, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from convprof.cli.outputs import Outputs
    from convprof.networks.onnx import Imported
    from convprof.problems.graph import Network
    from convprof.render.files import Text
    from convprof.studies.answer import Answer


def show_list(flags: dict[str, Any], outputs: Outputs) -> int:  # noqa: ARG001
    """Show every network at the size that its totals were published for."""
    from convprof import networks
    from convprof.networks.summary import Listed, summarise
    from convprof.render.network import summary as view
    from convprof.studies.network.summary_answer import list_answer

    listed = [Listed.of(summarise(networks.network(name))) for name in networks.names()]
    document = _document("networks", [each.to_json() for each in listed])
    forms: dict[str, Callable[[], Text]] = {
        "json": lambda: _to_json(document),
        "csv": lambda: view.list_csv(listed),
        "markdown": lambda: view.list_markdown(listed),
    }
    return Driver(outputs).run(
        _Work(forms, lambda out: view.list_report(out, listed), list_answer(listed))
    )


def show_summary(flags: dict[str, Any], outputs: Outputs) -> int:
    """Show the layers of one network; InputError for a name or a size that does not exist."""
    from convprof.networks.summary import summarise
    from convprof.render.network import summary as view
    from convprof.studies.network.summary_answer import answer

    summary = summarise(network_from(flags))
    document = _document("network", summary.to_json())
    forms: dict[str, Callable[[], Text]] = {
        "json": lambda: _to_json(document),
        "csv": lambda: view.summary_csv(summary),
        "markdown": lambda: view.summary_markdown(summary),
    }
    return Driver(outputs).run(
        _Work(
            forms,
            lambda out: view.summary_report(out, summary),
            answer(summary, chain_options.command_line()),
        )
    )


class _Work(Work):
    """Write and print facts without a measurement."""

    measures = False

    def __init__(
        self,
        forms: dict[str, Callable[[], Text]],
        show: Callable[[Console], None],
        answer: Answer | None = None,
    ) -> None:
        self._forms, self._show, self._answer = forms, show, answer

    def answer(self) -> Answer | None:
        """Return the answer."""
        return self._answer

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the forms."""
        return self._forms

    def show(self, console: Console) -> None:
        """Print the table."""
        self._show(console)


def network_from(flags: dict[str, Any]) -> Network:
    """Return the network that NAME, --image, --mb and --dim mean."""
    from convprof import networks

    if has_weights(flags["name"]):
        return imported_from(flags).network
    if flags["output"]:
        raise InputError(f"--output {flags['output'][0]} is for ONNX files")
    if flags["dim"]:
        raise InputError(
            f"--dim {flags['dim'][0]} is for ONNX files; {flags['name']} takes --image and --mb"
        )
    mb = 1 if flags["mb"] is None else flags["mb"]
    return networks.network(flags["name"].lower(), mb, flags["image"])


def _document(key: str, value: Any) -> dict[str, Any]:
    from convprof.networks.summary import CONVENTION
    from convprof.results import envelope

    return envelope(key, counting=list(CONVENTION), **{key: value})


def _to_json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


# A NAME that is a file: ONNX, with ``--dim`` for its open dimensions.

_SUFFIX = ".onnx"
_SCRIPT = re.compile(r"(?P<path>.+\.py):(?P<function>[A-Za-z_]\w*)", re.DOTALL)
"""A function in a Python script: ``script.py:make_model``."""
_DIGITS = re.compile(r"[0-9]+")
_MOST_DIGITS = 10
_SEVERAL = re.compile(r"[^,=]+=[0-9]+(,[^,=]+=[0-9]+)+")


def has_weights(name: str) -> bool:
    """Whether NAME is an ONNX file or a function of a script, which has weights of its own."""
    return _SCRIPT.fullmatch(name) is not None or is_file(name)


def is_file(name: str) -> bool:
    """Whether NAME ends in .onnx, or is a file and not the name of a network."""
    from convprof import networks

    if name.lower().endswith(_SUFFIX):
        return True
    try:
        return name.lower() not in networks.names() and Path(name).is_file()
    except (OSError, ValueError):  # too long, or a null byte
        return False


def imported_from(flags: dict[str, Any]) -> Imported:
    """Return what NAME, a file or a script, has; differences from it are printed on stderr."""
    from convprof.networks.onnx.load import WEIGHTS_NOTE
    from convprof.render import console

    dims = dims_from(flags["dim"])
    for key in ("image", "mb"):
        if flags[key] is not None:
            raise InputError(
                f"--{key} is for the networks of --list; "
                "an ONNX file's open dimensions are set by name: --dim NAME=SIZE"
            )
    imported = _read(flags["name"], dims, flags["output"])
    if not flags["quiet"]:
        notes = (*imported.notes, *(() if flags["real_weights"] else (WEIGHTS_NOTE,)))
        for note in notes:
            console.say(console.stderr(flags["color"]), f"note: {note}")
    return imported


def _read(name: str, dims: dict[str, int], outputs: tuple[str, ...]) -> Imported:
    from convprof.networks.onnx import load
    from convprof.networks.onnx.from_torch import from_script

    script = _SCRIPT.fullmatch(name)
    if script is None:
        return load(name, dims, outputs)
    if dims:
        raise InputError("--dim is for ONNX files; a script's example input has the sizes")
    return from_script(script["path"], script["function"], outputs)


def dims_from(texts: tuple[str, ...]) -> dict[str, int]:
    """Return the sizes of ``NAME=SIZE`` by name; InputError for any other text."""
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
