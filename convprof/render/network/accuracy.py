"""The line about the error on the file's own weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.network.accuracy import Accuracy


def accuracy_lines(accuracy: Sequence[Accuracy]) -> list[str]:
    """Return ``error on the file's weights (…): chain 1.1e-07, Winograd in 5 layers 3.9e-06``.

    No line without real weights.
    """
    if not accuracy:
        return []
    errors = ", ".join(f"{each.name} {each.max_rel_error:.1e}" for each in accuracy)
    return [f"error on the file's weights, max|y - y64| / max|y64|: {errors}"]
