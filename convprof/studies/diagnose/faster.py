"""The fastest way that was measured for a problem of a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convprof.json_checks import count, mapping, number, pair, positive, text
from convprof.results import Measurement, Time
from convprof.studies.comparison import side


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


def read_faster(value: Any, logged: Measurement | None) -> Faster | None:
    """Return what was measured for the problem of a saved row; None if nothing was."""
    if value is None or logged is None:
        return None
    fields = mapping(value)
    alone = fields.get("alone")
    return Faster(
        _read_side(mapping(fields.get("best")), logged),
        None if alone is None else _read_side(mapping(alone), logged),
    )


def _read_side(fields: dict[str, Any], logged: Measurement) -> Measurement:
    median_s, interval = positive(fields.get("median_s")), fields.get("ci95_s")
    low, high = (None, None) if interval is None else map(number, pair(interval))
    return Measurement(
        problem=logged.problem,
        strategy=text(fields.get("strategy")),
        layout=None if fields.get("layout") is None else text(fields["layout"]),
        dtype=text(fields.get("dtype")),
        threads=count(fields.get("threads")),
        cache="hot",
        status="ok",
        isa=None if fields.get("isa") is None else text(fields["isa"]),
        time_s=Time(median_s, 0.0, low, high, median_s, 1, 1),
        flops=logged.flops,
    )
