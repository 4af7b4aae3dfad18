"""Imports between the files of the package: each points downward, and there is no circle.

import-linter checks the floors, folder by folder. The tests here look at files. All imports count:
at the top of a file, inside a function, and for types only. An import for types only makes no
circle when the program runs, but the two files can still not be read, or moved, one at a time.
"""

from __future__ import annotations

import ast
import functools
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "convprof"
ABOVE = ("convprof", "convprof.__main__")
"""What starts the program or is the package's face: on top of all floors."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, modules: set[str]) -> set[str]:
    """Return the modules of the package that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import"
            for alias in node.names:
                longer = f"{node.module}.{alias.name}"
                names.add(longer if longer in modules else node.module)
    return names & modules


@functools.cache
def graph() -> dict[str, set[str]]:
    files = {module_name(path): path for path in PACKAGE.rglob("*.py")}
    return {
        name: imported(ast.parse(path.read_text(encoding="utf-8")), set(files)) - {name}
        for name, path in files.items()
    }


def circle_in(edges: dict[str, set[str]]) -> list[str]:
    """Return the modules of one circle, the first one again at the end; empty without one."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return error.args[1]
    return []


@functools.cache
def floors() -> list[str]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    return next(contract["layers"] for contract in contracts if contract["type"] == "layers")


def floor_of(name: str) -> int:
    """Return the number of a module's floor, 0 for the highest one."""
    if name in ABOVE:
        return -1
    return floors().index(".".join(name.split(".")[:2]))


def test_every_file_has_a_floor():
    tops = {".".join(name.split(".")[:2]) for name in graph()} - set(ABOVE)
    assert tops == set(floors())


def test_no_file_imports_a_higher_floor():
    edges = graph()
    floor = {name: floor_of(name) for name in edges}
    upward = [
        (name, target)
        for name, targets in edges.items()
        for target in targets
        if floor[target] < floor[name]
    ]
    assert upward == []


def test_no_circle_of_files():
    assert circle_in(graph()) == []


def test_imports_inside_functions_and_for_types_count():
    text = """
from typing import TYPE_CHECKING
import numpy
if TYPE_CHECKING:
    from convprof.a import Class
def call():
    import convprof.b
    from convprof import c
"""
    modules = {"convprof", "convprof.a", "convprof.b", "convprof.c", "convprof.d"}
    assert imported(ast.parse(text), modules) == {"convprof.a", "convprof.b", "convprof.c"}


def test_a_circle_is_named():
    assert sorted(set(circle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}))) == [
        "a",
        "b",
        "c",
    ]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
