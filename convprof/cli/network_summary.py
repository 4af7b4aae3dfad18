"""``convprof network --list`` and ``convprof network NAME --summary``: nothing is run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from convprof.cli.driver import Driver
from convprof.errors import InputError, ProblemError

if TYPE_CHECKING:
    from convprof.cli.outputs import Outputs
    from convprof.networks import Network


def show_list(flags: dict[str, Any], outputs: Outputs) -> int:  # noqa: ARG001
    """Show every network at the size that its totals were published for."""
    from convprof import networks
    from convprof.networks.summary import summarise
    from convprof.render import network_summary as view

    driver = Driver(outputs)
    summaries = [summarise(networks.network(name)) for name in networks.names()]
    found = [{**summary.to_json(), "layers": len(summary.rows)} for summary in summaries]
    document = _document("networks", found)
    driver.files(
        {
            "json": lambda: _to_json(document),
            "csv": lambda: view.list_csv(document),
            "markdown": lambda: view.list_markdown(summaries),
        }
    )
    driver.show(lambda: view.list_report(driver.stdout, summaries))
    return driver.code(0)


def show_summary(flags: dict[str, Any], outputs: Outputs) -> int:
    """Show the layers of one network; InputError for a name or a size that does not exist."""
    from convprof.networks.summary import summarise
    from convprof.render import network_summary as view

    driver = Driver(outputs)
    summary = summarise(network_from(flags))
    document = _document("network", summary.to_json())
    driver.files(
        {
            "json": lambda: _to_json(document),
            "csv": lambda: view.summary_csv(document),
            "markdown": lambda: view.summary_markdown(summary),
        }
    )
    driver.show(lambda: view.summary_report(driver.stdout, summary))
    return driver.code(0)


def network_from(flags: dict[str, Any]) -> Network:
    """Return the network that NAME, --image, --mb and --dim mean; errors name the flags."""
    from convprof import networks
    from convprof.cli import network_file

    if network_file.is_file(flags["name"]):
        return network_file.network_from_file(flags)
    if flags["dim"]:
        raise InputError(
            f"--dim {flags['dim'][0]} is for ONNX files; {flags['name']} takes --image and --mb"
        )
    mb = 1 if flags["mb"] is None else flags["mb"]
    try:
        return networks.network(flags["name"].lower(), mb, flags["image"])
    except ProblemError as error:
        text = str(error)
        for key in ("image", "mb"):
            text = text.replace(f": {key}=", f": --{key} ")
        raise InputError(text) from None


def _document(key: str, value: Any) -> dict[str, Any]:
    from convprof import __version__
    from convprof.networks.summary import CONVENTION
    from convprof.results import SCHEMA_VERSION, plain

    return {
        "schema_version": SCHEMA_VERSION,
        "tool_version": __version__,
        "counting": list(CONVENTION),
        key: plain(value),
    }


def _to_json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, allow_nan=False) + "\n"
