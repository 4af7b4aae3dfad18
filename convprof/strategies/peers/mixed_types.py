"""Networks with ids of tokens in bf16 or f16: no library is given one here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.problems.exact_results import is_mixed

if TYPE_CHECKING:
    from convprof.problems import NetworkProblem
    from convprof.strategies.base import Setting


def without_mixed(name: str, problem: NetworkProblem, setting: Setting) -> str | None:
    """Return why a library refuses a network of which some results must stay f32; None if none."""
    if not is_mixed(problem.network, setting.types):
        return None
    return f"{name} gets networks of one element type here; these ids need f32 next to it: use f32"
