"""The fastest way that was measured for a problem of a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.studies.comparison import side

if TYPE_CHECKING:
    from convprof.results import Measurement


@dataclass(frozen=True, slots=True)
class Faster:
    """What was measured for the problem of a row, all in the same rounds."""

    best: Measurement
    """The fastest result that is not in doubt."""
    alone: Measurement | None = None
    """The library of the log with nothing else around; None if it did not take part."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields for a document."""
        return {
            "best": _side(self.best),
            "alone": None if self.alone is None else _side(self.alone),
        }


def _side(measurement: Measurement) -> dict[str, Any]:
    time = measurement.time_s
    known = time is not None and time.ci95_low is not None
    return {
        **side(measurement),
        "dtype": measurement.dtype,
        "median_s": time.median if time else None,
        "ci95_s": [time.ci95_low, time.ci95_high] if time and known else None,
    }
