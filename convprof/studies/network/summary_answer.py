"""The answer of ``network NAME --summary``: where the work and the parameters are."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from convprof import units
from convprof.studies.answer import Answer
from convprof.studies.run_answer import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.networks.summary import Listed, Summary


def list_answer(networks: Sequence[Listed]) -> Answer:
    """Return how many networks there are, and the one with the least and the most work."""
    least, most = (pick(networks, key=lambda s: s.total.macs) for pick in (min, max))
    sides = (f"{s.name} ({units.si(s.total.macs, 'MAC')})" for s in (least, most))
    sentence = f"{len(networks)} networks, from {' to '.join(sides)} for an image."
    return Answer((sentence,), shlex.join(["convprof", "network", networks[0].name, "--summary"]))


def answer(summary: Summary, command: Sequence[str]) -> Answer:
    """Return which kinds of layers have the MACs and the parameters."""
    total = summary.total
    macs: dict[str, int] = {}
    parameters: dict[str, int] = {}
    for row in summary.rows:
        macs[row.op.kind] = macs.get(row.op.kind, 0) + row.cost.macs
        parameters[row.op.kind] = parameters.get(row.op.kind, 0) + row.cost.parameters
    work = f"{total.parameters:,} parameters and {units.si(total.macs, 'MAC')}"
    intensity = units.digits(total.intensity or 0.0)
    sentences = [f"{summary.name} has {work}, {intensity} FLOP per byte."]
    if total.macs and total.parameters:
        most, largest = (max(each, key=lambda k: each[k]) for each in (macs, parameters))
        second = " and " if largest == most else f", {largest} layers "
        sentences.append(
            f"{most} layers have {percent(macs[most] / total.macs)} of the MACs{second}"
            f"{percent(parameters[largest] / total.parameters)} of the parameters."
        )
    return Answer(tuple(sentences), shlex.join(command))
