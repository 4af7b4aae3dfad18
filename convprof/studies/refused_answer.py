"""The answer where every strategy refuses: which types are computed, or what lists who computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import listed, short_name
from convprof.strategies import registry
from convprof.studies.answer import Answer
from convprof.studies.next_command import described, line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement


def answer(measurements: Sequence[Measurement]) -> Answer | None:
    """Return the way out; None unless there are refusals of a problem, and nothing else."""
    if not measurements or any(m.status != "refused" for m in measurements):
        return None
    first = measurements[0]
    if not described(first):
        return None
    kind = str(first.problem["kind"])
    every = registry.strategies(kind)
    if any(first.dtype in strategy.dtypes for strategy in every):
        sentence = "Each of these strategies refuses the problem; other strategies may take it."
        return Answer((sentence,), line("strategies", first))
    names = dict.fromkeys(short_name(name, kind) for strategy in every for name in strategy.dtypes)
    use = listed([name for name in names if ":" not in name], "or")
    return Answer((f"No strategy computes {kind} in {short_name(first.dtype, kind)}: use {use}.",))
