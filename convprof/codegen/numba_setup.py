"""numba, set up to compile for this CPU, and the user's settings that change its code.

numba reads variables ``NUMBA_...`` and a file ``.numba_config.yaml`` of the working directory. Some
settings make slower code, and a measurement must then say so: see `deviations`.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from typing import Any

from convprof import cache_folder
from convprof.codegen import executable, toolchain
from convprof.codegen.target import target
from convprof.errors import ConvprofError

_CONFIG = "numba.core.config"
_USUAL = {
    "OPT": "3",
    "LOOP_VECTORIZE": "1",
    "SLP_VECTORIZE": "0",
    "BOUNDSCHECK": "None",
    "DEBUGINFO_DEFAULT": "0",
    "EXTEND_VARIABLE_LIFETIMES": "0",
    "ENABLE_AVX": "1",
    "CPU_NAME": "None",
    "CPU_FEATURES": "None",
}
"""Settings that change the machine code of a loop nest, and their usual values."""
_SPELLED = {"DEBUGINFO_DEFAULT": "DEBUGINFO"}
"""Settings whose environment variable has another name."""
_CPU = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_ENABLE_AVX")


def load() -> Any:
    """Import numba and return its ``numba.core.config``; ConvprofError if numba compiles nothing.

    ``NUMBA_DISABLE_JIT`` is for debugging Python code and would break the compilation of loop
    nests: it is removed from this process's environment if numba was not imported before. numba
    disables AVX if LLVM assumes an old CPU in a virtual machine. AVX is then enabled again, because
    the CPU's flags show it. For a user without a home folder numba would create a folder ``~`` in
    the working directory: its cache is then in convprof's cache folder.
    """
    if _CONFIG not in sys.modules:
        os.environ.pop("NUMBA_DISABLE_JIT", None)
        if os.path.expanduser("~") == "~":  # noqa: PTH111  # as numba does, which then makes "./~"
            os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder.folder("numba")))
    with warnings.catch_warnings():
        # numba warns in ten lines about a variable that it cannot read
        warnings.simplefilter("ignore")
        executable.require()  # numba fails in its import, with a traceback
        toolchain.numba()
        config: Any = importlib.import_module(_CONFIG)
    if config.DISABLE_JIT:
        raise ConvprofError(
            "numba is set to compile nothing (NUMBA_DISABLE_JIT=1): unset the variable"
        )
    if not config.ENABLE_AVX and not any(name in os.environ for name in _CPU):
        config.ENABLE_AVX = int(target().has("avx"))
    return config


def deviations() -> dict[str, str]:
    """Return the present settings that make numba's code differ from its usual code.

    Each has the name of its variable; the result is empty until numba is imported.
    """
    config = sys.modules.get(_CONFIG)
    if config is None:
        return {}
    now = {name: _spelled(getattr(config, name, usual)) for name, usual in _USUAL.items()}
    avx = "1" if target().has("avx") else "0"
    usually = {**_USUAL, "ENABLE_AVX": avx}
    return {
        f"NUMBA_{_SPELLED.get(name, name)}": value
        for name, value in now.items()
        if value != usually[name]
    }


def _spelled(value: Any) -> str:
    """Return a setting as text for its variable: numba has numbers, truth values and classes."""
    return str(value) if value is None or isinstance(value, str) else str(int(value))
