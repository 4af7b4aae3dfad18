"""Which measurements of two sides of ``compare results`` are of the same thing."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from convprof.results import FAILURES
from convprof.studies.compare.results_basis import Pool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convprof.results import Measurement
    from convprof.studies.compare.results_files import Side

_NAME = re.compile(r'n"[^"]*"$')


class Key(NamedTuple):
    """What two measurements must share to be compared."""

    problem: str
    """Its fields without its name, as a text."""
    strategy: str
    layout: str | None
    dtype: str
    threads: int
    cache: str
    isa: str | None
    environment: str | None


DIMENSIONS = (
    "problem", "strategy", "layout", "type", "threads", "cache", "instruction set", "environment",
)  # fmt: skip
"""The names of the fields of `Key`."""


Named = dict[str | None, list["Measurement"]]


@dataclass(frozen=True)
class Measured:
    """The measurements of one side by what was measured."""

    timed: dict[Key, Named]
    failed: dict[Key, Measurement]

    @classmethod
    def of(cls, side: Side) -> Measured:
        """Return what the files of a side have a time of, and what computed wrongly or failed."""
        timed: dict[Key, Named] = defaultdict(lambda: defaultdict(list))
        failed: dict[Key, Measurement] = {}
        for file in side.files:
            for m in file.document.measurements:
                if m.time_s is not None:
                    timed[_key(m)][m.problem["name"]].append(m)
                elif m.status in FAILURES:
                    failed[_key(m)] = m
        return cls(timed, failed)


def _key(m: Measurement) -> Key:
    fields = {k: v for k, v in m.problem.items() if k != "name" and v is not None}
    fields["descriptor"] = _NAME.sub("", fields["descriptor"])
    problem = json.dumps(fields, sort_keys=True)
    labels = (m.strategy, m.layout, m.dtype, m.threads, m.cache, m.isa, m.environment)
    return Key(problem, *labels)


Pairs = list[tuple[Pool, Pool]]


def matched(base: Measured, new: Measured) -> tuple[Pairs, tuple[list[Key], list[Key]]]:
    """Return the pools that both sides have, and the keys that only one of them has.

    Layers of a network that compute the same are matched by their names; a name does not matter
    where each side has only one.
    """
    pairs: Pairs = []
    for key in base.timed:
        if key not in new.timed:
            continue
        ours, theirs = base.timed[key], new.timed[key]
        names = [name for name in ours if name in theirs]
        if len(ours) == len(theirs) == 1 or not names:
            pairs.append((Pool.of(flat(ours)), Pool.of(flat(theirs))))
        else:
            pairs += [(Pool.of(ours[name]), Pool.of(theirs[name])) for name in names]
    return pairs, (_missing(base.timed, new.timed), _missing(new.timed, base.timed))


def _missing(keys: Iterable[Key], others: dict[Key, Named]) -> list[Key]:
    return [key for key in keys if key not in others]


def flat(named: Named) -> list[Measurement]:
    """Return the measurements under every name."""
    return [m for measurements in named.values() for m in measurements]


# Nothing matched: what both sides have.

MOST_VALUES = 50
"""Values of one dimension that a document has of each side."""


class Difference(NamedTuple):
    """What a side has in one dimension of the key."""

    dimension: str
    base: list[str]
    new: list[str]

    @property
    def is_disjoint(self) -> bool:
        """Whether both sides have something, and nothing is on both: then nothing can match."""
        return bool(self.base and self.new) and not set(self.base) & set(self.new)


def differences(base: Iterable[Key], new: Iterable[Key]) -> list[Difference]:
    """Return, for each dimension, what each side has."""
    sides = [list(base), list(new)]
    rows = []
    for at, dimension in enumerate(DIMENSIONS):
        with_value = ([key for key in keys if key[at] is not None] for keys in sides)
        values = [list(dict.fromkeys(_shown(at, key[at]) for key in keys)) for keys in with_value]
        rows.append(Difference(dimension, *values))
    return rows


def nothing_matched(base: Iterable[Key], new: Iterable[Key]) -> tuple[str, list[Difference]]:
    """Return why nothing matches, and the dimensions that show it."""
    sides = [list(base), list(new)]
    names = ("base", "new files")
    empty = [name for name, keys in zip(names, sides, strict=True) if not keys]
    if empty:
        return f"no measurement in the {' and the '.join(empty)} has a time", []
    dimensions = differences(*sides)
    disjoint = [each for each in dimensions if each.is_disjoint]
    why = " or ".join(each.dimension for each in disjoint) or "combination"
    return f"no {why} is on both sides", disjoint or dimensions


def _shown(at: int, value: Any) -> str:
    if at == 0:
        fields = json.loads(value)
        epilogue, weights = fields.get("epilogue"), fields.get("weight_dtype")
        text = f"{fields['kind']} {fields['descriptor']}" + (f" + {epilogue}" if epilogue else "")
        return f"{text} x {weights} in groups of {fields.get('group')}" if weights else text
    return str(value)
