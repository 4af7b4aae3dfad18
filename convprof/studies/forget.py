"""Free the memory of a finished problem before the next one begins."""

from __future__ import annotations

import functools
import gc

from convprof.codegen import tile_list


def forget() -> None:
    """Free the memory of problems whose studies are gone; some kernels stay for the next one.

    Operands and buffers that refer to themselves in a circle stay until Python looks for circles,
    and a large problem might be refused because of the one before it. Objects that survive the
    first problem (mostly modules) are not searched again, which would take longer. Later objects
    are: a kernel that is kept now has such circles when it is dropped.
    """
    tile_list.forget_kernels(tile_list.KEPT_KERNELS)
    gc.collect()
    _freeze_once()


@functools.cache
def _freeze_once() -> None:
    """Freeze all objects of now, the first time.

    Not ``if not gc.get_freeze_count()``: Python counts the frozen objects one by one.
    """
    gc.freeze()
