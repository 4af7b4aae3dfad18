"""Hostile files of fleets and plans of networks, and what reads them."""

from __future__ import annotations

import functools
import io
import json
from typing import TYPE_CHECKING, Any

from hostile_documents import DOCUMENT, WHOLE
from hostile_making import documents, edited_json, mutated
from hypothesis import strategies as st

from convprof.results import SCHEMA_VERSION

if TYPE_CHECKING:
    from pathlib import Path

PROBLEM = {
    "kind": "gemm",
    "descriptor": "8x8:8x8",
    "name": None,
    "m": 8,
    "n": 8,
    "k": 8,
    "batch": 1,
}
OTHER = {**PROBLEM, "descriptor": "4x8:8x8", "m": 4}
HEAD = {
    "schema_version": SCHEMA_VERSION,
    "kind": "fleet",
    "tool_version": "0.1.0",
    "command": {
        "command": "fleet run", "problems": 2, "sha256": "0" * 64, "by": "host", "spread": False,
    },
    "options": {"strategy": ["tiled"], "threads": ["2"], "layout": ["all"]},
    "started": "2026-01-01T00:00:00+00:00",
}  # fmt: skip
RESULT = {
    **DOCUMENT,
    "schema_version": SCHEMA_VERSION,
    "kind": "result",
    "tool_version": "0.1.0",
    "state": {"core_hz": {"median": 2e9, "min": 2e9, "max": 2e9}, "noise": []},
    "measurements": [{**WHOLE, "problem": PROBLEM}],
    "comparisons": [],
    "networks": [],
    "interrupted": False,
}
LINE = {
    "problem": PROBLEM, "dtype": "f32", "count": 2, "control": False,
    "status": "finished", "reason": None, "document": RESULT,
}  # fmt: skip
LINES: list[Any] = [
    HEAD,
    {"index": 0, "host": "a", **LINE},
    {"index": 0, "host": "b", **LINE},
    {"index": 1, "host": "a", **LINE, "problem": OTHER, "status": "failed", "document": None},
]


@st.composite
def fleets(draw: st.DrawFn) -> bytes:
    """Draw a file of a fleet with a line or two changed; its end is seldom there."""
    whole = [json.dumps(line).encode() for line in LINES]
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(LINES) - 1))
        whole[at] = draw(edited_json(LINES[at]) | documents(LINES[at]))
    data = b"".join(line + b"\n" for line in whole)
    return draw(st.just(data) | mutated([data]))


def read_fleet(data: bytes, folder: Path) -> bool:
    """Print the table of a fleet, and write it in every form."""
    from rich.console import Console

    from convprof.render import fleet
    from convprof.studies.fleet import files
    from convprof.studies.fleet.answer import answer
    from convprof.studies.fleet.table import document

    path = folder / "fleet.jsonl"
    path.write_bytes(data)
    table = files.read([str(path)])
    prices = dict.fromkeys(table.hosts, 0.5)
    fleet.fleet_report(Console(file=io.StringIO(), width=100), table, prices)
    said = answer(table, prices, "fleet.jsonl")
    json.dumps(document(table, prices, said), allow_nan=False)
    for text in (fleet.to_csv(table, prices), fleet.to_markdown(table, prices)):
        assert "".join(text).replace("\n", "").isprintable()
    return True


@functools.cache
def _network() -> tuple[Any, Any, dict[str, Any]]:
    """Return a network, operands that nothing computes with, and a plan of it."""
    import numpy as np

    from convprof import networks
    from convprof.problems import NetworkProblem
    from convprof.problems.network import RealOperands
    from convprof.strategies.base import Setting
    from convprof.strategies.networks.choice import layer_choices
    from convprof.strategies.networks.recipe import recipe_for
    from convprof.strategies.networks.strategy import Chained
    from convprof.studies.network import saved_plan

    network = networks.network("lenet5")
    whole = NetworkProblem(network)
    setting = Setting("nhwc", "f32", 1, tune="off")
    recipe = recipe_for(whole, fuse=True)
    choices = layer_choices(recipe, ("auto",), setting, "nhwc")
    plan = saved_plan.to_json(network, Chained("chain", recipe, choices), setting)
    nothing = np.zeros(0, np.float32)
    return network, RealOperands({}, nothing, nothing), json.loads(json.dumps(plan))


def plans() -> st.SearchStrategy[bytes]:
    """Return plans of a network."""
    return documents(_network()[2])


def read_plan(data: bytes, folder: Path) -> bool:
    """Read a plan as ``convprof.load`` does."""
    from convprof.studies.network import saved_plan

    network, real, _ = _network()
    path = folder / "plan.json"
    path.write_bytes(data)
    chain, setting = saved_plan.read(path, network, real, lambda _: None)
    assert len(chain.choices) == len(chain.recipe.steps)
    assert setting.threads > 0
    return True
