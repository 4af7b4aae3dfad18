"""The words for what changed between two builds, for all commands that compare builds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from convprof.stats import SAME_WITHIN
from convprof.studies.comparison import Comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.stats import Verdict

AnyComparison = TypeVar("AnyComparison", bound=Comparison[Any])

_WORDS: dict[Verdict, str] = {
    "slower": "slower",
    "faster": "faster",
    "same": f"the same within {100 * SAME_WITHIN:.0f} %",
    "undecided": "undecided",
}


_LIMIT = re.compile(r"slower:(\d{1,4}(?:\.\d{1,3})?)%")


def limit_of(text: str | None) -> float | None:
    """Return the share of ``slower:5%``; None for another text."""
    match = _LIMIT.fullmatch(text or "")
    return float(match[1]) / 100 if match else None


def counted(verdicts: Sequence[Verdict], where: str = "") -> str:
    """Return ``Of 3 measurements 1 is slower and 2 are undecided``.

    ``verdicts`` has at least one; ``where``: in which files, in which environment.
    """
    counts = ((word, verdicts.count(verdict)) for verdict, word in _WORDS.items())
    parts = [f"{count} {'is' if count == 1 else 'are'} {word}" for word, count in counts if count]
    if len(verdicts) == 1:
        return f"The only measurement of both sides is {_WORDS[verdicts[0]]}"
    if len(parts) == 1:
        return f"All {len(verdicts)} measurements{where} are {_WORDS[verdicts[0]]}"
    listed = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
    return f"Of {len(verdicts)} measurements{where} {listed}"


def worst_of(rows: Sequence[AnyComparison]) -> AnyComparison | None:
    """Return the row with the largest slow-down; if nothing is slower, the largest speed-up."""
    slower = [row for row in rows if row.verdict == "slower"]
    if slower:
        return max(slower, key=lambda row: row.ratio.value)
    faster = [row for row in rows if row.verdict == "faster"]
    return min(faster, key=lambda row: row.ratio.value, default=None)


def ordered(rows: Sequence[AnyComparison]) -> list[AnyComparison]:
    """Return the slower rows, the faster rows, the undecided and the others.

    The largest changes first.
    """
    order: tuple[Verdict, ...] = ("slower", "faster", "undecided", "same")

    def key(row: AnyComparison) -> tuple[int, float]:
        value = row.ratio.value
        return order.index(row.verdict), value if row.verdict == "faster" else -value

    return sorted(rows, key=key)
