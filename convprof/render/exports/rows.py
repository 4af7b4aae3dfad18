"""What every format exports: the times without a doubt, each under a name of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import stats
from convprof.errors import InputError

if TYPE_CHECKING:
    from convprof.results import Document, Measurement, Time


@dataclass(frozen=True, slots=True)
class Row:
    """One benchmark of another tool."""

    name: str
    """Such as ``resnet50:conv1 f32 microkernel nhwc 2 threads``; the same in each run."""
    measurement: Measurement
    time: Time

    @property
    def rounds(self) -> tuple[float, ...]:
        """The seconds of a call, in the order of the rounds; the median where they are unknown."""
        return self.time.rounds_s or (self.time.median,)

    @property
    def mean(self) -> float:
        """The mean of the rounds."""
        return sum(self.rounds) / len(self.rounds)

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the rounds; None for a single one."""
        count = len(self.rounds)
        if count == 1:
            return None
        return float((sum((r - self.mean) ** 2 for r in self.rounds) / (count - 1)) ** 0.5)

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return stats.median(self.rounds)


def rows(document: Document) -> list[Row]:
    """Return the rows of a document; InputError if there is no time without a doubt."""
    exported: list[Row] = []
    seen: Counter[str] = Counter()
    for m in document.measurements:
        if m.time_s is None or m.doubt is not None:
            continue
        name = _name(m)
        seen[name] += 1
        number = f" #{seen[name]}" if seen[name] > 1 else ""
        exported.append(Row(name + number, m, m.time_s))
    if not exported:
        raise InputError("there is no time without a doubt to export")
    return exported


def _name(m: Measurement) -> str:
    problem = m.problem
    kind = problem["kind"]
    steps = (problem.get("epilogue"), problem.get("weight_dtype"))
    parts = (
        problem["name"] or problem["descriptor"],
        problem.get("pass"),
        *(str(step) for step in steps if step),
        "" if kind in {"conv2d", "gemm"} or problem.get("pass") else kind,
        m.dtype,
        m.label,
        "cold" if m.cache == "cold" else "",
    )
    return " ".join(str(part) for part in parts if part)
