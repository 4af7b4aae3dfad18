"""Compile plain Python loop nests into stage functions with numba, cached on disk.

A kernel is an ordinary function ``kernel(lo, hi, buffers, dims)`` over flat buffers: it runs tasks
``lo`` to ``hi - 1``; ``buffers[i]`` is memory of one type, ``dims`` are 64-bit integers. Flat
indices show the place of each element in memory, which is the subject of this tool. They also avoid
the wrap-around checks of NumPy indexing, which prevent vectorisation.

Kernels are compiled here and not by a decorator, so that reading a strategy's name does not import
numba. A kernel must not use names from outside its body: the disk cache would not notice a change
of them.
"""

from __future__ import annotations

import contextlib
import functools
import time
import warnings
from typing import TYPE_CHECKING, Any, TypeAlias

from convprof.codegen import numba_setup
from convprof.machine import noise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

Buffers: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
"""Memory by number of the buffer; to numba, pointers to elements."""
Words: TypeAlias = "Sequence[int]"
"""Sizes and distances; to numba, a pointer to 64-bit integers."""

# "contract" allows a multiply and an add to become one FMA; sums are never reordered, so that a
# result depends on the loop nest alone.
_OPTIONS: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy"}

_compiled_seconds = 0.0


def compile_seconds() -> float:
    """Return the seconds that this process has spent on compiling or loading kernels."""
    return _compiled_seconds


@functools.cache
def _signature(dtypes: tuple[str, ...]) -> Any:
    from numba import types as numba_types
    from numba.core import sigutils as numba_signatures

    from convprof.codegen.numba_buffers import Table

    types: Any = numba_types  # numba has no annotations
    sigutils: Any = numba_signatures

    words = types.CPointer(types.intp)
    return sigutils.normalize_signature(types.void(types.intp, types.intp, Table(dtypes), words))


def _compile(kernel: Callable[..., None], dtypes: tuple[str, ...], *, cached: bool) -> Any:
    """Return numba's C callback, as its decorator ``cfunc`` makes it, but with our own cache."""
    numba_setup.load()
    signature = _signature(dtypes)
    from numba.core.ccallback import CFunc

    from convprof.codegen import numba_cache

    cache: Any = numba_cache.TolerantCache
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # users need not see numba's notes on experimental features
        callback: Any = CFunc(kernel, signature, locals={}, options=_OPTIONS)
        if cached:
            # No cache if neither the package nor the user's cache folder is writable.
            with contextlib.suppress(RuntimeError, OSError):
                callback._cache = cache(kernel)  # noqa: SLF001  # there is no public way
        callback.compile()
    return callback


@functools.cache
def _compiled(kernel: Callable[..., None], *dtypes: str) -> Any:
    numba_setup.load()
    changed = [f"{name}={value}" for name, value in numba_setup.deviations().items()]
    if changed:
        text = f"loop nests are compiled with {', '.join(changed)}"
        them = "them" if len(changed) > 1 else "it"
        noise.remark(noise.Noise("numba", text, f"unset {them} for numba's usual code"))
    return _compile(kernel, dtypes, cached=True)


def address(kernel: Callable[..., None], *dtypes: str) -> int:
    """Return the address of ``kernel`` compiled for buffers of these types.

    One type, such as ``f32``, is the type of all buffers.
    """
    global _compiled_seconds  # noqa: PLW0603  # a running total is what it is
    start = time.perf_counter()
    pointer = int(_compiled(kernel, *dtypes).address)
    _compiled_seconds += time.perf_counter() - start
    return pointer


@functools.cache
def assembly(kernel: Callable[..., None], *dtypes: str) -> str:
    """Return the assembly text of ``kernel`` compiled for buffers of these types.

    The kernel is compiled again, in some tenths of a second: numba has no assembly of kernels from
    its cache on disk.
    """
    compiled = _compile(kernel, dtypes, cached=False)
    return str(compiled._library.get_asm_str())  # noqa: SLF001  # there is no public way
