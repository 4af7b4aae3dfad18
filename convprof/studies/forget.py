"""What a finished problem leaves behind, given back before the next one begins."""

from __future__ import annotations

import gc

from convprof.codegen import tile_list


def forget() -> None:
    """Free the memory of problems whose studies are gone; some kernels stay for the next one.

    Operands and buffers that refer to themselves in a circle stay until Python looks for circles,
    and a large problem might be refused because of the one before it. What survives the first
    problem (modules, mostly) is not looked at again, which would take longer. What comes later is:
    a kernel that is kept now has such circles when it goes.
    """
    tile_list.forget_kernels(tile_list.KEPT_KERNELS)
    gc.collect()
    if not gc.get_freeze_count():
        gc.freeze()
