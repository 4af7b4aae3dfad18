"""The line at the end of a page: the values that were compared for a check."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.explain.kernels import Checked


def checked(results: Sequence[Checked], what: str, how: str) -> str:
    """Return ``checked: 32 outputs summed by hand equal the results of direct and microkernel``."""
    if not results:
        return f"checked: {what} {how}; no kernel computes this problem here"
    names = " and ".join(dict.fromkeys(each.strategy for each in results))
    largest = max(each.difference for each in results)
    if not largest:
        return f"checked: {what} {how} equal the results of {names}"
    return f"checked: {what} {how}, against {names}: largest relative difference {largest:.1e}"
