"""What is in another environment, and whether contestants can compute in it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convprof.errors import ConvprofError, InputError
from convprof.json_checks import array, count, mapping, text
from convprof.measure.bench import BenchError
from convprof.measure.isolated import PROTOCOL, start
from convprof.measure.isolated.environment import Environment
from convprof.measure.isolated.process import Process
from convprof.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REQUIRED = {
    "numpy": (1, 26),
    "ml_dtypes": (0, 4),
    "numba": (0, 62),
    "psutil": (5, 9, 4),
    "py-cpuinfo": (9, 0),
    "threadpoolctl": (3, 2),
}
"""The packages that convprof's processes import, with the lowest versions."""
SHOWN = ("numpy", "numba", "llvmlite")
"""The packages whose versions are always reported; then come the libraries."""
CONVPROF = "convprof"
_INTERPRETER = ("bin", "python")
_LONGEST_PATH = 4096
_VARIANTS = ("", "-cpu")
"""Endings of the package of a library: the module ``tensorflow`` is in ``tensorflow-cpu``."""


def interpreter(path: str) -> str:
    """Return the Python of an environment that may be named by its folder; InputError for none."""
    if not path.isprintable():
        raise InputError("the path is not printable", field="python", value=repr(path))
    inside = Path(path).joinpath(*_INTERPRETER)
    if Path(path).is_dir():
        if not inside.exists():
            raise InputError("this folder has no bin/python", field="python", value=path)
        return str(inside)
    if shutil.which(path) is None:
        raise InputError("there is no program of this name", field="python", value=path)
    return path


def examine(name: str, path: str, modules: Sequence[str], limit_s: float) -> Environment:
    """Return an environment with what it has; InputError if no contestant could compute in it.

    ``modules``: of libraries. ``limit_s``: seconds that an answer may take.
    """
    python = interpreter(path)
    bare = Environment(name, python)
    variants = (module + ending for module in modules for ending in _VARIANTS)
    packages = dict.fromkeys((*SHOWN, *REQUIRED, *variants))
    try:
        process = Process(limit_s, bare.command)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot be started: {reason}", field="python", value=path) from None
    try:
        facts = process.exchange(bare.hello(modules, tuple(packages)))
        _check(facts, python)
        blas = process.exchange({"do": "hello"}).get("blas")
        return Environment(
            name,
            python,
            tuple(_programs(facts, modules, blas)),
            tuple(map(text, array(facts["modules"]))),
            text(facts["folder"], _LONGEST_PATH),
            facts["lent"] is True,
        )
    except InputError as error:
        raise error.within("python", path) from None
    except (BenchError, ConvprofError, KeyError) as error:
        raise InputError(
            f"convprof cannot run in it: {error}", field="python", value=path
        ) from None
    finally:
        process.close()


def distinguished(environments: Sequence[Environment]) -> tuple[Environment, ...]:
    """Return the environments; equal versions of convprof in different folders have the folder.

    Two working copies of convprof usually have the same version.
    """
    versions = {dict(each.versions)[CONVPROF] for each in environments}
    folders = {each.folder for each in environments}
    if len(folders) == 1 or len(versions) == len(folders):
        return tuple(environments)
    return tuple(
        replace(
            each,
            versions=tuple((n, _with_folder(n, v, each)) for n, v in each.versions),
            apart=True,
        )
        for each in environments
    )


def _with_folder(name: str, version: str, environment: Environment) -> str:
    return f"{version} of {environment.folder}" if name == CONVPROF else version


def _check(facts: dict[str, Any], python: str) -> None:
    """Raise InputError if the Python is too old, or convprof cannot run in it."""
    version = tuple(map(_part, array(facts["python"])))
    if version < start.OLDEST:
        needed = _dotted(start.OLDEST)
        raise InputError(f"it is Python {_dotted(version)}, and convprof needs {needed}")
    if facts["lent"] is True:
        _check_packages(_versions(facts), python)
    if facts["protocol"] != PROTOCOL:
        raise InputError(
            f"its convprof {text(facts['convprof'])} cannot be compared with convprof {VERSION}: "
            f"their processes exchange other messages ({facts['protocol']} and {PROTOCOL}); "
            "install another version there, or none: then this one computes there"
        )


def _part(value: Any) -> int:
    """Return a part of a version."""
    return count(value, 0)


def _check_packages(versions: dict[str, str], python: str) -> None:
    """Raise InputError if a package is missing or too old for the convprof that is lent."""
    lacking = {
        name: versions.get(name)
        for name, least in REQUIRED.items()
        if name not in versions or _numbers(versions[name]) < least
    }
    if not lacking:
        return
    reasons = ", ".join(
        f"{name} is not installed" if version is None else f"{name} {version} is too old"
        for name, version in lacking.items()
    )
    wanted = " ".join(f"'{name}>={_dotted(REQUIRED[name])}'" for name in lacking)
    raise InputError(f"{reasons}: {python} -m pip install {wanted}")


def _programs(
    facts: dict[str, Any], modules: Sequence[str], blas: Any
) -> Iterable[tuple[str, str]]:
    """Yield the programs that decide how fast a kernel is, with their versions."""
    versions = _versions(facts)
    yield "Python", _dotted(map(_part, array(facts["python"])))
    yield CONVPROF, text(facts["convprof"])
    yield from ((name, versions[name]) for name in SHOWN if name in versions)
    if blas is not None:
        yield "BLAS", text(blas)
    for module in modules:
        names = (module + ending for ending in _VARIANTS)
        known = next((versions[name] for name in names if name in versions), None)
        if known is not None:
            yield module, known


def _versions(facts: dict[str, Any]) -> dict[str, str]:
    return {text(name): text(value) for name, value in mapping(facts["packages"]).items()}


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers at the beginning of a version: (1, 26) of ``1.26rc1``."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def _dotted(numbers: Iterable[int]) -> str:
    return ".".join(map(str, numbers))
