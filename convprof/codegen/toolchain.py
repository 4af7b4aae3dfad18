"""numba and LLVM, which compile every kernel: imported once, refused in one line if too old.

Older versions do not fail on import, but inside a compilation: LLVM before 17 cannot read the IR of
the generators (``ptr`` without a type).
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

from convprof.errors import ToolchainError, cannot_map, import_reason

OLDEST_NUMBA = (0, 62)
"""The lower bound in pyproject.toml; the oldest version that the tests run with."""
OLDEST_LLVM = 20
"""The LLVM version in llvmlite 0.45, which belongs to this numba."""

_OLDEST = ".".join(map(str, OLDEST_NUMBA))
_NEED = f"convprof needs numba {_OLDEST} or newer"


@functools.cache
def llvm() -> Any:
    """Return ``llvmlite.binding``; ``ToolchainError`` if it is absent, broken or too old."""
    binding = _imported("llvmlite.binding")
    version = binding.llvm_version_info
    if version[0] < OLDEST_LLVM:
        release = getattr(importlib.import_module("llvmlite"), "__version__", "of unknown version")
        raise ToolchainError(
            f"llvmlite {release} has LLVM {version[0]}, which is too old: "
            f"{_NEED}, with LLVM {OLDEST_LLVM} or newer. Upgrade both: {_pip()}"
        )
    return binding


@functools.cache
def numba() -> Any:
    """Return the package ``numba``; ``ToolchainError`` if it is absent, broken or too old."""
    llvm()
    package = _imported("numba")
    text = str(getattr(package, "__version__", ""))
    if _release(text) < OLDEST_NUMBA:
        raise ToolchainError(f"numba {text} is too old: {_NEED}. Upgrade: {_pip()}")
    return package


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:  # broken packages raise OSError, SystemError ...
        package = name.partition(".")[0]
        reason = import_reason(error)
        absent = isinstance(error, ModuleNotFoundError) and error.name == package
        # pip does not reinstall a broken package if its version is right.
        what, how = ("Install", "") if absent else ("Install again", "--force-reinstall ")
        way_out = cannot_map(reason) or f"{what}: {_pip(how)}"
        raise ToolchainError(
            f"{package} cannot be imported ({reason}): {_NEED}. {way_out}"
        ) from error


def _pip(flags: str = "") -> str:
    return f"python -m pip install --upgrade {flags}'numba>={_OLDEST}'"


def _release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: (0, 62) of ``0.62.0rc1``."""
    first = [part for part in version.split(".")[:2] if part.isdecimal()]
    return tuple(int(part) for part in first)
