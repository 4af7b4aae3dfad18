"""numba's cache of compiled functions on disk; its files may be damaged. Imports numba."""

from __future__ import annotations

import contextlib
from typing import Any

from numba.core import config
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys

_KEYED = (
    "OPT",
    "LOOP_VECTORIZE",
    "SLP_VECTORIZE",
    "BOUNDSCHECK",
    "DEBUGINFO_DEFAULT",
    "EXTEND_VARIABLE_LIFETIMES",
)
"""Settings that change the code, but are missing in numba's own key: without them in the key, later
processes would run the slow code of one process with ``NUMBA_OPT=0``."""


class TolerantCache(FunctionCache):
    """A cache whose damaged files (a full disk, a process that was killed) are replaced."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        settings = tuple(f"{name}={getattr(config, name, None)}" for name in _KEYED)
        return (*super()._index_key(sig, codegen), settings)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled function; None if there is no file or it cannot be read.

        numba would first import everything that it can compile, in 0.2 s of a processor. Compiled
        code needs only the functions of its runtime.
        """
        data = None
        try:
            rtsys.initialize(target_context)
            with self._guard_against_spurious_io_errors():
                data = self._load_overload(sig, target_context)
        except Exception:  # noqa: BLE001  # unpickling damaged bytes can raise anything
            return None
        return data

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save a compiled function; start a new index where the old one cannot be read."""
        try:
            super().save_overload(sig, data)
        except Exception:  # noqa: BLE001  # as above
            with contextlib.suppress(Exception):  # disk full or not writable: no cache
                self.flush()
                super().save_overload(sig, data)
